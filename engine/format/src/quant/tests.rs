use super::encode::{EncodeError, encode};
use super::*;
use crate::rounding::f16_to_f32;

/// Bytes from splitmix64 (Steele, Lea, Flood 2014).
fn random_bytes(mut seed: u64, count: usize) -> Vec<u8> {
    let next = || {
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 24) as u8
    };
    std::iter::repeat_with(next).take(count).collect()
}

/// Element `e` of a file block by the formulas of spec/model.md 8, one at a time and in f64.
fn element(quant: Quant, block: &[u8], e: usize) -> f64 {
    let f16 = |at: usize| f64::from(f16_to_f32(u16::from_le_bytes([block[at], block[at + 1]])));
    let nibble =
        |at: usize, high: bool| f64::from(if high { block[at] >> 4 } else { block[at] & 15 });
    match quant {
        Quant::F32 => f64::from(f32::from_le_bytes(block.try_into().unwrap())),
        Quant::F16 => f16(0),
        Quant::BF16 => f64::from(f32::from_le_bytes([0, 0, block[0], block[1]])),
        Quant::I32 => f64::from(i32::from_le_bytes(block.try_into().unwrap()) as f32),
        Quant::Q8_0 => f16(0) * f64::from(block[2 + e] as i8),
        Quant::Q4_0 => f16(0) * (nibble(2 + e % 16, e >= 16) - 8.0),
        Quant::Q2_K => {
            let (half, j, l) = (e / 128, e % 128 / 32, e % 32);
            let q = block[16 + 32 * half + l] >> (2 * j) & 3;
            let s = block[8 * half + 2 * j + l / 16];
            f16(80) * f64::from(s & 15) * f64::from(q) - f16(82) * f64::from(s >> 4)
        }
        Quant::Q4_K => {
            let (b, l) = (e / 32, e % 32);
            let n = nibble(16 + 32 * (b / 2) + l, b % 2 == 1);
            let s = &block[4..16];
            let (sc, mn) = if b < 4 {
                (s[b] & 63, s[b + 4] & 63)
            } else {
                let low = s[b + 4];
                ((low & 15) | ((s[b - 4] >> 6) << 4), (low >> 4) | ((s[b] >> 6) << 4))
            };
            f16(0) * f64::from(sc) * n - f16(2) * f64::from(mn)
        }
        Quant::IQ2_XXS => {
            let (g, l, j) = (e / 32, e % 32 / 8, e % 8);
            let group = &block[2 + 8 * g..][..8];
            let x = u32::from_le_bytes(group[4..].try_into().unwrap());
            let t = x >> (7 * l) & 127;
            let sign = t | (t.count_ones() & 1) << 7;
            let code = iq2_grid::PACKED_GRID[usize::from(group[l])] >> (2 * j) & 3;
            let magnitude = f64::from([8, 25, 43][usize::from(code)]);
            let sign = if sign >> j & 1 == 1 { -1.0 } else { 1.0 };
            f16(0) * (0.5 + f64::from(x >> 28)) * 0.25 * magnitude * sign
        }
        Quant::MXFP4 => {
            let n = nibble(1 + e % 16, e >= 16) as usize;
            let magnitude = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0][n & 7];
            let scale = 2_f64.powi(i32::from(block[0]) - 127);
            scale * if n & 8 == 0 { magnitude } else { -magnitude }
        }
    }
}

/// Random file rows whose f16 scales are finite.
fn random_rows(quant: Quant, rows: usize, width: usize, seed: u64) -> Vec<u8> {
    let mut bytes = random_bytes(seed, quant.row_bytes(width).unwrap() as usize * rows);
    let f16_fields: &[usize] = match quant {
        Quant::F16 | Quant::BF16 | Quant::Q8_0 | Quant::Q4_0 | Quant::IQ2_XXS => &[0],
        Quant::Q2_K => &[80, 82],
        Quant::Q4_K => &[0, 2],
        Quant::F32 => &[2],
        Quant::I32 | Quant::MXFP4 => &[],
    };
    for block in bytes.chunks_exact_mut(quant.block_bytes()) {
        // Without the top exponent bit no field is an infinity or NaN.
        f16_fields.iter().for_each(|at| block[at + 1] &= 0xbf);
    }
    bytes
}

