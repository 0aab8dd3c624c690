//! Decoders of the device layout, one for each format (formulas: spec/model.md 8).
//!
//! Each takes the planes of some consecutive blocks of one row and writes f32. Products are written in
//! the order that keeps them exact: scale times sub-scale times code fits 24 bits in every format, so
//! only the subtraction of a minimum rounds, and all back ends can agree to the last bit.
//!
//! Everything is `inline(always)`: the CPU back end inlines a decoder into functions compiled for AVX2,
//! and LLVM then vectorises the fixed-size loops below.

use super::iq2_grid::{GRID, SIGNS};
use crate::rounding::{E2M1, bf16_to_f32, f16_to_f32};

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

#[inline(always)]
pub(super) fn q8_0(codes: &[u8], d: &[u8], out: &mut [f32]) {
    let blocks = codes.as_chunks::<32>().0.iter().zip(d.as_chunks::<2>().0);
    for ((codes, d), y) in blocks.zip(out.as_chunks_mut::<32>().0) {
        let d = half(*d);
        for i in 0..32 {
            y[i] = d * f32::from(codes[i].cast_signed());
        }
    }
}

#[inline(always)]
pub(super) fn q4_0(codes: &[u8], d: &[u8], out: &mut [f32]) {
    let blocks = codes.as_chunks::<16>().0.iter().zip(d.as_chunks::<2>().0);
    for ((codes, d), y) in blocks.zip(out.as_chunks_mut::<32>().0) {
        let d = half(*d);
        for i in 0..16 {
            y[i] = d * (f32::from(codes[i] & 15) - 8.0);
            y[i + 16] = d * (f32::from(codes[i] >> 4) - 8.0);
        }
    }
}

#[inline(always)]
pub(super) fn q2_k(codes: &[u8], scales: &[u8], d_dmin: &[u8], out: &mut [f32]) {
    let blocks = codes.as_chunks::<64>().0.iter().zip(scales.as_chunks::<16>().0);
    let blocks = blocks.zip(d_dmin.as_chunks::<4>().0);
    for (((codes, scales), &[d0, d1, m0, m1]), y) in blocks.zip(out.as_chunks_mut::<256>().0) {
        let (d, dmin) = (half([d0, d1]), half([m0, m1]));
        for sub in 0..16 {
            // Sub-block `sub`: 16 elements, bit pair (sub / 2) % 4 of 16 bytes of its half.
            let (half, shift) = (sub / 8, sub / 2 % 4 * 2);
            let at = half * 32 + sub % 2 * 16;
            let scale = d * f32::from(scales[sub] & 15);
            let min = dmin * f32::from(scales[sub] >> 4);
            for i in 0..16 {
                y[sub * 16 + i] = scale * f32::from(codes[at + i] >> shift & 3) - min;
            }
        }
    }
}

#[inline(always)]
pub(super) fn q4_k(codes: &[u8], scales: &[u8], d_dmin: &[u8], out: &mut [f32]) {
    let blocks = codes.as_chunks::<128>().0.iter().zip(scales.as_chunks::<12>().0);
    let blocks = blocks.zip(d_dmin.as_chunks::<4>().0);
    for (((codes, scales), &[d0, d1, m0, m1]), y) in blocks.zip(out.as_chunks_mut::<256>().0) {
        let (d, dmin) = (half([d0, d1]), half([m0, m1]));
        let subs = q4_k_scales(scales);
        for pair in 0..4 {
            let (low, high) = (subs[2 * pair], subs[2 * pair + 1]);
            let (low_scale, low_min) = (d * f32::from(low.0), dmin * f32::from(low.1));
            let (high_scale, high_min) = (d * f32::from(high.0), dmin * f32::from(high.1));
            for i in 0..32 {
                let code = codes[pair * 32 + i];
                y[pair * 64 + i] = low_scale * f32::from(code & 15) - low_min;
                y[pair * 64 + 32 + i] = high_scale * f32::from(code >> 4) - high_min;
            }
        }
    }
}

/// Unpacks the eight 6-bit scales and minima of a Q4_K block: `(scale, min)` of each sub-block.
#[inline(always)]
pub(super) fn q4_k_scales(packed: &[u8; 12]) -> [(u8, u8); 8] {
    let mut subs = [(0, 0); 8];
    for b in 0..4 {
        subs[b] = (packed[b] & 63, packed[b + 4] & 63);
        subs[b + 4] = (
            packed[b + 8] & 15 | packed[b] >> 6 << 4,
            packed[b + 8] >> 4 | packed[b + 4] >> 6 << 4,
        );
    }
    subs
}

#[inline(always)]
pub(super) fn iq2_xxs(groups: &[u8], d: &[u8], out: &mut [f32]) {
    let blocks = groups.as_chunks::<64>().0.iter().zip(d.as_chunks::<2>().0);
    for ((groups, d), y) in blocks.zip(out.as_chunks_mut::<256>().0) {
        let d = half(*d);
        for (group, y) in groups.as_chunks::<8>().0.iter().zip(y.as_chunks_mut::<32>().0) {
            let &[c0, c1, c2, c3, s0, s1, s2, s3] = group;
            let word = u32::from_le_bytes([s0, s1, s2, s3]);
            let scale = d * (0.5 + (word >> 28) as f32) * 0.25;
            let vectors = [c0, c1, c2, c3].into_iter().zip([0, 7, 14, 21]);
            for ((index, shift), y) in vectors.zip(y.as_chunks_mut::<8>().0) {
                let grid = &GRID[usize::from(index)];
                let signs = &SIGNS[(word >> shift & 127) as usize];
                for j in 0..8 {
                    y[j] = scale * f32::from_bits(grid[j].to_bits() ^ signs[j]);
                }
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
        for i in 0..16 {
            y[i] = half_scale * (2.0 * E2M1[usize::from(codes[i] & 15)]);
            y[i + 16] = half_scale * (2.0 * E2M1[usize::from(codes[i] >> 4)]);
        }
    }
}
