//! The directory of a file: what the parser found, checked as a whole.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::as_conversions
    )
)]

use super::parser::Parser;
use super::{GgufError, GgufErrorKind as Kind, Metadata, Subject, Value};
use crate::limits;
use crate::quant::Quant;

/// A tensor of a file. Its bytes are checked to lie inside the file, apart from all others'.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    /// Name, at most 64 bytes.
    pub name: String,
    /// Sizes, 1 to 4 of them, none 0. `dims[0]` is contiguous (ggml order): the width of a matrix
    /// row.
    pub dims: Vec<u64>,
    /// Element format; `dims[0]` is whole blocks of it.
    pub quant: Quant,
    /// Start of the data, in bytes from the start of the file.
    pub offset: u64,
    /// Bytes of the data.
    pub bytes: u64,
    /// Start of the tensor's entry in the directory, for messages.
    pub entry_offset: u64,
}

impl TensorInfo {
    /// Elements of a row.
    pub fn width(&self) -> u64 {
        self.dims.first().copied().unwrap_or(1)
    }

    /// Rows of all matrices together: the product of all sizes but the first.
    pub fn rows(&self) -> u64 {
        // The reader has checked that the product with the width fits.
        self.dims.iter().skip(1).fold(1, |rows, &size| rows.saturating_mul(size))
    }

    fn fault(&self, kind: Kind, offset: u64, detail: String) -> GgufError {
        GgufError::new(kind, Subject::Tensor(self.name.clone()), Some(offset), detail)
    }

    /// Where the entry's offset field stands.
    fn offset_field(&self) -> u64 {
        let dims = crate::bytes::length(&self.dims).saturating_mul(8);
        let name = crate::bytes::length(self.name.as_bytes());
        self.entry_offset.saturating_add(8 + 4 + 4).saturating_add(name).saturating_add(dims)
    }
}

/// The directory of a GGUF file.
#[derive(Clone, Debug, PartialEq)]
pub struct Gguf {
    /// Keys and values.
    pub metadata: Metadata,
    version: u32,
    alignment: u32,
    data_start: u64,
    file_bytes: u64,
    tensors: Vec<TensorInfo>,
    /// Indices of `tensors` in the order of their names.
    by_name: Vec<u32>,
}

impl Gguf {
    /// Reads and checks the directory of a file of `file_bytes` bytes that begins with `prefix`.
    ///
    /// Work and memory are bounded by the prefix: nothing is allocated on the word of a count.
    ///
    /// # Errors
    /// [`GgufError::NeedMore`] if the directory goes on behind the prefix; otherwise what is wrong
    /// with the file, where, and what to do.
    pub fn parse(prefix: &[u8], file_bytes: u64) -> Result<Self, GgufError> {
        let mut parser = Parser::new(prefix, file_bytes);
        let header = parser.header()?;
        let metadata = parser.metadata(header.keys)?;
        let alignment = alignment(&metadata)?;
        let mut tensors = parser.tensors(header.tensors, file_bytes)?;
        let directory = parser.cursor.position();
        let data_start = directory.checked_next_multiple_of(u64::from(alignment));
        let data_start = data_start.unwrap_or(u64::MAX);
        for tensor in &mut tensors {
            place(tensor, data_start, alignment, file_bytes)?;
        }
        check_disjoint(&tensors)?;
        let by_name = index_names(&tensors)?;
        let version = header.version;
        Ok(Self { metadata, version, alignment, data_start, file_bytes, tensors, by_name })
    }

    /// Version of the container: 2 or 3.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Alignment of tensor data in bytes, a power of two.
    pub fn alignment(&self) -> u32 {
        self.alignment
    }

    /// Where tensor data begins, in bytes from the start of the file.
    pub fn data_start(&self) -> u64 {
        self.data_start
    }

    /// Size of the file that was declared to [`Gguf::parse`].
    pub fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    /// All tensors in file order.
    pub fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    /// The tensor of this name.
    pub fn tensor(&self, name: &str) -> Option<&TensorInfo> {
        let order = |&index: &u32| get(&self.tensors, index).map(|tensor| tensor.name.as_str());
        let place = self.by_name.binary_search_by_key(&Some(name), order).ok()?;
        self.by_name.get(place).and_then(|&index| get(&self.tensors, index))
    }
}

