//! Reading the directory of a file.
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

use super::metadata::Entry;
use super::value::{Array, StringArray, Value, ValueType};
use super::{GgufError, GgufErrorKind as Kind, Metadata, Subject};
use crate::bytes::{Cursor, Little, Short};
use crate::limits;
use crate::quant::Quant;

/// Bytes of the smallest metadata entry: key length, a key of one byte, type, a value of one byte.
const ENTRY_BYTES_MIN: u64 = 8 + 1 + 4 + 1;
/// Bytes of the smallest tensor entry: name length, a name of one byte, rank, one dimension, type, offset.
const TENSOR_ENTRY_BYTES_MIN: u64 = 8 + 1 + 4 + 8 + 4 + 8;

/// A tensor of a file. Its bytes are checked to lie inside the file, apart from all others'.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    /// Name, at most 64 bytes.
    pub name: String,
    /// Sizes, 1 to 4 of them, none 0. `dims[0]` is contiguous (ggml order): the width of a matrix row.
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
    /// [`GgufError::NeedMore`] if the directory goes on behind the prefix; otherwise what is wrong with
    /// the file, where, and what to do.
    pub fn parse(prefix: &[u8], file_bytes: u64) -> Result<Self, GgufError> {
        let mut parser =
            Parser { cursor: Cursor::new(prefix, file_bytes), subject: Subject::Header };
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

struct Header {
    version: u32,
    tensors: u64,
    keys: u64,
}

struct Parser<'a> {
    cursor: Cursor<'a>,
    /// The entry being read, for messages.
    subject: Subject,
}

impl<'a> Parser<'a> {
    fn header(&mut self) -> Result<Header, GgufError> {
        let magic = self.take(4)?;
        if magic != b"GGUF" {
            let found = magic.escape_ascii();
            return self.fail(
                Kind::Magic,
                0,
                format!("the file begins with \"{found}\", not GGUF"),
            );
        }
        let version: u32 = self.read()?;
        if matches!(version.swap_bytes(), 1..=3) {
            return self.fail(Kind::ByteOrder, 4, "the file is big endian".to_owned());
        }
        if !matches!(version, 2 | 3) {
            return self.fail(Kind::Version, 4, format!("version {version}; 2 and 3 are read"));
        }
        let tensors = self.count("tensors", limits::TENSORS_MAX, TENSOR_ENTRY_BYTES_MIN)?;
        let keys = self.count("keys", limits::KEYS_MAX, ENTRY_BYTES_MIN)?;
        Ok(Header { version, tensors, keys })
    }

    /// A number of entries of at least `entry_bytes` bytes each.
    fn count(&mut self, what: &str, max: u64, entry_bytes: u64) -> Result<u64, GgufError> {
        let offset = self.cursor.position();
        let count: u64 = self.read()?;
        let room = self.cursor.left().checked_div(entry_bytes).unwrap_or(0);
        if count > max.min(room) {
            let detail = format!("{count} {what} declared; at most {max}, and {room} fit the file");
            return self.fail(Kind::Count, offset, detail);
        }
        Ok(count)
    }

    fn metadata(&mut self, count: u64) -> Result<Metadata, GgufError> {
        let mut entries = self.room_for(count, ENTRY_BYTES_MIN);
        for number in 0..count {
            self.subject = Subject::KeyNumber(number);
            let offset = self.cursor.position();
            let key = self.name(limits::KEY_BYTES_MAX, Kind::KeyName)?.to_owned();
            self.subject = Subject::Key(key);
            let value = self.value()?;
            if let Subject::Key(key) = std::mem::take(&mut self.subject) {
                entries.push(Entry { key, value, offset: Some(offset) });
            }
        }
        Metadata::index(entries)
    }

    /// An empty vector with room for `count` entries, or for as many as the bytes in memory can hold.
    fn room_for<T>(&self, count: u64, entry_bytes: u64) -> Vec<T> {
        let room = self.cursor.in_memory().checked_div(entry_bytes).unwrap_or(0);
        Vec::with_capacity(usize::try_from(count.min(room)).unwrap_or(0))
    }

    fn value(&mut self) -> Result<Value, GgufError> {
        Ok(match self.value_type()? {
            ValueType::U8 => Value::U8(self.read()?),
            ValueType::I8 => Value::I8(self.read()?),
            ValueType::U16 => Value::U16(self.read()?),
            ValueType::I16 => Value::I16(self.read()?),
            ValueType::U32 => Value::U32(self.read()?),
            ValueType::I32 => Value::I32(self.read()?),
            ValueType::F32 => Value::F32(self.read()?),
            ValueType::Bool => Value::Bool(self.bools(1)?.first().is_some_and(|&value| value)),
            ValueType::String => {
                Value::String(self.string(limits::STRING_BYTES_MAX, Kind::StringLength)?.to_owned())
            }
            ValueType::Array => Value::Array(self.array()?),
            ValueType::U64 => Value::U64(self.read()?),
            ValueType::I64 => Value::I64(self.read()?),
            ValueType::F64 => Value::F64(self.read()?),
        })
    }

