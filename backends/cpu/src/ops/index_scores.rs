//! `Op::IndexScores`

use ds4_model::buffer::BufferId;
use ds4_model::op::Region;

use crate::frame::Frame;
use crate::simd;

/// Score of a row that does not exist yet.
const UNSEEN: f32 = -1e30;

/// Keys decoded at a time; 64 rows of 128 stay in the first-level cache.
const BLOCK_ROWS: usize = 64;

pub fn run(
    f: &mut Frame<'_>,
    layer: usize,
    q: BufferId,
    weights: BufferId,
    scale: f32,
    scores: BufferId,
) {
    let dim = f.plan.buffer(q).inner();
    f.fill(scores, |f, t, out| {
        let row = f.rows[t];
        let visible = f.pool.layout.layers[layer].visible(row.position);
        let pages = &f.run(row).pages;
        let (seen, unseen) = out.split_at_mut(visible);
        unseen.fill(UNSEEN);
        let mut keys = vec![0.0; BLOCK_ROWS * dim];
        let mut dots = vec![0.0; BLOCK_ROWS];
        for (block, out) in seen.chunks_mut(BLOCK_ROWS).enumerate() {
            let first = block * BLOCK_ROWS;
            for (key, c) in keys.chunks_exact_mut(dim).zip(first..first + out.len()) {
                f.pool.load(layer, Region::Index, pages, c, key);
            }
            let heads = f.row(q, t).chunks_exact(dim).zip(f.row(weights, t));
            for (head, weight) in heads {
                let dots = &mut dots[..out.len()];
                simd::block_dots(&keys[..out.len() * dim], head, dots);
                for (out, dot) in out.iter_mut().zip(dots) {
                    *out += (weight * scale) * dot.max(0.0);
                }
            }
        }
    });
}
