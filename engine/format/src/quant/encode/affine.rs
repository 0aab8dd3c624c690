//! Q2_K and Q4_K: sub-blocks of affine codes, their scales and minima of few bits, two f16 scales
//! for all: value = d * scale * code - dmin * min.
//!
//! First the best real step and depth of each sub-block alone, from several starts, each refined by
//! weighted least squares. Then the two f16 scales: those that give the largest sub-block the
//! largest codes, refined by least squares on what the sub-blocks choose, and some others around.
//! A sub-block chooses among the scale codes next to its own best ones, exactly.

use super::{affine_exact, half, half_bytes, nearest, sum};

/// A format: sub-blocks of `LENGTH` values, `SUBS` of them.
#[derive(Clone, Copy)]
pub(super) struct Format {
    /// Largest code of a value.
    pub code_max: f32,
    /// Largest code of a scale or minimum.
    pub scale_max: f32,
    /// Starts: the range of the values, shrunk on each side by these factors.
    shrink: &'static [f32],
}

/// Four levels: clipping both ends may pay.
const Q2_K: Format = Format { code_max: 3.0, scale_max: 15.0, shrink: &[1.0, 0.88, 0.76, 0.64] };
const Q4_K: Format = Format { code_max: 15.0, scale_max: 63.0, shrink: &[1.0, 0.95, 0.9] };

/// A block before packing.
#[derive(Clone, Copy)]
pub(super) struct Affine<const LENGTH: usize, const SUBS: usize> {
    pub d: f32,
    pub dmin: f32,
    pub subs: [Sub<LENGTH>; SUBS],
}

/// Codes of a sub-block.
#[derive(Clone, Copy)]
pub(super) struct Sub<const LENGTH: usize> {
    pub scale: f32,
    pub min: f32,
    pub codes: [f32; LENGTH],
    pub error: f32,
}

impl<const LENGTH: usize> Sub<LENGTH> {
    /// Codes nearest to the values: value = step * code - depth.
    #[inline(always)]
    fn codes(values: &[f32; LENGTH], step: f32, depth: f32, code_max: f32) -> [f32; LENGTH] {
        let inverse = if step > 0.0 { (1.0 / step).min(f32::MAX) } else { 0.0 };
        let mut codes = [0.0; LENGTH];
        for (code, value) in codes.iter_mut().zip(values) {
            *code = nearest((value + depth) * inverse, 0.0, code_max);
        }
        codes
    }

    /// The weighted squared error of codes.
    #[inline(always)]
    fn error(
        values: &[f32; LENGTH],
        weights: &[f32; LENGTH],
        codes: &[f32; LENGTH],
        (step, depth): (f32, f32),
    ) -> f32 {
        sum::<LENGTH>(|i| {
            let off = step * codes[i] - depth - values[i];
            weights[i] * off * off
        })
    }
}

/// Real step and depth of a sub-block, and its mean code: how much deeper a larger step wants to
/// be.
#[derive(Clone, Copy)]
struct Ideal {
    step: f32,
    depth: f32,
    mean_code: f32,
    error: f32,
}

/// Weighted least squares of step and depth for given codes; the depth is not negative.
fn refit<const LENGTH: usize>(
    values: &[f32; LENGTH],
    weights: &[f32; LENGTH],
    codes: &[f32; LENGTH],
) -> (f32, f32, f32) {
    let w = sum::<LENGTH>(|i| weights[i]);
    let wq = sum::<LENGTH>(|i| weights[i] * codes[i]);
    let wqq = sum::<LENGTH>(|i| weights[i] * codes[i] * codes[i]);
    let wx = sum::<LENGTH>(|i| weights[i] * values[i]);
    let wqx = sum::<LENGTH>(|i| weights[i] * codes[i] * values[i]);
    let step = (w * wqx - wq * wx) / (w * wqq - wq * wq);
    let depth = (step * wq - wx) / w;
    if depth >= 0.0 { (step, depth, wq / w) } else { (wqx / wqq, 0.0, wq / w) }
}

