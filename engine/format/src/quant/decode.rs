//! Decoders of the device layout, one for each format (formulas: spec/model.md 8).
//!
//! Each takes the planes of some consecutive blocks of one row and writes f32. Products are written
//! in the order that keeps them exact: scale times sub-scale times code fits 24 bits in every
//! format, so only the subtraction of a minimum rounds, and all back ends can agree to the last
//! bit.
//!
//! Everything is `inline(always)`: the CPU back end inlines a decoder into functions compiled for
//! AVX2, and LLVM then vectorises the fixed-size loops below. Codes are taken and elements returned
//! as arrays by value: inlining forgets that input and output do not overlap, and with slices on
//! both sides LLVM kept every load and store apart (Q8_0: 1.8 instead of 8 Gelem/s on one core).

use super::iq2_grid::{GRID, SIGNS};
use crate::rounding::{bf16_to_f32, f16_to_f32};

#[inline(always)]
fn half(bytes: [u8; 2]) -> f32 {
    f16_to_f32(u16::from_le_bytes(bytes))
}

#[inline(always)]
pub(super) fn f32_row(values: &[u8], out: &mut [f32]) {
    for (y, bytes) in out.iter_mut().zip(values.as_chunks().0) {
        *y = f32::from_le_bytes(*bytes);
    }
}

#[inline(always)]
pub(super) fn f16_row(values: &[u8], out: &mut [f32]) {
    for (y, bytes) in out.iter_mut().zip(values.as_chunks().0) {
        *y = half(*bytes);
    }
}

#[inline(always)]
pub(super) fn bf16_row(values: &[u8], out: &mut [f32]) {
    for (y, bytes) in out.iter_mut().zip(values.as_chunks().0) {
        *y = bf16_to_f32(u16::from_le_bytes(*bytes));
    }
}

/// Integers as floats, for diagnostics; beyond 2^24 they round.
#[inline(always)]
pub(super) fn i32_row(values: &[u8], out: &mut [f32]) {
    for (y, bytes) in out.iter_mut().zip(values.as_chunks().0) {
        *y = i32::from_le_bytes(*bytes) as f32;
    }
}

/// Multiplies codes by a scale.
#[inline(always)]
fn scaled<const N: usize>(codes: [i8; N], scale: f32) -> [f32; N] {
    codes.map(|code| scale * f32::from(code))
}

/// `scale * code - min`.
#[inline(always)]
fn affine<const N: usize>(codes: [u8; N], scale: f32, min: f32) -> [f32; N] {
    codes.map(|code| scale * f32::from(code) - min)
}

#[inline(always)]
pub(super) fn q8_0(codes: &[u8], d: &[u8], out: &mut [f32]) {
    let blocks = codes.as_chunks::<32>().0.iter().zip(d.as_chunks().0);
    for ((codes, d), y) in blocks.zip(out.as_chunks_mut().0) {
        *y = scaled(codes.map(u8::cast_signed), half(*d));
    }
}

#[inline(always)]
pub(super) fn q4_0(codes: &[u8], d: &[u8], out: &mut [f32]) {
    let blocks = codes.as_chunks::<16>().0.iter().zip(d.as_chunks().0);
    for ((codes, d), y) in blocks.zip(out.as_chunks_mut::<32>().0) {
        let (codes, d) = (*codes, half(*d));
        let signed = |code: u8| code.cast_signed().wrapping_sub(8);
        for (y, shift) in y.as_chunks_mut().0.iter_mut().zip([0, 4]) {
            *y = scaled(codes.map(|code| signed(code >> shift & 15)), d);
        }
    }
}

#[inline(always)]
pub(super) fn q2_k(codes: &[u8], scales: &[u8], d_dmin: &[u8], out: &mut [f32]) {
    let blocks = codes.as_chunks::<64>().0.iter().zip(scales.as_chunks::<16>().0);
    let blocks = blocks.zip(d_dmin.as_chunks().0);
    for (((codes, scales), &[d0, d1, m0, m1]), y) in blocks.zip(out.as_chunks_mut::<256>().0) {
        let (d, dmin) = (half([d0, d1]), half([m0, m1]));
        let scales = *scales;
        // The bit pairs of 32 bytes are four runs of 32 elements, each with two sub-blocks of 16.
        let runs =
            codes.as_chunks::<32>().0.iter().flat_map(|bytes| [0, 2, 4, 6].map(|at| (bytes, at)));
        let subs = scales.as_chunks::<2>().0.iter();
        for (((bytes, shift), scales), y) in runs.zip(subs).zip(y.as_chunks_mut::<32>().0) {
            let codes = bytes.map(|byte| byte >> shift & 3);
            let [low, high] = scales.map(|s| (d * f32::from(s & 15), dmin * f32::from(s >> 4)));
            for i in 0..16 {
                y[i] = low.0 * f32::from(codes[i]) - low.1;
                y[i + 16] = high.0 * f32::from(codes[i + 16]) - high.1;
            }
        }
    }
}

