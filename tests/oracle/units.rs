//! The oracle's single operations, bit for bit where they are integers or roundings.

use ds4_format::quant::{Quant, decode_file_rows};
use ds4_format::rounding;
use ds4_model::kv::{RowFormat, RowKind, RowLayout};
use ds4_model::op::RopeTable;
use ds4_model::rope::Rope;
use ds4_model::shape::Shape;

use crate::support::case::unit_vectors;

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn oracle_unit_blocks() {
    let vectors = unit_vectors();
    for quant in [Quant::Q8_0, Quant::Q2_K, Quant::Q4_K, Quant::IQ2_XXS] {
        let blocks: Vec<u8> =
            vectors.i32(&format!("{quant}.blocks")).iter().map(|&byte| byte as u8).collect();
        let (dims, expected) = vectors.f32(&format!("{quant}.values"));
        let mut found = vec![0.0; expected.len()];
        decode_file_rows(quant, dims[1], &blocks, &mut found).expect("whole rows");
        assert_eq!(bits(&found), bits(expected), "{quant}");
    }
}

#[test]
fn oracle_unit_rows() {
    let vectors = unit_vectors();
    let layout = |kind| RowLayout::new(RowFormat::Packed, kind);
    let rounded = |name: &str, width: usize, round: &dyn Fn(&mut [f32])| {
        let (_, input) = vectors.f32(&format!("{name}.in"));
        let (_, expected) = vectors.f32(&format!("{name}.out"));
        let mut found = input.to_vec();
        found.chunks_exact_mut(width).for_each(round);
        assert_eq!(bits(&found), bits(expected), "{name}");
    };
    let codes = layout(RowKind::Attention { dim: 64, rope_dim: 0 });
    rounded("fp8", 64, &|row| codes.round(row));
    let row = layout(RowKind::Attention { dim: 512, rope_dim: 64 });
    rounded("kv_row", 512, &|values| row.round(values));
    let block = layout(RowKind::Index { dim: 32 });
    rounded("fp4", 32, &|values| block.round(values));
    let key = layout(RowKind::Index { dim: 128 });
    rounded("index_row", 128, &|values| {
        rounding::hadamard(values);
        key.round(values);
    });
}

/// RoPE outputs are for exact angles; an f32 angle is itself uncertain by position * 2^-24.
#[test]
fn oracle_unit_rope() {
    let vectors = unit_vectors();
    let rope = Rope::new(&Shape::flash());
    for (table, name) in [(RopeTable::Plain, "plain"), (RopeTable::Yarn, "yarn")] {
        let (_, frequencies) = vectors.f32(&format!("rope.inv_freq_{name}"));
        for (found, expected) in rope.frequencies(table).iter().zip(frequencies) {
            assert!((found / expected - 1.0).abs() < 3e-7, "{name}: {found} not {expected}");
        }
        let (_, inputs) = vectors.f32("rope.in");
        let (_, outputs) = vectors.f32(&format!("rope.out_{name}"));
        let rows = inputs.chunks_exact(64).zip(outputs.chunks_exact(64));
        for (&position, (input, output)) in vectors.i32("rope.positions").iter().zip(rows) {
            let mut angles = [[0.0; 2]; 32];
            rope.angles(table, position as usize, &mut angles);
            let pairs = input.as_chunks::<2>().0.iter().zip(output.as_chunks::<2>().0);
            for ((input, output), [cos, sin]) in pairs.zip(angles) {
                let found = [input[0] * cos - input[1] * sin, input[0] * sin + input[1] * cos];
                let bound = (1e-6 + position as f32 * 1e-7) * (input[0].abs() + input[1].abs());
                for (found, expected) in found.iter().zip(output) {
                    let error = (found - expected).abs();
                    assert!(error <= bound, "{name} at {position}: {found} not {expected}");
                }
            }
        }
    }
}
