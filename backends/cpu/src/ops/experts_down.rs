//! `Op::ExpertsDown`

use ds4_model::buffer::BufferId;
use ds4_model::inventory::WeightId;

use super::experts_up::{by_expert, slot_row};
use crate::frame::Frame;
use crate::weights::Product;

pub fn run(f: &mut Frame<'_>, h: BufferId, ids: BufferId, down: WeightId, out: BufferId) {
    let (used, width) = (f.plan.buffer(ids).width(), f.plan.buffer(out).width());
    let groups = by_expert(f.ids(ids));
    let product = |(expert, slots): &(usize, Vec<usize>)| Product {
        weight: down,
        expert: *expert,
        rows: 0..width,
        columns: slots.iter().map(|&slot| slot_row(f, h, slot)).collect(),
    };
    let products: Vec<Product<'_>> = groups.iter().map(product).collect();
    let results = f.weights.products(&products);

    // Experts ascend, and so do the places of a token: each output adds its slots in the op's
    // order.
    let mut values = f.zeros(out);
    for ((_, slots), result) in groups.iter().zip(&results) {
        for (column, &slot) in slots.iter().enumerate() {
            let out = &mut values[slot / used * width..][..width];
            for (out, value) in out.iter_mut().zip(result.iter().skip(column).step_by(slots.len()))
            {
                *out += value;
            }
        }
    }
    f.set(out, values);
}
