//! `Op::KvRound`

use ds4_model::buffer::BufferId;
use ds4_model::kv::{RowFormat, RowKind, RowLayout};

use crate::frame::Frame;

pub fn run(f: &mut Frame<'_>, x: BufferId, out: BufferId) {
    let shape = &f.plan.shape;
    let kind = RowKind::Attention { dim: shape.head_dim, rope_dim: shape.rope_dim };
    let layout = RowLayout::new(RowFormat::Packed, kind);
    f.fill(out, |f, row, out| {
        out.copy_from_slice(f.row(x, row));
        layout.round(out);
    });
}
