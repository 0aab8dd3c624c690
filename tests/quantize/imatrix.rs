//! Importances: collected through the engine, written, read, used.

use std::path::Path;
use std::process::{Command, Output};

use ds4_format::quant::Quant;
use ds4_model::kv::RowFormat;
use ds4_model::plan::LogitRows;
use ds4_model::step::{CancelToken, Token};
use ds4_quantize::Options;
use ds4_quantize::importance::{Importance, collect};
use ds4_runtime::engine::Extend;

use super::checkpoint::{Checkpoint, Form};
use super::{options, quantised, tensors};
use crate::support::case::{Setup, case};

fn tokens() -> Vec<u32> {
    case("quant_q2").expected(RowFormat::Exact).expect("expected values").tokens()
}

/// Collected in steps of `chunk`.
fn collected(chunk: usize) -> Importance {
    let tokens = tokens();
    let mut engine = case("quant_q2").engine(&Setup::new(RowFormat::Exact, tokens.len()));
    collect(&mut engine, &[tokens], chunk, |_| {}).expect("importances")
}

#[test]
fn means_are_those_of_the_inputs() {
    let (tokens, importance) = (tokens(), collected(270));
    let model = case("quant_q2");
    let mut engine = model.engine(&Setup::new(RowFormat::Exact, tokens.len()));
    let lane = engine.new_lane().expect("a lane");
    let extend =
        Extend { lane, tokens: tokens.iter().map(|&id| Token::Id(id)).collect(), sampling: None };
    let keep = ["final_norm", "blk.2.router_ids"];
    let (result, plan) =
        engine.extend(&[extend], LogitRows::All, &keep, &CancelToken::default()).expect("a step");
    let value = |name: &str| {
        let id = plan.find(name).expect("a buffer");
        &result.kept.iter().find(|value| value.buffer == id).expect("kept").data
    };
    let hidden = value("final_norm");
    let width = engine.model.shape.hidden;
    let rows = hidden.chunks_exact(width).take(tokens.len());
    let weights = importance.weights("output.weight", 0).expect("the head");
    assert_eq!(weights.len(), width);
    for column in [0, 7, width - 1] {
        let squares: f64 = rows.clone().map(|row| f64::from(row[column]).powi(2)).sum();
        let mean = (squares / tokens.len() as f64) as f32;
        assert_eq!(weights[column], mean, "column {column}");
    }
    // Each token goes to the experts that the router chose.
    let used = engine.model.shape.experts_used;
    let ids = value("blk.2.router_ids").chunks_exact(used).take(tokens.len()).flatten();
    let mut chosen = vec![0; engine.model.shape.experts];
    ids.for_each(|id| chosen[id.to_bits() as usize] += 1);
    let counts = |name: &str| {
        importance.counts().find(|(found, _)| *found == name).expect("counts").1.to_vec()
    };
    for name in ["ffn_gate_exps", "ffn_up_exps", "ffn_down_exps"] {
        assert_eq!(counts(&format!("blk.2.{name}.weight")), chosen, "{name}");
    }
    let groups = engine.model.shape.o_groups;
    assert_eq!(counts("blk.1.attn_output_a.weight"), vec![tokens.len() as u64; groups]);
}

#[test]
fn every_quantised_tensor_is_measured_whatever_the_step() {
    let importance = collected(270);
    for (name, quant, _) in tensors(&case("quant_q2").model()) {
        let plain = matches!(quant, Quant::F32 | Quant::F16 | Quant::I32);
        assert!(plain || importance.has(&name), "{name} ({quant}) has no importances");
    }
    assert!(importance.has("blk.1.indexer.attn_q_b.weight"));
    let pieces = collected(64);
    for (name, counts) in importance.counts() {
        if !name.contains("indexer.attn_q_b") && !name.contains("indexer.proj") {
            let other =
                pieces.counts().find(|(found, _)| *found == name).expect("the same tensors");
            assert_eq!(other.1, counts, "{name}");
            assert_eq!(pieces.weights(name, 0), importance.weights(name, 0), "{name}");
        }
    }
}

