//! Encoders: values to blocks, searching for the codes of least weighted squared error.
//!
//! Every encoder first asks whether the values already lie on a grid of its format (they were
//! decoded from blocks, or trained that way) and then returns that grid's codes. Else it searches
//! scales and codes; how is told in each file. All of it is arithmetic on one block at a time in a
//! fixed order, so the result depends on the values and weights alone.

mod affine;
mod affine_exact;
mod iq2_exact;
mod iq2_xxs;
mod small;
#[cfg(test)]
mod tests;

use super::Quant;
use crate::rounding::{f16_to_f32, f32_to_bf16, f32_to_f16};

/// Why values cannot be encoded.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum EncodeError {
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
    /// Importances must be finite and not negative.
    #[error("importance {index} is {value}; it must be finite and not negative")]
    Importance {
        /// Column.
        index: usize,
        /// Its importance.
        value: f32,
    },
    /// Rows of another length than the encoder was made for.
    #[error("{count} values are not rows of {width}")]
    Width {
        /// Values given.
        count: usize,
        /// Columns of the matrix.
        width: usize,
    },
}

/// Smallest weight of a column, in units of the mean weight: a column that no calibration text
/// used still has some say, and no sum of weights is zero.
const WEIGHT_MIN: f32 = 1e-3;

/// Encodes rows of one matrix to GGUF blocks.
///
/// The error that is minimised is the sum of `weight[column] * (value - decoded)^2`. With the mean
/// squares of a product's inputs as weights this is the expected squared error of its outputs, if
/// inputs are uncorrelated. Without importances all columns weigh the same.
pub struct Encoder {
    quant: Quant,
    width: usize,
    /// One for each column.
    weights: Vec<f32>,
    /// For IQ2_XXS.
    energy: Option<iq2_xxs::Energy>,
}

impl Encoder {
    /// An encoder for rows of `width` values, all columns alike.
    ///
    /// # Errors
    /// If a row is not whole blocks.
    pub fn new(quant: Quant, width: usize) -> Result<Self, EncodeError> {
        let energy = (quant == Quant::IQ2_XXS).then(iq2_xxs::Energy::uniform);
        Self::build(quant, vec![1.0; width], energy)
    }

    /// An encoder for rows of `importance.len()` values. Only the ratios of importances count.
    ///
    /// # Errors
    /// If a row is not whole blocks, or an importance is negative or not finite.
    pub fn with_importance(quant: Quant, importance: &[f32]) -> Result<Self, EncodeError> {
        let wrong = |value: &f32| !(value.is_finite() && *value >= 0.0);
        if let Some(index) = importance.iter().position(wrong) {
            return Err(EncodeError::Importance { index, value: importance[index] });
        }
        let sum: f64 = importance.iter().map(|&value| f64::from(value)).sum();
        let mean = sum / importance.len().max(1) as f64;
        let weight = |value: &f32| match mean {
            0.0 => 1.0,
            mean => ((f64::from(*value) / mean) as f32).max(WEIGHT_MIN),
        };
        let weights: Vec<f32> = importance.iter().map(weight).collect();
        let energy = (quant == Quant::IQ2_XXS).then(|| iq2_xxs::Energy::weighted(&weights));
        Self::build(quant, weights, energy)
    }

    fn build(
        quant: Quant,
        weights: Vec<f32>,
        energy: Option<iq2_xxs::Energy>,
    ) -> Result<Self, EncodeError> {
        let width = weights.len();
        if !width.is_multiple_of(quant.block_len()) {
            return Err(EncodeError::PartialBlock { quant, count: width });
        }
        Ok(Self { quant, width, weights, energy })
    }

    /// Appends the blocks of some rows to `out`.
    ///
    /// # Errors
    /// If the values are not whole rows, or one of them has no code in the format (not finite; for
    /// I32, not an integer of 32 bits). Then nothing is appended.
    pub fn encode(&self, rows: &[f32], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let (quant, width) = (self.quant, self.width);
        if width == 0 || !rows.len().is_multiple_of(width) {
            return Err(EncodeError::Width { count: rows.len(), width });
        }
        if let Some(index) = rows.iter().position(|&value| !storable(quant, value)) {
            return Err(EncodeError::Value { quant, index });
        }
        out.reserve(rows.len() / quant.block_len() * quant.block_bytes());
        for row in rows.chunks_exact(width) {
            self.row(row, out);
        }
        Ok(())
    }

