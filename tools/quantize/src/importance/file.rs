//! The importance file.
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

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::{Columns, Importance};
use crate::QuantizeError;
use crate::source::safetensors::{self, Dtype, Entry};

const COUNT: &str = ".count";

pub(super) fn read(path: &Path) -> Result<Importance, QuantizeError> {
    let (file, entries) = safetensors::open(path)?;
    let bytes = |entry: &Entry| -> Result<Vec<u8>, QuantizeError> {
        let mut bytes = vec![0; usize::try_from(entry.bytes).unwrap_or(usize::MAX)];
        file.read_exact_at(entry.offset, &mut bytes)?;
        Ok(bytes)
    };
    let by_name: BTreeMap<&str, &Entry> =
        entries.iter().map(|entry| (entry.name.as_str(), entry)).collect();
    let mut importance = Importance { path: path.to_path_buf(), ..Importance::default() };
    for entry in entries.iter().filter(|entry| !entry.name.ends_with(COUNT)) {
        let wrong = |what: &str| QuantizeError::tensor(path, &entry.name, what);
        let (&[parts, width], Ok(Dtype::F32)) = (entry.shape.as_slice(), &entry.dtype) else {
            return Err(wrong("F32 of [parts, width] is expected: is it a ds4 imatrix file?"));
        };
        let count = by_name.get(format!("{}{COUNT}", entry.name).as_str()).copied();
        let count = count.filter(|count| count.dtype == Ok(Dtype::I64) && count.shape == [parts]);
        let count = count.ok_or_else(|| {
            wrong("I64 counts of [parts] are missing beside it: is it a ds4 imatrix file?")
        })?;
        let means: Vec<f32> =
            bytes(entry)?.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        if width == 0 || means.iter().any(|mean| !(mean.is_finite() && *mean >= 0.0)) {
            return Err(wrong("a mean square that is negative or not finite"));
        }
        let counts: Vec<u64> =
            bytes(count)?.as_chunks().0.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect();
        let most = counts.iter().copied().max().unwrap_or(0);
        importance.tokens = importance.tokens.max(most);
        importance.tensors.insert(entry.name.clone(), Columns { width, means, counts });
    }
    if importance.tensors.is_empty() {
        return Err(QuantizeError::format(path, "it holds no importances"));
    }
    Ok(importance)
}

pub(super) fn write(importance: &Importance, path: &Path) -> Result<(), QuantizeError> {
    let mut header = Map::new();
    let tokens = importance.tokens.to_string();
    let about = json!({"format": "ds4-imatrix", "version": "1", "tokens": tokens});
    header.insert("__metadata__".to_owned(), about);
    let mut data: Vec<u8> = Vec::new();
    let mut add =
        |name: String, dtype: &str, shape: &[usize], bytes: &mut dyn Iterator<Item = u8>| {
            let from = data.len();
            data.extend(bytes);
            let entry = json!({"dtype": dtype, "shape": shape, "data_offsets": [from, data.len()]});
            header.insert(name, entry);
        };
    for (name, columns) in &importance.tensors {
        let parts = columns.counts.len();
        let mut means = columns.means.iter().flat_map(|mean| mean.to_le_bytes());
        add(name.clone(), "F32", &[parts, columns.width], &mut means);
        let mut counts = columns.counts.iter().flat_map(|count| count.to_le_bytes());
        add(format!("{name}{COUNT}"), "I64", &[parts], &mut counts);
    }
    let mut header = Value::Object(header).to_string();
    // Readers want the data at a multiple of 8.
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    let mut bytes = u64::try_from(header.len()).unwrap_or(u64::MAX).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    let part = path.with_extension("part");
    std::fs::write(&part, bytes).map_err(QuantizeError::file("write", &part))?;
    std::fs::rename(&part, path).map_err(QuantizeError::file("rename to", path))
}
