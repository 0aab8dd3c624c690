//! The quantiser: checkpoints in the published form, made from oracle cases, to files the engine
//! runs.

mod checkpoint;
mod errors;
mod imatrix;

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use ds4_format::quant::{Quant, decode_file_rows};
use ds4_model::kv::RowFormat;
use ds4_quantize::recipe::{Mix, Override};
use ds4_quantize::source::Source;
use ds4_quantize::{Options, QuantizeError, quantize};
use ds4_runtime::diagnose::{TeacherOptions, Tensor, teacher_forced};
use ds4_runtime::model_file::ModelFile;
use tempfile::TempDir;

use crate::support::case::{Case, Setup, case, cases};
use crate::support::check_case::{F32, Verdict};
use checkpoint::{Checkpoint, Form};

fn options(mix: &str, overrides: &[&str]) -> Options {
    let overrides = overrides.iter().map(|text| Override::parse(text).expect("an override"));
    Options { overrides: overrides.collect(), ..Options::new(Mix::from_name(mix).expect("a mix")) }
}

/// Quantises `source` to `model.gguf` of a new folder, which becomes a case.
fn quantised(source: &Path, options: &Options) -> (TempDir, Case) {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("model.gguf");
    let source = Source::open(source).unwrap_or_else(|error| panic!("{error}"));
    quantize(&source, &out, options, &mut |_| ControlFlow::Continue(()))
        .unwrap_or_else(|error| panic!("{error}"));
    let case = Case { name: "quantised".to_owned(), dir: folder.path().to_path_buf() };
    (folder, case)
}

/// Logits \[positions\]\[vocabulary\] of a case's tokens, exact rows.
fn logits(model: &Case, tokens: &[u32]) -> Vec<f32> {
    let setup = Setup::new(RowFormat::Exact, tokens.len());
    let options = TeacherOptions { chunk: tokens.len(), lanes: 1, trace: false };
    let found = teacher_forced(&mut model.engine(&setup), tokens, &options).expect("a run");
    match &found["logits"] {
        Tensor::F32 { data, .. } => data.clone(),
        Tensor::I32 { .. } => panic!("logits are numbers"),
    }
}

/// Values of every tensor of a model, by name, with its format.
fn tensors(path: &Path) -> Vec<(String, Quant, Vec<f32>)> {
    let model = ModelFile::open(path).unwrap_or_else(|error| panic!("{error}"));
    let file = std::fs::read(path).expect("a file");
    let tensor = |weight: &ds4_model::inventory::BoundWeight| {
        let (experts, rows, width) = weight.kind.sizes();
        let bytes = &file[weight.offset as usize..][..weight.bytes as usize];
        let mut values = vec![0.0; experts * rows * width];
        decode_file_rows(weight.quant, width, bytes, &mut values).expect("whole rows");
        (weight.name.clone(), weight.quant, values)
    };
    model.binding.weights().map(tensor).collect()
}

/// A checkpoint whose values lie on the grids of a profile gives them back: every tensor has the
/// values of the file it was made from, and the logits are those of the oracle.
#[test]
fn values_on_the_grids_come_back() {
    for (name, mix) in [("quant_q2", "q2"), ("quant_q4", "q4")] {
        let original = case(name);
        let checkpoint = Checkpoint::of(&original, Form::F32);
        let (_folder, made) = quantised(checkpoint.path(), &options(mix, &[]));
        for ((name, quant, expected), (other, made_quant, found)) in
            tensors(&original.model()).into_iter().zip(tensors(&made.model()))
        {
            assert_eq!((&name, quant), (&other, made_quant));
            assert!(found == expected, "{name} ({quant}) has other values");
        }
        let expected = original.expected(RowFormat::Exact).expect("expected values");
        let (dims, wanted) = expected.f32("logits");
        let verdict = Verdict::new(&logits(&made, &expected.tokens()), wanted, dims[1]);
        assert!(verdict.within(&F32), "{name}: {verdict}");
    }
}

