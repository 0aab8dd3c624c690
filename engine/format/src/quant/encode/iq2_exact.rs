//! Recognises values that were decoded from an IQ2_XXS block.

use super::super::iq2_grid::{MAGNITUDES, PACKED_GRID};
use super::{exact_half, half_bytes, magnitude};

/// The block that decodes to exactly these values, if there is one and they are not all zero.
///
/// A decoded value is `d * (2c + 1) / 8 * magnitude`, 22 bits at most and so exact. The value of
/// largest magnitude leaves 3 * 16 possible `d`; for ordinary values none of them is an f16.
pub(super) fn exact(values: &[f32; 256]) -> Option<[u8; 66]> {
    let top = f64::from(magnitude(values));
    let pairs = MAGNITUDES.into_iter().rev().flat_map(|m| (0..16_u8).rev().map(move |c| (m, c)));
    pairs
        .filter_map(|(m, c)| exact_half(top * 8.0 / (f64::from(m) * f64::from(2 * c + 1))))
        .find_map(|d| with_scale(values, d))
}

fn with_scale(values: &[f32; 256], d: f32) -> Option<[u8; 66]> {
    let mut block = [0; 66];
    block[..2].copy_from_slice(&half_bytes(d));
    for (group, values) in block[2..].as_chunks_mut::<8>().0.iter_mut().zip(values.as_chunks().0) {
        *group = (0..16).rev().find_map(|c| group_with_scale(values, d, c))?;
    }
    Some(block)
}

/// Bytes of a group of 32: four codebook indices, then signs and scale code.
fn group_with_scale(values: &[f32; 32], d: f32, c: u8) -> Option<[u8; 8]> {
    let step = d * (0.5 + f32::from(c)) * 0.25;
    let steps = MAGNITUDES.map(|magnitude| step * f32::from(magnitude));
    let (mut bytes, mut word) = ([0; 8], u32::from(c) << 28);
    for (vector, values) in values.as_chunks::<8>().0.iter().enumerate() {
        let (mut packed, mut signs) = (0_u16, 0_u32);
        for (j, value) in values.iter().enumerate() {
            let code = steps.iter().position(|step| *step == value.abs())?;
            packed |= (code as u16) << (2 * j);
            signs |= u32::from(*value < 0.0) << j;
        }
        if signs.count_ones() % 2 == 1 {
            return None;
        }
        bytes[vector] = PACKED_GRID.binary_search(&packed).ok()? as u8;
        word |= (signs & 127) << (7 * vector);
    }
    bytes[4..].copy_from_slice(&word.to_le_bytes());
    Some(bytes)
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn the_codebook_is_sorted() {
        assert!(PACKED_GRID.is_sorted());
    }
}
