//! The device layout of a weight matrix: what the repacker, the CPU decoder and the generated
//! shader and CUDA constants share.
//!
//! A file interleaves codes and scales in blocks of 17, 34, 66 or 84 bytes, which no GPU reads
//! well. On a device the same bytes lie in *planes*: all codes of the matrix, then all scales. No
//! byte is added to or taken from a block, and the order of codes inside a block stays the file's:
//! four consecutive bytes already hold the same bit field of four consecutive elements, which is
//! what 32-bit shifts and masks want.
//!
//! Every plane starts at a multiple of 16 bytes. Rows of a code plane are padded to 16 bytes, so
//! that every row can be read as 4-word vectors; the rows of a scale plane follow each other
//! without padding (PRO has scale rows of 56 bytes). For all tensors of the published models the
//! sum is the GGUF size.

use super::Quant;

/// Alignment of planes, of code rows and of the whole matrix, in bytes: one 4-word vector.
pub const PLANE_ALIGNMENT: u64 = 16;

/// What a plane holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaneKind {
    /// Elements or their codes.
    Codes,
    /// Block scales and minima.
    Scales,
}

/// One plane of a format: which bytes of a file block it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlaneSpec {
    /// Name in dumps and generated constants.
    pub name: &'static str,
    /// Codes or scales.
    pub kind: PlaneKind,
    /// Offset of the plane's bytes inside a file block.
    pub file_offset: usize,
    /// Bytes of this plane in each block.
    pub block_bytes: usize,
    /// Whether each row starts at a multiple of 16 bytes.
    pub row_aligned: bool,
}

const fn codes(name: &'static str, file_offset: usize, block_bytes: usize) -> PlaneSpec {
    PlaneSpec { name, kind: PlaneKind::Codes, file_offset, block_bytes, row_aligned: true }
}

const fn scales(name: &'static str, file_offset: usize, block_bytes: usize) -> PlaneSpec {
    PlaneSpec { name, kind: PlaneKind::Scales, file_offset, block_bytes, row_aligned: false }
}

const PLAIN_2: [PlaneSpec; 1] = [codes("values", 0, 2)];
const PLAIN_4: [PlaneSpec; 1] = [codes("values", 0, 4)];
/// Index tables are gathered element by element; padding their rows of 6 would add a third.
const INDEX: [PlaneSpec; 1] = [PlaneSpec { row_aligned: false, ..codes("values", 0, 4) }];
const Q8_0: [PlaneSpec; 2] = [codes("codes", 2, 32), scales("d", 0, 2)];
const Q4_0: [PlaneSpec; 2] = [codes("codes", 2, 16), scales("d", 0, 2)];
const Q2_K: [PlaneSpec; 3] =
    [codes("codes", 16, 64), scales("scales", 0, 16), scales("d_dmin", 80, 4)];
const Q4_K: [PlaneSpec; 3] =
    [codes("codes", 16, 128), scales("scales", 4, 12), scales("d_dmin", 0, 4)];
/// Eight groups of 8 bytes: four codebook indices, then a word of four sign indices and a scale.
const IQ2_XXS: [PlaneSpec; 2] = [codes("groups", 2, 64), scales("d", 0, 2)];
const MXFP4: [PlaneSpec; 2] = [codes("codes", 1, 16), scales("e", 0, 1)];

/// Most planes a format has.
const PLANES_MAX: usize = 3;

impl Quant {
    /// The planes of the device layout in memory order. Their `block_bytes` sum to the file
    /// block's.
    pub const fn planes(self) -> &'static [PlaneSpec] {
        match self {
            Quant::F32 => &PLAIN_4,
            Quant::F16 | Quant::BF16 => &PLAIN_2,
            Quant::I32 => &INDEX,
            Quant::Q8_0 => &Q8_0,
            Quant::Q4_0 => &Q4_0,
            Quant::Q2_K => &Q2_K,
            Quant::Q4_K => &Q4_K,
            Quant::IQ2_XXS => &IQ2_XXS,
            Quant::MXFP4 => &MXFP4,
        }
    }
}

