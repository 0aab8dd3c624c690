//! `Op::HyperMix`

use ds4_model::buffer::BufferId;
use ds4_model::inventory::WeightId;

use super::matmul;
use crate::frame::Frame;
use crate::math;

pub fn run(f: &mut Frame<'_>, streams: BufferId, function: WeightId, epsilon: f32, mix: BufferId) {
    // The norm has no weight, so it commutes with the product and costs one factor a row.
    matmul::run(f, streams, function, 1, mix);
    let mut values = f.get(mix).to_vec();
    let width = f.plan.buffer(mix).width();
    for (row, out) in values.chunks_exact_mut(width).enumerate() {
        let factor = math::rms_factor(f.row(streams, row), epsilon);
        out.iter_mut().for_each(|value| *value *= factor);
    }
    f.set(mix, values);
}