#[test]
fn names_and_ids_are_inverse() {
    for quant in Quant::ALL {
        assert_eq!(Quant::from_ggml_id(quant.ggml_id()), Some(quant));
        assert_eq!(Quant::from_name(&quant.name().to_lowercase()), Some(quant));
        assert_eq!(quant.to_string(), quant.name());
    }
    assert_eq!(Quant::from_ggml_id(3), None);
    assert_eq!(Quant::from_name("Q3_K"), None);
    assert_eq!(Quant::Q2_K.row_bytes(512), Some(168));
    assert_eq!(Quant::Q2_K.row_bytes(500), None);
    assert_eq!(Quant::F32.row_bytes(usize::MAX), None);
}

#[test]
fn planes_cut_each_block_without_rest() {
    for quant in Quant::ALL {
        let mut covered = vec![0; quant.block_bytes()];
        for plane in quant.planes() {
            covered[plane.file_offset..][..plane.block_bytes].iter_mut().for_each(|n| *n += 1);
        }
        assert!(covered.iter().all(|&n| n == 1), "{quant}: {covered:?}");
    }
}

#[test]
fn decoders_match_the_formulas_on_random_blocks() {
    for quant in Quant::ALL {
        let (rows, width) = (4, 64 * quant.block_len());
        let seed = 0xdec0 + u64::from(quant.ggml_id());
        let bytes = random_rows(quant, rows, width, seed);
        let mut values = vec![f32::NAN; rows * width];
        decode_file_rows(quant, width, &bytes, &mut values).unwrap();
        for (index, value) in values.iter().enumerate() {
            let block =
                &bytes[index / quant.block_len() * quant.block_bytes()..][..quant.block_bytes()];
            let expected = element(quant, block, index % quant.block_len()) as f32;
            assert_eq!(
                value.to_bits(),
                expected.to_bits(),
                "{quant} element {index}, seed {seed:#x}"
            );
        }
    }
}

/// Every finite f16 as the scale of a block: the products must stay exact down to the subnormals.
#[test]
fn decoders_match_the_formulas_for_every_scale() {
    let with_scale = [
        (Quant::Q8_0, 0),
        (Quant::Q4_0, 0),
        (Quant::IQ2_XXS, 0),
        (Quant::Q2_K, 80),
        (Quant::Q4_K, 0),
    ];
    for (quant, at) in with_scale {
        let mut block = random_rows(quant, 1, quant.block_len(), 7);
        let mut values = vec![0.0; quant.block_len()];
        for bits in (0..=u16::MAX).filter(|bits| bits & 0x7c00 != 0x7c00) {
            block[at..at + 2].copy_from_slice(&bits.to_le_bytes());
            decode_file_rows(quant, quant.block_len(), &block, &mut values).unwrap();
            for (e, value) in values.iter().enumerate().step_by(5) {
                let expected = element(quant, &block, e) as f32;
                assert_eq!(
                    value.to_bits(),
                    expected.to_bits(),
                    "{quant} scale {bits:#x} element {e}"
                );
            }
        }
    }
}

#[test]
fn mxfp4_decodes_every_scale_code_and_nibble() {
    let mut block = [0; 17];
    for code in 0..16 {
        block[1 + code] = code as u8 | (15 - code as u8) << 4;
    }
    for scale in 0..=255 {
        block[0] = scale;
        let mut values = [0.0; 32];
        decode_file_rows(Quant::MXFP4, 32, &block, &mut values).unwrap();
        for (e, value) in values.iter().enumerate() {
            // Rounding to f32 overflows to infinity exactly where the product does.
            let expected = element(Quant::MXFP4, &block, e) as f32;
            assert_eq!(value.to_bits(), expected.to_bits(), "scale {scale} element {e}");
        }
    }
}

