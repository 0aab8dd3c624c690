//! What is said of sources that cannot be used: file, tensor, expectation.

use std::ops::ControlFlow;

use ds4_quantize::quantize;
use ds4_quantize::source::Source;
use safetensors::tensor::Dtype;

use super::checkpoint::{Checkpoint, Form};
use super::options;
use crate::support::case::case;

/// Opens and quantises; the error's text.
fn error(checkpoint: &Checkpoint, overrides: &[&str]) -> String {
    let out = checkpoint.file("out.gguf");
    let made = Source::open(checkpoint.path()).and_then(|source| {
        quantize(&source, &out, &options("q2", overrides), &mut |_| ControlFlow::Continue(()))
    });
    assert!(!out.exists(), "no file after an error");
    made.expect_err("an error").to_string()
}

/// Changes a sound checkpoint in one way.
fn damaged(damage: impl FnOnce(&mut Checkpoint)) -> String {
    let mut checkpoint = Checkpoint::of(&case("quant_q2"), Form::Published);
    damage(&mut checkpoint);
    checkpoint.write();
    error(&checkpoint, &[])
}

fn says(text: &str, parts: &[&str]) {
    parts.iter().for_each(|part| assert!(text.contains(part), "no {part:?} in: {text}"));
}

#[test]
fn tensors_that_do_not_fit_are_named() {
    let text = damaged(|c| drop(c.stored.remove("layers.2.attn.wkv.weight")));
    says(&text, &["layers.2.attn.wkv.weight", "missing in all shards"]);
    let text = damaged(|c| drop(c.stored.remove("layers.1.ffn.experts.4.w2.scale")));
    says(&text, &["layers.1.ffn.experts.4.w2.scale", "missing"]);
    let text = damaged(|c| drop(c.stored.remove("embed.weight")));
    says(&text, &["neither embed.weight"]);
    let text = damaged(|c| {
        let tensor = c.stored.get_mut("layers.0.attn.wq_a.weight").unwrap();
        tensor.shape.reverse();
    });
    says(
        &text,
        &[
            "safetensors",
            "layers.0.attn.wq_a.weight",
            "F8_E4M3 of [256, 128]",
            "[128, 256] is expected",
        ],
    );
    let text = damaged(|c| {
        let tensor = c.stored.get_mut("layers.0.attn.wq_a.scale").unwrap();
        tensor.shape.reverse();
    });
    says(&text, &["layers.0.attn.wq_a.scale", "[2, 1] scales", "needs [1, 2]", "128 x 128"]);
    let text = damaged(|c| c.stored.get_mut("norm.weight").unwrap().dtype = Dtype::I16);
    says(&text, &["norm.weight", "I16 of [256]", "F32, F16, BF16"]);
    let text = damaged(|c| c.stored.get_mut("layers.0.ffn.gate.tid2eid").unwrap().bytes[7] = 1);
    says(&text, &["layers.0.ffn.gate.tid2eid", "row 0", "does not fit 32 bits"]);
}

#[test]
fn values_without_a_code_are_named() {
    let text =
        damaged(|c| c.stored.get_mut("layers.3.attn.wo_b.weight").unwrap().bytes[300] = 0xff);
    says(&text, &["layers.3.attn.wo_b.weight", "row", "column", "is NaN"]);
    let text = damaged(|c| c.stored.get_mut("layers.3.attn.wo_b.scale").unwrap().bytes[1] = 0xff);
    says(&text, &["layers.3.attn.wo_b.scale", "scale [1, 0] is not finite"]);
    // An infinity in bf16.
    let text = damaged(|c| {
        c.stored.get_mut("head.weight").unwrap().bytes[..2].copy_from_slice(&[0x80, 0x7f]);
    });
    says(&text, &["head.weight", "rows from 0", "not finite"]);
}

#[test]
fn files_that_are_missing_or_cut_are_named() {
    let whole = || Checkpoint::of(&case("quant_q2"), Form::Published);
    let checkpoint = whole();
    std::fs::remove_file(checkpoint.file("config.json")).unwrap();
    says(&error(&checkpoint, &[]), &["cannot open", "config.json"]);
    let checkpoint = whole();
    std::fs::write(checkpoint.file("tokenizer.json"), "{}").unwrap();
    says(&error(&checkpoint, &[]), &["tokenizer.json"]);
    let checkpoint = whole();
    let shard = checkpoint.file("model-00002-of-00003.safetensors");
    let file = std::fs::OpenOptions::new().write(true).open(&shard).unwrap();
    file.set_len(file.metadata().unwrap().len() - 1).unwrap();
    says(&error(&checkpoint, &[]), &["model-00002-of-00003", "incomplete"]);
    let checkpoint = whole();
    std::fs::copy(shard_of(&checkpoint, 1), shard_of(&checkpoint, 9)).unwrap();
    says(&error(&checkpoint, &[]), &["model-00009", "also in", "model-00001"]);
    let checkpoint = whole();
    (1..=3).for_each(|shard| std::fs::remove_file(shard_of(&checkpoint, shard)).unwrap());
    says(&error(&checkpoint, &[]), &["no *.safetensors file"]);
}

fn shard_of(checkpoint: &Checkpoint, shard: usize) -> std::path::PathBuf {
    checkpoint.file(&format!("model-{shard:05}-of-00003.safetensors"))
}

#[test]
fn recipes_that_do_not_fit_are_named() {
    let checkpoint = Checkpoint::of(&case("quant_q2"), Form::Published);
    let text = error(&checkpoint, &["blk.9.attn_kv.weight=Q4_K"]);
    says(&text, &["blk.9.attn_kv.weight=Q4_K", "no tensor has this name"]);
    let text = error(&checkpoint, &["*norm.weight=Q8_0"]);
    says(&text, &["norm.weight cannot be Q8_0", "the engine takes F32"]);
    let text = error(&checkpoint, &["blk.*.attn_output_b.weight=Q4_K"]);
    says(
        &text,
        &["attn_output_b.weight cannot be Q4_K", "rows of 128", "blocks of 256", "--override"],
    );
    let text = error(&checkpoint, &["*tid2eid*=F32"]);
    says(&text, &["tid2eid", "integers"]);
    let out = checkpoint.file("there.gguf");
    std::fs::write(&out, "something").unwrap();
    let source = Source::open(checkpoint.path()).unwrap();
    let result = quantize(&source, &out, &options("q2", &[]), &mut |_| ControlFlow::Continue(()));
    says(&result.unwrap_err().to_string(), &["there.gguf exists", "--force"]);
    assert_eq!(std::fs::read(&out).unwrap(), b"something");
}
