//! The oracle's input and output pairs for decoders and roundings, compared bit for bit.

use std::collections::HashMap;
use std::path::PathBuf;

use ds4_format::quant::{Quant, decode_file_rows};
use ds4_format::rounding::{
    f16_to_f32, f32_to_f16, fp4_block_decode, fp4_block_encode, fp8_block_decode, fp8_block_encode,
    hadamard,
};
use safetensors::{Dtype, SafeTensors};

/// Tensors of the vector file: its raw bytes by name, floats decoded.
struct Vectors {
    floats: HashMap<String, Vec<f32>>,
    bytes: HashMap<String, Vec<u8>>,
}

impl Vectors {
    fn load() -> Self {
        let crate_root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let cases = std::env::var_os("DS4_ORACLE").map(PathBuf::from);
        let cases = cases.unwrap_or_else(|| crate_root.join("../../../shared/oracle/cases"));
        let name = "unit_vectors.safetensors";
        let places = [cases.join(name), crate_root.join("../../tests/data").join(name)];
        let path = places.iter().find(|path| path.exists());
        let path = path.unwrap_or_else(|| panic!("none of {places:?} exists"));
        let file = std::fs::read(path).unwrap();
        let tensors = SafeTensors::deserialize(&file).unwrap();
        let mut vectors = Self { floats: HashMap::new(), bytes: HashMap::new() };
        for (name, view) in tensors.tensors() {
            if view.dtype() == Dtype::F32 {
                let values = view.data().as_chunks().0.iter().map(|x| f32::from_le_bytes(*x));
                vectors.floats.insert(name, values.collect());
            } else {
                vectors.bytes.insert(name, view.data().to_vec());
            }
        }
        vectors
    }

    fn pair(&self, name: &str) -> (&[f32], &[f32]) {
        (&self.floats[&format!("{name}.in")], &self.floats[&format!("{name}.out")])
    }
}

fn assert_bits(what: &str, ours: &[f32], expected: &[f32]) {
    assert_eq!(ours.len(), expected.len(), "{what}: length");
    assert!(!ours.is_empty(), "{what}: empty");
    for (index, (a, b)) in ours.iter().zip(expected).enumerate() {
        assert_eq!(a.to_bits(), b.to_bits(), "{what}[{index}]: {a:e}, expected {b:e}");
    }
}

fn fp8(values: &[f32]) -> Vec<f32> {
    let (blocks, []) = values.as_chunks() else { panic!("whole FP8 blocks") };
    let round_trip = |block| {
        let (codes, scale) = fp8_block_encode(block);
        fp8_block_decode(&codes, scale)
    };
    blocks.iter().flat_map(round_trip).collect()
}

fn fp4(values: &[f32]) -> Vec<f32> {
    let (blocks, []) = values.as_chunks() else { panic!("whole FP4 blocks") };
    let round_trip = |block| {
        let (nibbles, scale) = fp4_block_encode(block);
        fp4_block_decode(&nibbles, scale)
    };
    blocks.iter().flat_map(round_trip).collect()
}

#[test]
fn blocks_decode_bit_exactly() {
    let vectors = Vectors::load();
    for quant in [Quant::Q8_0, Quant::Q2_K, Quant::Q4_K, Quant::IQ2_XXS] {
        let expected = &vectors.floats[&format!("{quant}.values")];
        let blocks = &vectors.bytes[&format!("{quant}.blocks")];
        // Once with a block a row, once as rows of eight blocks.
        for width in [quant.block_len(), 8 * quant.block_len()] {
            let mut values = vec![f32::NAN; expected.len()];
            decode_file_rows(quant, width, blocks, &mut values).unwrap();
            assert_bits(quant.name(), &values, expected);
        }
    }
}

#[test]
fn fp8_and_fp4_round_trips_are_bit_exact() {
    let vectors = Vectors::load();
    let (input, output) = vectors.pair("fp8");
    assert_bits("fp8", &fp8(input), output);
    let (input, output) = vectors.pair("fp4");
    assert_bits("fp4", &fp4(input), output);
}

#[test]
fn packed_cache_rows_are_bit_exact() {
    let vectors = Vectors::load();
    let (input, output) = vectors.pair("kv_row");
    for (row, expected) in input.chunks_exact(512).zip(output.chunks_exact(512)) {
        let mut ours = fp8(&row[..448]);
        ours.extend(row[448..].iter().map(|&x| f16_to_f32(f32_to_f16(x))));
        assert_bits("kv_row", &ours, expected);
    }
}

#[test]
fn index_rows_are_bit_exact() {
    let vectors = Vectors::load();
    let (input, output) = vectors.pair("index_row");
    for (row, expected) in input.chunks_exact(128).zip(output.chunks_exact(128)) {
        let mut row = row.to_vec();
        hadamard(&mut row);
        assert_bits("index_row", &fp4(&row), expected);
    }
}

#[test]
fn hadamard_agrees_to_single_precision() {
    let vectors = Vectors::load();
    let (input, output) = vectors.pair("hadamard");
    for (row, expected) in input.chunks_exact(128).zip(output.chunks_exact(128)) {
        let mut row = row.to_vec();
        hadamard(&mut row);
        let size = expected.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
        for (ours, expected) in row.iter().zip(expected) {
            assert!((ours - expected).abs() <= 1e-6 * size, "{ours:e}, expected {expected:e}");
        }
    }
}