/// Why a layout cannot be made or does not fit the memory it is used with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// No rows or no columns.
    #[error("a {quant} matrix of {rows} rows of {width} has no elements")]
    Empty {
        /// Format of the matrix.
        quant: Quant,
        /// Its rows.
        rows: usize,
        /// Elements of a row.
        width: usize,
    },
    /// A row is not a whole number of blocks.
    #[error(
        "rows of {width} elements are not whole {quant} blocks of {}: store the tensor in a plain format",
        quant.block_len()
    )]
    PartialBlock {
        /// Format of the matrix.
        quant: Quant,
        /// Elements of a row.
        width: usize,
    },
    /// The size does not fit the address space.
    #[error("a {quant} matrix of {rows} rows of {width} is larger than the address space")]
    TooLarge {
        /// Format of the matrix.
        quant: Quant,
        /// Its rows.
        rows: usize,
        /// Elements of a row.
        width: usize,
    },
    /// A buffer has not the size the layout asks for.
    #[error("{what}: {found} bytes given, {expected} needed")]
    Size {
        /// Which buffer.
        what: &'static str,
        /// Bytes needed.
        expected: u64,
        /// Bytes given.
        found: u64,
    },
    /// Rows outside the matrix.
    #[error("rows {first}..{first}+{count} are outside a matrix of {rows} rows")]
    Rows {
        /// First row asked for.
        first: usize,
        /// Rows asked for.
        count: usize,
        /// Rows of the matrix.
        rows: usize,
    },
    /// The matrix does not hold integers.
    #[error("integers asked of a {quant} matrix; only I32 tensors are index tables")]
    NotIntegers {
        /// Format of the matrix.
        quant: Quant,
    },
}

/// Where one plane of a matrix lies. All in bytes from the start of the matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct PlaneSpan {
    /// Start of the plane, a multiple of 16.
    pub offset: u64,
    /// Distance of two rows.
    pub row_stride: u64,
    /// All rows, without the gap to the next plane.
    pub bytes: u64,
}

/// The device layout of one matrix of `rows` x `width` elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MatrixLayout {
    pub(super) quant: Quant,
    pub(super) rows: usize,
    pub(super) width: usize,
    row_file_bytes: usize,
    planes: [PlaneSpan; PLANES_MAX],
    bytes: u64,
}

impl MatrixLayout {
    /// Lays out a matrix of `rows` rows of `width` elements (the contiguous dimension).
    ///
    /// # Errors
    /// An empty matrix, a row that is not whole blocks, or a size beyond the address space.
    pub fn new(quant: Quant, rows: usize, width: usize) -> Result<Self, LayoutError> {
        if rows == 0 || width == 0 {
            return Err(LayoutError::Empty { quant, rows, width });
        }
        if !width.is_multiple_of(quant.block_len()) {
            return Err(LayoutError::PartialBlock { quant, width });
        }
        Self::place(quant, rows, width).ok_or(LayoutError::TooLarge { quant, rows, width })
    }

    fn place(quant: Quant, rows: usize, width: usize) -> Option<Self> {
        let mut planes = [PlaneSpan::default(); PLANES_MAX];
        let mut offset = 0_u64;
        for (span, spec) in planes.iter_mut().zip(quant.planes()) {
            let row = (width / quant.block_len()).checked_mul(spec.block_bytes)?;
            let row = u64::try_from(row).ok()?;
            let row_stride =
                if spec.row_aligned { row.checked_next_multiple_of(PLANE_ALIGNMENT)? } else { row };
            let bytes = row_stride.checked_mul(u64::try_from(rows).ok()?)?;
            *span = PlaneSpan { offset, row_stride, bytes };
            offset = offset.checked_add(bytes)?.checked_next_multiple_of(PLANE_ALIGNMENT)?;
        }
        // Slices cannot be longer than isize::MAX; with this bound every offset fits a usize.
        isize::try_from(offset).ok()?;
        let row_file_bytes = usize::try_from(quant.row_bytes(width)?).ok()?;
        row_file_bytes.checked_mul(rows)?;
        Some(Self { quant, rows, width, row_file_bytes, planes, bytes: offset })
    }