/// FP8 and FP4 tensors are read exactly, whatever the layout of the shards.
#[test]
fn published_forms_are_read_exactly() {
    for form in [Form::Published, Form::Fp8Experts, Form::Transformers] {
        let checkpoint = Checkpoint::of(&case("quant_q2"), form);
        let made = tempfile::tempdir().expect("a folder");
        let out = made.path().join("model.gguf");
        let source = Source::open(checkpoint.path()).unwrap_or_else(|error| panic!("{error}"));
        // Integers cannot be F32: name all tensors but them.
        let names = source.tensors.iter().filter(|tensor| !tensor.name.contains("tid2eid"));
        let texts: Vec<String> = names.map(|tensor| format!("{}=F32", tensor.name)).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        quantize(&source, &out, &options("q8", &texts), &mut |_| ControlFlow::Continue(()))
            .unwrap_or_else(|error| panic!("{error}"));
        for (name, _, values) in tensors(&out) {
            assert!(values == checkpoint.values[&name], "{name} of {form:?}");
        }
    }
}

/// Every profile makes a file that the engine runs, with errors in the order of the bits. Bounds:
/// what was measured (median error in standard deviations of the logits: 0.097, 0.097, 0.39, 0.80,
/// 0.80) and a quarter. A random model of four layers makes much of small errors. MXFP4 and Q8_0
/// hold FP4 experts exactly: what is left is FP8 projections in Q8_0.
#[test]
fn every_profile_runs() {
    let original = case("quant_q2");
    let checkpoint = Checkpoint::of(&original, Form::Published);
    let expected = original.expected(RowFormat::Exact).expect("expected values");
    let (tokens, vocab) = (expected.tokens(), expected.f32("logits").0[1]);
    let (_folder, reference) = quantised(
        checkpoint.path(),
        &options(
            "q8",
            &[
                "*exps.weight=F32",
                "blk.*.attn_q*.weight=F32",
                "blk.*.attn_kv*.weight=F32",
                "blk.*.attn_output*=F32",
                "*shexp*=F32",
                "*output.weight=F32",
            ],
        ),
    );
    let reference = logits(&reference, &tokens);
    let mut medians = Vec::new();
    for (mix, bound) in [("mxfp4", 0.12), ("q8", 0.12), ("q4", 0.5), ("q2-q4", 1.0), ("q2", 1.0)] {
        let (_folder, made) = quantised(checkpoint.path(), &options(mix, &[]));
        let verdict = Verdict::new(&logits(&made, &tokens), &reference, vocab);
        let median = verdict.quantile(0.5);
        println!("{mix:6} {verdict}");
        assert!(median < bound, "{mix}: {verdict}");
        medians.push(median);
    }
    let [mxfp4, q8, q4, q2_q4, q2] = medians[..] else { panic!("five profiles") };
    assert!(mxfp4 < q4 && q8 < q4 && q4 < q2, "{medians:?}");
    assert!(q2_q4 == q2, "layer 37 is beyond this model");
}

