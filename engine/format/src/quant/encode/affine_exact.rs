//! Recognises values that were decoded from a Q2_K or Q4_K block.
//!
//! A sub-block that uses code 0 has its depth `dmin * min` as its smallest value, exactly; one that
//! uses the first and the last code (or all but one of the ends) has its step `d * scale` from its
//! range, up to the rounding of the subtraction. Most sub-blocks do both. So each depth divided by
//! each possible code, if it is an f16, is a candidate for `dmin`, and sub-blocks vote; the same
//! for `d` with the ranges. What is left is tried, exactly as the decoder computes. Ordinary values
//! have no candidates.

use super::affine::{Affine, Format, Sub};
use super::{exact_half, half};

/// Candidates of each scale that are tried.
const TRIED: usize = 6;

/// The block that decodes to exactly these values.
pub(super) fn exact<const LENGTH: usize, const SUBS: usize>(
    values: &[[f32; LENGTH]],
    format: Format,
) -> Option<Affine<LENGTH, SUBS>> {
    let all_ends: Vec<(f32, f32)> = values.iter().map(|sub| ends(sub)).collect();
    let depths = depth_units(&all_ends, format);
    if depths.is_empty() {
        return None;
    }
    let steps = step_units(&all_ends, format);
    let pairs = depths.iter().flat_map(|&dmin| steps.iter().map(move |&d| (d, dmin)));
    pairs.into_iter().find_map(|(d, dmin)| {
        let likely =
            values.iter().filter(|sub| direct(sub, ends(*sub), (d, dmin), format).is_some());
        if likely.count() == 0 {
            return None;
        }
        let mut subs = Vec::with_capacity(SUBS);
        for sub in values {
            let found = direct(sub, ends(sub), (d, dmin), format);
            subs.push(found.or_else(|| any(sub, (d, dmin), format))?);
        }
        Some(Affine { d, dmin, subs: subs.try_into().ok()? })
    })
}

fn ends(values: &[f32]) -> (f32, f32) {
    let first = values.first().copied().unwrap_or(0.0);
    values.iter().fold((first, first), |(low, high), &value| (low.min(value), high.max(value)))
}

/// Whole numbers up to `most`, the largest first: quantisers give the largest sub-block the largest
/// code.
fn codes(most: f32) -> impl Iterator<Item = f32> + Clone {
    let most = most as u8;
    (1..=most).rev().map(f32::from)
}

/// Candidates for `dmin`, most votes first.
fn depth_units(ends: &[(f32, f32)], format: Format) -> Vec<f32> {
    if ends.iter().all(|(low, _)| *low >= 0.0) {
        return vec![0.0];
    }
    let votes = |unit: f32| {
        let whole = |low: f32| {
            let code = (-low / unit).round();
            (0.0..=format.scale_max).contains(&code) && code * unit == -low
        };
        ends.iter().filter(|(low, _)| whole(*low)).count()
    };
    let depths = ends.iter().map(|(low, _)| -low).filter(|depth| *depth > 0.0);
    let units = depths.flat_map(|depth| {
        codes(format.scale_max)
            .filter_map(move |code| exact_half(f64::from(depth) / f64::from(code)))
    });
    elected(units, votes, ends.len())
}

/// Candidates for `d`, most votes first. A block without steps has all values equal to its depths.
fn step_units(ends: &[(f32, f32)], format: Format) -> Vec<f32> {
    if ends.iter().all(|(low, high)| low == high) {
        return vec![0.0];
    }
    let spans = || [format.code_max, format.code_max - 1.0].into_iter();
    let votes = |unit: f32| {
        let fits = |ends: &&(f32, f32)| {
            spans().any(|span| whole_scale(**ends, unit * span, format).is_some())
        };
        ends.iter().filter(fits).count()
    };
    let units = ends.iter().filter(|(low, high)| low < high).flat_map(|&(low, high)| {
        spans().flat_map(move |span| {
            codes(format.scale_max).map(move |code| half((high - low) / (code * span))).filter(
                move |unit| *unit > 0.0 && whole_scale((low, high), unit * span, format).is_some(),
            )
        })
    });
    elected(units, votes, ends.len())
}

/// The scale code with which the range is a whole multiple of `steps`, up to rounding: twice that
/// of the two ends, 2^-24 each.
fn whole_scale((low, high): (f32, f32), steps: f32, format: Format) -> Option<f32> {
    let tolerance = low.abs().max(high.abs()) * 2.0_f32.powi(-22);
    let code = ((high - low) / steps).round();
    let whole = (0.0..=format.scale_max).contains(&code)
        && (code * steps - (high - low)).abs() <= tolerance;
    whole.then_some(code)
}

/// The candidates with the most votes, at least a quarter of all; earlier ones first on ties.
fn elected(
    units: impl Iterator<Item = f32>,
    votes: impl Fn(f32) -> usize,
    voters: usize,
) -> Vec<f32> {
    let mut seen: Vec<(usize, f32)> = Vec::new();
    for unit in units {
        if seen.iter().all(|(_, known)| *known != unit) {
            seen.push((votes(unit), unit));
        }
    }
    seen.retain(|(votes, _)| 4 * votes >= voters);
    seen.sort_by_key(|(votes, _)| std::cmp::Reverse(*votes));
    seen.into_iter().take(TRIED).map(|(_, unit)| unit).collect()
}

/// A sub-block whose smallest value has code 0 and whose largest has the last code.
fn direct<const LENGTH: usize>(
    values: &[f32; LENGTH],
    (low, high): (f32, f32),
    (d, dmin): (f32, f32),
    format: Format,
) -> Option<Sub<LENGTH>> {
    let over = |value: f32, unit: f32| if unit > 0.0 { (value / unit).round() } else { 0.0 };
    let (scale, min) = (over(high - low, d * format.code_max), over(-low, dmin));
    let range = 0.0..=format.scale_max;
    if !range.contains(&scale) || !range.contains(&min) {
        return None;
    }
    with_codes(values, scale, min, (d, dmin), format)
}

/// Any scale and minimum under which the values are exact: the range is some number of steps.
fn any<const LENGTH: usize>(
    values: &[f32; LENGTH],
    (d, dmin): (f32, f32),
    format: Format,
) -> Option<Sub<LENGTH>> {
    let (low, high) = ends(values);
    let all = || codes(format.scale_max).chain(std::iter::once(0.0));
    let scales: Vec<f32> = if low < high {
        codes(format.code_max)
            .filter_map(|span| whole_scale((low, high), d * span, format))
            .collect()
    } else {
        all().collect()
    };
    let mut pairs = scales.into_iter().flat_map(|scale| all().map(move |min| (scale, min)));
    pairs.find_map(|(scale, min)| with_codes(values, scale, min, (d, dmin), format))
}

/// The codes, if the decoder's arithmetic gives exactly the values.
fn with_codes<const LENGTH: usize>(
    values: &[f32; LENGTH],
    scale: f32,
    min: f32,
    (d, dmin): (f32, f32),
    format: Format,
) -> Option<Sub<LENGTH>> {
    let (step, depth) = (d * scale, dmin * min);
    let mut codes = [0.0; LENGTH];
    for (code, value) in codes.iter_mut().zip(values) {
        let nearest = if step > 0.0 { ((value + depth) / step).round() } else { 0.0 };
        *code = nearest.clamp(0.0, format.code_max);
        if step * *code - depth != *value {
            return None;
        }
    }
    Some(Sub { scale, min, codes, error: 0.0 })
}
