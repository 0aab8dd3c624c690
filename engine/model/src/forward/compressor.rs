//! Compressed rows, indexer keys and the indexer's selection (spec/model.md 3.6, 3.7).

use crate::buffer::BufferId;
use crate::builder::Builder;
use crate::inventory::Role;
use crate::kv::RowFormat;
use crate::op::{Op, Region, RopeAt};

/// Names and weights of one compressor.
struct Compressor {
    prefix: &'static str,
    region: Region,
    kv: Role,
    gate: Role,
    ape: Role,
    norm: Role,
}

const ATTENTION: Compressor = Compressor {
    prefix: "comp",
    region: Region::Compressed,
    kv: Role::CompressorKv,
    gate: Role::CompressorGate,
    ape: Role::CompressorApe,
    norm: Role::CompressorNorm,
};

const INDEX: Compressor = Compressor {
    prefix: "index",
    region: Region::Index,
    kv: Role::IndexCompressorKv,
    gate: Role::IndexCompressorGate,
    ape: Role::IndexCompressorApe,
    norm: Role::IndexCompressorNorm,
};

/// Appends the compressed attention rows that this step completes.
pub fn attention(b: &mut Builder, layer: usize, x: BufferId) {
    let dim = b.shape().head_dim;
    let row = pooled(b, layer, x, &ATTENTION, dim);
    b.push("comp_append", Op::KvAppend { layer, region: Region::Compressed, x: row });
}

/// Appends the indexer keys that this step completes, and selects the rows each query attends to:
/// u32 \[T, k\], or `None` where the class cannot have more than k rows.
pub fn index(b: &mut Builder, layer: usize, x: BufferId, latent: BufferId) -> Option<BufferId> {
    let shape = b.shape();
    let (heads, dim, k) = (shape.index_heads, shape.index_dim, shape.index_top_k);
    let key = pooled(b, layer, x, &INDEX, dim);
    let key = round(b, "index_key_round", key);
    b.push("index_append", Op::KvAppend { layer, region: Region::Index, x: key });

    let rows = b.class().context / shape.ratios[layer];
    if rows <= k {
        return None;
    }
    let q = b.matmul("index_q", latent, Role::IndexQuery, 1);
    b.reshape(q, &[heads, dim]);
    let q = b.rope("index_q_rope", q, RopeAt::Row, false);
    let q = round(b, "index_q_round", q);
    let weights = b.matmul("index_weights", x, Role::IndexWeights, 1);

    let scores = b.values("index_scores", &[rows]);
    let scale = 1.0 / ((dim * heads) as f32).sqrt();
    b.push("index_scores", Op::IndexScores { layer, q, weights, scale, scores });
    let ids = b.ids("index_topk", &[k]);
    b.push("index_topk", Op::TopK { scores, layer, k, ids });
    Some(ids)
}

/// Rows pooled by this step, normed and rotated at their window's first position \[T, dim\]; zeros
/// where no window closes.
fn pooled(b: &mut Builder, layer: usize, x: BufferId, names: &Compressor, dim: usize) -> BufferId {
    let ratio = b.shape().ratios[layer];
    let label = |suffix: &str| format!("{}_{suffix}", names.prefix);
    let kv = b.matmul(&label("kv"), x, names.kv, 1);
    let gate = b.matmul(&label("gate"), x, names.gate, 1);
    let ape = b.weight(names.ape);
    let halves = if ratio == 4 { 2 } else { 1 };
    let found = b.weight_dims(&label("pool"), ape);
    b.expect(&label("pool"), "position bias", &found, &[ratio, halves * dim]);

    let pooled = b.values(&label("pool"), &[dim]);
    let region = names.region;
    b.push(&label("pool"), Op::Compress { layer, region, kv, gate, ape: Some(ape), pooled });
    let row = b.rms_norm(&label("norm"), pooled, Some(names.norm));
    b.rope(&label("rope"), row, RopeAt::WindowStart(ratio), false)
}

/// Hadamard and FP4 rounding, in the packed format only.
fn round(b: &mut Builder, label: &str, x: BufferId) -> BufferId {
    if b.class().format == RowFormat::Exact {
        return x;
    }
    let dims = b.dims(x);
    let out = b.values(label, &dims);
    b.push(label, Op::IndexRound { x, out });
    out
}