#[test]
fn repack_and_unpack_are_inverse_in_any_order_of_rows() {
    for quant in Quant::ALL {
        for (rows, blocks) in [(1, 1), (1, 3), (2, 1), (5, 7), (16, 28)] {
            let width = blocks * quant.block_len();
            let layout = MatrixLayout::new(quant, rows, width).unwrap();
            let row_bytes = layout.file_row_bytes();
            let file = random_bytes(3, row_bytes * rows);
            let mut device = vec![0xa5; layout.bytes() as usize];
            for first in (0..rows).rev() {
                repack(&layout, first, &file[first * row_bytes..][..row_bytes], &mut device)
                    .unwrap();
            }
            let mut at_once = vec![0xa5; layout.bytes() as usize];
            repack(&layout, 0, &file, &mut at_once).unwrap();
            assert_eq!(device, at_once, "{quant} {rows}x{width}");
            let mut back = vec![0; file.len()];
            unpack(&layout, 0, rows, &device, &mut back).unwrap();
            assert_eq!(back, file, "{quant} {rows}x{width}");
            let last = &mut back[..row_bytes];
            unpack(&layout, rows - 1, 1, &device, last).unwrap();
            assert_eq!(last, &file[(rows - 1) * row_bytes..]);
        }
    }
}

#[test]
fn repack_in_pieces_gives_the_same_matrix() {
    for quant in Quant::ALL {
        let layout = MatrixLayout::new(quant, 6, 3 * quant.block_len()).unwrap();
        let row_bytes = layout.file_row_bytes();
        let file = random_bytes(4, row_bytes * 6);
        let mut whole = vec![0; layout.bytes() as usize];
        repack(&layout, 0, &file, &mut whole).unwrap();
        let mut pieces = vec![0; layout.bytes() as usize];
        for (first, count) in [(0, 1), (1, 3), (4, 2)] {
            let ranges: Vec<_> = (0..layout.spans().len())
                .map(|index| layout.plane_rows(index, first, count))
                .collect();
            let mut staging: Vec<Vec<u8>> =
                ranges.iter().map(|range| vec![0xa5; (range.end - range.start) as usize]).collect();
            let mut planes: Vec<&mut [u8]> = staging.iter_mut().map(Vec::as_mut_slice).collect();
            repack_planes(&layout, &file[first * row_bytes..][..count * row_bytes], &mut planes)
                .unwrap();
            for (range, part) in ranges.iter().zip(&staging) {
                pieces[range.start as usize..range.end as usize].copy_from_slice(part);
            }
        }
        assert_eq!(pieces, whole, "{quant}");
    }
}

#[test]
fn block_ranges_are_parts_of_the_row() {
    for quant in Quant::ALL {
        let (rows, blocks) = (3, 9);
        let width = blocks * quant.block_len();
        let layout = MatrixLayout::new(quant, rows, width).unwrap();
        let mut device = vec![0; layout.bytes() as usize];
        repack(&layout, 0, &random_rows(quant, rows, width, 5), &mut device).unwrap();
        let view = MatrixView::new(&layout, &device).unwrap();
        let (mut row, mut part) = (vec![0.0; width], vec![0.0; 4 * quant.block_len()]);
        view.decode_row(2, &mut row);
        view.decode_block_range(2, 5, &mut part);
        assert_eq!(part, row[5 * quant.block_len()..], "{quant}");
    }
}

#[test]
fn index_tables_give_exact_integers() {
    let layout = MatrixLayout::new(Quant::I32, 3, 6).unwrap();
    assert_eq!(layout.bytes(), 80, "rows of an index table are not padded");
    let table: Vec<i32> = (0..18).map(|i| i * 119_304_647 - i32::MAX / 2).collect();
    let file: Vec<u8> = table.iter().flat_map(|value| value.to_le_bytes()).collect();
    let mut device = vec![0; 80];
    repack(&layout, 0, &file, &mut device).unwrap();
    let mut row = [0; 6];
    MatrixView::new(&layout, &device).unwrap().row_i32(1, &mut row).unwrap();
    assert_eq!(row, table[6..12]);
    let floats = MatrixLayout::new(Quant::F32, 3, 6).unwrap();
    let device = vec![0; floats.bytes() as usize];
    let refused = MatrixView::new(&floats, &device).unwrap().row_i32(1, &mut row);
    assert_eq!(refused, Err(LayoutError::NotIntegers { quant: Quant::F32 }));
}

