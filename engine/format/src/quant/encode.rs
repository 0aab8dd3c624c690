//! Simple encoders: nearest codes for scales taken from the largest magnitudes. They make test
//! models and plain conversions; searching for better scales is the quantiser's work.

use super::Quant;
use crate::rounding::{f16_to_f32, f32_to_bf16, f32_to_f16, fp4_block_encode};

/// Why values cannot be encoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// No encoder for this format here.
    #[error("{0} has no plain encoder: its codebook needs a search")]
    NoEncoder(Quant),
    /// The values are not whole blocks.
    #[error("{count} values are not whole {quant} blocks of {}", quant.block_len())]
    PartialBlock {
        /// Format asked for.
        quant: Quant,
        /// Values given.
        count: usize,
    },
    /// A value that is infinite, NaN, or not an integer where integers are stored.
    #[error("value {index} cannot be stored as {quant}: it is not finite or not an i32")]
    Value {
        /// Format asked for.
        quant: Quant,
        /// Position of the value.
        index: usize,
    },
}

/// Encodes values to GGUF blocks. Rows need no separation: every row is whole blocks.
///
/// # Errors
/// IQ2_XXS, a number of values that is not whole blocks, or a value that the format has no code for
/// (not finite; for I32, not an integer of 32 bits).
pub fn encode(quant: Quant, values: &[f32]) -> Result<Vec<u8>, EncodeError> {
    if !values.len().is_multiple_of(quant.block_len()) {
        return Err(EncodeError::PartialBlock { quant, count: values.len() });
    }
    let storable = |value: f32| match quant {
        Quant::I32 => value.fract() == 0.0 && (-2_147_483_648.0..2_147_483_648.0).contains(&value),
        _ => value.is_finite(),
    };
    if let Some(index) = values.iter().position(|&value| !storable(value)) {
        return Err(EncodeError::Value { quant, index });
    }
    let each = values.iter();
    Ok(match quant {
        Quant::F32 => each.flat_map(|value| value.to_le_bytes()).collect(),
        Quant::F16 => each.flat_map(|value| f32_to_f16(*value).to_le_bytes()).collect(),
        Quant::BF16 => each.flat_map(|value| f32_to_bf16(*value).to_le_bytes()).collect(),
        Quant::I32 => each.flat_map(|value| (*value as i32).to_le_bytes()).collect(),
        Quant::Q8_0 => values.as_chunks().0.iter().flat_map(q8_0).collect(),
        Quant::Q4_0 => values.as_chunks().0.iter().flat_map(q4_0).collect(),
        Quant::Q2_K => values.as_chunks().0.iter().flat_map(q2_k).collect(),
        Quant::Q4_K => values.as_chunks().0.iter().flat_map(q4_k).collect(),
        Quant::MXFP4 => values.as_chunks().0.iter().flat_map(mxfp4).collect(),
        Quant::IQ2_XXS => return Err(EncodeError::NoEncoder(quant)),
    })
}

/// The stored form of a scale and its value after rounding; codes are chosen for the rounded one.
fn half(scale: f32) -> ([u8; 2], f32) {
    let bits = f32_to_f16(scale);
    (bits.to_le_bytes(), f16_to_f32(bits))
}

/// The nearest integer to `value / step` within the bounds; 0 or the lower bound for a step of 0.
fn nearest(value: f32, step: f32, low: f32, high: f32) -> f32 {
    let code = if step == 0.0 { 0.0 } else { value / step };
    code.round_ties_even().clamp(low, high)
}

fn magnitude(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |most, value| most.max(value.abs()))
}

fn q8_0(values: &[f32; 32]) -> [u8; 34] {
    let (d_bytes, d) = half(magnitude(values) / 127.0);
    let mut block = [0; 34];
    block[..2].copy_from_slice(&d_bytes);
    for (code, value) in block[2..].iter_mut().zip(values) {
        *code = (nearest(*value, d, -127.0, 127.0) as i8).cast_unsigned();
    }
    block
}

