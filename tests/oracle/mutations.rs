//! Would the oracle notice a wrong forward pass? Each mistake is planted by editing the plan; the
//! exact-row profile, or the ids that routers and indexers choose, must show it.

use std::sync::Arc;

use ds4_model::kv::RowFormat;
use ds4_model::op::{ExpertChoice, Op, RopeAt, RopeTable};

use super::{differing_ids, traced, verdict};
use crate::support::case::{Setup, cases};
use crate::support::check_case::F32;

type Mistake = (&'static str, fn(&str, &mut Op));

const MISTAKES: &[Mistake] = &[
    ("rope: no YaRN", |_, op| {
        if let Op::RopeTail { table, .. } = op {
            *table = RopeTable::Plain;
        }
    }),
    ("rope: YaRN on every layer", |_, op| {
        if let Op::RopeTail { table, .. } = op {
            *table = RopeTable::Yarn;
        }
    }),
    ("rope: output rotated on instead of back", |_, op| {
        if let Op::RopeTail { inverse, .. } = op {
            *inverse = false;
        }
    }),
    ("rope: pooled row at its window's end", |_, op| {
        if let Op::RopeTail { at, .. } = op {
            *at = RopeAt::Row;
        }
    }),
    ("attention: window one too long", |_, op| {
        if let Op::Attend { window, .. } = op {
            *window += 1;
        }
    }),
    ("attention: window one too short", |_, op| {
        if let Op::Attend { window, .. } = op {
            *window -= 1;
        }
    }),
    ("attention: no sinks", |_, op| {
        if let Op::Attend { sinks, .. } = op {
            *sinks = None;
        }
    }),
    ("compressor: no position bias", |_, op| {
        if let Op::Compress { ape, .. } = op {
            *ape = None;
        }
    }),
    ("compressor: values and gates swapped", |_, op| {
        if let Op::Compress { kv, gate, .. } = op {
            std::mem::swap(kv, gate);
        }
    }),
    ("indexer: keeps everything", |_, op| {
        if let Op::Attend { selected, .. } = op {
            *selected = None;
        }
    }),
    ("indexer: negative scale", |_, op| {
        if let Op::IndexScores { scale, .. } = op {
            *scale = -*scale;
        }
    }),
    ("hyper: one Sinkhorn round less", |_, op| {
        if let Op::HyperSplit { iterations, .. } = op {
            *iterations -= 1;
        }
    }),
    ("hyper: only the row softmax", |_, op| {
        if let Op::HyperSplit { iterations, .. } = op {
            *iterations = 0;
        }
    }),
    ("hyper: attention's output weights for the input", |_, op| {
        if let Op::HyperSplit { pre, post, .. } = op {
            std::mem::swap(pre, post);
        }
    }),
    ("router: no bias", |_, op| {
        if let Op::RouterSelect { choice: ExpertChoice::Score { bias }, .. } = op {
            *bias = None;
        }
    }),
    ("router: hash layer routed by score", |_, op| {
        if let Op::RouterSelect { choice, .. } = op
            && matches!(choice, ExpertChoice::Table(_))
        {
            *choice = ExpertChoice::Score { bias: None };
        }
    }),
    ("router: scale forgotten", |_, op| {
        if let Op::RouterSelect { scale, .. } = op {
            *scale = 1.0;
        }
    }),
    ("swiglu: no clamp", |_, op| {
        if let Op::ExpertsUp { clamp, .. } | Op::Swiglu { clamp, .. } = op {
            *clamp = f32::INFINITY;
        }
    }),
    ("swiglu: clamp skips the shared expert", |_, op| {
        if let Op::Swiglu { clamp, .. } = op {
            *clamp = f32::INFINITY;
        }
    }),
    ("experts: gate and up swapped", |_, op| {
        if let Op::ExpertsUp { gate, up, .. } = op {
            std::mem::swap(gate, up);
        }
    }),
    ("norm: epsilon ten times as large", |_, op| {
        if let Op::RmsNorm { epsilon, .. } = op {
            *epsilon *= 10.0;
        }
    }),
];

/// The first case that notices, and how.
fn noticed(edit: fn(&str, &mut Op)) -> Option<String> {
    for case in cases() {
        let expected = case.expected(RowFormat::Exact).expect("every case has exact rows");
        let mut setup = Setup::new(RowFormat::Exact, expected.tokens().len());
        setup.edit = Some(Arc::new(move |plan| plan.edit(edit)));
        let found = traced(&case, &expected, &setup);
        let verdict = verdict(&found, &expected);
        let ids = differing_ids(&found, &expected);
        if !verdict.within(&F32) || !ids.is_empty() {
            return Some(format!("{}: {verdict}, {} tensors of ids differ", case.name, ids.len()));
        }
    }
    None
}

#[test]
fn oracle_notices_planted_mistakes() {
    let mut missed = Vec::new();
    for (title, edit) in MISTAKES {
        match noticed(*edit) {
            Some(how) => println!("{title:50} {how}"),
            None => missed.push(title),
        }
    }
    assert!(missed.is_empty(), "not noticed by any case: {missed:?}");
    let nothing: fn(&str, &mut Op) = |_, _| {};
    assert_eq!(noticed(nothing), None, "an edit that changes nothing was noticed");
}