#[test]
fn layouts_refuse_what_they_cannot_hold() {
    let new = MatrixLayout::new;
    assert!(matches!(new(Quant::F32, 0, 4), Err(LayoutError::Empty { .. })));
    assert!(matches!(new(Quant::F32, 4, 0), Err(LayoutError::Empty { .. })));
    assert!(matches!(new(Quant::Q2_K, 1, 128), Err(LayoutError::PartialBlock { .. })));
    assert!(matches!(new(Quant::F32, usize::MAX, 1), Err(LayoutError::TooLarge { .. })));
    assert!(matches!(new(Quant::F32, 1, usize::MAX), Err(LayoutError::TooLarge { .. })));
    assert!(matches!(new(Quant::F16, 1 << 62, 1), Err(LayoutError::TooLarge { .. })));
    let layout = new(Quant::Q8_0, 2, 64).unwrap();
    let mut device = vec![0; layout.bytes() as usize];
    let file = vec![0; 3 * layout.file_row_bytes()];
    let rows = LayoutError::Rows { first: 0, count: 3, rows: 2 };
    assert_eq!(repack(&layout, 0, &file, &mut device), Err(rows));
    assert!(matches!(
        repack(&layout, usize::MAX, &file[..68], &mut device),
        Err(LayoutError::Rows { .. })
    ));
    assert!(matches!(repack(&layout, 0, &file[..67], &mut device), Err(LayoutError::Size { .. })));
    assert!(matches!(
        repack(&layout, 0, &file[..68], &mut device[1..]),
        Err(LayoutError::Size { .. })
    ));
    assert!(MatrixView::new(&layout, &device[16..]).is_err());
    assert!(decode_file_rows(Quant::Q8_0, 64, &file[..68], &mut [0.0; 63]).is_err());
}

/// Shapes of spec/model.md 2.1 to 2.4, `(quant, width, rows of one matrix)`; experts lie one by
/// one.
fn published_shapes() -> Vec<(Quant, usize, usize)> {
    let mut shapes = vec![(Quant::F16, 4_096 * 4, 4), (Quant::Q8_0, 4_096 + 256, 1)];
    for (d, q_rank, heads, groups, experts, ffn) in
        [(4_096, 1_024, 64, 8, 256, 2_048), (7_168, 1_536, 128, 16, 384, 3_072)]
    {
        let vocabulary = 129_280;
        shapes.extend([
            (Quant::F16, d, vocabulary),
            (Quant::Q8_0, d, vocabulary),
            (Quant::I32, 6, vocabulary),
        ]);
        shapes.extend([(Quant::F16, 4 * d, 4), (Quant::F16, 4 * d, 24), (Quant::F32, 4 * d, 24)]);
        for vector in [d, q_rank, 512, heads, experts, 128, 24] {
            shapes.push((Quant::F32, vector, 1));
        }
        for quant in [Quant::Q8_0, Quant::Q4_K, Quant::Q4_0] {
            shapes.extend([(quant, d, q_rank), (quant, q_rank, 512 * heads), (quant, d, 512)]);
            shapes.extend([(quant, 4_096, 1_024 * groups), (quant, 1_024 * groups, d)]);
            shapes.extend([(quant, d, ffn), (quant, ffn, d), (quant, d, d), (quant, 3 * d, d)]);
        }
        for quant in [Quant::IQ2_XXS, Quant::Q2_K, Quant::Q4_K, Quant::MXFP4] {
            shapes.extend([(quant, d, ffn), (quant, ffn, d)]);
        }
        shapes.extend([(Quant::F16, d, experts), (Quant::F16, d, 512), (Quant::F16, d, 1_024)]);
        shapes.extend([(Quant::F16, 1_024, 4), (Quant::F16, 512, 128), (Quant::F16, 256, 4)]);
        shapes.extend([(Quant::F16, q_rank, 8_192), (Quant::F16, d, 64), (Quant::F16, d, 256)]);
        shapes.push((Quant::Q8_0, 256, vocabulary));
    }
    shapes
}

