//! `Op::Matmul`

use ds4_model::buffer::BufferId;
use ds4_model::inventory::WeightId;

use crate::frame::Frame;
use crate::weights::Product;

pub fn run(f: &mut Frame<'_>, x: BufferId, weight: WeightId, groups: usize, out: BufferId) {
    let (rows, count) = (f.plan.buffer(out).width() / groups, f.row_count(x));
    let width = f.plan.buffer(x).width() / groups;
    let group = |g: usize| Product {
        weight,
        expert: 0,
        rows: g * rows..(g + 1) * rows,
        columns: (0..count).map(|t| &f.row(x, t)[g * width..(g + 1) * width]).collect(),
    };
    let products: Vec<Product<'_>> = (0..groups).map(group).collect();
    let results = f.weights.products(&products);

    // Products come as [row][column]; buffers are [column][row].
    let mut values = f.zeros(out);
    for (g, result) in results.iter().enumerate() {
        for (m, result) in result.chunks_exact(count).enumerate() {
            for (t, value) in result.iter().enumerate() {
                values[(t * groups + g) * rows + m] = *value;
            }
        }
    }
    f.set(out, values);
}
