//! Window and compressed attention (spec/model.md 3.4).

use super::compressor;
use crate::buffer::BufferId;
use crate::builder::Builder;
use crate::inventory::Role;
use crate::kv::RowFormat;
use crate::op::{Op, Region, RopeAt};

/// The attention sublayer: x \[T, D\] -> \[T, D\].
pub fn block(b: &mut Builder, layer: usize, x: BufferId) -> BufferId {
    let shape = b.shape();
    let latent = b.matmul("q_a", x, Role::QueryA, 1);
    let latent = b.rms_norm("q_a_norm", latent, Some(Role::QueryANorm));

    let rows = raw_rows(b, x);
    let selected = match shape.ratios[layer] {
        0 => None,
        4 => {
            compressor::attention(b, layer, x);
            compressor::index(b, layer, x, latent)
        }
        _ => {
            compressor::attention(b, layer, x);
            None
        }
    };

    let q = queries(b, latent);
    let heads = b.values("attend", &[shape.heads, shape.head_dim]);
    b.push(
        "attend",
        Op::Attend {
            layer,
            q,
            rows,
            selected,
            sinks: Some(b.weight(Role::Sinks)),
            window: shape.window,
            scale: 1.0 / (shape.head_dim as f32).sqrt(),
            out: heads,
        },
    );
    b.push("kv_append", Op::KvAppend { layer, region: Region::Window, x: rows });

    // Values carry the rotation of their keys; undone at the query's position.
    let heads = b.rope("attend_unrope", heads, RopeAt::Row, true);
    let low = b.matmul("output_a", heads, Role::OutputA, shape.o_groups);
    b.matmul("attn_out", low, Role::OutputB, 1)
}

/// Query heads \[T, H, dh\] from the normalised low-rank vector.
fn queries(b: &mut Builder, latent: BufferId) -> BufferId {
    let shape = b.shape();
    let q = b.matmul("q_b", latent, Role::QueryB, 1);
    b.reshape(q, &[shape.heads, shape.head_dim]);
    let q = b.rms_norm("q_norm", q, None);
    b.rope("q_rope", q, RopeAt::Row, false)
}

/// The raw key-value row of each token \[T, dh\], as the cache keeps it.
fn raw_rows(b: &mut Builder, x: BufferId) -> BufferId {
    let kv = b.matmul("kv", x, Role::KeyValue, 1);
    let kv = b.rms_norm("kv_norm", kv, Some(Role::KeyValueNorm));
    let kv = b.rope("kv_rope", kv, RopeAt::Row, false);
    if b.class().format == RowFormat::Exact {
        return kv;
    }
    let dims = b.dims(kv);
    let rows = b.values("kv_round", &dims);
    b.push("kv_round", Op::KvRound { x: kv, out: rows });
    rows
}
