//! `Op::HyperPre`

use ds4_model::buffer::BufferId;
use ds4_model::inventory::WeightId;

use crate::frame::Frame;
use crate::math;

pub fn run(
    f: &mut Frame<'_>,
    mix: BufferId,
    scale: WeightId,
    base: WeightId,
    epsilon: f32,
    pre: BufferId,
) {
    f.fill(pre, |f, row, out| {
        let scale = f.weights.vector(scale)[0];
        let terms = f.row(mix, row).iter().zip(f.weights.vector(base));
        for (out, (mix, base)) in out.iter_mut().zip(terms) {
            *out = math::sigmoid(mix * scale + base) + epsilon;
        }
    });
}