fn ideal<const LENGTH: usize>(
    values: &[f32; LENGTH],
    weights: &[f32; LENGTH],
    format: Format,
) -> Ideal {
    let low = values.iter().fold(0.0_f32, |low, &value| low.min(value));
    let high = values.iter().fold(0.0_f32, |high, &value| high.max(value));
    let mut best = Ideal { step: 0.0, depth: 0.0, mean_code: 0.0, error: f32::INFINITY };
    if low == high {
        return best;
    }
    let starts = format.shrink.iter().flat_map(|a| format.shrink.iter().map(move |b| (a, b)));
    for (shrink_low, shrink_high) in starts {
        let mut depth = -low * shrink_low;
        let mut step = (high * shrink_high + depth) / format.code_max;
        for _ in 0..3 {
            let codes = Sub::codes(values, step, depth, format.code_max);
            let (refitted, deeper, mean_code) = refit(values, weights, &codes);
            if !(refitted > 0.0 && refitted.is_finite() && deeper.is_finite()) {
                break;
            }
            (step, depth) = (refitted, deeper);
            let error = Sub::error(values, weights, &codes, (step, depth));
            if error < best.error {
                best = Ideal { step, depth, mean_code, error };
            }
        }
    }
    best
}

/// The best codes of a sub-block under two f16 scales.
fn choose<const LENGTH: usize>(
    values: &[f32; LENGTH],
    weights: &[f32; LENGTH],
    ideal: &Ideal,
    (d, dmin): (f32, f32),
    format: Format,
) -> Sub<LENGTH> {
    let over = |value: f32, unit: f32| {
        if unit > 0.0 { (value / unit).round().clamp(0.0, format.scale_max) } else { 0.0 }
    };
    let mut best: Option<Sub<LENGTH>> = None;
    let middle = over(ideal.step, d);
    for scale in [middle, middle - 1.0, middle + 1.0] {
        if !(0.0..=format.scale_max).contains(&scale) {
            continue;
        }
        let step = d * scale;
        let deep = over(ideal.depth + (step - ideal.step) * ideal.mean_code, dmin);
        for min in [deep, deep - 1.0, deep + 1.0] {
            if !(0.0..=format.scale_max).contains(&min) {
                continue;
            }
            let depth = dmin * min;
            let codes = Sub::codes(values, step, depth, format.code_max);
            let error = Sub::error(values, weights, &codes, (step, depth));
            if best.as_ref().is_none_or(|best| error < best.error) {
                best = Some(Sub { scale, min, codes, error });
            }
        }
    }
    best.unwrap_or(Sub { scale: 0.0, min: 0.0, codes: [0.0; LENGTH], error: f32::INFINITY })
}

/// Values and weights of a block, and what its sub-blocks want.
struct Search<'a, const LENGTH: usize, const SUBS: usize> {
    values: &'a [[f32; LENGTH]],
    weights: &'a [[f32; LENGTH]],
    ideals: [Ideal; SUBS],
    format: Format,
}