/// `general.alignment`: exactly a u32 (K6 of reference/reliability.md), a power of two within
/// limits.
pub(super) fn alignment(metadata: &Metadata) -> Result<u32, GgufError> {
    const KEY: &str = "general.alignment";
    let Some(entry) = metadata.entries().iter().find(|entry| entry.key == KEY) else {
        return Ok(limits::ALIGNMENT_DEFAULT);
    };
    let (min, max) = (limits::ALIGNMENT_MIN, limits::ALIGNMENT_MAX);
    match entry.value {
        Value::U32(value) if value.is_power_of_two() && (min..=max).contains(&value) => Ok(value),
        Value::U32(value) => {
            let detail =
                format!("an alignment of {value}; a power of two of {min} to {max} is needed");
            Err(entry.fault(Kind::Alignment, detail))
        }
        _ => {
            let found = entry.value.type_name();
            let detail = format!("the value has type {found}; u32 is needed");
            Err(entry.fault(Kind::WrongType, detail))
        }
    }
}

/// Turns a tensor's offset from one relative to the data into one in the file, checked.
fn place(
    tensor: &mut TensorInfo,
    data_start: u64,
    alignment: u32,
    file_bytes: u64,
) -> Result<(), GgufError> {
    let relative = tensor.offset;
    if !relative.is_multiple_of(u64::from(alignment)) {
        let detail = format!("the data offset {relative} is not a multiple of {alignment}");
        return Err(tensor.fault(Kind::TensorOffset, tensor.offset_field(), detail));
    }
    let start = data_start.checked_add(relative);
    let end = start.and_then(|start| start.checked_add(tensor.bytes));
    match start.zip(end).filter(|&(_, end)| end <= file_bytes) {
        Some((start, _)) => {
            tensor.offset = start;
            Ok(())
        }
        None => {
            let detail = format!(
                "{} bytes at {relative} behind {data_start} end outside a file of {file_bytes} bytes",
                tensor.bytes
            );
            Err(tensor.fault(Kind::TensorOffset, tensor.offset_field(), detail))
        }
    }
}

fn check_disjoint(tensors: &[TensorInfo]) -> Result<(), GgufError> {
    let mut order: Vec<u32> = (0..).take(tensors.len()).collect();
    order.sort_unstable_by_key(|&index| (get(tensors, index).map(|tensor| tensor.offset), index));
    for (first, second) in order.iter().zip(order.iter().skip(1)) {
        let (Some(first), Some(second)) = (get(tensors, *first), get(tensors, *second)) else {
            continue;
        };
        let end = first.offset.saturating_add(first.bytes);
        if end > second.offset {
            let detail = format!(
                "its data at {} begins inside tensor {:?}, which ends at {end}",
                second.offset, first.name
            );
            return Err(second.fault(Kind::Overlap, second.offset_field(), detail));
        }
    }
    Ok(())
}

/// Sorts the names and refuses duplicates.
fn index_names(tensors: &[TensorInfo]) -> Result<Vec<u32>, GgufError> {
    let mut order: Vec<u32> = (0..).take(tensors.len()).collect();
    order.sort_unstable_by_key(|&index| {
        (get(tensors, index).map(|tensor| tensor.name.as_str()), index)
    });
    for (first, second) in order.iter().zip(order.iter().skip(1)) {
        let (Some(first), Some(second)) = (get(tensors, *first), get(tensors, *second)) else {
            continue;
        };
        if first.name == second.name {
            let detail = format!("the tensor stands at byte {} already", first.entry_offset);
            return Err(second.fault(Kind::DuplicateTensor, second.entry_offset, detail));
        }
    }
    Ok(order)
}

fn get(tensors: &[TensorInfo], index: u32) -> Option<&TensorInfo> {
    usize::try_from(index).ok().and_then(|index| tensors.get(index))
}
