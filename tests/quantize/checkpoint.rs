//! Checkpoints in the published layouts, made from the tensors of an oracle case.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ds4_format::rounding::{E4M3, fp4_block_encode, ue8m0_to_f32};
use ds4_runtime::model_file::ModelFile;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::json;
use tempfile::TempDir;

use super::tensors;
use crate::support::case::Case;

/// How the checkpoint stores its tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Published names, everything F32.
    F32,
    /// Published names; FP8 projections, FP4 experts, bf16 and F32 for the rest: as Flash is
    /// published.
    Published,
    /// The same with FP8 experts, as the base model is published.
    Fp8Experts,
    /// Names of the transformers library, everything F32, experts stacked.
    Transformers,
}

/// One stored tensor.
pub struct Stored {
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    pub bytes: Vec<u8>,
}

pub struct Checkpoint {
    folder: TempDir,
    /// Name in the checkpoint.
    pub stored: BTreeMap<String, Stored>,
    /// The values that every tensor of the output (by its GGUF name) has before it is quantised.
    pub values: BTreeMap<String, Vec<f32>>,
    form: Form,
}

impl Checkpoint {
    pub fn of(case: &Case, form: Form) -> Self {
        let model = ModelFile::open(&case.model()).expect("a model");
        let mut made = Self {
            folder: tempfile::tempdir().expect("a folder"),
            stored: BTreeMap::new(),
            values: BTreeMap::new(),
            form,
        };
        let shapes: BTreeMap<String, (usize, usize, usize)> =
            model.binding.weights().map(|w| (w.name.clone(), w.kind.sizes())).collect();
        for (name, _, values) in tensors(&case.model()) {
            made.add(&name, shapes[&name], &values);
        }
        std::fs::write(made.file("config.json"), config(&model).to_string()).expect("written");
        let tokenizer = tokenizer(&model).to_string();
        std::fs::write(made.file("tokenizer.json"), tokenizer).expect("written");
        made.write();
        made
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes all tensors, every third one to the same shard.
    pub fn write(&self) {
        for shard in 0..3 {
            let views = self.stored.iter().skip(shard).step_by(3).map(|(name, stored)| {
                let view = TensorView::new(stored.dtype, stored.shape.clone(), &stored.bytes);
                (name.clone(), view.expect("a view"))
            });
            let path = self.file(&format!("model-{:05}-of-00003.safetensors", shard + 1));
            safetensors::serialize_to_file(views, None, &path).expect("written");
        }
    }

    fn add(&mut self, name: &str, (experts, rows, width): (usize, usize, usize), values: &[f32]) {
        let (prefix, suffix) = match name.strip_prefix("blk.").and_then(|rest| rest.split_once('.'))
        {
            Some((layer, suffix)) => (format!("layers.{layer}."), suffix),
            None => (String::new(), name),
        };
        if suffix.ends_with("_exps.weight") {
            let exact = self.experts(&prefix, suffix, (experts, rows, width), values);
            self.values.insert(name.to_owned(), exact);
            return;
        }
        let (official, other) = official(suffix);
        let full = match self.form {
            Form::Transformers if prefix.is_empty() => other.to_owned(),
            Form::Transformers => format!("model.{prefix}{other}"),
            _ => format!("{prefix}{official}"),
        };
        let vector = suffix.contains("norm")
            || suffix.contains("_base")
            || suffix.contains("_scale")
            || suffix.contains("sinks")
            || suffix.contains("bias");
        let shape = if vector { vec![width] } else { vec![rows, width] };
        let exact = match self.form {
            _ if suffix.contains("tid2eid") => {
                let bytes = values.iter().flat_map(|value| (*value as i64).to_le_bytes()).collect();
                self.stored.insert(full, Stored { dtype: Dtype::I64, shape, bytes });
                values.to_vec()
            }
            Form::F32 | Form::Transformers => self.f32(full, shape, values),
            _ if official.contains("attn.w")
                || official.contains("indexer.wq_b")
                || official.contains("shared") =>
            {
                self.fp8(&full, rows, width, values)
            }
            _ if official.starts_with("hc_")
                || official.ends_with("ape")
                || official.ends_with("sink") =>
            {
                self.f32(full, shape, values)
            }
            _ => self.bf16(full, shape, values),
        };
        self.values.insert(name.to_owned(), exact);
    }

    fn experts(
        &mut self,
        prefix: &str,
        suffix: &str,
        (experts, rows, width): (usize, usize, usize),
        values: &[f32],
    ) -> Vec<f32> {
        if self.form == Form::Transformers {
            return self.stacked(prefix, suffix, (experts, rows, width), values);
        }
        let matrix = match suffix {
            "ffn_gate_exps.weight" => "w1",
            "ffn_up_exps.weight" => "w3",
            _ => "w2",
        };
        let each = values.chunks_exact(rows * width).enumerate();
        let stored = each.flat_map(|(expert, values)| {
            let name = format!("{prefix}ffn.experts.{expert}.{matrix}.weight");
            match self.form {
                Form::Published => self.fp4(&name, rows, width, values),
                Form::Fp8Experts => self.fp8(&name, rows, width, values),
                _ => self.f32(name, vec![rows, width], values),
            }
        });
        stored.collect()
    }

    /// Gate above up in one tensor \[experts, 2 * rows, width\].
    fn stacked(
        &mut self,
        prefix: &str,
        suffix: &str,
        (experts, rows, width): (usize, usize, usize),
        values: &[f32],
    ) -> Vec<f32> {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let experts_of = format!("model.{prefix}mlp.experts.");
        if suffix == "ffn_down_exps.weight" {
            let stored = Stored { dtype: Dtype::F32, shape: vec![experts, rows, width], bytes };
            self.stored.insert(format!("{experts_of}down_proj"), stored);
            return values.to_vec();
        }
        let shape = vec![experts, 2 * rows, width];
        let size = 4 * rows * width;
        let all = self.stored.entry(format!("{experts_of}gate_up_proj")).or_insert(Stored {
            dtype: Dtype::F32,
            shape,
            bytes: vec![0; 2 * size * experts],
        });
        let half = usize::from(suffix == "ffn_up_exps.weight");
        for (expert, bytes) in bytes.chunks_exact(size).enumerate() {
            all.bytes[(2 * expert + half) * size..][..size].copy_from_slice(bytes);
        }
        values.to_vec()
    }

    fn f32(&mut self, name: String, shape: Vec<usize>, values: &[f32]) -> Vec<f32> {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.stored.insert(name, Stored { dtype: Dtype::F32, shape, bytes });
        values.to_vec()
    }

    fn bf16(&mut self, name: String, shape: Vec<usize>, values: &[f32]) -> Vec<f32> {
        // Cut off, not rounded: it is only to be some bf16.
        let bits = |value: &f32| (value.to_bits() >> 16) as u16;
        let bytes = values.iter().flat_map(|value| bits(value).to_le_bytes()).collect();
        self.stored.insert(name, Stored { dtype: Dtype::BF16, shape, bytes });
        values.iter().map(|value| f32::from_bits(u32::from(bits(value)) << 16)).collect()
    }

    fn fp8(&mut self, name: &str, rows: usize, width: usize, values: &[f32]) -> Vec<f32> {
        let (tile_rows, tiles) = (rows.div_ceil(128), width.div_ceil(128));
        let mut tops = vec![0.0_f32; tile_rows * tiles];
        let tile = |i: usize| i / width / 128 * tiles + i % width / 128;
        values.iter().enumerate().for_each(|(i, v)| tops[tile(i)] = tops[tile(i)].max(v.abs()));
        let scale = |top: &f32| (127 + (top / 448.0).log2().ceil().max(-100.0) as i32) as u8;
        let scales: Vec<u8> = tops.iter().map(scale).collect();
        let code = |(i, value): (usize, &f32)| {
            let wanted = value.abs() / ue8m0_to_f32(scales[tile(i)]);
            let distance = |code: &u8| (E4M3[usize::from(*code)] - wanted).abs();
            let code = (0..0x7f).min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap();
            code | u8::from(*value < 0.0) << 7
        };
        let codes: Vec<u8> = values.iter().enumerate().map(code).collect();
        let exact = codes.iter().enumerate();
        let exact = exact.map(|(i, code)| E4M3[usize::from(*code)] * ue8m0_to_f32(scales[tile(i)]));
        let exact = exact.collect();
        self.add_scaled(
            name,
            (Dtype::F8_E4M3, vec![rows, width], codes),
            vec![tile_rows, tiles],
            scales,
        );
        exact
    }

    fn fp4(&mut self, name: &str, rows: usize, width: usize, values: &[f32]) -> Vec<f32> {
        let (mut bytes, mut scales, mut exact) = (Vec::new(), Vec::new(), Vec::new());
        for block in values.as_chunks::<32>().0 {
            let (nibbles, scale) = fp4_block_encode(block);
            exact.extend(ds4_format::rounding::fp4_block_decode(&nibbles, scale));
            bytes.extend(nibbles);
            scales.push(scale);
        }
        self.add_scaled(
            name,
            (Dtype::I8, vec![rows, width / 2], bytes),
            vec![rows, width / 32],
            scales,
        );
        exact
    }

    fn add_scaled(
        &mut self,
        name: &str,
        (dtype, shape, bytes): (Dtype, Vec<usize>, Vec<u8>),
        scale_shape: Vec<usize>,
        scales: Vec<u8>,
    ) {
        let beside = name.replace(".weight", ".scale");
        self.stored.insert(name.to_owned(), Stored { dtype, shape, bytes });
        let scales = Stored { dtype: Dtype::F8_E8M0, shape: scale_shape, bytes: scales };
        self.stored.insert(beside, scales);
    }
}

/// tokenizer.json with a model's vocabulary and the splitting rules of the family.
fn tokenizer(model: &ModelFile) -> serde_json::Value {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/nano/tokenizer.json");
    let text = std::fs::read_to_string(rules).expect("the demo model's tokenizer");
    let mut root: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let metadata = model.gguf.metadata();
    let tokens = metadata.array_str("tokenizer.ggml.tokens").expect("tokens");
    let types = metadata.array_i32("tokenizer.ggml.token_type").expect("types");
    let merges = metadata.array_str("tokenizer.ggml.merges").expect("merges");
    let (mut vocab, mut added) = (serde_json::Map::new(), Vec::new());
    for (id, (token, kind)) in tokens.iter().zip(types).enumerate() {
        if kind == 1 {
            vocab.insert(token.to_owned(), json!(id));
        } else {
            added.push(json!({"id": id, "content": token, "special": true}));
        }
    }
    root["model"]["vocab"] = vocab.into();
    root["model"]["merges"] = merges.iter().collect::<Vec<_>>().into();
    root["added_tokens"] = added.into();
    root
}

/// config.json of a model.
fn config(model: &ModelFile) -> serde_json::Value {
    let s = &model.shape;
    let clamp = s.swiglu_clamp[0];
    // As written: f32 values have short decimal forms only as f32.
    let real =
        |value: f32| serde_json::from_str::<serde_json::Value>(&format!("{value:?}")).unwrap();
    json!({
        "num_hidden_layers": s.layers, "hidden_size": s.hidden, "vocab_size": s.vocab,
        "max_position_embeddings": s.context, "num_attention_heads": s.heads,
        "num_key_value_heads": 1, "head_dim": s.head_dim, "qk_rope_head_dim": s.rope_dim,
        "q_lora_rank": s.q_rank, "o_lora_rank": s.o_rank, "o_groups": s.o_groups,
        "n_routed_experts": s.experts, "n_shared_experts": 1, "num_experts_per_tok": s.experts_used,
        "moe_intermediate_size": s.ffn, "num_hash_layers": s.hash_layers,
        "sliding_window": s.window,
        "index_n_heads": s.index_heads, "index_head_dim": s.index_dim, "index_topk": s.index_top_k,
        "hc_mult": s.streams, "hc_sinkhorn_iters": s.sinkhorn_iterations,
        "hc_eps": real(s.hyper_epsilon), "rms_norm_eps": real(s.norm_epsilon),
        "routed_scaling_factor": real(s.route_scale), "rope_theta": real(s.rope_base),
        "compress_rope_theta": real(s.compress_rope_base), "compress_ratios": s.ratios,
        "swiglu_limit": if clamp.is_finite() { real(clamp) } else { json!(0.0) },
        "rope_scaling": {"type": "yarn", "factor": real(s.yarn_factor),
            "beta_fast": real(s.yarn_beta_fast), "beta_slow": real(s.yarn_beta_slow),
            "original_max_position_embeddings": s.yarn_original_context},
    })
}

/// Published and transformers names, from spec/model.md 2.1 and the oracle's table; apart from the
/// quantiser's own.
fn official(suffix: &str) -> (&'static str, &'static str) {
    match suffix {
        "token_embd.weight" => ("embed.weight", "model.embed_tokens.weight"),
        "output_norm.weight" => ("norm.weight", "model.norm.weight"),
        "output.weight" => ("head.weight", "lm_head.weight"),
        "output_hc_fn.weight" => ("hc_head_fn", "model.hc_head.hc_fn"),
        "output_hc_base.weight" => ("hc_head_base", "model.hc_head.hc_base"),
        "output_hc_scale.weight" => ("hc_head_scale", "model.hc_head.hc_scale"),
        "hc_attn_fn.weight" => ("hc_attn_fn", "attn_hc.fn"),
        "hc_attn_base.weight" => ("hc_attn_base", "attn_hc.base"),
        "hc_attn_scale.weight" => ("hc_attn_scale", "attn_hc.scale"),
        "attn_norm.weight" => ("attn_norm.weight", "input_layernorm.weight"),
        "attn_q_a.weight" => ("attn.wq_a.weight", "self_attn.q_a_proj.weight"),
        "attn_q_a_norm.weight" => ("attn.q_norm.weight", "self_attn.q_a_norm.weight"),
        "attn_q_b.weight" => ("attn.wq_b.weight", "self_attn.q_b_proj.weight"),
        "attn_kv.weight" => ("attn.wkv.weight", "self_attn.kv_proj.weight"),
        "attn_kv_a_norm.weight" => ("attn.kv_norm.weight", "self_attn.kv_norm.weight"),
        "attn_sinks.weight" => ("attn.attn_sink", "self_attn.sinks"),
        "attn_output_a.weight" => ("attn.wo_a.weight", "self_attn.o_a_proj.weight"),
        "attn_output_b.weight" => ("attn.wo_b.weight", "self_attn.o_b_proj.weight"),
        "ffn_norm.weight" => ("ffn_norm.weight", "post_attention_layernorm.weight"),
        "hc_ffn_fn.weight" => ("hc_ffn_fn", "ffn_hc.fn"),
        "hc_ffn_base.weight" => ("hc_ffn_base", "ffn_hc.base"),
        "hc_ffn_scale.weight" => ("hc_ffn_scale", "ffn_hc.scale"),
        "ffn_gate_inp.weight" => ("ffn.gate.weight", "mlp.gate.weight"),
        "exp_probs_b.bias" => ("ffn.gate.bias", "mlp.gate.e_score_correction_bias"),
        "ffn_gate_tid2eid.weight" => ("ffn.gate.tid2eid", "mlp.gate.tid2eid"),
        "ffn_gate_shexp.weight" => {
            ("ffn.shared_experts.w1.weight", "mlp.shared_experts.gate_proj.weight")
        }
        "ffn_up_shexp.weight" => {
            ("ffn.shared_experts.w3.weight", "mlp.shared_experts.up_proj.weight")
        }
        "ffn_down_shexp.weight" => {
            ("ffn.shared_experts.w2.weight", "mlp.shared_experts.down_proj.weight")
        }
        "attn_compressor_kv.weight" => {
            ("attn.compressor.wkv.weight", "self_attn.compressor.kv_proj.weight")
        }
        "attn_compressor_gate.weight" => {
            ("attn.compressor.wgate.weight", "self_attn.compressor.gate_proj.weight")
        }
        "attn_compressor_ape.weight" => {
            ("attn.compressor.ape", "self_attn.compressor.position_bias")
        }
        "attn_compressor_norm.weight" => {
            ("attn.compressor.norm.weight", "self_attn.compressor.kv_norm.weight")
        }
        "indexer.attn_q_b.weight" => {
            ("attn.indexer.wq_b.weight", "self_attn.compressor.indexer.q_b_proj.weight")
        }
        "indexer.proj.weight" => (
            "attn.indexer.weights_proj.weight",
            "self_attn.compressor.indexer.scorer.weights_proj.weight",
        ),
        "indexer_compressor_kv.weight" => {
            ("attn.indexer.compressor.wkv.weight", "self_attn.compressor.indexer.kv_proj.weight")
        }
        "indexer_compressor_gate.weight" => (
            "attn.indexer.compressor.wgate.weight",
            "self_attn.compressor.indexer.gate_proj.weight",
        ),
        "indexer_compressor_ape.weight" => {
            ("attn.indexer.compressor.ape", "self_attn.compressor.indexer.position_bias")
        }
        "indexer_compressor_norm.weight" => {
            ("attn.indexer.compressor.norm.weight", "self_attn.compressor.indexer.kv_norm.weight")
        }
        other => panic!("no published name of {other}"),
    }
}
