//! The header of a safetensors file: 8 bytes of length, then JSON that names every tensor with its
//! type, sizes and place (<https://github.com/huggingface/safetensors>, "Format").
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

use std::path::Path;
use std::sync::Arc;

use ds4_io::{Caching, ReadFile};
use serde_json::Value;

use crate::QuantizeError;
use crate::limits::HEADER_BYTES_MAX;

#[cfg(test)]
mod tests;

/// Element type of a tensor: those that occur in checkpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(non_camel_case_types, missing_docs, reason = "the names of the format")]
pub enum Dtype {
    F32,
    F16,
    BF16,
    F8_E4M3,
    F8_E8M0,
    I8,
    U8,
    I32,
    I64,
}

impl Dtype {
    const ALL: [(&'static str, Self, u64); 9] = [
        ("F32", Self::F32, 4),
        ("F16", Self::F16, 2),
        ("BF16", Self::BF16, 2),
        ("F8_E4M3", Self::F8_E4M3, 1),
        ("F8_E8M0", Self::F8_E8M0, 1),
        ("I8", Self::I8, 1),
        ("U8", Self::U8, 1),
        ("I32", Self::I32, 4),
        ("I64", Self::I64, 8),
    ];

    /// Name in the header.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, dtype, _)| *dtype == self).map_or("", |(name, ..)| name)
    }

    /// Bytes of an element.
    pub fn bytes(self) -> u64 {
        Self::ALL.iter().find(|(_, dtype, _)| *dtype == self).map_or(0, |(.., bytes)| *bytes)
    }
}

/// A tensor of a file. Its bytes lie inside the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Name.
    pub name: String,
    /// Element type; `Err` with the name of one that is not read here.
    pub dtype: Result<Dtype, String>,
    /// Sizes, outermost first; empty for a single number.
    pub shape: Vec<usize>,
    /// Start, in bytes from the start of the file.
    pub offset: u64,
    /// Bytes.
    pub bytes: u64,
}

/// Opens a file and reads its header.
///
/// # Errors
/// What is wrong with the header: every tensor must lie inside the file, and together they must
/// fill it (so names that occur twice are noticed).
pub fn open(path: &Path) -> Result<(Arc<ReadFile>, Vec<Entry>), QuantizeError> {
    let file = ReadFile::open(path, Caching::Cached)?;
    let wrong = |what: String| QuantizeError::format(path, what);
    if file.bytes() < 8 {
        return Err(wrong(format!("{} bytes are no safetensors file", file.bytes())));
    }
    let mut length = [0; 8];
    file.read_exact_at(0, &mut length)?;
    let length = u64::from_le_bytes(length);
    let left = file.bytes().saturating_sub(8);
    if length > left || length > HEADER_BYTES_MAX {
        return Err(wrong(format!(
            "the header claims {length} bytes at byte 0; the file has {left} more, and at most \
             {HEADER_BYTES_MAX} are read: is it a safetensors file?"
        )));
    }
    let mut header = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
    file.read_exact_at(8, &mut header)?;
    let data = length.saturating_add(8);
    let entries = parse(&header, data, file.bytes()).map_err(wrong)?;
    Ok((file, entries))
}

/// Reads a header whose data runs from byte `start` to byte `end` of the file.
fn parse(header: &[u8], start: u64, end: u64) -> Result<Vec<Entry>, String> {
    let root: Value = serde_json::from_slice(header)
        .map_err(|error| format!("the header at byte 8 is no JSON: {error}"))?;
    let root = root.as_object().ok_or("the header is not a JSON object")?;
    let mut entries = Vec::with_capacity(root.len());
    for (name, value) in root.iter().filter(|(name, _)| *name != "__metadata__") {
        entries
            .push(entry(name, value, start, end).map_err(|what| format!("tensor {name}: {what}"))?);
    }
    let mut order: Vec<&Entry> = entries.iter().collect();
    order.sort_by_key(|entry| entry.offset);
    let mut at = start;
    for entry in order {
        if entry.offset != at {
            return Err(format!(
                "tensor {}: its data begins at byte {}, the data before it ends at byte {at}",
                entry.name, entry.offset
            ));
        }
        at = at.saturating_add(entry.bytes);
    }
    if at != end {
        return Err(format!("the tensors end at byte {at}, the file at byte {end}: it is damaged"));
    }
    Ok(entries)
}

fn entry(name: &str, value: &Value, start: u64, end: u64) -> Result<Entry, String> {
    let dtype = value.get("dtype").and_then(Value::as_str).ok_or("no dtype")?;
    let known = Dtype::ALL.iter().find(|(name, ..)| *name == dtype).map(|(_, dtype, _)| *dtype);
    let sizes = value.get("shape").and_then(Value::as_array).ok_or("no shape")?;
    let size = |size: &Value| size.as_u64().and_then(|size| usize::try_from(size).ok());
    let shape: Option<Vec<usize>> = sizes.iter().map(size).collect();
    let shape = shape.ok_or("a size of its shape is no count")?;
    let offsets = value.get("data_offsets").and_then(Value::as_array).map(Vec::as_slice);
    let Some([from, to]) = offsets else { return Err("no data_offsets".to_owned()) };
    let place = |place: &Value| place.as_u64().and_then(|place| start.checked_add(place));
    let (Some(from), Some(to)) = (place(from), place(to)) else {
        return Err("data_offsets are no counts".to_owned());
    };
    if to > end {
        return Err(format!(
            "its data ends at byte {to}, the file at byte {end}: it is incomplete"
        ));
    }
    let bytes = to.checked_sub(from).ok_or("its data ends before it begins")?;
    if let Some(dtype) = known {
        let count = shape.iter().try_fold(dtype.bytes(), |product, &size| {
            product.checked_mul(u64::try_from(size).ok()?)
        });
        if count != Some(bytes) {
            return Err(format!("{} of {shape:?} is not {bytes} bytes", dtype.name()));
        }
    }
    let dtype = known.ok_or_else(|| dtype.to_owned());
    Ok(Entry { name: name.to_owned(), dtype, shape, offset: from, bytes })
}
