//! Sources: for every tensor of the output, where its values lie and how they are stored.

pub mod checkpoint;
pub mod config;
pub mod gguf;
mod names;
mod read;
pub mod safetensors;
pub mod vocabulary;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ds4_format::gguf::Value;
use ds4_format::quant::Quant;
use ds4_io::ReadFile;
use ds4_model::shape::Shape;

use crate::QuantizeError;

/// A model to convert.
pub struct Source {
    /// Folder or file it came from.
    pub path: PathBuf,
    /// Its hyper-parameters.
    pub shape: Shape,
    /// Metadata of the output.
    pub metadata: Vec<(String, Value)>,
    /// Tensors in the order of the output.
    pub tensors: Vec<SourceTensor>,
    /// Tensors of the source that the output does not have.
    pub unused: Vec<String>,
    /// Tells whether two sources are the same: names, sizes, times and directories of the files.
    pub fingerprint: blake3::Hash,
}

/// A tensor of the output before its format is chosen.
pub struct SourceTensor {
    /// Name in the output.
    pub name: String,
    /// Sizes in ggml order, the contiguous one first.
    pub dims: Vec<u64>,
    /// Matrices one after the other along the outermost dimension; their rows are the tensor's.
    pub parts: Vec<Part>,
}

/// A matrix of the source, or some rows of one.
#[derive(Clone)]
pub struct Part {
    /// The file.
    pub file: Arc<ReadFile>,
    /// Its name there.
    pub name: String,
    /// How its values are stored.
    pub element: Element,
    /// Start of its first row, in bytes from the start of the file.
    pub offset: u64,
    /// Rows.
    pub rows: usize,
    /// Values of a row.
    pub width: usize,
}

/// How values are stored.
#[derive(Clone)]
pub enum Element {
    /// Blocks of a GGUF format, plain ones included.
    Blocks(Quant),
    /// Signed integers of 64 bits.
    I64,
    /// e4m3 codes, a scale for each tile.
    Fp8(Scales),
    /// e2m1 codes, two in a byte, the low half first; a scale for each 32 inputs.
    Fp4(Scales),
}

/// Scales of tiles, \[rows of tiles\]\[tiles of a row\].
#[derive(Clone)]
pub struct Scales {
    /// The file.
    pub file: Arc<ReadFile>,
    /// Name of the tensor.
    pub name: String,
    /// Start, in bytes from the start of the file.
    pub offset: u64,
    /// How they are stored.
    pub stored: ScaleType,
    /// Rows of values that share a scale.
    pub tile_rows: usize,
    /// Values of a row that share a scale.
    pub tile_width: usize,
}

/// How scales are stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ScaleType {
    /// 2^(code - 127).
    Ue8m0,
    /// f32.
    F32,
}

impl Source {
    /// Opens a folder of safetensors shards, or a GGUF file.
    ///
    /// # Errors
    /// What is missing or wrong in which file.
    pub fn open(path: &Path) -> Result<Self, QuantizeError> {
        if path.is_dir() { checkpoint::open(path) } else { gguf::open(path) }
    }
}

/// Describes files by name, size and time of change.
fn identify<'a>(hasher: &mut blake3::Hasher, files: impl Iterator<Item = &'a Path>) {
    for path in files {
        let data = std::fs::metadata(path).ok();
        let modified = data.as_ref().and_then(|data| data.modified().ok());
        let since = modified.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
        let bytes = data.map_or(0, |data| data.len());
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        hasher.update(format!("{name}\n{bytes}\n{since:?}\n").as_bytes());
    }
}

/// Reads a small file whole.
fn read_small(path: &Path, bytes_max: u64) -> Result<Vec<u8>, QuantizeError> {
    let data = std::fs::metadata(path).map_err(QuantizeError::file("open", path))?;
    if data.len() > bytes_max {
        let what = format!("{} bytes; at most {bytes_max} are read", data.len());
        return Err(QuantizeError::format(path, what));
    }
    std::fs::read(path).map_err(QuantizeError::file("read", path))
}
