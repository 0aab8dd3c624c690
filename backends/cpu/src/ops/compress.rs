//! `Op::Compress`

use ds4_model::buffer::BufferId;
use ds4_model::inventory::WeightId;
use ds4_model::op::Region;

use crate::frame::Frame;
use crate::pool::empty_state;
use crate::simd;

pub fn run(
    f: &mut Frame<'_>,
    layer: usize,
    region: Region,
    kv: BufferId,
    gate: BufferId,
    ape: Option<WeightId>,
    pooled: BufferId,
) {
    let ratio = f.pool.layout.layers[layer].ratio;
    let (_, state) = f.pool.state(layer, region);
    let width = f.plan.buffer(kv).width();
    let no_bias = vec![0.0; width];
    let mut out = f.zeros(pooled);
    let mut first = 0;
    for run in &f.inputs.runs {
        let (lane, rows) = (run.lane as usize, run.tokens.len());
        let mut sums = f.pool.load_state(layer, region, lane, run.start);
        for (t, position) in (first..first + rows).zip(run.start..) {
            let bias = match ape {
                Some(ape) => &f.weights.vector(ape)[position % ratio * width..][..width],
                None => &no_bias,
            };
            let token = Token { kv: f.row(kv, t), gate: f.row(gate, t), bias };
            let row = &mut out[t * state.dim..(t + 1) * state.dim];
            token.add(&mut sums, state.windows, state.dim);
            if (position + 1).is_multiple_of(ratio) {
                pool(&sums, row);
                let mut next = empty_state(state);
                let own = 3 * state.dim;
                next[..(state.windows - 1) * own].copy_from_slice(&sums[own..]);
                sums = next;
            }
            // States older than the ring would be overwritten by later ones of this run.
            if run.end() - position <= f.pool.layout.state_slots() {
                f.pool.store_state(layer, region, lane, position + 1, &sums);
            }
        }
        first += rows;
    }
    f.set(pooled, out);
}

/// What one token brings: each \[windows * d\].
struct Token<'a> {
    kv: &'a [f32],
    gate: &'a [f32],
    bias: &'a [f32],
}

impl Token<'_> {
    /// Adds the token to its own window, from its last d channels, and to the next one where
    /// windows overlap, from the first.
    fn add(&self, sums: &mut [f32], windows: usize, d: usize) {
        for (window, sums) in sums.chunks_exact_mut(3 * d).enumerate() {
            let channels = (windows - 1 - window) * d..(windows - window) * d;
            simd::online_softmax(
                sums,
                &self.gate[channels.clone()],
                &self.bias[channels.clone()],
                &self.kv[channels],
            );
        }
    }
}

/// a / z of the window that closes.
fn pool(sums: &[f32], out: &mut [f32]) {
    let d = out.len();
    let (z, a) = (&sums[d..2 * d], &sums[2 * d..3 * d]);
    for ((out, z), a) in out.iter_mut().zip(z).zip(a) {
        *out = a / z;
    }
}
