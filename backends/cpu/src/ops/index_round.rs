//! `Op::IndexRound`

use ds4_format::rounding;
use ds4_model::buffer::BufferId;
use ds4_model::kv::{RowFormat, RowKind, RowLayout};

use crate::frame::Frame;

pub fn run(f: &mut Frame<'_>, x: BufferId, out: BufferId) {
    let inner = f.plan.buffer(x).inner();
    let layout = RowLayout::new(RowFormat::Packed, RowKind::Index { dim: inner });
    f.fill(out, |f, row, out| {
        out.copy_from_slice(f.row(x, row));
        for head in out.chunks_exact_mut(inner) {
            rounding::hadamard(head);
            layout.round(head);
        }
    });
}
