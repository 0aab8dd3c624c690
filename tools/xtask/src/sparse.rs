//! `cargo xtask sparse-model`: a model file with the real directory and a hole where the weights
//! would be.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use ds4_model::inventory::Profile;
use ds4_model::inventory::synthetic::{SparseModel, sparse_model};
use ds4_model::shape::Shape;

const USAGE: &str = "usage: cargo xtask sparse-model --shape flash|pro --profile PROFILE OUT.gguf";

/// Runs the command with the words after its name.
///
/// # Errors
/// Unknown options, or a file that cannot be written.
pub fn run(words: &[&str]) -> anyhow::Result<ExitCode> {
    let (mut shape, mut profile, mut out) = (None, None, None);
    let mut words = words.iter();
    while let Some(&word) = words.next() {
        match word {
            "--shape" => shape = words.next().map(|name| shape_named(name)).transpose()?,
            "--profile" => profile = words.next().map(|name| profile_named(name)).transpose()?,
            _ if word.starts_with('-') || out.is_some() => bail!("unexpected `{word}`; {USAGE}"),
            path => out = Some(Path::new(path)),
        }
    }
    let (Some(shape), Some(profile), Some(out)) = (shape, profile, out) else { bail!(USAGE) };
    let model = sparse_model(&shape, profile)?;
    write(&model, out).with_context(|| format!("cannot write {}", out.display()))?;
    println!(
        "{}: {} tensors, {} tensor bytes, {} bytes in all, {} of them on disk",
        out.display(),
        model.tensors,
        model.tensor_bytes,
        model.file_bytes,
        model.header.len()
    );
    Ok(ExitCode::SUCCESS)
}

fn shape_named(name: &str) -> anyhow::Result<Shape> {
    match name {
        "flash" => Ok(Shape::flash()),
        "pro" => Ok(Shape::pro()),
        _ => bail!("there is no shape `{name}`: flash, pro"),
    }
}

fn profile_named(name: &str) -> anyhow::Result<Profile> {
    let names: Vec<&str> = Profile::ALL.iter().map(|(name, _)| *name).collect();
    Profile::from_name(name)
        .with_context(|| format!("there is no profile `{name}`: {}", names.join(", ")))
}

/// Writes the header and gives the file its length; file systems store the rest as a hole.
fn write(model: &SparseModel, out: &Path) -> std::io::Result<()> {
    let mut file = File::create(out)?;
    file.write_all(&model.header)?;
    file.set_len(model.file_bytes)
}
