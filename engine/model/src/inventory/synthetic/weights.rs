//! Random weights in any format: for measuring speed, which depends on their values only through
//! routing and selection.
//!
//! Matrices have rows of unit length (standard deviation 1 / sqrt(width)), so that activations keep
//! their size through the layers and every expert is chosen about as often.

use ds4_format::quant::Quant;
use ds4_format::rounding::f32_to_f16;

use super::super::{Role, WeightKind, WeightSpec};

/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A generator; equal seeds give equal weights.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in \[-1, 1).
    fn signed(&mut self) -> f32 {
        (self.word() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    fn bytes(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            chunk.copy_from_slice(&self.word().to_le_bytes()[..chunk.len()]);
        }
    }
}

/// `rows` rows of a weight in the blocks of `quant`, of a model of `experts` experts.
pub fn random_rows(
    spec: &WeightSpec,
    quant: Quant,
    rows: usize,
    experts: usize,
    random: &mut Random,
) -> Vec<u8> {
    let (_, _, width) = spec.kind.sizes();
    match (spec.kind, spec.id.role) {
        (WeightKind::Table { .. }, _) => {
            (0..rows).flat_map(|_| expert_ids(width, experts, random)).collect()
        }
        (WeightKind::Vector { .. }, role) => {
            let value = |random: &mut Random| match role {
                role if is_norm(role) => 1.0 + 0.1 * random.signed(),
                Role::AttentionHyperScale | Role::FfnHyperScale | Role::OutputHyperScale => 1.0,
                _ => 0.5 * random.signed(),
            };
            (0..rows * width).flat_map(|_| value(random).to_le_bytes()).collect()
        }
        (_, Role::TokenEmbedding) => blocks(quant, rows * width, 1.0, random),
        _ => blocks(quant, rows * width, 1.0 / (width as f32).sqrt(), random),
    }
}

fn is_norm(role: Role) -> bool {
    matches!(
        role,
        Role::OutputNorm
            | Role::AttentionNorm
            | Role::FfnNorm
            | Role::QueryANorm
            | Role::KeyValueNorm
            | Role::CompressorNorm
            | Role::IndexCompressorNorm
    )
}

/// Distinct ids: a random start and a random stride, odd and so coprime to the usual powers of two.
fn expert_ids(used: usize, experts: usize, random: &mut Random) -> Vec<u8> {
    let start = random.word() as usize % experts;
    let id = |i: usize| ((start + i) % experts) as i32;
    (0..used).flat_map(|i| id(i).to_le_bytes()).collect()
}

/// Random codes under scales that give values of this standard deviation.
fn blocks(quant: Quant, elements: usize, deviation: f32, random: &mut Random) -> Vec<u8> {
    let plain = |random: &mut Random| 3f32.sqrt() * deviation * random.signed();
    match quant {
        Quant::F32 => (0..elements).flat_map(|_| plain(random).to_le_bytes()).collect(),
        Quant::BF16 => {
            let bits = |random: &mut Random| (plain(random).to_bits() >> 16) as u16;
            (0..elements).flat_map(|_| bits(random).to_le_bytes()).collect()
        }
        Quant::F16 => (0..elements).flat_map(|_| f32_to_f16(plain(random)).to_le_bytes()).collect(),
        // Never asked for: tables have ids of their own.
        Quant::I32 => vec![0; elements * 4],
        quant => {
            let mut bytes = vec![0; elements / quant.block_len() * quant.block_bytes()];
            random.bytes(&mut bytes);
            for block in bytes.chunks_exact_mut(quant.block_bytes()) {
                scale(quant, deviation, block);
            }
            bytes
        }
    }
}

/// Sets the scales of one block. The divisors are the standard deviations of values with random
/// codes under scales of 1, from the formulas of spec/model.md 8; minimums are set so that the mean
/// is zero.
fn scale(quant: Quant, deviation: f32, block: &mut [u8]) {
    let mut f16 = |at: usize, value: f32| {
        block[at..at + 2].copy_from_slice(&f32_to_f16(value).to_le_bytes());
    };
    match quant {
        Quant::Q8_0 => f16(0, deviation / 73.9),
        Quant::Q4_0 => f16(0, deviation / 4.6),
        Quant::IQ2_XXS => f16(0, deviation / 62.0),
        Quant::Q2_K => {
            f16(80, deviation / 13.9);
            f16(82, 1.5 * deviation / 13.9);
        }
        Quant::Q4_K => {
            f16(0, deviation / 255.0);
            f16(2, 7.5 * deviation / 255.0);
        }
        Quant::MXFP4 => block[0] = (127.0 + (deviation / 2.9).log2()).round() as u8,
        Quant::F32 | Quant::F16 | Quant::BF16 | Quant::I32 => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::WeightId;
    use ds4_format::quant::decode_file_rows;

    #[test]
    fn matrices_have_rows_of_unit_length() {
        for quant in Quant::ALL.into_iter().filter(|quant| *quant != Quant::I32) {
            let spec = WeightSpec {
                id: WeightId::of_layer(0, Role::ExpertGate),
                name: String::new(),
                kind: WeightKind::Matrix { rows: 64, width: 1024 },
                allowed: &[],
                optional: false,
                touched: crate::inventory::Touched::All,
            };
            let bytes = random_rows(&spec, quant, 64, 8, &mut Random::new(1));
            let mut values = vec![0.0; 64 * 1024];
            decode_file_rows(quant, 1024, &bytes, &mut values).expect("whole rows");
            let squares = values.iter().map(|value| f64::from(value * value));
            let length = (squares.sum::<f64>() / 64.0).sqrt();
            assert!((0.7..1.4).contains(&length), "{quant}: {length}");
            let mean = values.iter().map(|&value| f64::from(value)).sum::<f64>() / 65536.0;
            // Codes without a middle (Q4_0, Q8_0) are off by half a step.
            assert!(mean.abs() < 0.004, "{quant}: mean {mean}");
        }
    }
}
