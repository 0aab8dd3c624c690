//! The vocabulary that a file holds: a model's, or a `tokenizer.json`.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

use anyhow::{Context, bail};
use ds4_format::gguf::{Gguf, GgufError};
use ds4_format::limits::DIRECTORY_BYTES_MAX;
use ds4_text::Tokenizer;

/// First read of a model file. The directories of published models have 5 to 10 MiB.
const PREFIX_BYTES: u64 = 16 << 20;
/// A file size that cuts no tensor off: the vocabulary of an incomplete download can be used.
const UNTRUNCATED: u64 = 1 << 62;

/// Loads the vocabulary of a GGUF (of a split one, the first part) or a `tokenizer.json`.
pub fn load(path: &Path) -> anyhow::Result<Tokenizer> {
    let name = || path.display().to_string();
    let mut file = File::open(path).with_context(|| format!("cannot open {}", name()))?;
    let mut magic = [0; 4];
    let length = file.read(&mut magic).with_context(|| format!("cannot read {}", name()))?;
    file.rewind().with_context(|| format!("cannot read {}", name()))?;
    if magic[..length] != *b"GGUF" {
        let mut json = Vec::new();
        file.read_to_end(&mut json).with_context(|| format!("cannot read {}", name()))?;
        return Tokenizer::from_tokenizer_json(&json)
            .with_context(|| format!("{} is neither a GGUF nor a usable tokenizer.json", name()));
    }
    let gguf = read_directory(file).with_context(name)?;
    let tokens = gguf.metadata.array_str("tokenizer.ggml.tokens").with_context(name)?.len();
    ds4_runtime::tokenizer::tokenizer(&gguf.metadata, tokens).with_context(name)
}

fn read_directory(mut file: File) -> anyhow::Result<Gguf> {
    let mut prefix = Vec::new();
    let mut wanted = PREFIX_BYTES;
    loop {
        let missing = wanted - prefix.len() as u64;
        let read = file.by_ref().take(missing).read_to_end(&mut prefix)?;
        match Gguf::parse(&prefix, UNTRUNCATED) {
            Ok(gguf) => return Ok(gguf),
            Err(GgufError::NeedMore { .. }) if read == 0 => {
                bail!(
                    "the file ends inside its directory, after {} bytes: download it again",
                    prefix.len()
                );
            }
            Err(GgufError::NeedMore { at_least }) if at_least <= DIRECTORY_BYTES_MAX => {
                wanted = at_least.max(wanted.saturating_mul(2)).min(DIRECTORY_BYTES_MAX);
            }
            Err(error) => return Err(error.into()),
        }
    }
}
