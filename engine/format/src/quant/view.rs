//! Reading a weight matrix in device layout from memory: the CPU's side of the layout.

use super::layout::{LayoutError, MatrixLayout, check_size, repack, to_u64, to_usize};
use super::{Quant, decode};

/// A weight matrix in device layout, in memory.
#[derive(Clone, Copy, Debug)]
pub struct MatrixView<'a> {
    layout: &'a MatrixLayout,
    bytes: &'a [u8],
}

impl<'a> MatrixView<'a> {
    /// Looks at `bytes` as a matrix of this layout.
    ///
    /// # Errors
    /// If the size differs from the layout's.
    pub fn new(layout: &'a MatrixLayout, bytes: &'a [u8]) -> Result<Self, LayoutError> {
        check_size("device matrix", layout.bytes(), bytes.len())?;
        Ok(Self { layout, bytes })
    }

    /// The layout of the matrix.
    pub fn layout(&self) -> &'a MatrixLayout {
        self.layout
    }

    /// Decodes row `row` into `out`, of `width` elements.
    ///
    /// # Panics
    /// If the matrix has no such row or `out` another length.
    #[inline(always)]
    pub fn decode_row(&self, row: usize, out: &mut [f32]) {
        assert_eq!(out.len(), self.layout.width, "output of a row of another width");
        self.decode_block_range(row, 0, out);
    }

    /// Decodes `out.len()` elements of row `row`, a whole number of blocks, from block
    /// `first_block`.
    ///
    /// # Panics
    /// If the matrix has no such row or blocks, or `out` is not whole blocks.
    #[inline(always)]
    pub fn decode_block_range(&self, row: usize, first_block: usize, out: &mut [f32]) {
        let block_len = self.layout.quant.block_len();
        assert!(out.len().is_multiple_of(block_len), "output is not whole blocks");
        let blocks = out.len() / block_len;
        self.decode(out, row, first_block, blocks);
    }

    /// Decodes whole rows from `first_row` into `out`, \[rows\]\[width\]. Where the rows of every plane
    /// follow each other without padding it is one run of blocks: narrow matrices are decoded at the
    /// speed of wide ones.
    ///
    /// # Panics
    /// If the matrix has no such rows or `out` is not whole rows.
    #[inline(always)]
    pub fn decode_rows(&self, first_row: usize, out: &mut [f32]) {
        let (layout, quant) = (self.layout, self.layout.quant);
        assert!(out.len().is_multiple_of(layout.width), "output is not whole rows");
        let rows = out.len() / layout.width;
        if rows > 1 && layout.is_contiguous() {
            assert!(first_row + rows <= layout.rows, "rows beyond the matrix");
            let blocks = out.len() / quant.block_len();
            self.decode(out, first_row, 0, blocks);
        } else {
            for (i, row) in out.chunks_exact_mut(layout.width).enumerate() {
                self.decode_row(first_row + i, row);
            }
        }
    }

    /// Decodes a run of blocks that may go on in the next rows of a contiguous matrix.
    #[inline(always)]
    fn decode(&self, out: &mut [f32], row: usize, first_block: usize, blocks: usize) {
        // A macro and not a closure: a closure is not inlined into the callers' instruction set.
        macro_rules! plane {
            ($index:literal) => {
                self.run($index, row, first_block, blocks)
            };
        }
        match self.layout.quant {
            Quant::F32 => decode::f32_row(plane!(0), out),
            Quant::F16 => decode::f16_row(plane!(0), out),
            Quant::BF16 => decode::bf16_row(plane!(0), out),
            Quant::I32 => decode::i32_row(plane!(0), out),
            Quant::Q8_0 => decode::q8_0(plane!(0), plane!(1), out),
            Quant::Q4_0 => decode::q4_0(plane!(0), plane!(1), out),
            Quant::Q2_K => decode::q2_k(plane!(0), plane!(1), plane!(2), out),
            Quant::Q4_K => decode::q4_k(plane!(0), plane!(1), plane!(2), out),
            Quant::IQ2_XXS => decode::iq2_xxs(plane!(0), plane!(1), out),
            Quant::MXFP4 => decode::mxfp4(plane!(0), plane!(1), out),
        }
    }

    /// The bytes of a run of blocks of one plane.
    #[inline(always)]
    fn run(&self, plane: usize, row: usize, first_block: usize, blocks: usize) -> &'a [u8] {
        let span = self.layout.plane(plane);
        let block_bytes = self.layout.quant.planes()[plane].block_bytes;
        let start =
            to_usize(span.offset) + row * to_usize(span.row_stride) + first_block * block_bytes;
        &self.bytes[start..start + blocks * block_bytes]
    }

    /// Copies row `row` of an index table into `out`, of `width` elements.
    ///
    /// # Errors
    /// If the matrix is not I32.
    ///
    /// # Panics
    /// If the matrix has no such row or `out` another length.
    pub fn row_i32(&self, row: usize, out: &mut [i32]) -> Result<(), LayoutError> {
        let (quant, width) = (self.layout.quant, self.layout.width);
        if quant != Quant::I32 {
            return Err(LayoutError::NotIntegers { quant });
        }
        assert_eq!(out.len(), width, "output of a row of another width");
        for (value, bytes) in out.iter_mut().zip(self.plane_blocks(0, row, 0, width).as_chunks().0)
        {
            *value = i32::from_le_bytes(*bytes);
        }
        Ok(())
    }

    /// The bytes of `blocks` blocks of one row in plane `index`, in device order.
    ///
    /// # Panics
    /// If the matrix has no such row or blocks.
    #[inline(always)]
    pub fn plane_blocks(
        &self,
        index: usize,
        row: usize,
        first_block: usize,
        blocks: usize,
    ) -> &'a [u8] {
        let layout = self.layout;
        let row_blocks = layout.width / layout.quant.block_len();
        assert!(row < layout.rows, "row {row} of a matrix of {} rows", layout.rows);
        assert!(
            first_block <= row_blocks && blocks <= row_blocks - first_block,
            "blocks {first_block}..+{blocks} of a row of {row_blocks} blocks"
        );
        self.run(index, row, first_block, blocks)
    }
}

/// Decodes whole GGUF rows of `width` elements, by way of the device layout: there is one decoder
/// for each format. For tests, small tensors and diagnostics.
///
/// # Errors
/// A `width` that is not whole blocks, partial rows, or an `out` of another number of elements.
pub fn decode_file_rows(
    quant: Quant,
    width: usize,
    file_rows: &[u8],
    out: &mut [f32],
) -> Result<(), LayoutError> {
    let one = MatrixLayout::new(quant, 1, width)?;
    let rows = one.whole_rows(file_rows.len())?;
    check_size("decoded elements", to_u64(rows * width), out.len())?;
    let mut device = vec![0; to_usize(one.bytes())];
    let out_rows = out.chunks_exact_mut(width);
    for (file_row, out_row) in file_rows.chunks_exact(one.file_row_bytes()).zip(out_rows) {
        repack(&one, 0, file_row, &mut device)?;
        MatrixView::new(&one, &device)?.decode_row(0, out_row);
    }
    Ok(())
}
