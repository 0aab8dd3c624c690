//! Importances: how large the inputs of every matrix product are, column by column.
//!
//! The error that quantising row w of a matrix makes in its product with inputs x is the sum over
//! columns of (w - w')^2 x^2, if the columns of x are uncorrelated. So the mean of x^2 over
//! calibration text is the weight of a column.
//!
//! The file is a safetensors file. For each tensor of the model, by its GGUF name:
//!
//! | tensor | type | shape | |
//! |---|---|---|---|
//! | `NAME` | F32 | \[parts, width\] | mean squares |
//! | `NAME.count` | I64 | \[parts\] | inputs that the means are over |
//!
//! A part is an expert (its inputs are the tokens routed to it), or a group of stacked matrices
//! with inputs of its own; else there is one. In the metadata stand `format` = `ds4-imatrix`,
//! `version` = `1`, and `tokens`, how many tokens were read.

mod collect;
mod file;

use std::collections::BTreeMap;
use std::path::Path;

use crate::QuantizeError;
use crate::source::SourceTensor;

pub use collect::collect;

/// Mean squares of the inputs of some matrices.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Importance {
    /// Where it was read from, for messages.
    path: std::path::PathBuf,
    tokens: u64,
    tensors: BTreeMap<String, Columns>,
}

/// Of one tensor.
#[derive(Clone, Debug, PartialEq)]
struct Columns {
    width: usize,
    /// \[parts\]\[width\] mean squares.
    means: Vec<f32>,
    /// \[parts\]
    counts: Vec<u64>,
}

impl Columns {
    fn part(&self, part: usize) -> Option<&[f32]> {
        self.means.get(part * self.width..(part + 1) * self.width)
    }
}

impl Importance {
    /// Reads a file.
    ///
    /// # Errors
    /// What is wrong with which tensor of it.
    pub fn read(path: &Path) -> Result<Self, QuantizeError> {
        file::read(path)
    }

    /// Writes a file; replaces one that is there.
    ///
    /// # Errors
    /// Of the disk.
    pub fn write(&self, path: &Path) -> Result<(), QuantizeError> {
        file::write(self, path)
    }

    /// Tokens of calibration text.
    pub fn tokens(&self) -> u64 {
        self.tokens
    }

    /// Tensors that it knows, with the inputs that each part has seen.
    pub fn counts(&self) -> impl Iterator<Item = (&str, &[u64])> {
        self.tensors.iter().map(|(name, columns)| (name.as_str(), columns.counts.as_slice()))
    }

    /// Whether it knows this tensor.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// Mean squares of one part of a tensor: of all parts together where this one saw no inputs (an
    /// expert that no token was routed to); `None` where nothing is known.
    pub fn weights(&self, name: &str, part: usize) -> Option<&[f32]> {
        self.tensors.get(name)?.part(part)
    }

    /// Groups of inputs in each of `parts` matrices of a tensor.
    pub(crate) fn groups(&self, name: &str, parts: usize) -> usize {
        self.tensors.get(name).map_or(1, |columns| columns.counts.len() / parts.max(1)).max(1)
    }

    pub(crate) fn hash(&self) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        for (name, columns) in &self.tensors {
            hasher.update(format!("{name} {}\n", columns.width).as_bytes());
            columns.means.iter().for_each(|mean| {
                hasher.update(&mean.to_le_bytes());
            });
        }
        hasher.finalize()
    }

    /// Whether widths and parts are those of the model.
    pub(crate) fn check(&self, tensors: &[SourceTensor]) -> Result<(), QuantizeError> {
        for tensor in tensors {
            let Some(columns) = self.tensors.get(&tensor.name) else { continue };
            let width = tensor.dims.first().copied().unwrap_or(1);
            let (parts, found) = (tensor.parts.len(), columns.counts.len());
            if width != columns.width as u64 || found == 0 || !found.is_multiple_of(parts.max(1)) {
                let what = format!(
                    "{found} parts of {} columns; the model has {parts} of {width}: was the file \
                     made with another model?",
                    columns.width
                );
                return Err(QuantizeError::tensor(&self.path, &tensor.name, what));
            }
        }
        Ok(())
    }

    /// Parts that saw nothing get the mean of the others, weighted by their counts.
    fn fill_unseen(&mut self) {
        for columns in self.tensors.values_mut() {
            let seen: u64 = columns.counts.iter().sum();
            let rows = columns.means.chunks_exact(columns.width).zip(&columns.counts);
            let mut average = vec![0.0_f64; columns.width];
            for (row, &count) in rows {
                for (sum, mean) in average.iter_mut().zip(row) {
                    *sum += f64::from(*mean) * count as f64 / seen.max(1) as f64;
                }
            }
            let rows = columns.means.chunks_exact_mut(columns.width).zip(&columns.counts);
            for (row, _) in rows.filter(|(_, count)| **count == 0) {
                row.iter_mut().zip(&average).for_each(|(mean, sum)| *mean = *sum as f32);
            }
        }
    }
}
