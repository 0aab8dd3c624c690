//! config.json: the hyper-parameters of a checkpoint, in the published form and in that of the
//! transformers library.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::as_conversions
    )
)]

use std::path::Path;

use ds4_model::shape::Shape;
use ds4_model::shape::fields::{FIELDS, Kind};
use serde_json::Value;

use crate::QuantizeError;

/// Field of [`Shape`] and where it stands in config.json: the first path that is there.
const PATHS: &[(&str, &[&str])] = &[
    ("layers", &["num_hidden_layers"]),
    ("hidden", &["hidden_size"]),
    ("vocab", &["vocab_size"]),
    ("context", &["max_position_embeddings"]),
    ("heads", &["num_attention_heads"]),
    ("head_dim", &["head_dim"]),
    ("rope_dim", &["qk_rope_head_dim"]),
    ("q_rank", &["q_lora_rank"]),
    ("o_rank", &["o_lora_rank"]),
    ("o_groups", &["o_groups"]),
    ("experts", &["n_routed_experts"]),
    ("experts_used", &["num_experts_per_tok"]),
    ("ffn", &["moe_intermediate_size"]),
    ("hash_layers", &["num_hash_layers"]),
    ("window", &["sliding_window"]),
    ("index_heads", &["index_n_heads"]),
    ("index_dim", &["index_head_dim"]),
    ("index_top_k", &["index_topk"]),
    ("streams", &["hc_mult"]),
    ("sinkhorn_iterations", &["hc_sinkhorn_iters"]),
    ("hyper_epsilon", &["hc_eps"]),
    ("norm_epsilon", &["rms_norm_eps"]),
    ("route_scale", &["routed_scaling_factor"]),
    ("rope_base", &["rope_theta"]),
    ("compress_rope_base", &["compress_rope_theta"]),
    ("yarn_factor", &["rope_scaling.factor", "rope_parameters.compress.factor"]),
    (
        "yarn_original_context",
        &[
            "rope_scaling.original_max_position_embeddings",
            "rope_parameters.compress.original_max_position_embeddings",
        ],
    ),
    ("yarn_beta_fast", &["rope_scaling.beta_fast", "rope_parameters.compress.beta_fast"]),
    ("yarn_beta_slow", &["rope_scaling.beta_slow", "rope_parameters.compress.beta_slow"]),
];

/// What every model of this architecture has, if the key is there at all.
const FIXED: &[(&str, &str)] = &[
    ("num_key_value_heads", "1"),
    ("n_shared_experts", "1"),
    ("norm_topk_prob", "true"),
    ("scoring_func", r#""sqrtsoftplus""#),
    ("tie_word_embeddings", "false"),
];

/// Names of the transformers library for the ratios.
const LAYER_TYPES: [(&str, usize); 3] = [
    ("sliding_attention", 0),
    ("compressed_sparse_attention", 4),
    ("heavily_compressed_attention", 128),
];

/// Reads the hyper-parameters.
///
/// # Errors
/// Everything that is missing, of the wrong type or contradictory.
pub fn shape(path: &Path, bytes: &[u8]) -> Result<Shape, QuantizeError> {
    let wrong = |what: String| QuantizeError::format(path, what);
    let root: Value =
        serde_json::from_slice(bytes).map_err(|error| wrong(format!("no JSON: {error}")))?;
    let mut problems = Vec::new();
    let mut shape = Shape::flash();
    for (key, wanted) in FIXED {
        let found = root.get(key).map(Value::to_string);
        if let Some(found) = found.filter(|found| found != wanted) {
            problems.push(format!("{key} is {found}; this engine needs {wanted}"));
        }
    }
    for field in FIELDS {
        let paths = PATHS.iter().find(|(name, _)| *name == field.name).map_or(&[][..], |p| p.1);
        let found = paths.iter().find_map(|path| at(&root, path));
        let first = paths.first().copied().unwrap_or_default();
        let set = match (&field.kind, found) {
            (_, None) if field.name == "hash_layers" => {
                hash_layers(&root).map(|count| shape.hash_layers = count)
            }
            (Kind::Count { set, default: Some(value), .. }, None) => {
                set(&mut shape, *value);
                Some(())
            }
            (Kind::Real { set, default: Some(value), .. }, None) => {
                set(&mut shape, *value);
                Some(())
            }
            (_, None) => None,
            (Kind::Count { set, .. }, Some(value)) => {
                let count = value.as_u64().and_then(|count| usize::try_from(count).ok());
                count.map(|count| set(&mut shape, count))
            }
            (Kind::Real { set, .. }, Some(value)) => real(value).map(|real| set(&mut shape, real)),
        };
        if set.is_none() {
            let found = found.map_or("missing".to_owned(), Value::to_string);
            problems.push(format!("{first} ({}) is {found}", field.about));
        }
    }
    match ratios(&root, shape.layers) {
        Ok(ratios) => shape.ratios = ratios,
        Err(what) => problems.push(what),
    }
    let clamp = root.get("swiglu_limit").and_then(real).unwrap_or(0.0);
    let clamp = if clamp > 0.0 { clamp } else { f32::INFINITY };
    shape.swiglu_clamp = vec![clamp; shape.ratios.len()];
    if problems.is_empty() {
        let broken = shape.check().err().unwrap_or_default();
        problems.extend(broken.iter().map(ToString::to_string));
    }
    if problems.is_empty() {
        Ok(shape)
    } else {
        Err(wrong(format!("cannot be used:\n  {}", problems.join("\n  "))))
    }
}

fn at<'a>(root: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(root, |value, key| value.get(key)).filter(|value| !value.is_null())
}

