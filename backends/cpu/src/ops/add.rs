//! `Op::Add`

use ds4_model::buffer::BufferId;

use crate::frame::Frame;

pub fn run(f: &mut Frame<'_>, a: BufferId, b: BufferId, out: BufferId) {
    f.fill(out, |f, t, out| {
        for ((out, a), b) in out.iter_mut().zip(f.row(a, t)).zip(f.row(b, t)) {
            *out = a + b;
        }
    });
}
