//! Every rounding against a slow f64 definition that searches the list of representable values.

use super::*;

/// Representable magnitudes of a small float format, by code.
fn magnitudes(mantissa_bits: u32, exponent_min: i32, codes: u32) -> Vec<f64> {
    let value = |code: u32| {
        let field = (code >> mantissa_bits) as i32;
        let fraction = f64::from(code & ((1 << mantissa_bits) - 1)) / f64::from(1 << mantissa_bits);
        match field {
            0 => fraction * 2_f64.powi(exponent_min),
            _ => (1.0 + fraction) * 2_f64.powi(exponent_min + field - 1),
        }
    };
    (0..codes).map(value).collect()
}

/// The code of the representable magnitude nearest to `x`, ties to the even code.
fn nearest_code(magnitudes: &[f64], x: f64) -> u32 {
    let above = magnitudes.partition_point(|&magnitude| magnitude < x).min(magnitudes.len() - 1);
    let below = above.saturating_sub(1);
    let (down, up) = ((x - magnitudes[below]).abs(), (magnitudes[above] - x).abs());
    let take_below = down < up || (down == up && below.is_multiple_of(2));
    (if take_below { below } else { above }) as u32
}

/// Smallest k with top * 2^k >= amax.
fn scale_exponent(amax: f64, top: f64) -> i32 {
    (-1100..1100).find(|&k| top * 2_f64.powi(k) >= amax).unwrap()
}

/// Every representable value, every midpoint, and the f32 neighbours of both.
fn ties_and_neighbours(magnitudes: &[f64]) -> Vec<f32> {
    let mut values = Vec::new();
    for pair in magnitudes.windows(2) {
        for exact in [pair[0], (pair[0] + pair[1]) / 2.0, pair[1]] {
            let bits = (exact as f32).to_bits();
            for near in [bits.saturating_sub(1), bits, bits + 1] {
                values.extend([f32::from_bits(near), -f32::from_bits(near)]);
            }
        }
    }
    values
}

