//! Writing the quantised file.
//!
//! The layout of the file is known before anything is encoded, so the tensors are cut into tasks of
//! about a million values that threads take in order: read rows, encode, write to their place. A
//! task's bytes depend on the source alone, never on threads or order. The file grows under the
//! name `OUT.part`; `OUT.part.done` lists the tensors whose bytes are on disk, so that the same
//! command can go on after an interruption; at the end the file gets its name in one step.

mod journal;
mod tasks;

use std::fs::File;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ds4_format::gguf::{GgufDirectory, GgufWriter, Value};
use ds4_format::quant::Quant;

use crate::QuantizeError;
use crate::importance::Importance;
use crate::limits::THREADS_MAX;
use crate::recipe::{self, Mix, Override};
use crate::source::Source;
use journal::Journal;

/// What changes the bytes of the output besides source, recipe and importances: a file begun by an
/// encoder of another version is begun anew.
const ENCODER_VERSION: u32 = 1;

/// Metadata of an output that importances guided: the tokens that they were measured on.
const IMPORTANCE_KEY: &str = "quantize.imatrix.tokens";

/// How to quantise.
pub struct Options {
    /// Formats.
    pub mix: Mix,
    /// Formats of single tensors; later ones count more.
    pub overrides: Vec<Override>,
    /// Mean squares of inputs.
    pub importance: Option<Importance>,
    /// Threads that encode; 0 is one a core.
    pub threads: usize,
    /// Replace the output if it exists.
    pub force: bool,
    /// Finished tensors are noted at most this often. Each note waits for the disk.
    pub note_every: Duration,
}

impl Options {
    /// Without overrides and importances, on all cores.
    pub fn new(mix: Mix) -> Self {
        Self {
            mix,
            overrides: Vec::new(),
            importance: None,
            threads: 0,
            force: false,
            note_every: Duration::from_secs(5),
        }
    }
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the output that are done, those of an earlier run included.
    pub done: u64,
    /// Bytes of all tensors.
    pub total: u64,
    /// Of `done`, from an earlier run.
    pub resumed: u64,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Tensors and bytes of each format, largest first.
    pub formats: Vec<(Quant, usize, u64)>,
    /// Tensors of the source that were left out.
    pub unused: Vec<String>,
    /// Tensors that importances could have guided and that have none.
    pub unguided: usize,
}

/// A tensor of the output.
struct Target<'a> {
    name: &'a str,
    source: &'a crate::source::SourceTensor,
    quant: Quant,
    offset: u64,
    bytes: u64,
}

/// Quantises a source into a file. `progress` is called about ten times a second and can stop the
/// work with `Break`.
///
/// # Errors
/// What is wrong with the source, the recipe or the disk. What was done is kept for the next run.
pub fn quantize(
    source: &Source,
    out: &Path,
    options: &Options,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Summary, QuantizeError> {
    if out.exists() && !options.force {
        return Err(QuantizeError::Exists(out.to_path_buf()));
    }
    let formats = recipe::formats(&source.shape, &source.tensors, options.mix, &options.overrides)?;
    if let Some(importance) = &options.importance {
        importance.check(&source.tensors)?;
    }
    let directory = directory(source, &formats, options)?;
    let places = directory.offsets.iter().zip(&directory.tensor_bytes);
    let targets: Vec<Target<'_>> = source
        .tensors
        .iter()
        .zip(formats)
        .zip(places)
        .map(|((tensor, quant), (&offset, &bytes))| Target {
            name: &tensor.name,
            source: tensor,
            quant,
            offset,
            bytes,
        })
        .collect();
    let part = with_suffix(out, ".part");
    let identity = identity(source, &directory, options);
    let mut journal = Journal::open(&part, &identity, directory.file_bytes, options.note_every)?;
    if journal.is_new() {
        tasks::write_at(journal.file(), &part, 0, &directory.bytes)?;
    }
    tasks::run(&targets, &mut journal, options, progress)?;
    journal.finish(out)?;
    Ok(summary(&targets, source, options, directory.file_bytes))
}

fn directory(
    source: &Source,
    formats: &[Quant],
    options: &Options,
) -> Result<GgufDirectory, QuantizeError> {
    let mut writer = GgufWriter::new();
    let replaced = |key: &str| options.importance.is_some() && key == IMPORTANCE_KEY;
    for (key, value) in source.metadata.iter().filter(|(key, _)| !replaced(key)) {
        writer.key(key, value.clone());
    }
    if let Some(importance) = &options.importance {
        writer.key(IMPORTANCE_KEY, Value::U64(importance.tokens()));
    }
    for (tensor, quant) in source.tensors.iter().zip(formats) {
        writer.tensor(&tensor.name, &tensor.dims, *quant);
    }
    Ok(writer.finish()?)
}

/// Everything that decides the bytes of the output.
fn identity(source: &Source, directory: &GgufDirectory, options: &Options) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&ENCODER_VERSION.to_le_bytes());
    hasher.update(source.fingerprint.as_bytes());
    hasher.update(blake3::hash(&directory.bytes).as_bytes());
    if let Some(importance) = &options.importance {
        hasher.update(importance.hash().as_bytes());
    }
    hasher.finalize()
}

fn summary(targets: &[Target<'_>], source: &Source, options: &Options, file_bytes: u64) -> Summary {
    let mut formats: Vec<(Quant, usize, u64)> = Vec::new();
    for target in targets {
        match formats.iter_mut().find(|(quant, ..)| *quant == target.quant) {
            Some((_, count, bytes)) => (*count, *bytes) = (*count + 1, *bytes + target.bytes),
            None => formats.push((target.quant, 1, target.bytes)),
        }
    }
    formats.sort_by_key(|(quant, _, bytes)| (std::cmp::Reverse(*bytes), *quant));
    let unguided = match &options.importance {
        Some(importance) => targets
            .iter()
            .filter(|target| target.quant.block_len() > 1 && !importance.has(target.name))
            .count(),
        None => 0,
    };
    Summary { file_bytes, formats, unused: source.unused.clone(), unguided }
}

fn threads(options: &Options) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if options.threads == 0 { cores } else { options.threads }.min(THREADS_MAX)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Makes a rename in this file's folder last.
fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}