    fn value_type(&mut self) -> Result<ValueType, GgufError> {
        let offset = self.cursor.position();
        let id: u32 = self.read()?;
        match ValueType::from_id(id) {
            Some(value_type) => Ok(value_type),
            None => self.fail(Kind::ValueType, offset, format!("unknown value type {id}")),
        }
    }

    fn array(&mut self) -> Result<Array, GgufError> {
        let offset = self.cursor.position();
        let element = self.value_type()?;
        if element == ValueType::Array {
            return self.fail(Kind::NestedArray, offset, "an array of arrays".to_owned());
        }
        let offset = self.cursor.position();
        let count: u64 = self.read()?;
        let left = self.cursor.left();
        // `checked_mul` and not a division: the product is what will be read.
        if count.checked_mul(element.element_bytes()).is_none_or(|bytes| bytes > left) {
            let name = element.name();
            let detail = format!("an array of {count} {name}, with {left} bytes left in the file");
            return self.fail(Kind::ArrayLength, offset, detail);
        }
        Ok(match element {
            ValueType::U8 => Array::U8(self.read_array(count)?),
            ValueType::I8 => Array::I8(self.read_array(count)?),
            ValueType::U16 => Array::U16(self.read_array(count)?),
            ValueType::I16 => Array::I16(self.read_array(count)?),
            ValueType::U32 => Array::U32(self.read_array(count)?),
            ValueType::I32 => Array::I32(self.read_array(count)?),
            ValueType::F32 => Array::F32(self.read_array(count)?),
            ValueType::Bool => Array::Bool(self.bools(count)?),
            // An array of arrays was refused above.
            ValueType::String | ValueType::Array => Array::String(self.strings(count)?),
            ValueType::U64 => Array::U64(self.read_array(count)?),
            ValueType::I64 => Array::I64(self.read_array(count)?),
            ValueType::F64 => Array::F64(self.read_array(count)?),
        })
    }

    fn bools(&mut self, count: u64) -> Result<Vec<bool>, GgufError> {
        let offset = self.cursor.position();
        let bytes = self.take(count)?;
        if let Some((index, byte)) = (0..).zip(bytes).find(|(_, byte)| **byte > 1) {
            let detail = format!("a truth value of {byte}");
            return self.fail(Kind::Bool, offset.saturating_add(index), detail);
        }
        Ok(bytes.iter().map(|&byte| byte == 1).collect())
    }

    /// Two passes, so that the exact size is allocated once.
    fn strings(&mut self, count: u64) -> Result<StringArray, GgufError> {
        let start = self.cursor.clone();
        let mut bytes = 0_usize;
        for _ in 0..count {
            let string = self.string(limits::STRING_BYTES_MAX, Kind::StringLength)?;
            bytes = bytes.saturating_add(string.len());
        }
        self.cursor = start;
        let mut array = StringArray::with_capacity(usize::try_from(count).unwrap_or(0), bytes);
        for _ in 0..count {
            array.push(self.string(limits::STRING_BYTES_MAX, Kind::StringLength)?);
        }
        Ok(array)
    }