#[inline(always)]
pub(super) fn q4_k(codes: &[u8], scales: &[u8], d_dmin: &[u8], out: &mut [f32]) {
    let blocks = codes.as_chunks::<128>().0.iter().zip(scales.as_chunks().0);
    let blocks = blocks.zip(d_dmin.as_chunks().0);
    for (((codes, scales), &[d0, d1, m0, m1]), y) in blocks.zip(out.as_chunks_mut::<256>().0) {
        let (d, dmin) = (half([d0, d1]), half([m0, m1]));
        let scales =
            q4_k_scales(scales).map(|(scale, min)| (d * f32::from(scale), dmin * f32::from(min)));
        // Each 32 bytes hold two sub-blocks: the low nibbles, then the high ones.
        let subs = codes.as_chunks::<32>().0.iter().flat_map(|bytes| [(bytes, 0), (bytes, 4)]);
        for (((bytes, shift), (scale, min)), y) in subs.zip(scales).zip(y.as_chunks_mut::<32>().0) {
            *y = affine(bytes.map(|byte| byte >> shift & 15), scale, min);
        }
    }
}

/// Unpacks the eight 6-bit scales and minima of a Q4_K block: `(scale, min)` of each sub-block.
#[inline(always)]
fn q4_k_scales(packed: &[u8; 12]) -> [(u8, u8); 8] {
    let mut subs = [(0, 0); 8];
    for b in 0..4 {
        let (scale, min, high) = (packed[b], packed[b + 4], packed[b + 8]);
        subs[b] = (scale & 63, min & 63);
        subs[b + 4] = (high & 15 | scale >> 6 << 4, high >> 4 | min >> 6 << 4);
    }
    subs
}

#[inline(always)]
pub(super) fn iq2_xxs(groups: &[u8], d: &[u8], out: &mut [f32]) {
    let blocks = groups.as_chunks::<64>().0.iter().zip(d.as_chunks().0);
    for ((groups, d), y) in blocks.zip(out.as_chunks_mut::<256>().0) {
        let d = half(*d);
        for (group, y) in groups.as_chunks().0.iter().zip(y.as_chunks_mut::<32>().0) {
            let &[c0, c1, c2, c3, s0, s1, s2, s3] = group;
            let word = u32::from_le_bytes([s0, s1, s2, s3]);
            let scale = d * (0.5 + (word >> 28) as f32) * 0.25;
            let vectors = [(c0, word), (c1, word >> 7), (c2, word >> 14), (c3, word >> 21)];
            for ((index, signs), y) in vectors.into_iter().zip(y.as_chunks_mut::<8>().0) {
                let magnitudes = GRID[usize::from(index)];
                let signs = SIGNS[(signs & 127) as usize];
                *y = std::array::from_fn(|j| {
                    scale * f32::from_bits(magnitudes[j].to_bits() ^ signs[j])
                });
            }
        }
    }
}

#[inline(always)]
pub(super) fn mxfp4(codes: &[u8], e: &[u8], out: &mut [f32]) {
    for ((codes, e), y) in codes.as_chunks::<16>().0.iter().zip(e).zip(out.as_chunks_mut::<32>().0)
    {
        // Twice the element times half the scale: finite products up to the largest scale code, as
        // readers of the container format compute it.
        let half_scale =
            f32::from_bits(if *e < 2 { 0x0020_0000 << e } else { (u32::from(*e) - 1) << 23 });
        let codes = *codes;
        for (y, shift) in y.as_chunks_mut().0.iter_mut().zip([0, 4]) {
            *y = codes.map(|code| half_scale * twice_e2m1(code >> shift & 15));
        }
    }
}

/// Twice the value of an e2m1 code, by arithmetic: a table would be one load for each element.
#[inline(always)]
fn twice_e2m1(code: u8) -> f32 {
    let code = u32::from(code);
    let (exponent, mantissa) = (code >> 1 & 3, code & 1);
    // From exponent 1 on the fields of an f32; below, 0 or 0.5.
    let normal = (exponent + 127) << 23 | mantissa << 22;
    let magnitude = if exponent == 0 { mantissa * 0x3f80_0000 } else { normal };
    f32::from_bits(magnitude | code >> 3 << 31)
}
