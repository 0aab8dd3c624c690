//! Low-precision rounding of cached rows: FP8 (e4m3), FP4 (e2m1), f16, bf16, and the Hadamard
//! transform (spec/model.md 3.5 and 3.7).
//!
//! All roundings are to nearest, ties to even, and computed with integers on the bits of the f32:
//! Metal compiles with fast math, and a shader that does the same integer operations gives the same
//! bits on every device. There is no infinity and no NaN: a non-finite input is taken as the
//! largest magnitude its block can hold, with its sign, so every code decodes to a finite value.

/// Elements of an FP8 block.
pub const FP8_BLOCK: usize = 64;

/// Elements of an FP4 block.
pub const FP4_BLOCK: usize = 32;

/// Scale codes that [`fp8_block_encode`] produces. A stored row with any other code is damaged.
pub const FP8_SCALE_CODES: std::ops::RangeInclusive<u8> = 105..=246;

/// Scale codes that [`fp4_block_encode`] produces. A stored row with any other code is damaged.
pub const FP4_SCALE_CODES: std::ops::RangeInclusive<u8> = 1..=252;

/// The values of the 16 codes of e2m1; bit 3 is the sign.
pub const E2M1: [f32; 16] =
    [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, -0.0, -0.5, -1.0, -1.5, -2.0, -3.0, -4.0, -6.0];

/// The values of the 256 codes of e4m3. The two codes that the standard calls NaN are never
/// produced; they decode as if they were ordinary, to +-480.
pub static E4M3: [f32; 256] = e4m3_values();

const MAGNITUDE: u32 = 0x7fff_ffff;

/// Smallest block maximum for FP8: 1e-4 (spec/model.md 3.5).
const FP8_AMAX_MIN: u32 = 1e-4_f32.to_bits();
/// 448 * 2^119, the largest magnitude whose FP8 block decodes to finite values.
const FP8_AMAX_MAX: u32 = 0x7f60_0000;
/// Mantissa bits of 448 = 1.75 * 2^8.
const FP8_TOP_MANTISSA: u32 = 0x60_0000;

/// Smallest block maximum for FP4: 6 * 2^-126 (spec/model.md 3.7).
const FP4_AMAX_MIN: u32 = (6.0 * f32::MIN_POSITIVE).to_bits();
/// 6 * 2^125, the largest magnitude whose FP4 block decodes to finite values.
const FP4_AMAX_MAX: u32 = 0x7f40_0000;
/// Mantissa bits of 6 = 1.5 * 2^2.
const FP4_TOP_MANTISSA: u32 = 0x40_0000;

/// The value of an e4m3 code (4 exponent bits with bias 7, 3 mantissa bits, largest 448).
#[inline(always)]
pub fn e4m3_to_f32(code: u8) -> f32 {
    E4M3[usize::from(code)]
}

const fn e4m3_values() -> [f32; 256] {
    let mut values = [0.0; 256];
    let mut code = 0;
    while code < 256 {
        let (exponent, mantissa) = (code as u32 >> 3 & 15, code as u32 & 7);
        let magnitude = if exponent == 0 {
            mantissa as f32 / 512.0
        } else {
            f32::from_bits((exponent + 120) << 23 | mantissa << 20)
        };
        values[code] = f32::from_bits(magnitude.to_bits() | (code as u32 >> 7) << 31);
        code += 1;
    }
    values
}

/// The value of a ue8m0 scale code: 2^(code - 127). Code 255, which the standard calls NaN, is
/// taken as the largest power of two.
#[inline(always)]
pub fn ue8m0_to_f32(code: u8) -> f32 {
    match code {
        0 => f32::from_bits(0x0040_0000),
        255 => f32::from_bits(254 << 23),
        _ => f32::from_bits(u32::from(code) << 23),
    }
}

/// Rounds one block to FP8: e4m3 codes and the ue8m0 code of the block's power-of-two scale
/// `2^ceil(log2(amax / 448))`, `amax` being at least 1e-4 (spec/model.md 3.5).
#[inline]
pub fn fp8_block_encode(block: &[f32; FP8_BLOCK]) -> ([u8; FP8_BLOCK], u8) {
    let amax = block_maximum(block, FP8_AMAX_MIN, FP8_AMAX_MAX);
    let scale = power_of_two_ceil(amax, FP8_TOP_MANTISSA, 8);
    let codes = block.map(|value| {
        let bits = value.to_bits();
        // The scale makes room for every finite value; what is beyond gets the largest code.
        let code = round_magnitude::<3, -6>(bits & MAGNITUDE, scale);
        (code.min(0x7e) | bits >> 31 << 7) as u8
    });
    (codes, (scale + 127) as u8)
}

/// The values of an FP8 block; exact. Finite for every scale code in [`FP8_SCALE_CODES`].
#[inline]
pub fn fp8_block_decode(codes: &[u8; FP8_BLOCK], scale: u8) -> [f32; FP8_BLOCK] {
    let scale = ue8m0_to_f32(scale);
    codes.map(|code| e4m3_to_f32(code) * scale)
}

/// Rounds one block to FP4: e2m1 codes, element `2i` in the low and `2i + 1` in the high half of
/// byte `i`, and the ue8m0 code of the block's power-of-two scale `2^ceil(log2(amax / 6))`, `amax`
/// being at least 6 * 2^-126 (spec/model.md 3.7).
#[inline]
pub fn fp4_block_encode(block: &[f32; FP4_BLOCK]) -> ([u8; FP4_BLOCK / 2], u8) {
    let amax = block_maximum(block, FP4_AMAX_MIN, FP4_AMAX_MAX);
    let scale = power_of_two_ceil(amax, FP4_TOP_MANTISSA, 2);
    let code = |value: f32| {
        let bits = value.to_bits();
        round_magnitude::<1, 0>(bits & MAGNITUDE, scale).min(7) | bits >> 31 << 3
    };
    let mut nibbles = [0; FP4_BLOCK / 2];
    for (byte, [low, high]) in nibbles.iter_mut().zip(block.as_chunks().0) {
        *byte = (code(*low) | code(*high) << 4) as u8;
    }
    (nibbles, (scale + 127) as u8)
}

