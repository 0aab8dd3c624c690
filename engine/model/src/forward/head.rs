//! The output head (spec/model.md 3.9).

use super::hyper;
use crate::buffer::{BufferId, Element, Rows};
use crate::builder::Builder;
use crate::inventory::Role;
use crate::op::Op;

/// Logits \[R, V\] of the wanted rows, and the draw if the class samples.
pub fn logits(b: &mut Builder, streams: BufferId) {
    let shape = b.shape();
    let dims = b.dims(streams);
    let rows = b.buffer("head_rows", Rows::Logits, &dims, Element::F32);
    b.push("head_rows", Op::TakeRows { x: streams, out: rows });

    let mix = hyper::mix(b, "head_hc_mix", rows, Role::OutputHyperFn, shape.streams);
    let pre = b.buffer("head_hc_pre", Rows::Logits, &[shape.streams], Element::F32);
    let (scale, base) = (b.weight(Role::OutputHyperScale), b.weight(Role::OutputHyperBase));
    let epsilon = shape.hyper_epsilon;
    b.push("head_hc_pre", Op::HyperPre { mix, scale, base, epsilon, pre });
    let x = hyper::collapse(b, "head_hc_in", rows, pre);
    let x = b.rms_norm("final_norm", x, Some(Role::OutputNorm));
    let logits = b.matmul("logits", x, Role::Output, 1);
    if b.class().sample {
        let tokens = b.buffer("sample", Rows::Logits, &[1], Element::U32);
        b.push("sample", Op::Sample { logits, tokens });
    }
}
