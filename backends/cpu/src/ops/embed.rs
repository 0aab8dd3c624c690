//! `Op::Embed`

use ds4_model::buffer::BufferId;
use ds4_model::inventory::WeightId;

use crate::frame::Frame;

pub fn run(f: &mut Frame<'_>, table: WeightId, streams: BufferId) {
    f.fill(streams, |f, row, out| {
        let width = f.plan.buffer(streams).inner();
        let (first, rest) = out.split_at_mut(width);
        f.weights.row(table, f.rows[row].token as usize, first);
        rest.chunks_exact_mut(width).for_each(|stream| stream.copy_from_slice(first));
    });
}
