//! `Op::HyperCollapse`

use ds4_model::buffer::BufferId;

use crate::frame::Frame;

pub fn run(f: &mut Frame<'_>, streams: BufferId, pre: BufferId, out: BufferId) {
    f.fill(out, |f, row, out| {
        let streams = f.row(streams, row).chunks_exact(out.len());
        for (stream, weight) in streams.zip(f.row(pre, row)) {
            for (out, value) in out.iter_mut().zip(stream) {
                *out += weight * value;
            }
        }
    });
}
