//! `Op::Sample`

use ds4_model::buffer::BufferId;
use ds4_model::random;
use ds4_model::step::{Candidate, Sampled, Sampling};

use crate::frame::Frame;
use crate::math;

pub fn run(f: &mut Frame<'_>, logits: BufferId, tokens: BufferId) {
    let mut drawn = Vec::with_capacity(f.logit_rows.len());
    for (r, &t) in f.logit_rows.iter().enumerate() {
        let row = f.rows[t];
        // Checked with the inputs: every run of a sampling plan has parameters.
        let Some(sampling) = &f.run(row).sampling else { continue };
        drawn.push(sample(f.row(logits, r), sampling, row.position as u64 + 1));
    }
    let ids: Vec<u32> = drawn.iter().map(|sampled| sampled.token.token).collect();
    f.set(tokens, bytemuck::cast_slice(&ids).to_vec());
    f.sampled = drawn;
}

/// Draws the token that will stand at `position` (`step::Sampling`).
pub fn sample(logits: &[f32], sampling: &Sampling, position: u64) -> Sampled {
    let adjusted = adjust(logits, sampling);
    let best = argmax(&adjusted).or_else(|| argmax(logits)).unwrap_or(0);
    let token = if sampling.temperature > 0.0 {
        draw(&adjusted, sampling, position).unwrap_or(best)
    } else {
        best
    };
    let log_sum = log_sum_exp(logits);
    let candidate = |token: u32| {
        let log_probability = (f64::from(logits[token as usize]) - log_sum) as f32;
        Candidate { token, log_probability }
    };
    let mut order = finite(logits);
    descending(&mut order, logits, sampling.candidates);
    Sampled { token: candidate(token), candidates: order.into_iter().map(candidate).collect() }
}

/// Logits after penalties, biases and mask; forbidden ones are minus infinity.
fn adjust(logits: &[f32], sampling: &Sampling) -> Vec<f32> {
    let mut adjusted = logits.to_vec();
    for adjust in &sampling.adjust {
        if let Some(logit) = adjusted.get_mut(adjust.token as usize) {
            let divided = *logit / adjust.repetition;
            let scaled = if *logit > 0.0 { divided } else { *logit * adjust.repetition };
            *logit = scaled + adjust.add;
        }
    }
    if let Some(mask) = &sampling.mask {
        for (id, logit) in adjusted.iter_mut().enumerate() {
            let word = mask.get(id / 32).copied().unwrap_or(0);
            if word >> (id % 32) & 1 == 0 {
                *logit = f32::NEG_INFINITY;
            }
        }
    }
    adjusted
}

/// The largest finite logit, the lowest id on ties.
fn argmax(logits: &[f32]) -> Option<u32> {
    let larger = |best: Option<u32>, id: u32| match best {
        Some(best) if logits[best as usize] >= logits[id as usize] => Some(best),
        _ => Some(id),
    };
    finite(logits).into_iter().fold(None, larger)
}

fn finite(logits: &[f32]) -> Vec<u32> {
    let ids = 0..logits.len() as u32;
    ids.filter(|&id| logits[id as usize].is_finite()).collect()
}

/// Keeps the `count` largest, sorted by falling logit, then by id.
fn descending(ids: &mut Vec<u32>, logits: &[f32], count: usize) {
    let order =
        |a: &u32, b: &u32| logits[*b as usize].total_cmp(&logits[*a as usize]).then(a.cmp(b));
    if count < ids.len() {
        ids.select_nth_unstable_by(count, order);
        ids.truncate(count);
    }
    ids.sort_unstable_by(order);
}

fn log_sum_exp(logits: &[f32]) -> f64 {
    let finite = logits.iter().filter(|logit| logit.is_finite());
    let max = f64::from(finite.clone().copied().fold(f32::MIN, f32::max));
    max + finite.map(|&logit| (f64::from(logit) - max).exp()).sum::<f64>().ln()
}

fn draw(logits: &[f32], sampling: &Sampling, position: u64) -> Option<u32> {
    let mut ids = finite(logits);
    if sampling.top_k > 0 && sampling.top_k < ids.len() {
        descending(&mut ids, logits, sampling.top_k);
        ids.sort_unstable();
    }
    let max = ids.iter().map(|&id| logits[id as usize]).fold(f32::MIN, f32::max);
    let weight = |id: u32| math::exp((logits[id as usize] - max) / sampling.temperature);
    // The largest weight is 1, so min_p is a bound on the weights themselves.
    let mut kept: Vec<(u32, f32)> = ids.iter().map(|&id| (id, weight(id))).collect();
    let total: f64 = kept.iter().map(|&(_, weight)| f64::from(weight)).sum();
    if sampling.top_p < 1.0 {
        nucleus(&mut kept, f64::from(sampling.top_p) * total);
    }
    kept.retain(|&(_, weight)| weight >= sampling.min_p);

    let sum: f64 = kept.iter().map(|&(_, weight)| f64::from(weight)).sum();
    let target = f64::from(random::uniform(sampling.seed, position)) * sum;
    let mut reached = 0.0;
    for &(id, weight) in &kept {
        reached += f64::from(weight);
        if reached > target {
            return Some(id);
        }
    }
    kept.last().map(|&(id, _)| id)
}

/// Keeps the heaviest until their sum reaches `target`, at least one; ids ascending again.
fn nucleus(kept: &mut Vec<(u32, f32)>, target: f64) {
    kept.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let mut sum = 0.0;
    let mut below = |&(_, weight): &(u32, f32)| {
        let more = sum < target;
        sum += f64::from(weight);
        more
    };
    let count = kept.iter().take_while(|entry| below(entry)).count();
    kept.truncate(count.max(1));
    kept.sort_unstable_by_key(|&(id, _)| id);
}

#[cfg(test)]
mod tests;
