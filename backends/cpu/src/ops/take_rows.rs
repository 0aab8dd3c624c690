//! `Op::TakeRows`

use ds4_model::buffer::BufferId;

use crate::frame::Frame;

pub fn run(f: &mut Frame<'_>, x: BufferId, out: BufferId) {
    f.fill(out, |f, r, out| out.copy_from_slice(f.row(x, f.logit_rows[r])));
}
