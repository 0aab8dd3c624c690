//! `Op::Swiglu`

use ds4_model::buffer::BufferId;

use crate::frame::Frame;
use crate::simd;

pub fn run(f: &mut Frame<'_>, gate: BufferId, up: BufferId, clamp: f32, out: BufferId) {
    f.fill(out, |f, t, out| simd::swiglu(f.row(gate, t), f.row(up, t), clamp, 1.0, out));
}
