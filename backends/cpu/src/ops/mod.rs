//! What each op means: one file for each variant of `ds4_model::op::Op`, named after it.

mod add;
mod attend;
mod compress;
mod embed;
mod experts_down;
mod experts_up;
mod hyper_collapse;
mod hyper_expand;
mod hyper_mix;
mod hyper_pre;
mod hyper_split;
mod index_round;
mod index_scores;
mod kv_append;
mod kv_round;
mod matmul;
mod rms_norm;
mod rope_tail;
mod router_select;
pub mod sample;
mod swiglu;
mod take_rows;
mod top_k;

use ds4_model::op::Op;

use crate::frame::Frame;

/// Executes one op.
pub fn run(f: &mut Frame<'_>, op: &Op) {
    match *op {
        Op::Embed { table, streams } => embed::run(f, table, streams),
        Op::HyperMix { streams, function, epsilon, mix } => {
            hyper_mix::run(f, streams, function, epsilon, mix);
        }
        Op::HyperSplit { .. } => hyper_split::run(f, op),
        Op::HyperPre { mix, scale, base, epsilon, pre } => {
            hyper_pre::run(f, mix, scale, base, epsilon, pre);
        }
        Op::HyperCollapse { streams, pre, out } => hyper_collapse::run(f, streams, pre, out),
        Op::HyperExpand { streams, y, post, comb, out } => {
            hyper_expand::run(f, streams, y, post, comb, out);
        }
        Op::RmsNorm { x, weight, epsilon, out } => rms_norm::run(f, x, weight, epsilon, out),
        Op::Matmul { x, weight, groups, out } => matmul::run(f, x, weight, groups, out),
        Op::RopeTail { x, table, at, inverse, out } => {
            rope_tail::run(f, x, table, at, inverse, out);
        }
        Op::KvRound { x, out } => kv_round::run(f, x, out),
        Op::IndexRound { x, out } => index_round::run(f, x, out),
        Op::Compress { layer, region, kv, gate, ape, pooled } => {
            compress::run(f, layer, region, kv, gate, ape, pooled);
        }
        Op::KvAppend { layer, region, x } => kv_append::run(f, layer, region, x),
        Op::IndexScores { layer, q, weights, scale, scores } => {
            index_scores::run(f, layer, q, weights, scale, scores);
        }
        Op::TopK { scores, layer, k, ids } => top_k::run(f, scores, layer, k, ids),
        Op::Attend { .. } => attend::run(f, op),
        Op::RouterSelect { logits, choice, scale, ids, weights } => {
            router_select::run(f, logits, choice, scale, ids, weights);
        }
        Op::ExpertsUp { .. } => experts_up::run(f, op),
        Op::ExpertsDown { h, ids, down, out } => experts_down::run(f, h, ids, down, out),
        Op::Swiglu { gate, up, clamp, out } => swiglu::run(f, gate, up, clamp, out),
        Op::Add { a, b, out } => add::run(f, a, b, out),
        Op::TakeRows { x, out } => take_rows::run(f, x, out),
        Op::Sample { logits, tokens } => sample::run(f, logits, tokens),
    }
}