/// The device copy costs nothing: at most 0.1% over the file, but for the last 16 bytes of the
/// smallest vectors.
#[test]
fn published_tensors_are_no_larger_on_devices() {
    for (quant, width, rows) in published_shapes() {
        let layout = MatrixLayout::new(quant, rows, width).unwrap();
        let (file, device) = (layout.file_bytes(), layout.bytes());
        assert!(device >= file);
        assert!(
            device - file <= (file / 1_000).max(15),
            "{quant} {rows}x{width}: {file} -> {device}"
        );
        for (spec, span) in quant.planes().iter().zip(layout.spans()) {
            assert!(span.offset.is_multiple_of(16));
            assert!(!spec.row_aligned || span.row_stride.is_multiple_of(16));
        }
    }
    let odd = MatrixLayout::new(Quant::F16, 3, 9).unwrap();
    assert_eq!((odd.plane(0).row_stride, odd.bytes()), (32, 96), "plain rows are padded");
    let pro_down = MatrixLayout::new(Quant::IQ2_XXS, 3_072, 7_168).unwrap();
    assert_eq!(pro_down.plane(1).row_stride, 56);
    assert_eq!(pro_down.bytes(), pro_down.file_bytes());
}

#[test]
fn encoders_keep_what_their_format_can_hold() {
    for quant in Quant::ALL {
        // Values decoded from a first encoding are on the format's grid; encoding them again
        // changes nothing.
        let width = 4 * quant.block_len();
        let wave: Vec<f32> = (0..width).map(|i| (i as f32 * 0.7).sin() * 3.0).collect();
        let wave =
            if quant == Quant::I32 { (0..width).map(|i| i as f32 - 2.0).collect() } else { wave };
        let decode = |bytes: &[u8]| {
            let mut values = vec![0.0; width];
            decode_file_rows(quant, width, bytes, &mut values).unwrap();
            values
        };
        let once = decode(&encode(quant, &wave).unwrap());
        let error = wave.iter().zip(&once).fold(0.0_f32, |most, (a, b)| most.max((a - b).abs()));
        let bound = match quant {
            Quant::F32 | Quant::I32 => 0.0,
            Quant::F16 => 1e-3,
            Quant::BF16 | Quant::Q8_0 => 1.3e-2,
            Quant::Q4_0 | Quant::Q4_K => 0.4,
            Quant::MXFP4 => 0.5,
            Quant::Q2_K => 1.3,
            // Vectors of 8 share a codebook entry.
            Quant::IQ2_XXS => 1.6,
        };
        assert!(error <= bound, "{quant}: error {error}");
        let twice = decode(&encode(quant, &once).unwrap());
        assert_eq!(twice, once, "{quant}");
    }
}

#[test]
fn encoders_refuse_what_they_cannot_store() {
    let partial = EncodeError::PartialBlock { quant: Quant::Q8_0, count: 31 };
    assert_eq!(encode(Quant::Q8_0, &[0.0; 31]), Err(partial));
    let value = |quant, index| Err(EncodeError::Value { quant, index });
    assert_eq!(encode(Quant::F16, &[0.0, f32::NAN]), value(Quant::F16, 1));
    assert_eq!(encode(Quant::I32, &[0.5]), value(Quant::I32, 0));
    assert_eq!(encode(Quant::I32, &[2_147_483_648.0]), value(Quant::I32, 0));
}

#[test]
fn all_zero_blocks_encode_to_zeros() {
    for quant in Quant::ALL {
        let mut values = vec![1.0; quant.block_len()];
        let bytes = encode(quant, &vec![0.0; quant.block_len()]).unwrap();
        decode_file_rows(quant, quant.block_len(), &bytes, &mut values).unwrap();
        assert!(values.iter().all(|&value| value == 0.0), "{quant}: {values:?}");
    }
}
