//! Header, metadata and tensor table, entry by entry.
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
use super::{GgufError, GgufErrorKind as Kind, Metadata, Subject, TensorInfo};
use crate::bytes::{Cursor, Little, Short};
use crate::limits;
use crate::quant::Quant;

/// Bytes of the smallest metadata entry: key length, a key of one byte, type, a value of one byte.
const ENTRY_BYTES_MIN: u64 = 8 + 1 + 4 + 1;
/// Bytes of the smallest tensor entry: name length, a name of one byte, rank, one dimension, type,
/// offset.
const TENSOR_ENTRY_BYTES_MIN: u64 = 8 + 1 + 4 + 8 + 4 + 8;

/// What stands before the metadata.
pub(super) struct Header {
    pub(super) version: u32,
    pub(super) tensors: u64,
    pub(super) keys: u64,
}

/// Reads the directory from front to back.
pub(super) struct Parser<'a> {
    pub(super) cursor: Cursor<'a>,
    /// The entry being read, for messages.
    subject: Subject,
}

impl<'a> Parser<'a> {
    pub(super) fn new(prefix: &'a [u8], file_bytes: u64) -> Self {
        Self { cursor: Cursor::new(prefix, file_bytes), subject: Subject::Header }
    }

    pub(super) fn header(&mut self) -> Result<Header, GgufError> {
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

    pub(super) fn metadata(&mut self, count: u64) -> Result<Metadata, GgufError> {
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

    /// An empty vector with room for `count` entries, or for as many as the bytes in memory can
    /// hold.
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

    pub(super) fn tensors(
        &mut self,
        count: u64,
        file_bytes: u64,
    ) -> Result<Vec<TensorInfo>, GgufError> {
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
