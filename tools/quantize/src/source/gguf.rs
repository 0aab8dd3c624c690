//! A GGUF file as source: its metadata and tensors, to be written in other formats.
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

use ds4_model::shape::Shape;
use ds4_runtime::model_file::{OpenError, open_parts};

use super::{Element, Part, Source, SourceTensor, identify};
use crate::QuantizeError;

/// Keys that describe the source's files and not the model.
fn of_the_file(key: &str) -> bool {
    key.starts_with("split.") || matches!(key, "general.alignment" | "general.file_type")
}

/// Opens a GGUF, or the first part of a split one.
///
/// # Errors
/// What is wrong with which file.
pub fn open(path: &Path) -> Result<Source, QuantizeError> {
    let (files, set) = open_parts(path)?;
    let shape = Shape::from_metadata(set.metadata())
        .map_err(|error| OpenError::Shape { path: path.to_path_buf(), error })?;
    let mut hasher = blake3::Hasher::new();
    identify(&mut hasher, files.iter().map(|file| file.path()));
    let mut tensors = Vec::new();
    for (part, tensor) in set.tensors() {
        let size = |size: u64| usize::try_from(size).ok();
        // Experts lie one after the other: each a part of its own, for importances of its own.
        let experts = tensor.dims.get(2..).unwrap_or_default().iter().product::<u64>().max(1);
        let rows = tensor.rows().checked_div(experts).and_then(size);
        let (Some(file), Some(rows), Some(width)) = (files.get(part), rows, size(tensor.width()))
        else {
            return Err(QuantizeError::tensor(path, &tensor.name, "too large for this machine"));
        };
        let bytes = tensor.bytes.checked_div(experts).unwrap_or(0);
        let part = |expert: u64| Part {
            file: file.clone(),
            name: tensor.name.clone(),
            element: Element::Blocks(tensor.quant),
            offset: tensor.offset.saturating_add(expert.saturating_mul(bytes)),
            rows,
            width,
        };
        let parts = (0..experts).map(part).collect();
        hasher.update(format!("{} {} {}\n", tensor.name, tensor.quant, tensor.offset).as_bytes());
        tensors.push(SourceTensor { name: tensor.name.clone(), dims: tensor.dims.clone(), parts });
    }
    let metadata = set.metadata().iter().filter(|(key, _)| !of_the_file(key));
    Ok(Source {
        path: path.to_path_buf(),
        metadata: metadata.map(|(key, value)| (key.to_owned(), value.clone())).collect(),
        unused: Vec::new(),
        fingerprint: hasher.finalize(),
        shape,
        tensors,
    })
}
