//! `Op::HyperExpand`

use ds4_model::buffer::BufferId;

use crate::frame::Frame;

pub fn run(
    f: &mut Frame<'_>,
    streams: BufferId,
    y: BufferId,
    post: BufferId,
    comb: BufferId,
    out: BufferId,
) {
    let n = f.plan.buffer(post).width();
    f.fill(out, |f, row, out| {
        let width = out.len() / n;
        let (y, old) = (f.row(y, row), f.row(streams, row));
        let (post, comb) = (f.row(post, row), f.row(comb, row));
        for (k, out) in out.chunks_exact_mut(width).enumerate() {
            for (out, y) in out.iter_mut().zip(y) {
                *out = post[k] * y;
            }
            for (j, old) in old.chunks_exact(width).enumerate() {
                let weight = comb[j * n + k];
                for (out, old) in out.iter_mut().zip(old) {
                    *out += weight * old;
                }
            }
        }
    });
}
