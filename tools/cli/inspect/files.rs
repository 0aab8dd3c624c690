//! Reading the directories of a model's files, as much of them as can be read.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use ds4_format::gguf::{Gguf, GgufError, GgufSet, Metadata, TensorInfo, shard_names};
use ds4_format::limits::DIRECTORY_BYTES_MAX;

/// First read of a file. The directories of published models have 5 to 10 MiB.
const PREFIX_BYTES: u64 = 4 << 20;
/// A file size that cuts no tensor off, for reading what a truncated file should have held.
const UNTRUNCATED: u64 = 1 << 62;

/// One file of a model.
pub struct Part {
    /// Where it is.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// Its directory.
    pub gguf: Gguf,
}

/// The files of a model that could be read, and what is wrong with the others.
pub struct Model {
    /// Files in order.
    pub parts: Vec<Part>,
    /// Keys and values of all parts.
    pub metadata: Metadata,
    /// What is wrong with the files, in plain words.
    pub problems: Vec<String>,
    /// Whether a part is not there: its tensors are missing for a known reason.
    pub incomplete: bool,
}

impl Model {
    /// Opens a file, and the other parts of a split model if only the first one is named.
    pub fn open(paths: &[PathBuf]) -> Self {
        let metadata = Metadata::default();
        let mut model =
            Self { parts: Vec::new(), metadata, problems: Vec::new(), incomplete: false };
        for path in paths {
            model.add(path);
        }
        if let ([path], Some(first)) = (paths, model.parts.first()) {
            let count = first.gguf.metadata.u32("split.count").unwrap_or(1);
            if count > 1 {
                model.add_siblings(path, count);
            }
        }
        model.join();
        model
    }

    fn add(&mut self, path: &Path) {
        match read_part(path) {
            Ok((part, problem)) => {
                self.parts.push(part);
                self.problems.extend(problem);
            }
            Err(problem) => {
                self.problems.push(problem);
                self.incomplete = true;
            }
        }
    }

    /// Parts are looked for beside the first one, under names made from its name.
    fn add_siblings(&mut self, first: &Path, count: u32) {
        let name = first.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        match shard_names(name, count) {
            Ok(names) => {
                names.iter().skip(1).for_each(|name| self.add(&first.with_file_name(name)))
            }
            Err(error) => {
                self.problems.push(format!("{}: {error}", first.display()));
                self.incomplete = true;
            }
        }
    }

    fn join(&mut self) {
        self.metadata = self.parts.first().map(|p| p.gguf.metadata.clone()).unwrap_or_default();
        if self.incomplete {
            return;
        }
        match GgufSet::join(self.parts.iter().map(|part| part.gguf.clone()).collect()) {
            Ok(set) => self.metadata = set.metadata().clone(),
            Err(error) => self.problems.push(error.to_string()),
        }
    }
}

/// The directory of a file. A truncated file has both: a directory and a problem.
fn read_part(path: &Path) -> Result<(Part, Option<String>), String> {
    let name = path.display();
    // Looked at before opening: opening a FIFO would wait for a writer.
    let metadata = std::fs::metadata(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => format!("{name}: there is no such file"),
        _ => format!("{name}: {error}"),
    })?;
    if metadata.is_dir() {
        return Err(format!("{name} is a directory; give the model file in it"));
    }
    if !metadata.is_file() {
        return Err(format!("{name} is not a regular file"));
    }
    let bytes = metadata.len();
    if bytes == 0 {
        return Err(format!("{name} is empty"));
    }
    let part = |gguf| Part { path: path.to_owned(), bytes, gguf };
    let mut prefix = Vec::new();
    match parse(path, bytes, &mut prefix)? {
        Ok(gguf) => Ok((part(gguf), None)),
        Err(error) => match Gguf::parse(&prefix, UNTRUNCATED) {
            Ok(gguf) => match cut_off(&gguf, bytes) {
                Some(problem) => Ok((part(gguf), Some(format!("{name}: {problem}")))),
                None => Err(format!("{name}: {error}")),
            },
            Err(GgufError::NeedMore { .. }) if prefix.len() as u64 == bytes => Err(format!(
                "{name}: the file is incomplete: it ends after {bytes} bytes, inside its \
                 directory. Resume or repeat the download ({error})"
            )),
            Err(_) => Err(format!("{name}: {error}")),
        },
    }
}

/// Reads as much of a file as its directory needs. The outer error is one of reading, in words.
fn parse(
    path: &Path,
    file_bytes: u64,
    prefix: &mut Vec<u8>,
) -> Result<Result<Gguf, GgufError>, String> {
    let cannot_read = |error| format!("{}: {error}", path.display());
    let mut file = File::open(path).map_err(cannot_read)?;
    let mut wanted = PREFIX_BYTES.min(file_bytes);
    loop {
        let more = wanted.saturating_sub(prefix.len() as u64);
        let read = file.by_ref().take(more).read_to_end(prefix).map_err(cannot_read)?;
        match Gguf::parse(prefix, file_bytes) {
            // Nothing more to read: the file shrank meanwhile, or its directory passes all limits.
            Err(GgufError::NeedMore { at_least }) if read > 0 && wanted < DIRECTORY_BYTES_MAX => {
                let doubled = wanted.saturating_mul(2).max(at_least);
                wanted = doubled.min(file_bytes).min(DIRECTORY_BYTES_MAX);
            }
            result => return Ok(result),
        }
    }
}

/// Which tensors lie behind the end of the file, in words; `None` if all are inside.
fn cut_off(gguf: &Gguf, file_bytes: u64) -> Option<String> {
    let end = |tensor: &TensorInfo| tensor.offset.saturating_add(tensor.bytes);
    let cut: Vec<_> = gguf.tensors().iter().filter(|tensor| end(tensor) > file_bytes).collect();
    let first = cut.iter().min_by_key(|tensor| tensor.offset)?;
    let needed = cut.iter().map(|tensor| end(tensor)).max()?;
    Some(format!(
        "the file is cut off: it has {file_bytes} bytes and needs {needed}. {} of {} tensors are \
         incomplete, the first is {:?} at byte {}. Resume or repeat the download",
        cut.len(),
        gguf.tensors().len(),
        first.name,
        first.offset
    ))
}
