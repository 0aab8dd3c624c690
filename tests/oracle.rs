//! The engine against the oracle: every case, by the path of `ds4 run --tokens`.

use std::collections::BTreeMap;

use ds4_model::kv::RowFormat;
use ds4_model::step::{CancelToken, Sampling};
use ds4_runtime::diagnose::{SPARSE, TeacherOptions, Tensor, teacher_forced};
use ds4_runtime::generate::generate;

use crate::support::case::{Case, Expected, Setup, cases};
use crate::support::check_case::{DS4KV, F32, Verdict};

mod equivalence;
mod mutations;
mod units;

/// Runs a case teacher-forced in one chunk, all tensors traced.
fn traced(case: &Case, expected: &Expected, setup: &Setup) -> BTreeMap<String, Tensor> {
    let tokens = expected.tokens();
    let options = TeacherOptions { chunk: tokens.len(), lanes: 1, trace: true };
    teacher_forced(&mut case.engine(setup), &tokens, &options).expect("a run")
}

fn verdict(found: &BTreeMap<String, Tensor>, expected: &Expected) -> Verdict {
    let (dims, logits) = expected.f32("logits");
    match &found["logits"] {
        Tensor::F32 { data, .. } => Verdict::new(data, logits, dims[1]),
        Tensor::I32 { .. } => panic!("logits are numbers"),
    }
}

/// Selections that differ: which tensor and how many rows.
fn differing_ids(found: &BTreeMap<String, Tensor>, expected: &Expected) -> Vec<String> {
    let mut differing = Vec::new();
    for (name, expected) in expected.iter() {
        let ids = name.ends_with("router_ids") || name.ends_with("index_topk");
        if let (true, Tensor::I32 { dims, data }) = (ids, expected) {
            let Some(Tensor::I32 { dims: found_dims, data: found }) = found.get(name) else {
                panic!("{name} was not traced");
            };
            assert_eq!(found_dims, dims, "{name}");
            let rows = found.chunks(dims[1]).zip(data.chunks(dims[1]));
            let count = rows.filter(|(a, b)| a != b).count();
            if count > 0 {
                differing.push(format!("{name}: {count} of {} rows", dims[0]));
            }
        }
    }
    differing
}

/// Largest difference of each traced tensor, in units of its root mean square.
fn tensor_errors(found: &BTreeMap<String, Tensor>, expected: &Expected) -> Vec<(String, f64)> {
    let positions: Vec<usize> =
        expected.i32("positions").iter().map(|&position| position as usize).collect();
    let mut errors = Vec::new();
    for (name, wanted) in expected.iter() {
        let (Tensor::F32 { dims, data }, Some(found)) = (wanted, found.get(name)) else { continue };
        let kind = name.rsplit('.').next().unwrap_or(name);
        let found = if SPARSE.contains(&kind) { found.rows(&positions) } else { found.clone() };
        let Tensor::F32 { dims: found_dims, data: found } = found else { panic!("{name}") };
        assert_eq!(&found_dims, dims, "{name}");
        let square = |v: &f32| f64::from(*v).powi(2);
        let rms = (data.iter().map(square).sum::<f64>() / data.len().max(1) as f64).sqrt();
        let differences = data.iter().zip(&found).map(|(a, b)| f64::from((a - b).abs()));
        errors.push((name.to_owned(), differences.fold(0.0, f64::max) / rms.max(1e-30)));
    }
    errors
}

#[test]
fn oracle_exact_rows() {
    for case in cases() {
        let expected = case.expected(RowFormat::Exact).expect("every case has exact rows");
        let setup = Setup::new(RowFormat::Exact, expected.tokens().len());
        let found = traced(&case, &expected, &setup);
        let verdict = verdict(&found, &expected);
        println!("{:10} exact   {verdict}", case.name);
        assert!(verdict.within(&F32), "{}: beyond profile {}: {verdict}", case.name, F32.name);
        assert_eq!(differing_ids(&found, &expected), [""; 0], "{}", case.name);
        let errors = tensor_errors(&found, &expected);
        // Per layer: streams, both sublayers, raw rows, router weights; compressed rows and keys
        // where there are any.
        assert!(errors.len() > 5 * 3, "{}: only {} tensors compared", case.name, errors.len());
        for (name, error) in errors {
            assert!(error < 1e-4, "{}: {name} is off by {error:.1e} of its rms", case.name);
        }
    }
}

#[test]
fn oracle_packed_rows() {
    let mut compared = 0;
    for case in cases() {
        let Some(expected) = case.expected(RowFormat::Packed) else { continue };
        let setup = Setup::new(RowFormat::Packed, expected.tokens().len());
        let found = traced(&case, &expected, &setup);
        let verdict = verdict(&found, &expected);
        println!("{:10} packed  {verdict}", case.name);
        assert!(verdict.within(&DS4KV), "{}: beyond profile {}: {verdict}", case.name, DS4KV.name);
        compared += 1;
    }
    assert!(compared > 0, "no case with packed rows");
}

#[test]
fn oracle_greedy_continuations() {
    for case in cases() {
        let wanted = case.generate();
        let ids = |key: &str| -> Option<Vec<u32>> {
            let ids = wanted.get(key)?.as_array()?;
            Some(ids.iter().map(|id| id.as_u64().expect("an id") as u32).collect())
        };
        let prompt = ids("prompt_ids").expect("a prompt");
        for (format, key) in
            [(RowFormat::Exact, "greedy_ids"), (RowFormat::Packed, "greedy_ids_ds4kv")]
        {
            let Some(expected) = ids(key) else { continue };
            let mut engine = case.engine(&Setup::new(format, 512));
            let lane = engine.new_lane().expect("a lane");
            let mut found = Vec::new();
            let (sampling, cancel) = (Sampling::greedy(), CancelToken::default());
            let each = |token| {
                found.push(token);
                true
            };
            generate(&mut engine, lane, &prompt, expected.len(), &sampling, &cancel, each)
                .expect("a run");
            assert_eq!(found, expected, "{} {format:?}", case.name);
        }
    }
}
