//! Blocks of 32 with one scale: Q8_0, Q4_0, MXFP4.

use super::{exact_half, half, half_bytes, magnitude, nearest, sum};
use crate::rounding::{E2M1, fp4_block_encode, ue8m0_to_f32};

/// A scale, its codes and their weighted squared error.
struct Fit {
    d: f32,
    codes: [f32; 32],
    error: f32,
}

/// Codes of `low..=high` for scale `d`.
fn fit(values: &[f32; 32], weights: &[f32; 32], d: f32, (low, high): (f32, f32)) -> Fit {
    let inverse = if d == 0.0 { 0.0 } else { 1.0 / d };
    let codes: [f32; 32] = std::array::from_fn(|i| {
        let code = nearest(values[i] * inverse, low, high);
        // The inverse of a subnormal scale may be infinite.
        if code.is_nan() { 0.0 } else { code }
    });
    let error = sum::<32>(|i| {
        let off = d * codes[i] - values[i];
        weights[i] * off * off
    });
    Fit { d, codes, error }
}

/// The best of some scales, each also refitted to its codes by least squares; on ties the first.
/// Non-finite trial scales are no candidates.
fn search(
    values: &[f32; 32],
    weights: &[f32; 32],
    scales: impl Iterator<Item = f32>,
    range: (f32, f32),
) -> Fit {
    let mut best = fit(values, weights, 0.0, range);
    for scale in scales {
        let mut scale = half(scale);
        for _ in 0..3 {
            let found = fit(values, weights, scale, range);
            let over = sum::<32>(|i| weights[i] * values[i] * found.codes[i]);
            let under = sum::<32>(|i| weights[i] * found.codes[i] * found.codes[i]);
            if found.error < best.error {
                best = found;
            }
            let refitted = half(over / under);
            if !refitted.is_finite() || refitted == scale {
                break;
            }
            scale = refitted;
        }
    }
    best
}

/// The scale with which all values are exact multiples: the extreme value has one of `codes`.
fn exact(values: &[f32; 32], codes: impl Iterator<Item = i32>, range: (f32, f32)) -> Option<Fit> {
    let extreme = extreme(values);
    codes
        .filter_map(|code| exact_half(f64::from(extreme) / f64::from(code)))
        .map(|d| fit(values, &[1.0; 32], d, range))
        .find(|fit| (0..32).all(|i| fit.d * fit.codes[i] == values[i]))
}

/// The value of largest magnitude, with its sign.
fn extreme(values: &[f32; 32]) -> f32 {
    let by_magnitude = |a: &&f32, b: &&f32| a.abs().total_cmp(&b.abs());
    values.iter().max_by(by_magnitude).copied().unwrap_or(0.0)
}

/// Codes -127..=127, and -128 where a grid has it.
pub(super) fn q8_0(values: &[f32; 32], weights: &[f32; 32]) -> [u8; 34] {
    const RANGE: (f32, f32) = (-127.0, 127.0);
    let signed = if extreme(values) < 0.0 { -1 } else { 1 };
    let codes = (1..=127).rev().map(|code| code * signed);
    let found = exact(values, codes, RANGE)
        .or_else(|| exact(values, std::iter::once(-128), (-128.0, 127.0)))
        .unwrap_or_else(|| {
            let top = magnitude(values);
            search(values, weights, [127.0, 126.5, 125.5].map(|most| top / most).into_iter(), RANGE)
        });
    let mut block = [0; 34];
    block[..2].copy_from_slice(&half_bytes(found.d));
    for (byte, code) in block[2..].iter_mut().zip(found.codes) {
        *byte = (code as i8).cast_unsigned();
    }
    block
}

/// Codes -8..=7, stored with 8 added. Trial scales give the extreme value codes from -9 (clipped)
/// to -6, and from 6 to 8 on the other side. The scale is negative only where a positive value
/// needs -8.
pub(super) fn q4_0(values: &[f32; 32], weights: &[f32; 32]) -> [u8; 18] {
    const RANGE: (f32, f32) = (-8.0, 7.0);
    let top = extreme(values);
    let grid = if top < 0.0 { [-8, -7, -6, -5, -4, -3, -2, -1] } else { [7, 6, 5, 4, 3, 2, 1, -8] };
    let mut found = exact(values, grid.into_iter(), RANGE).unwrap_or_else(|| {
        let negative = (0..13).map(|i| -9.0 + 0.25 * i as f32);
        let trials = negative.chain((0..9).map(|i| 6.0 + 0.25 * i as f32));
        search(values, weights, trials.map(|code| top / code), RANGE)
    });
    if found.d < 0.0 && !found.codes.contains(&-8.0) {
        (found.d, found.codes) = (-found.d, found.codes.map(|code| -code));
    }
    let code = |i: usize| (found.codes[i] + 8.0) as u8;
    let mut block = [0; 18];
    block[..2].copy_from_slice(&half_bytes(found.d));
    for i in 0..16 {
        block[2 + i] = code(i) | code(i + 16) << 4;
    }
    block
}

/// Trial scales: the smallest power of two with which nothing saturates, as in the cache
/// (spec/model.md 3.7), then half of it, which clips, and twice. A grid's values are exact with
/// the first, or with a smaller one where the scale codes end.
pub(super) fn mxfp4(values: &[f32; 32], weights: &[f32; 32]) -> [u8; 17] {
    let (_, plain) = fp4_block_encode(values);
    let mut best: Option<(f32, u8, [u8; 32])> = None;
    for scale in [plain, plain.saturating_sub(1), plain.saturating_add(1).min(254)] {
        let step = ue8m0_to_f32(scale);
        let codes = values.map(|value| e2m1(value / step));
        let error = sum::<32>(|i| {
            let off = E2M1[usize::from(codes[i])] * step - values[i];
            weights[i] * off * off
        });
        if best.as_ref().is_none_or(|(least, ..)| error < *least) {
            best = Some((error, scale, codes));
        }
    }
    let (_, scale, codes) = best.unwrap_or((0.0, plain, [0; 32]));
    let mut block = [0; 17];
    block[0] = scale;
    for i in 0..16 {
        block[1 + i] = codes[i] | codes[i + 16] << 4;
    }
    block
}

/// The nearest e2m1 code, ties to the even one.
fn e2m1(value: f32) -> u8 {
    /// Halfway between neighbouring magnitudes.
    const EDGES: [f32; 7] = [0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0];
    let size = value.abs();
    let above = |(code, edge): (usize, &f32)| size > *edge || (size == *edge && code % 2 == 1);
    let code = EDGES.iter().enumerate().filter(|&pair| above(pair)).count() as u8;
    // There is one zero.
    code | u8::from(value < 0.0 && code > 0) << 3
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn e2m1_codes_are_the_nearest() {
        for (code, value) in E2M1.into_iter().enumerate().filter(|&(code, _)| code != 8) {
            assert_eq!(usize::from(e2m1(value)), code);
        }
        assert_eq!([0.25, 0.75, 1.25, 2.5, 5.0, 9.0].map(e2m1), [0, 2, 2, 4, 6, 7]);
        assert_eq!([-0.26, -1.75, -4.9, -0.1].map(e2m1), [9, 12, 14, 0]);
    }
}
