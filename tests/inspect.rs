//! `ds4 inspect` as a user runs it: the figures of spec/model.md 2.2, 9.1 and 9.3, and what it says
//! of broken files.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use ds4_format::gguf::{GgufDirectory, GgufWriter, Value};
use ds4_format::quant::Quant;
use ds4_model::cost::CostModel;
use ds4_model::forward::record;
use ds4_model::inventory::synthetic::sparse_model;
use ds4_model::inventory::{Profile, WeightId, inventory};
use ds4_model::kv::RowFormat;
use ds4_model::plan::{LogitRows, Phase, PlanClass};
use ds4_model::shape::Shape;
use tempfile::TempDir;

use crate::support::case::cases;

const MIB: f64 = 1_048_576.0;

fn inspect(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ds4"))
        .arg("inspect")
        .args(arguments)
        .output()
        .expect("the binary runs")
}

/// The JSON report, whatever the exit code, and whether that was 0.
fn report(path: &Path) -> (serde_json::Value, bool) {
    let output = inspect(&["--json", path.to_str().expect("a UTF-8 path")]);
    let report = serde_json::from_slice(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    (report.unwrap_or_else(|error| panic!("{error}: {errors}")), output.status.success())
}

/// What is wrong with a file, in words; it must be refused.
fn problems(path: &Path) -> Vec<String> {
    let (report, sound) = report(path);
    assert!(!sound, "{} passes", path.display());
    let problems = report["problems"].as_array().expect("a list");
    problems.iter().map(|problem| problem.as_str().expect("a text").to_owned()).collect()
}

fn write_sparse(path: &Path, header: &[u8], bytes: u64) {
    let mut file = File::create(path).expect("a file");
    file.write_all(header).expect("written");
    file.set_len(bytes).expect("a hole");
}

/// The file of a published profile, without its weights.
fn published(directory: &TempDir, shape: &Shape, profile: Profile) -> PathBuf {
    let path = directory.path().join("model.gguf");
    let model = sparse_model(shape, profile).expect("can be written");
    write_sparse(&path, &model.header, model.file_bytes);
    path
}

fn number(value: &serde_json::Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn published_files_have_the_published_sizes() {
    let directory = TempDir::new().expect("a directory");
    let (flash, pro) = (Shape::flash(), Shape::pro());
    for (shape, profile, tensors, bytes, gigabytes) in [
        (&flash, Profile::Q2, 1328, 86_714_775_900, 9.556),
        (&flash, Profile::Q4, 1328, 164_628_167_004, 11.3825),
        (&flash, Profile::Q2Q4, 1328, 97_586_411_868, 0.0),
        (&flash, Profile::Mxfp4, 1328, 155_971_123_548, 11.180),
        (&flash, Profile::Q2AttentionQ4, 1328, 84_415_248_732, 7.257),
        (&flash, Profile::Q4AttentionQ4, 1328, 162_328_639_836, 0.0),
        (&pro, Profile::Q2, 1894, 464_621_966_732, 34.350),
        (&pro, Profile::Q4, 1894, 899_827_144_076, 41.150),
    ] {
        let (report, sound) = report(&published(&directory, shape, profile));
        assert!(sound, "{profile:?}: {}", report["problems"]);
        assert_eq!(number(&report["tensors"]), tensors);
        assert_eq!(number(&report["tensor_bytes"]), bytes);
        let model = &report["model"];
        assert_eq!(model["family"], shape.family().to_string());
        let on_device = number(&model["device_bytes"]);
        assert!(on_device >= bytes && on_device <= bytes + bytes / 1000, "{on_device}");
        let read = number(&model["weight_bytes_per_token"]["beyond_indexer"]) as f64 / 1e9;
        assert!(gigabytes == 0.0 || (read - gigabytes).abs() < 0.0006, "{profile:?}: {read}");
    }
}

#[test]
fn caches_have_the_sizes_of_the_specification() {
    let directory = TempDir::new().expect("a directory");
    for (shape, packed, exact, indexer, indexer_bytes) in [
        (Shape::flash(), [112.7, 441.7, 3512.0], [440.8, 1730.8, 13_770.8], 2048, 363_331_584),
        (Shape::pro(), [161.3, 632.3, 5028.0], [630.8, 2477.0, 19_711.0], 4096, 782_499_840),
    ] {
        let (report, _) = report(&published(&directory, &shape, Profile::Q2));
        let model = &report["model"];
        let contexts = model["contexts"].as_array().expect("three contexts");
        assert_eq!(contexts.len(), 3);
        for (index, context) in contexts.iter().enumerate() {
            assert_eq!(number(&context["tokens"]), [1 << 15, 1 << 17, 1 << 20][index]);
            let expected: [(&str, f64); 2] = [("packed", packed[index]), ("exact", exact[index])];
            for (format, expected) in expected {
                let rows = number(&context[format]["information_bytes"]);
                let laid_out = number(&context[format]["bytes"]);
                let mib = rows as f64 / MIB;
                // The specification gives one decimal, or none.
                let within = if expected.fract() == 0.0 { 0.5 } else { 0.051 };
                assert!((mib - expected).abs() <= within, "{format}: {mib}");
                assert!(laid_out >= rows && laid_out < rows + rows / 100, "{laid_out} for {rows}");
            }
        }
        assert_eq!(number(&model["indexer_tokens"]), indexer);
        let read = &model["weight_bytes_per_token"];
        let (near, far) = (number(&read["before_indexer"]), number(&read["beyond_indexer"]));
        assert_eq!(far - near, indexer_bytes);
    }
}

/// Two ways to the same bytes: the tensor directory here, the steps of the plan there.
#[test]
fn the_cost_of_the_plan_agrees() {
    let directory = TempDir::new().expect("a directory");
    for (shape, profile) in [
        (Shape::flash(), Profile::Q2),
        (Shape::flash(), Profile::Q4),
        (Shape::pro(), Profile::Q2),
        (Shape::pro(), Profile::Q4),
    ] {
        let path = published(&directory, &shape, profile);
        let types: HashMap<WeightId, Quant> =
            inventory(&shape).iter().map(|spec| (spec.id, profile.quant(spec))).collect();
        let (layers, shape) = (shape.layers as u64, Arc::new(shape));
        for tokens in [4 * shape.index_top_k, 1 << 15, 1 << 20] {
            let arguments = ["--json", "--context", &tokens.to_string()];
            let output = inspect(&[&arguments[..], &[path.to_str().expect("UTF-8")]].concat());
            let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
            let context = &report["model"]["contexts"][0];
            let class = PlanClass {
                phase: Phase::Decode,
                rows: 1,
                lanes: 1,
                context: tokens,
                format: RowFormat::Packed,
                logits: LogitRows::Last,
                sample: true,
            };
            let plan = record(&shape, class).expect("can be recorded");
            let cost = CostModel::new(&plan, &types).expect("packed rows").total(1, tokens - 1);
            let read = number(&context["weight_bytes_per_token"]);
            assert_eq!(cost.weight_bytes, read, "{profile:?} at {tokens}");
            // The plan counts the row that each layer appends to its window, too: 448 codes, 64 f16
            // and 8 bytes of scales.
            let appended = layers * (448 + 2 * 64 + 8);
            assert_eq!(cost.kv_bytes - appended, number(&context["cache_bytes_per_token"]));
        }
    }
}

#[test]
fn the_text_says_what_matters() {
    let directory = TempDir::new().expect("a directory");
    let path = published(&directory, &Shape::flash(), Profile::Q2);
    let path = path.to_str().expect("a UTF-8 path");
    let output = inspect(&[path]);
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    for part in [
        "DeepSeek V4 Flash",
        "284.3 billion parameters",
        "total        1328       86,714,775,900",
        "(9.556 GB)",
        "112.7 MiB",
        "upper bound",
        "129,280 tokens",
        "128804 <｜Assistant｜>",
        "Nothing is wrong",
    ] {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
    let one = inspect(&["--context", "64k", path]);
    let one = String::from_utf8(one.stdout).expect("UTF-8");
    assert!(one.contains("65,536") && !one.contains("131,072"), "{one}");
    assert!(!inspect(&["--context", "2M", path]).status.success());
}

#[test]
fn models_of_any_consistent_size_are_read() {
    let models: Vec<PathBuf> = cases().into_iter().map(|case| case.dir).collect();
    for case in &models {
        let (report, sound) = report(&case.join("model.gguf"));
        assert!(sound, "{}: {}", case.display(), report["problems"]);
        let shape = &report["model"]["shape"];
        let config = std::fs::read(case.join("config.json")).expect("a configuration");
        let config: serde_json::Value = serde_json::from_slice(&config).expect("JSON");
        for (ours, theirs) in [
            ("hidden", "hidden"),
            ("vocab", "vocab"),
            ("heads", "heads"),
            ("head_dim", "head_dim"),
            ("rope_dim", "rope_dim"),
            ("q_rank", "q_lora"),
            ("o_groups", "o_groups"),
            ("experts", "experts"),
            ("experts_used", "experts_used"),
            ("ffn", "ffn"),
            ("window", "window"),
            ("index_top_k", "index_topk"),
            ("ratios", "compress_ratios"),
        ] {
            assert_eq!(shape[ours], config["model"][theirs], "{}: {ours}", case.display());
        }
    }
    assert!(models.len() >= 2, "only {} oracle models were found", models.len());
}

/// A small consistent shape.
fn small() -> Shape {
    let shape = Shape {
        layers: 3,
        hidden: 256,
        vocab: 300,
        heads: 4,
        head_dim: 128,
        q_rank: 96,
        o_rank: 32,
        o_groups: 2,
        experts: 5,
        experts_used: 2,
        ffn: 256,
        hash_layers: 1,
        ratios: vec![0, 4, 128],
        index_heads: 2,
        swiglu_clamp: vec![10.0; 3],
        ..Shape::flash()
    };
    assert_eq!(shape.check(), Ok(()));
    shape
}

type Key = (String, Value);
type Tensor = (String, Vec<u64>, Quant);

fn small_parts() -> (Vec<Key>, Vec<Tensor>) {
    let shape = small();
    let tensors = inventory(&shape).into_iter().map(|spec| {
        let quant = Profile::Q2.quant(&spec);
        (spec.name, spec.kind.dims(), quant)
    });
    (shape.to_metadata(), tensors.collect())
}

fn directory_of(keys: &[Key], tensors: &[Tensor]) -> GgufDirectory {
    let mut writer = GgufWriter::new();
    for (key, value) in keys {
        writer.key(key, value.clone());
    }
    for (name, dims, quant) in tensors {
        writer.tensor(name, dims, *quant);
    }
    writer.finish().expect("can be written")
}

#[test]
fn every_problem_of_a_file_is_told_at_once() {
    let (keys, mut tensors) = small_parts();
    for (name, dims, quant) in &mut tensors {
        match name.as_str() {
            "output_norm.weight" => *dims = vec![255],
            "blk.0.attn_kv.weight" => *quant = Quant::Q2_K,
            _ => {}
        }
    }
    tensors.retain(|tensor| tensor.0 != "blk.2.attn_sinks.weight");
    tensors.push(("surplus.weight".to_owned(), vec![4], Quant::F32));
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().join("model.gguf");
    let file = directory_of(&keys, &tensors);
    write_sparse(&path, &file.bytes, file.file_bytes);
    let found = problems(&path);
    assert_eq!(found.len(), 4, "{found:#?}");
    for (problem, part) in found.iter().zip([
        "tensor output_norm.weight at byte",
        "tensor blk.0.attn_kv.weight at byte",
        "tensor blk.2.attn_sinks.weight [4] is missing",
        "surplus.weight",
    ]) {
        assert!(problem.contains(part), "{problem}");
    }
}

#[test]
fn contradictory_hyper_parameters_are_named() {
    let (mut keys, tensors) = small_parts();
    for (key, value) in &mut keys {
        match key.as_str() {
            "deepseek4.expert_used_count" => *value = Value::U32(6),
            "deepseek4.attention.key_length" => *value = Value::U32(0),
            _ => {}
        }
    }
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().join("model.gguf");
    let file = directory_of(&keys, &tensors);
    write_sparse(&path, &file.bytes, file.file_bytes);
    let found = problems(&path).join("\n");
    for part in [
        "deepseek4.expert_used_count = 6, deepseek4.expert_count = 5",
        "deepseek4.attention.key_length = 0: head width must lie within",
        "deepseek4.attention.value_length = 128",
    ] {
        assert!(found.contains(part), "no {part:?} in\n{found}");
    }
}

#[test]
fn truncated_files_name_the_tensors_that_are_cut() {
    let (keys, tensors) = small_parts();
    let file = directory_of(&keys, &tensors);
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().join("model.gguf");
    // The end lies inside the tensor before the last one.
    let place = tensors.len() - 2;
    write_sparse(&path, &file.bytes, file.offsets[place] + 1);
    let found = problems(&path);
    assert_eq!(found.len(), 1, "{found:#?}");
    let name = &tensors[place].0;
    for part in ["the file is cut off", "2 of", name.as_str(), "repeat the download"] {
        assert!(found[0].contains(part), "no {part:?} in {}", found[0]);
    }
    // The directory itself.
    let half = file.bytes.len() / 2;
    write_sparse(&path, &file.bytes[..half], half as u64);
    let found = problems(&path);
    let expected =
        format!("the file is incomplete: it ends after {half} bytes, inside its directory");
    assert!(found.len() == 1 && found[0].contains(&expected), "{found:#?}");
}

#[test]
fn parts_are_found_beside_the_first_and_missing_ones_named() {
    let (keys, tensors) = small_parts();
    let (first, second) = tensors.split_at(20);
    let directory = TempDir::new().expect("a directory");
    let part = |number: u16, tensors: &[Tensor], keys: &[Key]| {
        let numbers = [("split.no", number), ("split.count", 2)];
        let numbers = numbers.map(|(key, value)| (key.to_owned(), Value::U16(value)));
        let file = directory_of(&[keys, &numbers[..]].concat(), tensors);
        let path = directory.path().join(format!("m-{:05}-of-00002.gguf", number + 1));
        write_sparse(&path, &file.bytes, file.file_bytes);
        path
    };
    let path = part(0, first, &keys);
    let found = problems(&path);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].contains("m-00002-of-00002.gguf: there is no such file"), "{}", found[0]);
    let other = part(1, second, &[]);
    let (report, sound) = report(&path);
    assert!(sound, "{}", report["problems"]);
    assert_eq!(number(&report["tensors"]), tensors.len() as u64);
    assert!(problems(&other).join("\n").contains("open the first part"));
}

#[test]
fn halves_without_numbers_are_given_together() {
    let (keys, tensors) = small_parts();
    let (first, second) = tensors.split_at(30);
    let directory = TempDir::new().expect("a directory");
    let paths = [("a.gguf", first), ("b.gguf", second)].map(|(name, tensors)| {
        let path = directory.path().join(name);
        let file = directory_of(&keys, tensors);
        write_sparse(&path, &file.bytes, file.file_bytes);
        path.to_str().expect("UTF-8").to_owned()
    });
    let output = inspect(&[&paths[0], &paths[1]]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!inspect(&[&paths[0]]).status.success());
}

#[test]
fn what_is_no_model_is_refused_in_plain_words() {
    let directory = TempDir::new().expect("a directory");
    let says = |path: &Path, part: &str| {
        let output = inspect(&[path.to_str().expect("UTF-8")]);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{errors}");
        let text = errors + &String::from_utf8_lossy(&output.stdout);
        assert!(text.contains(part), "no {part:?} in {text}");
    };
    let file = |name: &str, bytes: &[u8]| {
        let path = directory.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        path
    };
    says(&file("note.txt", b"Dear diary, today I bought a GPU."), "this is not a GGUF file");
    says(&file("empty.gguf", b""), "is empty");
    says(directory.path(), "is a directory");
    says(&directory.path().join("absent.gguf"), "there is no such file");
    let llama = [("general.architecture".to_owned(), Value::String("llama".to_owned()))];
    let llama = directory_of(&llama, &[]);
    says(&file("llama.gguf", &llama.bytes), "this engine runs the DeepSeek V4 family only");
}

#[cfg(unix)]
#[test]
fn devices_and_pipes_are_not_waited_for() {
    let output = inspect(&["/dev/zero"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("not a regular file"));
}
