//! `Op::RmsNorm`

use ds4_model::buffer::BufferId;
use ds4_model::inventory::WeightId;

use crate::frame::Frame;
use crate::math;

pub fn run(f: &mut Frame<'_>, x: BufferId, weight: Option<WeightId>, epsilon: f32, out: BufferId) {
    let inner = f.plan.buffer(x).inner();
    f.fill(out, |f, row, out| {
        let heads = f.row(x, row).chunks_exact(inner);
        for (x, out) in heads.zip(out.chunks_exact_mut(inner)) {
            let factor = math::rms_factor(x, epsilon);
            for (out, x) in out.iter_mut().zip(x) {
                *out = x * factor;
            }
            let weight = weight.map(|weight| f.weights.vector(weight));
            for (out, weight) in out.iter_mut().zip(weight.unwrap_or_default()) {
                *out *= weight;
            }
        }
    });
}