impl<const LENGTH: usize, const SUBS: usize> Search<'_, LENGTH, SUBS> {
    fn with_scales(&self, d: f32, dmin: f32) -> (Affine<LENGTH, SUBS>, f32) {
        let (d, dmin) = (half(d), half(dmin));
        let sub = |i: usize| {
            choose(&self.values[i], &self.weights[i], &self.ideals[i], (d, dmin), self.format)
        };
        let subs: [Sub<LENGTH>; SUBS] = std::array::from_fn(sub);
        let error = subs.iter().map(|sub| sub.error).sum();
        (Affine { d, dmin, subs }, error)
    }

    /// Least squares of the two scales for chosen codes; `None` where they do not tell.
    fn refit(&self, block: &Affine<LENGTH, SUBS>) -> Option<(f32, f32)> {
        let (mut aa, mut ab, mut bb, mut ax, mut bx) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for (sub, (values, weights)) in block.subs.iter().zip(self.values.iter().zip(self.weights))
        {
            let (scale, min) = (sub.scale, -sub.min);
            let w = sum::<LENGTH>(|i| weights[i]);
            let wq = sum::<LENGTH>(|i| weights[i] * sub.codes[i]);
            aa += scale * scale * sum::<LENGTH>(|i| weights[i] * sub.codes[i] * sub.codes[i]);
            ab += scale * min * wq;
            bb += min * min * w;
            ax += scale * sum::<LENGTH>(|i| weights[i] * sub.codes[i] * values[i]);
            bx += min * sum::<LENGTH>(|i| weights[i] * values[i]);
        }
        let determinant: f32 = aa * bb - ab * ab;
        let (d, dmin) = if bb > 0.0 {
            ((ax * bb - bx * ab) / determinant, (aa * bx - ab * ax) / determinant)
        } else {
            (ax / aa, block.dmin)
        };
        let sound = d > 0.0 && dmin >= 0.0 && d.is_finite() && dmin.is_finite();
        sound.then_some((d, dmin))
    }

    fn best(&self) -> Affine<LENGTH, SUBS> {
        /// Starts around "the largest sub-block gets the largest codes".
        const AROUND: [(f32, f32); 5] =
            [(1.0, 1.0), (0.93, 1.0), (1.08, 1.0), (1.0, 0.93), (1.0, 1.08)];
        let most = |of: fn(&Ideal) -> f32| self.ideals.iter().map(of).fold(0.0, f32::max);
        let d = most(|ideal| ideal.step) / self.format.scale_max;
        let dmin = most(|ideal| ideal.depth) / self.format.scale_max;
        let (mut best, mut least) = self.with_scales(d, dmin);
        for (f, g) in AROUND {
            let (mut found, mut error) = self.with_scales(d * f, dmin * g);
            for _ in 0..3 {
                let Some((d, dmin)) = self.refit(&found) else { break };
                let (better, smaller) = self.with_scales(d, dmin);
                if smaller >= error {
                    break;
                }
                (found, error) = (better, smaller);
            }
            if error < least {
                (best, least) = (found, error);
            }
        }
        best
    }
}

fn encode<const LENGTH: usize, const SUBS: usize>(
    values: &[f32; 256],
    weights: &[f32; 256],
    format: Format,
) -> Affine<LENGTH, SUBS> {
    let (values, weights) = (values.as_chunks::<LENGTH>().0, weights.as_chunks::<LENGTH>().0);
    affine_exact::exact(values, format).unwrap_or_else(|| {
        let ideals = std::array::from_fn(|i| ideal(&values[i], &weights[i], format));
        Search::<LENGTH, SUBS> { values, weights, ideals, format }.best()
    })
}

pub(super) fn q2_k(values: &[f32; 256], weights: &[f32; 256]) -> [u8; 84] {
    let fit: Affine<16, 16> = encode(values, weights, Q2_K);
    let mut block = [0; 84];
    for (sub_index, sub) in fit.subs.iter().enumerate() {
        block[sub_index] = sub.scale as u8 | (sub.min as u8) << 4;
        for (i, code) in sub.codes.iter().enumerate() {
            let element = 16 * sub_index + i;
            let (half, pair, lane) = (element / 128, element % 128 / 32, element % 32);
            block[16 + half * 32 + lane] |= (*code as u8) << (2 * pair);
        }
    }
    block[80..82].copy_from_slice(&half_bytes(fit.d));
    block[82..].copy_from_slice(&half_bytes(fit.dmin));
    block
}

pub(super) fn q4_k(values: &[f32; 256], weights: &[f32; 256]) -> [u8; 144] {
    let fit: Affine<32, 8> = encode(values, weights, Q4_K);
    let mut block = [0; 144];
    block[..2].copy_from_slice(&half_bytes(fit.d));
    block[2..4].copy_from_slice(&half_bytes(fit.dmin));
    let scale = |i: usize| fit.subs[i].scale as u8;
    let min = |i: usize| fit.subs[i].min as u8;
    for i in 0..4 {
        block[4 + i] = scale(i) | scale(i + 4) >> 4 << 6;
        block[8 + i] = min(i) | min(i + 4) >> 4 << 6;
        block[12 + i] = scale(i + 4) & 15 | min(i + 4) << 4;
    }
    for (sub_index, sub) in fit.subs.iter().enumerate() {
        for (i, code) in sub.codes.iter().enumerate() {
            block[16 + sub_index / 2 * 32 + i] |= (*code as u8) << (sub_index % 2 * 4);
        }
    }
    block
}