fn random(seed: &mut u64) -> u64 {
    // splitmix64 (Steele, Lea, Flood 2014).
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *seed;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn check_fp8(block: &[f32; 64]) {
    let amax = block.iter().fold(f64::from(1e-4_f32), |most, x| most.max(f64::from(*x).abs()));
    let k = scale_exponent(amax, 448.0);
    let table = magnitudes(3, -6, 127);
    let (codes, scale) = fp8_block_encode(block);
    assert_eq!(i32::from(scale) - 127, k, "scale of a block with maximum {amax:e}");
    assert!(FP8_SCALE_CODES.contains(&scale));
    for (x, code) in block.iter().zip(codes) {
        let expected = nearest_code(&table, f64::from(x.abs()) * 2_f64.powi(-k));
        assert_eq!(u32::from(code & 0x7f), expected, "magnitude code of {x:e} at scale 2^{k}");
        assert_eq!(code >> 7 == 1, x.is_sign_negative(), "sign of {x:e}");
    }
    for (code, y) in codes.iter().zip(fp8_block_decode(&codes, scale)) {
        let sign = if code >> 7 == 1 { -1.0 } else { 1.0 };
        let exact = sign * table[usize::from(code & 0x7f)] * 2_f64.powi(k);
        assert_eq!(f64::from(y), exact, "value of code {code}");
    }
}

fn check_fp4(block: &[f32; 32]) {
    let amax = block.iter().fold(6.0 * 2_f64.powi(-126), |most, x| most.max(f64::from(*x).abs()));
    let k = scale_exponent(amax, 6.0);
    let table = magnitudes(1, 0, 8);
    let (nibbles, scale) = fp4_block_encode(block);
    assert_eq!(i32::from(scale) - 127, k, "scale of a block with maximum {amax:e}");
    assert!(FP4_SCALE_CODES.contains(&scale));
    let values = fp4_block_decode(&nibbles, scale);
    for (i, (x, y)) in block.iter().zip(values).enumerate() {
        let code = nibbles[i / 2] >> (4 * (i % 2)) & 15;
        let expected = nearest_code(&table, f64::from(x.abs()) * 2_f64.powi(-k));
        assert_eq!(u32::from(code & 7), expected, "magnitude code of {x:e} at scale 2^{k}");
        assert_eq!(code >> 3 == 1, x.is_sign_negative(), "sign of {x:e}");
        assert_eq!(f64::from(y.abs()), table[expected as usize] * 2_f64.powi(k));
    }
}

#[test]
fn all_e4m3_codes_decode_to_their_definition() {
    for (code, magnitude) in magnitudes(3, -6, 128).into_iter().enumerate() {
        assert_eq!(f64::from(e4m3_to_f32(code as u8)), magnitude);
        assert_eq!(f64::from(e4m3_to_f32(code as u8 | 0x80)), -magnitude);
    }
    assert_eq!(e4m3_to_f32(0x7e), 448.0);
    assert!(e4m3_to_f32(0x80).is_sign_negative());
}

#[test]
fn all_e2m1_codes_decode_to_their_definition() {
    for (code, magnitude) in magnitudes(1, 0, 8).into_iter().enumerate() {
        assert_eq!((f64::from(E2M1[code]), f64::from(E2M1[code + 8])), (magnitude, -magnitude));
    }
}

#[test]
fn all_scale_codes_decode_to_their_definition() {
    for code in 0..255_u8 {
        assert_eq!(f64::from(ue8m0_to_f32(code)), 2_f64.powi(i32::from(code) - 127));
    }
    assert_eq!(ue8m0_to_f32(255), ue8m0_to_f32(254));
}

#[test]
fn fp8_rounds_every_tie_and_its_neighbours() {
    // 448 as an element of each block keeps the scale at 1, so that every tie is met exactly.
    for values in ties_and_neighbours(&magnitudes(3, -6, 127)).chunks(63) {
        let mut block = [448.0; 64];
        block[..values.len()].copy_from_slice(values);
        block.iter_mut().for_each(|x| *x = x.clamp(-448.0, 448.0));
        check_fp8(&block);
    }
}

#[test]
fn fp4_rounds_every_tie_and_its_neighbours() {
    for values in ties_and_neighbours(&magnitudes(1, 0, 8)).chunks(31) {
        let mut block = [6.0; 32];
        block[..values.len()].copy_from_slice(values);
        block.iter_mut().for_each(|x| *x = x.clamp(-6.0, 6.0));
        check_fp4(&block);
    }
}

#[test]
fn every_exponent_gets_the_right_scale() {
    // Around 448 * 2^k and 6 * 2^k, where the scale changes, for every f32 exponent below the
    // clamp.
    for field in 0..254_u32 {
        for mantissa in
            [0, 1, 0x3f_ffff, 0x40_0000, 0x40_0001, 0x5f_ffff, 0x60_0000, 0x60_0001, 0x7f_ffff]
        {
            let x = f32::from_bits(field << 23 | mantissa);
            check_fp8(&std::array::from_fn(|i| if i == 17 { -x } else { x / 3.0 }));
            check_fp4(&std::array::from_fn(|i| if i == 17 { -x } else { x / 3.0 }));
        }
    }
}

#[test]
fn random_blocks_match_the_definition() {
    let start = 0x5eed_0001_u64;
    let mut seed = start;
    for round in 0..20_000 {
        // Uniform bits have uniform exponents; a window of exponents gives blocks with many live
        // codes.
        let lowest = random(&mut seed) % 240;
        let mut value = || {
            let bits = random(&mut seed);
            let field = (lowest + (bits >> 32) % 13) as u32;
            f32::from_bits((bits as u32) & 0x807f_ffff | field << 23)
        };
        let block: [f32; 64] = std::array::from_fn(|_| value());
        let outcome = std::panic::catch_unwind(|| {
            check_fp8(&block);
            check_fp4(block.first_chunk().unwrap());
        });
        assert!(outcome.is_ok(), "seed {start:#x}, round {round}: {block:?}");
    }
}

#[test]
fn non_finite_and_huge_inputs_stay_finite() {
    for bad in [f32::INFINITY, f32::NEG_INFINITY, f32::NAN, -f32::NAN, f32::MAX, f32::MIN] {
        let mut block = [1.0; 64];
        block[3] = bad;
        let (codes, scale) = fp8_block_encode(&block);
        assert!(FP8_SCALE_CODES.contains(&scale));
        let values = fp8_block_decode(&codes, scale);
        assert_eq!(values[3], (1.75 * 2_f32.powi(127)).copysign(bad));
        assert_eq!(values[0], 0.0);
        let (nibbles, scale) = fp4_block_encode(block.first_chunk().unwrap());
        assert!(FP4_SCALE_CODES.contains(&scale));
        let values = fp4_block_decode(&nibbles, scale);
        assert_eq!(values[3], (1.5 * 2_f32.powi(127)).copysign(bad));
        assert_eq!(f16_to_f32(f32_to_f16(bad)), 65_504_f32.copysign(bad));
        assert_eq!(f32_to_bf16(bad) & 0x7fff, 0x7f7f);
        assert_eq!(f32_to_bf16(bad) >> 15 == 1, bad.is_sign_negative());
    }
}

#[test]
fn f16_and_bf16_decode_all_codes() {
    for bits in 0..=u16::MAX {
        let (ours, theirs) = (f16_to_f32(bits), half::f16::from_bits(bits).to_f32_const());
        assert!(
            ours.to_bits() == theirs.to_bits() || ours.is_nan() && theirs.is_nan(),
            "f16 {bits:#x}"
        );
        let (ours, theirs) = (bf16_to_f32(bits), half::bf16::from_bits(bits).to_f32_const());
        assert!(
            ours.to_bits() == theirs.to_bits() || ours.is_nan() && theirs.is_nan(),
            "bf16 {bits:#x}"
        );
    }
}

#[test]
fn f16_and_bf16_round_every_value_tie_and_neighbour() {
    let f16_table = magnitudes(10, -14, 0x7c00);
    for x in ties_and_neighbours(&f16_table).into_iter().chain([65_519.0, 65_520.0, 1e6]) {
        assert_eq!(
            u32::from(f32_to_f16(x) & 0x7fff),
            nearest_code(&f16_table, f64::from(x.abs())),
            "{x:e}"
        );
        assert_eq!(f32_to_f16(x) >> 15 == 1, x.is_sign_negative());
    }
    // Values of bf16 are the upper halves of f32s; a midpoint is half a step above.
    for high in 0..0x7f7f_u32 {
        for low in [0, 1, 0x7fff, 0x8000, 0x8001, 0xffff] {
            let x = f32::from_bits(high << 16 | low);
            assert_eq!(f32_to_bf16(x), half::bf16::from_f32_const(x).to_bits(), "{x:e}");
            assert_eq!(f32_to_bf16(-x), half::bf16::from_f32_const(-x).to_bits(), "-{x:e}");
        }
    }
}

#[test]
fn hadamard_has_sylvester_signs_and_is_its_own_inverse() {
    for length in [1_usize, 2, 8, 128, 512] {
        for column in [0, 1, length / 2, length - 1] {
            let mut row = vec![0.0; length];
            row[column % length] = 3.0;
            let unit = row.clone();
            hadamard(&mut row);
            for (i, value) in row.iter().enumerate() {
                let sign =
                    if (i & (column % length)).count_ones().is_multiple_of(2) { 1.0 } else { -1.0 };
                assert!((value - sign * 3.0 / (length as f32).sqrt()).abs() < 1e-6);
            }
            hadamard(&mut row);
            assert!(row.iter().zip(&unit).all(|(a, b)| (a - b).abs() < 1e-5));
        }
    }
}
