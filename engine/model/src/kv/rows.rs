//! One cached row: its planes, and the only code that turns it into bytes and back.

use ds4_format::rounding;

use super::{FP4_BLOCK, FP8_BLOCK, PlaneSpan, RowFormat};

/// What a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowKind {
    /// A raw or compressed key-value row; the last `rope_dim` entries are rotated.
    Attention {
        /// head_dim
        dim: usize,
        /// rotary entries
        rope_dim: usize,
    },
    /// An indexer key.
    Index {
        /// index_dim
        dim: usize,
    },
}

/// One plane of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlaneLayout {
    /// What it holds.
    pub name: &'static str,
    /// Bytes of one row, padding included.
    pub row_bytes: usize,
    /// Bytes of one row that mean something.
    pub information_bytes: usize,
}

/// The planes of a row.
///
/// | rows | planes |
/// |---|---|
/// | exact | `values` f32 \[dim\] |
/// | packed attention | `codes` e4m3 \[dim - rope\], `rope` f16 \[rope\], `scales` ue8m0 \[(dim - rope) / 64\], padded to 4 |
/// | packed indexer | `codes` e2m1 \[dim / 2\], two a byte, low first; `scales` ue8m0 \[dim / 32\], padded to 4 |
#[derive(Clone, Debug, PartialEq)]
pub struct RowLayout {
    format: RowFormat,
    kind: RowKind,
    planes: Vec<PlaneLayout>,
}

impl RowLayout {
    /// The layout of one kind of row in one format.
    pub fn new(format: RowFormat, kind: RowKind) -> Self {
        let plane = |name, information_bytes: usize| PlaneLayout {
            name,
            row_bytes: information_bytes.next_multiple_of(4),
            information_bytes,
        };
        let planes = match (format, kind) {
            (RowFormat::Exact, RowKind::Attention { dim, .. } | RowKind::Index { dim }) => {
                vec![plane("values", 4 * dim)]
            }
            (RowFormat::Packed, RowKind::Attention { dim, rope_dim }) => vec![
                plane("codes", dim - rope_dim),
                plane("rope", 2 * rope_dim),
                plane("scales", (dim - rope_dim) / FP8_BLOCK),
            ],
            (RowFormat::Packed, RowKind::Index { dim }) => {
                vec![plane("codes", dim / 2), plane("scales", dim / FP4_BLOCK)]
            }
        };
        Self { format, kind, planes }
    }

    /// Planes in the order of the spans that `encode` and `decode` take.
    pub fn planes(&self) -> &[PlaneLayout] {
        &self.planes
    }

    /// Entries of a row.
    pub fn dim(&self) -> usize {
        match self.kind {
            RowKind::Attention { dim, .. } | RowKind::Index { dim } => dim,
        }
    }

    /// Bytes of one row over all planes.
    pub fn row_bytes(&self) -> usize {
        self.planes.iter().map(|plane| plane.row_bytes).sum()
    }

    /// Bytes of one row without padding.
    pub fn information_bytes(&self) -> usize {
        self.planes.iter().map(|plane| plane.information_bytes).sum()
    }

    /// Lays out `rows` rows from byte `start`: the spans, and the byte after the last one (a
    /// multiple of 16).
    pub fn spans(&self, rows: usize, start: usize) -> (Vec<PlaneSpan>, usize) {
        let mut end = start;
        let spans = self.planes.iter().map(|plane| {
            let span = PlaneSpan { offset: end, row_bytes: plane.row_bytes };
            end += (rows * plane.row_bytes).next_multiple_of(16);
            span
        });
        (spans.collect(), end)
    }

    /// Stores `values` \[dim\] as row `row` of the planes at `spans` in `bytes`.
    pub fn encode(&self, values: &[f32], bytes: &mut [u8], spans: &[PlaneSpan], row: usize) {
        match (self.format, self.kind) {
            (RowFormat::Exact, _) => {
                let out = plane_mut(bytes, spans[0], row);
                for (out, value) in out.chunks_exact_mut(4).zip(values) {
                    out.copy_from_slice(&value.to_le_bytes());
                }
            }
            (RowFormat::Packed, RowKind::Attention { dim, rope_dim }) => {
                let (codes, rope) = values.split_at(dim - rope_dim);
                for (i, block) in codes.as_chunks::<FP8_BLOCK>().0.iter().enumerate() {
                    let (codes, scale) = rounding::fp8_block_encode(block);
                    plane_mut(bytes, spans[0], row)[i * FP8_BLOCK..][..FP8_BLOCK]
                        .copy_from_slice(&codes);
                    plane_mut(bytes, spans[2], row)[i] = scale;
                }
                let out = plane_mut(bytes, spans[1], row);
                for (out, value) in out.chunks_exact_mut(2).zip(rope) {
                    out.copy_from_slice(&rounding::f32_to_f16(*value).to_le_bytes());
                }
            }
            (RowFormat::Packed, RowKind::Index { .. }) => {
                for (i, block) in values.as_chunks::<FP4_BLOCK>().0.iter().enumerate() {
                    let (codes, scale) = rounding::fp4_block_encode(block);
                    plane_mut(bytes, spans[0], row)[i * FP4_BLOCK / 2..][..FP4_BLOCK / 2]
                        .copy_from_slice(&codes);
                    plane_mut(bytes, spans[1], row)[i] = scale;
                }
            }
        }
    }