/// A number as an f32, by its decimal digits: rounding twice could differ from what others read.
fn real(value: &Value) -> Option<f32> {
    let number = value.as_number()?.to_string();
    number.parse().ok().filter(|number: &f32| number.is_finite())
}

/// Of the transformers form, which lists the kind of each layer.
fn hash_layers(root: &Value) -> Option<usize> {
    let kinds = root.get("mlp_layer_types")?.as_array()?;
    let hash = kinds.iter().take_while(|kind| kind.as_str() == Some("hash_moe")).count();
    let later = kinds.iter().skip(hash).any(|kind| kind.as_str() == Some("hash_moe"));
    (!later).then_some(hash)
}

/// The ratio of each layer; a longer list names draft layers too.
fn ratios(root: &Value, layers: usize) -> Result<Vec<usize>, String> {
    let ratio = |value: &Value| -> Option<usize> {
        match value.as_str() {
            Some(name) => LAYER_TYPES.iter().find(|(known, _)| *known == name).map(|(_, r)| *r),
            None => value.as_u64().and_then(|ratio| usize::try_from(ratio).ok()),
        }
    };
    let (key, list) = ["compress_ratios", "layer_types"]
        .into_iter()
        .find_map(|key| Some((key, root.get(key)?.as_array()?)))
        .ok_or("compress_ratios (ratio of each layer) is missing")?;
    let ratios: Option<Vec<usize>> = list.iter().take(layers).map(ratio).collect();
    match ratios {
        Some(ratios) if ratios.len() == layers => Ok(ratios),
        Some(ratios) => Err(format!("{key} has {} entries for {layers} layers", ratios.len())),
        None => Err(format!("{key} has an entry that is no ratio")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The keys of Flash, as transformers documents them and public conversions of the checkpoint
    /// show them.
    const FLASH: &str = r#"{"architectures": ["DeepseekV4ForCausalLM"], "hidden_size": 4096,
        "num_hidden_layers": 4, "vocab_size": 129280, "max_position_embeddings": 1048576,
        "num_attention_heads": 64, "num_key_value_heads": 1, "head_dim": 512,
        "qk_rope_head_dim": 64, "q_lora_rank": 1024, "o_lora_rank": 1024, "o_groups": 8,
        "n_routed_experts": 256, "n_shared_experts": 1, "num_experts_per_tok": 6,
        "moe_intermediate_size": 2048, "num_hash_layers": 3, "sliding_window": 128,
        "index_n_heads": 64, "index_head_dim": 128, "index_topk": 512, "hc_mult": 4,
        "hc_sinkhorn_iters": 20, "hc_eps": 1e-06, "rms_norm_eps": 1e-06,
        "routed_scaling_factor": 1.5, "rope_theta": 10000, "compress_rope_theta": 160000,
        "rope_scaling": {"type": "yarn", "factor": 16, "beta_fast": 32, "beta_slow": 1,
        "original_max_position_embeddings": 65536}, "swiglu_limit": 10.0,
        "scoring_func": "sqrtsoftplus", "norm_topk_prob": true, "tie_word_embeddings": false,
        "compress_ratios": [0, 0, 4, 128, 0], "num_nextn_predict_layers": 1}"#;

    fn read(text: &str) -> Result<Shape, String> {
        shape(Path::new("config.json"), text.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn every_field_has_a_path() {
        for field in FIELDS {
            assert!(PATHS.iter().any(|(name, _)| *name == field.name), "{}", field.name);
        }
    }

    #[test]
    fn the_published_form_is_read() {
        let found = read(FLASH).unwrap();
        let mut flash = Shape::flash();
        flash.layers = 4;
        flash.ratios.truncate(4);
        flash.swiglu_clamp.truncate(4);
        assert_eq!(found, flash);
    }

    #[test]
    fn the_form_of_transformers_is_read() {
        let text = FLASH
            .replace(
                r#""compress_ratios": [0, 0, 4, 128, 0]"#,
                r#""layer_types": ["sliding_attention", "sliding_attention",
                "compressed_sparse_attention", "heavily_compressed_attention"]"#,
            )
            .replace(
                r#""num_hash_layers": 3"#,
                r#""mlp_layer_types": ["hash_moe", "hash_moe", "hash_moe", "moe"]"#,
            )
            .replace("rope_scaling\": {", "rope_parameters\": {\"compress\": {")
            .replace("65536}", "65536}}");
        assert_eq!(read(&text).unwrap(), read(FLASH).unwrap());
    }

    #[test]
    fn everything_wrong_is_said_with_its_key() {
        let text = FLASH
            .replace("\"hidden_size\": 4096,", "")
            .replace("\"q_lora_rank\": 1024", "\"q_lora_rank\": \"many\"")
            .replace("sqrtsoftplus", "softmax")
            .replace("[0, 0, 4, 128, 0]", "[0, 0]");
        let error = read(&text).unwrap_err();
        for part in [
            "config.json",
            "hidden_size (hidden width) is missing",
            "q_lora_rank (query rank) is \"many\"",
            "scoring_func is \"softmax\"; this engine needs \"sqrtsoftplus\"",
            "compress_ratios has 2 entries for 4 layers",
        ] {
            assert!(error.contains(part), "no {part:?} in {error}");
        }
        assert!(read("[").unwrap_err().contains("no JSON"));
        let odd = FLASH.replace("\"o_groups\": 8", "\"o_groups\": 7");
        assert!(read(&odd).unwrap_err().contains("rule"), "the shape's own rules hold");
    }
}