    fn string(&mut self, max: u64, kind: Kind) -> Result<&'a str, GgufError> {
        let offset = self.cursor.position();
        let bytes: u64 = self.read()?;
        let left = self.cursor.left();
        if bytes > max {
            return self.fail(
                kind,
                offset,
                format!("{bytes} bytes of text; at most {max} are allowed"),
            );
        }
        if bytes > left {
            let detail = format!("{bytes} bytes of text, with {left} bytes left in the file");
            return self.fail(Kind::StringLength, offset, detail);
        }
        let start = self.cursor.position();
        match str::from_utf8(self.take(bytes)?) {
            Ok(text) => Ok(text),
            Err(error) => {
                let valid = u64::try_from(error.valid_up_to()).unwrap_or(0);
                self.fail(Kind::Utf8, start.saturating_add(valid), "text is not UTF-8".to_owned())
            }
        }
    }

    /// The name of a key or tensor.
    fn name(&mut self, max: u64, kind: Kind) -> Result<&'a str, GgufError> {
        let offset = self.cursor.position();
        let name = self.string(max, kind)?;
        if name.is_empty() {
            return self.fail(kind, offset, "the name is empty".to_owned());
        }
        if name.chars().any(char::is_control) {
            return self.fail(kind, offset, format!("the name {name:?} has control characters"));
        }
        Ok(name)
    }

    fn tensors(&mut self, count: u64, file_bytes: u64) -> Result<Vec<TensorInfo>, GgufError> {
        self.subject = Subject::Header;
        let mut tensors: Vec<TensorInfo> = self.room_for(count, TENSOR_ENTRY_BYTES_MIN);
        let mut total = 0_u64;
        for number in 0..count {
            self.subject = Subject::TensorNumber(number);
            let entry_offset = self.cursor.position();
            let name = self.name(limits::TENSOR_NAME_BYTES_MAX, Kind::TensorName)?.to_owned();
            self.subject = Subject::Tensor(name);
            let (dims, quant) = (self.dims()?, self.quant()?);
            let bytes = self.tensor_bytes(quant, &dims, entry_offset, file_bytes)?;
            let sum = total.checked_add(bytes).filter(|&sum| sum <= file_bytes);
            let Some(sum) = sum else {
                let detail =
                    format!("{bytes} bytes more than {total} exceed a file of {file_bytes}");
                return self.fail(Kind::TensorSize, entry_offset, detail);
            };
            total = sum;
            let offset = self.read()?;
            if let Subject::Tensor(name) = std::mem::take(&mut self.subject) {
                tensors.push(TensorInfo { name, dims, quant, offset, bytes, entry_offset });
            }
        }
        Ok(tensors)
    }

    fn dims(&mut self) -> Result<Vec<u64>, GgufError> {
        let offset = self.cursor.position();
        let rank: u32 = self.read()?;
        let max = limits::DIMENSIONS_MAX;
        if !(1..=max).contains(&rank) {
            return self.fail(
                Kind::Dimensions,
                offset,
                format!("{rank} dimensions; 1 to {max} are read"),
            );
        }
        let start = self.cursor.position();
        let dims: Vec<u64> = self.read_array(u64::from(rank))?;
        if let Some((index, _)) = (0_u64..).zip(&dims).find(|(_, size)| **size == 0) {
            let at = start.saturating_add(index.saturating_mul(8));
            return self.fail(Kind::Dimensions, at, format!("dimension {index} is 0"));
        }
        Ok(dims)
    }

    fn quant(&mut self) -> Result<Quant, GgufError> {
        let offset = self.cursor.position();
        let id: u32 = self.read()?;
        match Quant::from_ggml_id(id) {
            Some(quant) => Ok(quant),
            None => {
                let known = Quant::ALL.map(Quant::name).join(", ");
                let detail =
                    format!("tensor type {id} is not read by this engine (it reads {known})");
                self.fail(Kind::TensorType, offset, detail)
            }
        }
    }

    /// Bytes of a tensor, by checked arithmetic, at most the file's.
    fn tensor_bytes(
        &self,
        quant: Quant,
        dims: &[u64],
        entry: u64,
        file_bytes: u64,
    ) -> Result<u64, GgufError> {
        let width = dims.first().copied().unwrap_or(0);
        let block = quant.block_len();
        if u64::try_from(block).is_ok_and(|block| !width.is_multiple_of(block)) {
            let detail =
                format!("rows of {width} elements are not whole {quant} blocks of {block}");
            return self.fail(Kind::PartialBlock, entry, detail);
        }
        // The element count must fit as well: four bits an element would let it wrap first.
        let elements = dims.iter().try_fold(1_u64, |product, &size| product.checked_mul(size));
        let row = usize::try_from(width).ok().and_then(|width| quant.row_bytes(width));
        let rows = dims.iter().skip(1).try_fold(1_u64, |rows, &size| rows.checked_mul(size));
        let bytes = rows.zip(row).and_then(|(rows, row)| rows.checked_mul(row));
        match bytes.filter(|&bytes| elements.is_some() && bytes <= file_bytes) {
            Some(bytes) => Ok(bytes),
            None => {
                let detail =
                    format!("dimensions {dims:?} in {quant} exceed a file of {file_bytes} bytes");
                self.fail(Kind::TensorSize, entry, detail)
            }
        }
    }

    fn take(&mut self, count: u64) -> Result<&'a [u8], GgufError> {
        self.cursor.take(count).map_err(|short| self.short(short))
    }

    fn read<T: Little>(&mut self) -> Result<T, GgufError> {
        self.cursor.read().map_err(|short| self.short(short))
    }

    fn read_array<T: Little>(&mut self, count: u64) -> Result<Vec<T>, GgufError> {
        self.cursor.read_array(count).map_err(|short| self.short(short))
    }

    fn short(&self, short: Short) -> GgufError {
        let max = limits::DIRECTORY_BYTES_MAX;
        let (kind, offset, detail) = match short {
            Short::NeedMore { at_least } if at_least <= max => {
                return GgufError::NeedMore { at_least };
            }
            Short::NeedMore { at_least } => {
                let detail = format!("the directory has at least {at_least} bytes; at most {max}");
                (Kind::DirectorySize, self.cursor.position(), detail)
            }
            Short::PastEnd { offset, needed, left } => {
                let detail = format!("{needed} bytes needed, {left} left: the file ends here");
                (Kind::Truncated, offset, detail)
            }
        };
        GgufError::new(kind, self.subject.clone(), Some(offset), detail)
    }

    fn fail<T>(&self, kind: Kind, offset: u64, detail: String) -> Result<T, GgufError> {
        Err(GgufError::new(kind, self.subject.clone(), Some(offset), detail))
    }
}

/// `general.alignment`: exactly a u32 (K6 of reference/reliability.md), a power of two within limits.
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
