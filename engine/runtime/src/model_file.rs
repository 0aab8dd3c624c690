//! A model on disk: its files, directory, shape and weights.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ds4_format::gguf::{Gguf, GgufError, GgufSet, shard_names};
use ds4_io::{Caching, ReadError, ReadFile};
use ds4_model::inventory::bind::{BindError, Binding, bind_set};
use ds4_model::shape::{Shape, ShapeError};

/// Bytes of a file read first, doubled until the directory fits: 5 to 10 MB in a published file,
/// tokenizer included.
const PREFIX_BYTES: u64 = 1 << 20;

/// Files below this size are read through the page cache, larger ones past it: a second copy of a
/// model that fills the memory would push out everything else.
const CACHED_BYTES_MAX: u64 = 1 << 30;

/// Why a model cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The file is not a GGUF that can be used.
    #[error("{}: {error}", path.display())]
    Gguf {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        error: GgufError,
    },
    /// The hyper-parameters do not make a DeepSeek V4 model.
    #[error("{}: {error}", path.display())]
    Shape {
        /// Which file.
        path: PathBuf,
        /// All problems.
        error: ShapeError,
    },
    /// The tensors are not those of the shape.
    #[error("{}: {error}", path.display())]
    Bind {
        /// Which file.
        path: PathBuf,
        /// All problems.
        error: BindError,
    },
}

/// Where the bytes of a model come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// Files, in order of their parts.
    Files(Vec<Arc<ReadFile>>),
    /// One file, already in memory: a model inside the program.
    Memory(&'static [u8]),
}

/// An opened model.
#[derive(Debug)]
pub struct ModelFile {
    /// Where it was opened.
    pub path: PathBuf,
    /// Where its bytes come from.
    pub source: Source,
    /// Their directories.
    pub gguf: GgufSet,
    /// Its hyper-parameters.
    pub shape: Arc<Shape>,
    /// Where each weight is.
    pub binding: Binding,
}

impl ModelFile {
    /// Opens a model: one GGUF, or the first part of a split one.
    ///
    /// # Errors
    /// What is wrong with which file.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let (files, gguf) = open_parts(path)?;
        Self::bound(path, Source::Files(files), gguf)
    }

    /// Opens a GGUF that is in memory; `name` stands for it in messages.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn embedded(name: &str, bytes: &'static [u8]) -> Result<Self, OpenError> {
        let path = Path::new(name);
        let error = |error| OpenError::Gguf { path: path.to_path_buf(), error };
        let part = Gguf::parse(bytes, bytes.len() as u64).map_err(error)?;
        Self::bound(path, Source::Memory(bytes), GgufSet::join(vec![part]).map_err(error)?)
    }

    fn bound(path: &Path, source: Source, gguf: GgufSet) -> Result<Self, OpenError> {
        let path = path.to_path_buf();
        let shape = Shape::from_metadata(gguf.metadata())
            .map_err(|error| OpenError::Shape { path: path.clone(), error })?;
        let binding = bind_set(&shape, &gguf)
            .map_err(|error| OpenError::Bind { path: path.clone(), error })?;
        Ok(Self { path, source, gguf, shape: Arc::new(shape), binding })
    }

    /// Bytes of all weights in the file.
    pub fn weight_bytes(&self) -> u64 {
        self.binding.weights().map(|weight| weight.bytes).sum()
    }
}

/// Opens the files of a model and reads their directories.
///
/// # Errors
/// What is wrong with which file.
pub fn open_parts(path: &Path) -> Result<(Vec<Arc<ReadFile>>, GgufSet), OpenError> {
    let at = |path: &Path| {
        let path = path.to_path_buf();
        move |error| OpenError::Gguf { path, error }
    };
    let (file, first) = open_part(path)?;
    let count = first.metadata.u32("split.count").unwrap_or(1);
    let (mut files, mut parts) = (vec![file], vec![first]);
    if count > 1 {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        for name in shard_names(&name, count).map_err(at(path))?.iter().skip(1) {
            let (file, part) = open_part(&path.with_file_name(name))?;
            files.push(file);
            parts.push(part);
        }
    }
    let gguf = GgufSet::join(parts).map_err(at(path))?;
    Ok((files, gguf))
}

fn open_part(path: &Path) -> Result<(Arc<ReadFile>, Gguf), OpenError> {
    let mut file = ReadFile::open(path, Caching::Cached)?;
    if file.bytes() > CACHED_BYTES_MAX {
        file = ReadFile::open(path, Caching::Direct)?;
    }
    let mut prefix = vec![0; file.bytes().min(PREFIX_BYTES) as usize];
    file.read_exact_at(0, &mut prefix)?;
    loop {
        match Gguf::parse(&prefix, file.bytes()) {
            Ok(gguf) => return Ok((file, gguf)),
            // The parser never asks for more than the file has, and always for more than it was
            // given.
            Err(GgufError::NeedMore { at_least }) if prefix.len() < file.bytes() as usize => {
                let wanted = at_least.max(prefix.len() as u64 * 2).min(file.bytes());
                prefix.resize(wanted as usize, 0);
                file.read_exact_at(0, &mut prefix)?;
            }
            Err(error) => return Err(OpenError::Gguf { path: path.to_path_buf(), error }),
        }
    }
}
