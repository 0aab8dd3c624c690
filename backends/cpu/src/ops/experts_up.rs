//! `Op::ExpertsUp`

use ds4_model::buffer::BufferId;
use ds4_model::op::Op;

use crate::frame::Frame;
use crate::simd;
use crate::weights::Product;

pub fn run(f: &mut Frame<'_>, op: &Op) {
    let Op::ExpertsUp { x, ids, weights, gate, up, clamp, out } = *op else { return };
    let (used, width) = (f.plan.buffer(ids).width(), f.plan.buffer(out).inner());
    let groups = by_expert(f.ids(ids));
    let products: Vec<Product<'_>> = groups
        .iter()
        .flat_map(|(expert, slots)| {
            let columns: Vec<&[f32]> = slots.iter().map(|slot| f.row(x, slot / used)).collect();
            [gate, up].map(|weight| Product {
                weight,
                expert: *expert,
                rows: 0..width,
                columns: columns.clone(),
            })
        })
        .collect();
    let results = f.weights.products(&products);

    let mut values = f.zeros(out);
    for ((_, slots), results) in groups.iter().zip(results.as_chunks::<2>().0) {
        for (column, &slot) in slots.iter().enumerate() {
            let pick = |result: &[f32]| -> Vec<f32> {
                result.iter().skip(column).step_by(slots.len()).copied().collect()
            };
            let [gate, up] = results;
            let weight = f.get(weights)[slot];
            let out = &mut values[slot * width..(slot + 1) * width];
            simd::swiglu(&pick(gate), &pick(up), clamp, weight, out);
        }
    }
    f.set(out, values);
}

/// Slots (row * used + place) of each chosen expert, experts and slots ascending.
pub fn by_expert(ids: &[u32]) -> Vec<(usize, Vec<usize>)> {
    let mut slots: Vec<(u32, usize)> = ids.iter().copied().zip(0..).collect();
    slots.sort_unstable();
    let groups = slots.chunk_by(|a, b| a.0 == b.0);
    let group = |group: &[(u32, usize)]| {
        (group[0].0 as usize, group.iter().map(|&(_, slot)| slot).collect())
    };
    groups.map(group).collect()
}

/// The row of one slot: the slots of a token lie together.
pub fn slot_row<'a>(f: &'a Frame<'_>, id: BufferId, slot: usize) -> &'a [f32] {
    let width = f.plan.buffer(id).inner();
    &f.get(id)[slot * width..(slot + 1) * width]
}