#[test]
fn threads_and_interruptions_change_no_byte() {
    let checkpoint = Checkpoint::of(&case("quant_q2"), Form::Published);
    let folder = tempfile::tempdir().expect("a folder");
    let source = Source::open(checkpoint.path()).expect("a source");
    let run = |name: &str, threads: usize, stop_after: usize| {
        let out = folder.path().join(name);
        let note_every = Duration::from_secs(if stop_after < usize::MAX { 0 } else { 5 });
        let options = Options { threads, note_every, ..options("q2", &[]) };
        let (mut calls, mut resumed) = (0, 0);
        let result = quantize(&source, &out, &options, &mut |progress| {
            calls += 1;
            resumed = progress.resumed;
            if calls > stop_after { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        (result, std::fs::read(&out).ok(), resumed)
    };
    let (_, whole, _) = run("one", 1, usize::MAX);
    let whole = whole.expect("a file");
    for threads in [4, 8] {
        assert!(run("many", threads, usize::MAX).1.as_ref() == Some(&whole), "{threads} threads");
        std::fs::remove_file(folder.path().join("many")).expect("removed");
    }
    // Stopped again and again; each run goes on where the last one was.
    let (mut runs, mut before) = (0, 0);
    loop {
        let (result, bytes, resumed) = run("parts", 2, 25);
        assert!(resumed >= before, "what was done stays done");
        (runs, before) = (runs + 1, resumed);
        match result {
            Err(QuantizeError::Stopped) => assert!(bytes.is_none(), "no file before the end"),
            result => {
                result.unwrap_or_else(|error| panic!("{error}"));
                assert!(bytes.as_ref() == Some(&whole), "after {runs} runs");
                break;
            }
        }
        assert!(runs < 100, "no progress");
    }
    assert!(runs > 3 && before > 0, "{runs} runs, {before} bytes resumed");
    let left: Vec<_> = std::fs::read_dir(folder.path()).expect("a folder").collect();
    assert_eq!(left.len(), 2, "no side files are left: {left:?}");
}

/// A crash may cut the list of finished tensors anywhere; another recipe must not go on with a
/// file.
#[test]
fn a_damaged_or_foreign_journal_costs_time_only() {
    let checkpoint = Checkpoint::of(&case("quant_q2"), Form::Published);
    let folder = tempfile::tempdir().expect("a folder");
    let source = Source::open(checkpoint.path()).expect("a source");
    let out = folder.path().join("out");
    let run = |mix: &str, stop: bool| {
        let note_every = Duration::from_secs(if stop { 0 } else { 5 });
        let options = Options { note_every, threads: 1, ..options(mix, &[]) };
        let (mut calls, mut resumed) = (0, 0);
        let _ = quantize(&source, &out, &options, &mut |progress| {
            (calls, resumed) = (calls + 1, progress.resumed);
            if stop && calls > 40 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        let bytes = std::fs::read(&out).ok();
        std::fs::remove_file(&out).ok();
        (bytes, resumed)
    };
    let whole = run("mxfp4", false).0.expect("a file");
    let list = folder.path().join("out.part.done");
    let length = {
        run("mxfp4", true);
        std::fs::metadata(&list).expect("a list").len()
    };
    for cut in [0, 40, length / 2, length - 1] {
        run("mxfp4", true);
        let file = std::fs::OpenOptions::new().write(true).open(&list).expect("a list");
        file.set_len(cut).expect("cut");
        assert!(run("mxfp4", false).0.as_ref() == Some(&whole), "list cut at {cut}");
    }
    run("q8", true);
    let (bytes, resumed) = run("mxfp4", false);
    assert!(bytes.as_ref() == Some(&whole) && resumed == 0, "a file of another recipe");
}

/// A GGUF as source: plain tensors are encoded, blocks are copied.
#[test]
fn model_files_are_requantised() {
    // The F16 case is not among the copies in tests/data; the 2-bit one has F16 matrices too.
    let plain = cases().into_iter().find(|case| case.name == "f16_long");
    // Its widths of 24 are no whole blocks: the down matrices stay.
    let keep: &[&str] = match plain {
        Some(_) => &["blk.*.ffn_down_exps.weight=F16", "blk.*.ffn_down_shexp.weight=F16"],
        None => &[],
    };
    let original = plain.unwrap_or_else(|| case("quant_q2"));
    let names = ["blk.*exps.weight=Q8_0"];
    let texts: Vec<&str> = names.iter().chain(keep).copied().collect();
    let (_folder, made) = quantised(&original.model(), &options("q8", &texts));
    for ((name, old, expected), (_, new, found)) in
        tensors(&original.model()).into_iter().zip(tensors(&made.model()))
    {
        let quantised = new == Quant::Q8_0;
        assert_eq!(quantised && old != new, expected != found, "{name}: {old} to {new}");
    }
    let (_again, copied) = quantised(&made.model(), &options("q4", keep));
    let types = |case: &Case| -> Vec<Quant> {
        tensors(&case.model()).into_iter().map(|(_, quant, _)| quant).collect()
    };
    assert!(types(&copied).contains(&Quant::Q8_0), "blocks are not encoded twice");
}