    /// Reads row `row` of the planes at `spans` in `bytes` into `out` \[dim\].
    pub fn decode(&self, bytes: &[u8], spans: &[PlaneSpan], row: usize, out: &mut [f32]) {
        match (self.format, self.kind) {
            (RowFormat::Exact, _) => {
                let values = plane(bytes, spans[0], row).as_chunks::<4>().0;
                for (out, value) in out.iter_mut().zip(values) {
                    *out = f32::from_le_bytes(*value);
                }
            }
            (RowFormat::Packed, RowKind::Attention { dim, rope_dim }) => {
                let (codes_out, rope_out) = out.split_at_mut(dim - rope_dim);
                let codes = plane(bytes, spans[0], row).as_chunks::<FP8_BLOCK>().0;
                let scales = plane(bytes, spans[2], row);
                let blocks = codes_out.as_chunks_mut::<FP8_BLOCK>().0;
                for ((out, codes), scale) in blocks.iter_mut().zip(codes).zip(scales) {
                    *out = rounding::fp8_block_decode(codes, *scale);
                }
                let rope = plane(bytes, spans[1], row).as_chunks::<2>().0;
                for (out, value) in rope_out.iter_mut().zip(rope) {
                    *out = rounding::f16_to_f32(u16::from_le_bytes(*value));
                }
            }
            (RowFormat::Packed, RowKind::Index { .. }) => {
                let codes = plane(bytes, spans[0], row).as_chunks::<{ FP4_BLOCK / 2 }>().0;
                let scales = plane(bytes, spans[1], row);
                let blocks = out.as_chunks_mut::<FP4_BLOCK>().0;
                for ((out, codes), scale) in blocks.iter_mut().zip(codes).zip(scales) {
                    *out = rounding::fp4_block_decode(codes, *scale);
                }
            }
        }
    }

    /// Replaces `values` by what a stored row gives back: the meaning of `Op::KvRound`.
    pub fn round(&self, values: &mut [f32]) {
        let (spans, bytes) = self.spans(1, 0);
        let mut row = vec![0; bytes];
        self.encode(values, &mut row, &spans, 0);
        self.decode(&row, &spans, 0, values);
    }
}

fn plane(bytes: &[u8], span: PlaneSpan, row: usize) -> &[u8] {
    &bytes[span.offset + row * span.row_bytes..][..span.row_bytes]
}

fn plane_mut(bytes: &mut [u8], span: PlaneSpan, row: usize) -> &mut [u8] {
    &mut bytes[span.offset + row * span.row_bytes..][..span.row_bytes]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is stored comes back, and storing it again changes nothing: rounding twice equals
    /// rounding once, although the second time the block maximum, and so the scale, may be smaller.
    #[test]
    fn rounding_is_idempotent() {
        let attention = RowKind::Attention { dim: 192, rope_dim: 64 };
        for kind in [attention, RowKind::Index { dim: 128 }] {
            let layout = RowLayout::new(RowFormat::Packed, kind);
            let mut seed = 1u32;
            for trial in 0..2000 {
                let mut row: Vec<f32> = (0..layout.dim())
                    .map(|_| {
                        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        (f64::from(seed) / f64::from(u32::MAX) - 0.5) as f32
                            * (trial as f32 / 300.0).exp()
                    })
                    .collect();
                layout.round(&mut row);
                let once = row.clone();
                layout.round(&mut row);
                assert_eq!(once, row, "trial {trial}");
            }
        }
    }

    #[test]
    fn exact_rows_keep_every_bit() {
        let layout = RowLayout::new(RowFormat::Exact, RowKind::Index { dim: 3 });
        let mut row = [1.0e-30, -3.1, f32::MAX];
        layout.round(&mut row);
        assert_eq!(row, [1.0e-30, -3.1, f32::MAX]);
    }
}
