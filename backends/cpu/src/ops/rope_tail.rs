//! `Op::RopeTail`

use ds4_model::buffer::BufferId;
use ds4_model::op::{RopeAt, RopeTable};

use crate::frame::Frame;

pub fn run(
    f: &mut Frame<'_>,
    x: BufferId,
    table: RopeTable,
    at: RopeAt,
    inverse: bool,
    out: BufferId,
) {
    let inner = f.plan.buffer(x).inner();
    f.fill(out, |f, row, out| {
        out.copy_from_slice(f.row(x, row));
        let angles = f.angles(f.rows[row], table, at);
        for head in out.chunks_exact_mut(inner) {
            rotate(&mut head[inner - 2 * angles.len()..], &angles, inverse);
        }
    });
}

/// Rotates interleaved pairs by (cos, sin), or back.
pub fn rotate(pairs: &mut [f32], angles: &[[f32; 2]], inverse: bool) {
    for (pair, &[cos, sin]) in pairs.as_chunks_mut::<2>().0.iter_mut().zip(angles) {
        let [even, odd] = *pair;
        let sin = if inverse { -sin } else { sin };
        *pair = [even * cos - odd * sin, even * sin + odd * cos];
    }
}