    /// Element format.
    pub fn quant(&self) -> Quant {
        self.quant
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Elements of a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Bytes of the matrix on a device, a multiple of 16.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes of one row in the GGUF file.
    pub fn file_row_bytes(&self) -> usize {
        self.row_file_bytes
    }

    /// Bytes of the matrix in the GGUF file.
    pub fn file_bytes(&self) -> u64 {
        to_u64(self.row_file_bytes * self.rows)
    }

    /// Where plane `index` of `quant().planes()` lies.
    ///
    /// # Panics
    /// If the format has no such plane.
    pub fn plane(&self, index: usize) -> PlaneSpan {
        self.spans()[index]
    }

    /// All planes in memory order, as `quant().planes()`.
    pub fn spans(&self) -> &[PlaneSpan] {
        &self.planes[..self.quant.planes().len()]
    }

    /// Whether the rows of every plane follow each other without padding.
    #[inline(always)]
    pub fn is_contiguous(&self) -> bool {
        let blocks = to_u64(self.width / self.quant.block_len());
        let specs = self.quant.planes().iter().zip(self.spans());
        specs.into_iter().all(|(spec, span)| span.row_stride == blocks * to_u64(spec.block_bytes))
    }

    /// Where rows `first..first + count` of plane `index` lie: the part of the device matrix that
    /// [`repack_planes`] fills with these rows.
    ///
    /// # Panics
    /// If the format has no such plane or the matrix no such rows.
    pub fn plane_rows(&self, index: usize, first: usize, count: usize) -> std::ops::Range<u64> {
        assert!(first <= self.rows && count <= self.rows - first, "rows outside the matrix");
        let span = self.plane(index);
        let start = span.offset + to_u64(first) * span.row_stride;
        start..start + to_u64(count) * span.row_stride
    }

    fn check_rows(&self, first: usize, count: usize) -> Result<(), LayoutError> {
        if first > self.rows || count > self.rows - first {
            return Err(LayoutError::Rows { first, count, rows: self.rows });
        }
        Ok(())
    }

    /// Number of rows in `file_bytes` bytes of a GGUF tensor.
    pub(super) fn whole_rows(&self, file_bytes: usize) -> Result<usize, LayoutError> {
        if !file_bytes.is_multiple_of(self.row_file_bytes) {
            return Err(LayoutError::Size {
                what: "rows of a file must be whole",
                expected: to_u64(file_bytes.next_multiple_of(self.row_file_bytes)),
                found: to_u64(file_bytes),
            });
        }
        Ok(file_bytes / self.row_file_bytes)
    }
}

/// Moves GGUF rows into the device layout. `file_rows` holds whole rows beginning with row
/// `first_row`; `device` is the whole matrix. Row padding is written as zero, the gaps between
/// planes are left alone.
///
/// # Errors
/// A `device` of another size than the layout's, partial rows, or rows outside the matrix.
pub fn repack(
    layout: &MatrixLayout,
    first_row: usize,
    file_rows: &[u8],
    device: &mut [u8],
) -> Result<(), LayoutError> {
    check_size("device matrix", layout.bytes, device.len())?;
    let rows = layout.whole_rows(file_rows.len())?;
    layout.check_rows(first_row, rows)?;
    for (index, spec) in layout.quant.planes().iter().enumerate() {
        let range = to_usize_range(layout.plane_rows(index, first_row, rows));
        gather(layout, spec, layout.plane(index), file_rows, &mut device[range]);
    }
    Ok(())
}

/// As [`repack`], with each plane's part in a buffer of its own: `planes[i]` receives the bytes
/// that belong at `layout.plane_rows(i, first_row, rows)`. This is how a loader repacks a few rows
/// at a time into staging memory.
///
/// # Errors
/// Partial rows, too few or too many planes, or a plane buffer of the wrong size.
pub fn repack_planes(
    layout: &MatrixLayout,
    file_rows: &[u8],
    planes: &mut [&mut [u8]],
) -> Result<(), LayoutError> {
    let rows = layout.whole_rows(file_rows.len())?;
    layout.check_rows(0, rows)?;
    check_size("number of plane buffers", to_u64(layout.spans().len()), planes.len())?;
    for (index, spec) in layout.quant.planes().iter().enumerate() {
        let span = layout.plane(index);
        check_size("plane buffer", span.row_stride * to_u64(rows), planes[index].len())?;
        gather(layout, spec, span, file_rows, planes[index]);
    }
    Ok(())
}

/// The inverse of [`repack`]: rows `first_row..first_row + rows` as a GGUF file has them.
///
/// # Errors
/// Buffers of the wrong size, or rows outside the matrix.
pub fn unpack(
    layout: &MatrixLayout,
    first_row: usize,
    rows: usize,
    device: &[u8],
    file_rows: &mut [u8],
) -> Result<(), LayoutError> {
    check_size("device matrix", layout.bytes, device.len())?;
    layout.check_rows(first_row, rows)?;
    check_size("file rows", to_u64(rows * layout.row_file_bytes), file_rows.len())?;
    let block = layout.quant.block_bytes();
    for (index, spec) in layout.quant.planes().iter().enumerate() {
        let span = layout.plane(index);
        let plane = &device[to_usize_range(layout.plane_rows(index, first_row, rows))];
        let device_rows = plane.chunks_exact(to_usize(span.row_stride));
        for (file_row, device_row) in
            file_rows.chunks_exact_mut(layout.row_file_bytes).zip(device_rows)
        {
            let parts = device_row.chunks_exact(spec.block_bytes);
            for (target, part) in file_row.chunks_exact_mut(block).zip(parts) {
                target[spec.file_offset..][..spec.block_bytes].copy_from_slice(part);
            }
        }
    }
    Ok(())
}

/// Collects one plane out of file rows.
fn gather(
    layout: &MatrixLayout,
    spec: &PlaneSpec,
    span: PlaneSpan,
    file_rows: &[u8],
    plane: &mut [u8],
) {
    let block = layout.quant.block_bytes();
    let row = layout.row_file_bytes / block * spec.block_bytes;
    let device_rows = plane.chunks_exact_mut(to_usize(span.row_stride));
    for (file_row, device_row) in file_rows.chunks_exact(layout.row_file_bytes).zip(device_rows) {
        let (target, padding) = device_row.split_at_mut(row);
        padding.fill(0);
        if block == spec.block_bytes {
            target.copy_from_slice(file_row);
            continue;
        }
        // A constant size turns each copy into a few vector moves instead of a call of memcpy.
        match spec.block_bytes {
            1 => gather_row::<1>(block, spec.file_offset, file_row, target),
            2 => gather_row::<2>(block, spec.file_offset, file_row, target),
            4 => gather_row::<4>(block, spec.file_offset, file_row, target),
            12 => gather_row::<12>(block, spec.file_offset, file_row, target),
            16 => gather_row::<16>(block, spec.file_offset, file_row, target),
            32 => gather_row::<32>(block, spec.file_offset, file_row, target),
            64 => gather_row::<64>(block, spec.file_offset, file_row, target),
            128 => gather_row::<128>(block, spec.file_offset, file_row, target),
            size => unreachable!("no format has a plane of {size} bytes for each block"),
        }
    }
}

fn gather_row<const N: usize>(
    block: usize,
    file_offset: usize,
    file_row: &[u8],
    target: &mut [u8],
) {
    for (source, target) in file_row.chunks_exact(block).zip(target.as_chunks_mut::<N>().0) {
        target.copy_from_slice(&source[file_offset..][..N]);
    }
}

pub(super) fn check_size(
    what: &'static str,
    expected: u64,
    found: usize,
) -> Result<(), LayoutError> {
    let found = to_u64(found);
    if found == expected { Ok(()) } else { Err(LayoutError::Size { what, expected, found }) }
}

/// Offsets inside a layout fit a usize: `MatrixLayout::place` has checked the total.
#[inline(always)]
pub(super) fn to_usize(offset: u64) -> usize {
    offset as usize
}

fn to_usize_range(range: std::ops::Range<u64>) -> std::ops::Range<usize> {
    to_usize(range.start)..to_usize(range.end)
}

pub(super) fn to_u64(length: usize) -> u64 {
    length as u64
}