/// Codes run from -8 to 7: the value of largest magnitude, with its sign, gets -8.
fn q4_0(values: &[f32; 32]) -> [u8; 18] {
    let by_magnitude = |a: &&f32, b: &&f32| a.abs().total_cmp(&b.abs());
    let extreme = values.iter().max_by(by_magnitude).copied().unwrap_or(0.0);
    let (d_bytes, d) = half(extreme / -8.0);
    let code = |value: f32| (nearest(value, d, -8.0, 7.0) + 8.0) as u8;
    let mut block = [0; 18];
    block[..2].copy_from_slice(&d_bytes);
    for i in 0..16 {
        block[2 + i] = code(values[i]) | code(values[i + 16]) << 4;
    }
    block
}

/// A block of affine sub-blocks, before packing: value = d * scale * code - dmin * min.
struct Affine<const SUBS: usize> {
    /// Stored `d` and `dmin`.
    d_dmin: [u8; 4],
    scales: [u8; SUBS],
    mins: [u8; SUBS],
    codes: [u8; 256],
}

/// Fits each sub-block from its least (at most 0) to its largest value, with codes up to `code_max`
/// and scales and minima up to `scale_max`.
fn affine<const SUBS: usize>(values: &[f32; 256], code_max: f32, scale_max: f32) -> Affine<SUBS> {
    let length = 256 / SUBS;
    let (mut steps, mut depths) = ([0.0; SUBS], [0.0; SUBS]);
    for (sub, values) in values.chunks_exact(length).enumerate() {
        let low = values.iter().fold(0.0_f32, |low, &value| low.min(value));
        let high = values.iter().fold(0.0_f32, |high, &value| high.max(value));
        (steps[sub], depths[sub]) = ((high - low) / code_max, -low);
    }
    let (d_bytes, d) = half(magnitude(&steps) / scale_max);
    let (dmin_bytes, dmin) = half(magnitude(&depths) / scale_max);
    let [d0, d1] = d_bytes;
    let [m0, m1] = dmin_bytes;
    let mut block =
        Affine { d_dmin: [d0, d1, m0, m1], scales: [0; SUBS], mins: [0; SUBS], codes: [0; 256] };
    for (sub, values) in values.chunks_exact(length).enumerate() {
        let scale = nearest(steps[sub], d, 0.0, scale_max);
        let min = nearest(depths[sub], dmin, 0.0, scale_max);
        (block.scales[sub], block.mins[sub]) = (scale as u8, min as u8);
        for (code, value) in block.codes[sub * length..].iter_mut().zip(values) {
            *code = nearest(value + dmin * min, d * scale, 0.0, code_max) as u8;
        }
    }
    block
}

fn q2_k(values: &[f32; 256]) -> [u8; 84] {
    let fit = affine::<16>(values, 3.0, 15.0);
    let mut block = [0; 84];
    for (byte, (scale, min)) in block.iter_mut().zip(fit.scales.into_iter().zip(fit.mins)) {
        *byte = scale | min << 4;
    }
    for (element, code) in fit.codes.into_iter().enumerate() {
        let (half, pair, lane) = (element / 128, element % 128 / 32, element % 32);
        block[16 + half * 32 + lane] |= code << (2 * pair);
    }
    block[80..].copy_from_slice(&fit.d_dmin);
    block
}

fn q4_k(values: &[f32; 256]) -> [u8; 144] {
    let fit = affine::<8>(values, 15.0, 63.0);
    let mut block = [0; 144];
    block[..4].copy_from_slice(&fit.d_dmin);
    for sub in 0..4 {
        block[4 + sub] = fit.scales[sub] | fit.scales[sub + 4] >> 4 << 6;
        block[8 + sub] = fit.mins[sub] | fit.mins[sub + 4] >> 4 << 6;
        block[12 + sub] = fit.scales[sub + 4] & 15 | fit.mins[sub + 4] << 4;
    }
    for (element, code) in fit.codes.into_iter().enumerate() {
        block[16 + element / 64 * 32 + element % 32] |= code << (element / 32 % 2 * 4);
    }
    block
}

/// The scale is the smallest power of two with which the largest magnitude is at most 6, as in the
/// cache (spec/model.md 3.7): nothing saturates.
fn mxfp4(values: &[f32; 32]) -> [u8; 17] {
    let (nibbles, scale) = fp4_block_encode(values);
    let code = |i: usize| nibbles[i / 2] >> (i % 2 * 4) & 15;
    let mut block = [0; 17];
    block[0] = scale;
    for i in 0..16 {
        block[1 + i] = code(i) | code(i + 16) << 4;
    }
    block
}