/// The values of an FP4 block; exact. Finite for every scale code in [`FP4_SCALE_CODES`].
#[inline]
pub fn fp4_block_decode(nibbles: &[u8; FP4_BLOCK / 2], scale: u8) -> [f32; FP4_BLOCK] {
    let scale = ue8m0_to_f32(scale);
    let mut block = [0.0; FP4_BLOCK];
    for ([low, high], byte) in block.as_chunks_mut().0.iter_mut().zip(nibbles) {
        *low = E2M1[usize::from(byte & 15)] * scale;
        *high = E2M1[usize::from(byte >> 4)] * scale;
    }
    block
}

/// Nearest f16, ties to even. Magnitudes beyond the largest finite f16 (65,504) become it.
#[inline]
pub fn f32_to_f16(value: f32) -> u16 {
    let bits = value.to_bits();
    let magnitude = (bits & MAGNITUDE).min(65_504_f32.to_bits());
    (round_magnitude::<10, -14>(magnitude, 0) | bits >> 31 << 15) as u16
}

/// The value of an f16; exact. Infinities and NaN stay what they are.
///
/// A subnormal f16 moved into the fields of an f32 is a subnormal f32 of the same digits, so one
/// multiplication by a power of two serves all finite values: nothing rounds, and the loop over a
/// row vectorises.
#[inline(always)]
pub fn f16_to_f32(bits: u16) -> f32 {
    let sign = u32::from(bits >> 15) << 31;
    let shifted = u32::from(bits & 0x7fff) << 13;
    let finite = (f32::from_bits(shifted) * f32::from_bits((127 + 112) << 23)).to_bits();
    let special = if shifted >= 0x0f80_0000 { 0x7f80_0000 } else { 0 };
    f32::from_bits(finite | special | sign)
}

/// Nearest bf16, ties to even. Magnitudes beyond the largest finite bf16 become it.
#[inline]
pub fn f32_to_bf16(value: f32) -> u16 {
    let bits = value.to_bits();
    let magnitude = (bits & MAGNITUDE).min(0x7f7f_0000);
    (round_magnitude::<7, -126>(magnitude, 0) | bits >> 31 << 15) as u16
}

/// The value of a bf16; exact.
#[inline(always)]
pub fn bf16_to_f32(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// Walsh-Hadamard transform in place, orthonormal, in Sylvester order: entry (i, j) has the sign
/// (-1)^popcount(i & j). Its own inverse. The strides go 1, 2, 4, ...; the factor comes last.
///
/// # Panics
/// If the length is not a power of two.
pub fn hadamard(row: &mut [f32]) {
    let length = row.len();
    assert!(length.is_power_of_two(), "a Hadamard transform of {length} elements");
    let mut stride = 1;
    while stride < length {
        for pair in row.chunks_exact_mut(2 * stride) {
            let (low, high) = pair.split_at_mut(stride);
            for (a, b) in low.iter_mut().zip(high) {
                (*a, *b) = (*a + *b, *a - *b);
            }
        }
        stride *= 2;
    }
    let factor = (1.0 / (length as f64).sqrt()) as f32;
    for value in row {
        *value *= factor;
    }
}

/// Bits of the largest magnitude of a block, within `min..=max`. Magnitudes order like their bits.
#[inline(always)]
fn block_maximum(block: &[f32], min: u32, max: u32) -> u32 {
    block.iter().fold(min, |most, value| most.max(value.to_bits() & MAGNITUDE)).min(max)
}

/// `ceil(log2(amax / top))` for a normal `amax` and `top = (1 + top_mantissa / 2^23) *
/// 2^top_exponent`.
#[inline(always)]
fn power_of_two_ceil(amax: u32, top_mantissa: u32, top_exponent: i32) -> i32 {
    let exponent = (amax >> 23).cast_signed() - 127;
    exponent - top_exponent + i32::from(amax & 0x7f_ffff > top_mantissa)
}

/// Rounds `magnitude / 2^scale` (f32 bits without sign) to the nearest number of a small float
/// format with `MANTISSA` stored mantissa bits and smallest normal exponent `EXPONENT`; ties to
/// even. Returns its code, the exponent field above the mantissa. The caller keeps the value in the
/// format's range.
#[inline(always)]
fn round_magnitude<const MANTISSA: u32, const EXPONENT: i32>(magnitude: u32, scale: i32) -> u32 {
    let field = magnitude >> 23;
    let significand = magnitude & 0x7f_ffff | u32::from(field != 0) << 23;
    let exponent = field.max(1).cast_signed() - 127 - scale;
    // Below the smallest normal number the spacing stays, so more low bits are rounded away. From
    // 25 bits on everything is: the significand has 24.
    let dropped = 23 - MANTISSA + (EXPONENT - exponent).max(0).cast_unsigned();
    let dropped = dropped.min(25);
    let odd = significand >> dropped & 1;
    let rounded = (significand + (1 << (dropped - 1)) - 1 + odd) >> dropped;
    // A normal significand counts its hidden bit, which makes its exponent field one higher: hence
    // `exponent - EXPONENT` and not plus one. A carry out of the mantissa does the same.
    ((exponent - EXPONENT).max(0).cast_unsigned() << MANTISSA) + rounded
}

#[cfg(test)]
mod tests;