    fn row(&self, row: &[f32], out: &mut Vec<u8>) {
        let each = row.iter();
        match self.quant {
            Quant::F32 => out.extend(each.flat_map(|value| value.to_le_bytes())),
            Quant::F16 => out.extend(each.flat_map(|value| f32_to_f16(*value).to_le_bytes())),
            Quant::BF16 => out.extend(each.flat_map(|value| f32_to_bf16(*value).to_le_bytes())),
            Quant::I32 => out.extend(each.flat_map(|value| (*value as i32).to_le_bytes())),
            Quant::Q8_0 => self.blocks(row, out, small::q8_0),
            Quant::Q4_0 => self.blocks(row, out, small::q4_0),
            Quant::MXFP4 => self.blocks(row, out, small::mxfp4),
            Quant::Q2_K => self.blocks(row, out, affine::q2_k),
            Quant::Q4_K => self.blocks(row, out, affine::q4_k),
            Quant::IQ2_XXS => {
                let weights = self.weights.as_chunks().0.iter();
                let blocks = row.as_chunks().0.iter().zip(weights).enumerate();
                for (index, (values, weights)) in blocks {
                    if let Some(energy) = &self.energy {
                        out.extend(iq2_xxs::encode(values, weights, &energy.of_block(index)));
                    }
                }
            }
        }
    }

    fn blocks<const LENGTH: usize, const BYTES: usize>(
        &self,
        row: &[f32],
        out: &mut Vec<u8>,
        encode: impl Fn(&[f32; LENGTH], &[f32; LENGTH]) -> [u8; BYTES],
    ) {
        let blocks = row.as_chunks().0.iter().zip(self.weights.as_chunks().0);
        out.extend(blocks.flat_map(|(values, weights)| encode(values, weights)));
    }
}

/// Encodes values to GGUF blocks, all columns alike. Rows need no separation: every row is whole
/// blocks.
///
/// # Errors
/// A number of values that is not whole blocks, or a value that the format has no code for.
pub fn encode(quant: Quant, values: &[f32]) -> Result<Vec<u8>, EncodeError> {
    let mut out = Vec::new();
    if !values.is_empty() {
        Encoder::new(quant, values.len())?.encode(values, &mut out)?;
    }
    Ok(out)
}

fn storable(quant: Quant, value: f32) -> bool {
    match quant {
        Quant::I32 => value.fract() == 0.0 && (-2_147_483_648.0..2_147_483_648.0).contains(&value),
        _ => value.is_finite(),
    }
}

/// The nearest f16 as an f32: a scale as it will be stored.
fn half(scale: f32) -> f32 {
    f16_to_f32(f32_to_f16(scale))
}

/// Bytes of a scale that is an f16 already.
fn half_bytes(scale: f32) -> [u8; 2] {
    f32_to_f16(scale).to_le_bytes()
}

/// The scale as an f32 if it is exactly an f16 other than zero.
fn exact_half(scale: f64) -> Option<f32> {
    let rounded = half(scale as f32);
    (rounded != 0.0 && f64::from(rounded) == scale).then_some(rounded)
}

/// The nearest integer of `low..=high`, ties to even: adding 1.5 * 2^23 leaves no fraction bits.
/// `round_ties_even` is a library call on processors without SSE4.1.
#[inline(always)]
fn nearest(value: f32, low: f32, high: f32) -> f32 {
    const NO_FRACTION: f32 = 12_582_912.0;
    // Comparisons, not `max` and `min`: those treat NaN specially, which costs instructions.
    let value = if value > low { value } else { low };
    let value = if value < high { value } else { high };
    (value + NO_FRACTION) - NO_FRACTION
}

/// The largest magnitude.
fn magnitude(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |most, value| most.max(value.abs()))
}

/// `sum over i of term(i)` for whole runs of 8: eight running sums, then pairs. The fixed order
/// lets the compiler use vectors.
#[inline(always)]
fn sum<const LENGTH: usize>(term: impl Fn(usize) -> f32) -> f32 {
    let mut lanes = [0.0; 8];
    for run in 0..LENGTH / 8 {
        for (lane, total) in lanes.iter_mut().enumerate() {
            *total += term(8 * run + lane);
        }
    }
    let [a, b, c, d, e, f, g, h] = lanes;
    ((a + b) + (c + d)) + ((e + f) + (g + h))
}
