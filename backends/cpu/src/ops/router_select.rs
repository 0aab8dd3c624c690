//! `Op::RouterSelect`

use ds4_model::buffer::BufferId;
use ds4_model::op::ExpertChoice;

use super::top_k::largest;
use crate::frame::Frame;
use crate::math;

pub fn run(
    f: &mut Frame<'_>,
    logits: BufferId,
    choice: ExpertChoice,
    scale: f32,
    ids: BufferId,
    weights: BufferId,
) {
    let experts = f.plan.buffer(logits).width();
    let affinity = |f: &Frame<'_>, t: usize| -> Vec<f32> {
        f.row(logits, t).iter().map(|&logit| math::softplus(logit).sqrt()).collect()
    };
    f.fill(ids, |f, t, out| {
        let used = out.len();
        let mut chosen = match choice {
            ExpertChoice::Table(table) => {
                let mut entry = vec![0; used];
                f.weights.row_i32(table, f.rows[t].token as usize, &mut entry);
                // Ids of a file are data: beyond the last expert is taken as the last one, never as
                // an address.
                entry.iter().map(|&id| (id.max(0) as u32).min(experts as u32 - 1)).collect()
            }
            ExpertChoice::Score { bias } => {
                let mut scores = affinity(f, t);
                let bias = bias.map(|bias| f.weights.vector(bias)).unwrap_or_default();
                for (score, bias) in scores.iter_mut().zip(bias) {
                    *score += bias;
                }
                largest(&scores, used)
            }
        };
        chosen.sort_unstable();
        bytemuck::cast_slice_mut(out).copy_from_slice(&chosen);
    });
    f.fill(weights, |f, t, out| {
        let affinity = affinity(f, t);
        let chosen = &f.ids(ids)[t * out.len()..(t + 1) * out.len()];
        for (out, &id) in out.iter_mut().zip(chosen) {
            *out = affinity[id as usize];
        }
        let sum: f32 = out.iter().sum();
        out.iter_mut().for_each(|weight| *weight = *weight / sum * scale);
    });
}