#[test]
fn files_are_read_as_written_and_damage_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.imatrix");
    let importance = collected(128);
    importance.write(&path).expect("written");
    let again = Importance::read(&path).expect("read");
    assert_eq!(again.tokens(), importance.tokens());
    for (name, counts) in importance.counts() {
        for part in 0..counts.len() {
            assert_eq!(again.weights(name, part), importance.weights(name, part), "{name}");
        }
    }
    let mut bytes = std::fs::read(&path).expect("a file");
    let end = bytes.len();
    bytes.truncate(end - 1);
    std::fs::write(&path, &bytes).expect("written");
    let error = Importance::read(&path).unwrap_err().to_string();
    assert!(error.contains("x.imatrix") && error.contains("incomplete"), "{error}");
    let error = Importance::read(&case("quant_q2").dir.join("expected.safetensors")).unwrap_err();
    assert!(error.to_string().contains("is it a ds4 imatrix file?"), "{error}");
}

/// The error that the importances weigh gets smaller, in the tensors of few bits clearly.
#[test]
fn importances_lower_the_error_they_weigh() {
    let checkpoint = Checkpoint::of(&case("quant_q4"), Form::F32);
    let tokens = case("quant_q4").expected(RowFormat::Exact).expect("expected values").tokens();
    let mut engine = case("quant_q4").engine(&Setup::new(RowFormat::Exact, tokens.len()));
    let importance = collect(&mut engine, &[tokens], 170, |_| {}).expect("importances");
    let error = |importance: Option<Importance>, weights: &Importance| -> f64 {
        let options = Options { importance, ..options("q2", &[]) };
        let (_folder, made) = quantised(checkpoint.path(), &options);
        let mut sum = 0.0;
        for (name, quant, found) in tensors(&made.model()) {
            if !matches!(quant, Quant::IQ2_XXS | Quant::Q2_K) {
                continue;
            }
            let wanted = &checkpoint.values[&name];
            let parts = weights.counts().find(|(known, _)| *known == name).expect("known").1.len();
            let size = wanted.len() / parts;
            let pairs = wanted.chunks_exact(size).zip(found.chunks_exact(size)).enumerate();
            for (part, (wanted, found)) in pairs {
                let columns = weights.weights(&name, part).expect("importances");
                let off = wanted.iter().zip(found).enumerate();
                sum += off
                    .map(|(i, (a, b))| f64::from(columns[i % columns.len()] * (a - b).powi(2)))
                    .sum::<f64>();
            }
        }
        sum
    };
    let plain = error(None, &importance);
    let guided = error(Some(importance.clone()), &importance);
    println!("weighted error {guided:.4} with importances, {plain:.4} without");
    assert!(guided < 0.97 * plain, "{guided} against {plain}");
}

fn ds4(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ds4")).args(args).output().expect("ds4 runs")
}

#[test]
fn the_commands_work_together() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let checkpoint = Checkpoint::of(&case("quant_q2"), Form::Published);
    let source = checkpoint.path().to_str().expect("UTF-8");
    let ids: Vec<String> = tokens().iter().map(u32::to_string).collect();
    std::fs::write(path("ids"), ids.join(" ")).expect("written");
    let done = |output: Output| {
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{errors}");
        assert!(!errors.contains('\r'), "no progress without a terminal: {errors}");
        errors
    };
    let text = done(ds4(&["quantize", source, &path("q8.gguf"), "--profile", "q8"]));
    assert!(text.contains("Q8_0") && text.contains("q8.gguf"), "{text}");
    let text = done(ds4(&[
        "imatrix",
        &path("i"),
        "--tokens",
        &path("ids"),
        "-m",
        &path("q8.gguf"),
        "--sequence",
        "100",
    ]));
    assert!(text.contains("270 tokens"), "{text}");
    let args = ["--profile", "q2", "--imatrix", &path("i"), "--threads", "2"];
    done(ds4(&[&["quantize", source, &path("q2.gguf")], &args[..]].concat()));
    assert!(Path::new(&path("q2.gguf")).is_file());
    let again = ds4(&[&["quantize", source, &path("q2.gguf")], &args[..]].concat());
    assert_eq!(again.status.code(), Some(1), "the output exists");
    let usage = ds4(&["quantize", source, &path("x"), "--profile", "q2", "--override", "a"]);
    assert_eq!(usage.status.code(), Some(2));
}
