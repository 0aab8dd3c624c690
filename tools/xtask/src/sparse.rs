//! `cargo xtask sparse-model`: a model file with the real directory and a hole where the weights
//! would be, or random weights.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use ds4_model::inventory::synthetic::{Random, SparseModel, random_rows, sparse_model};
use ds4_model::inventory::{Profile, inventory};
use ds4_model::shape::Shape;

const USAGE: &str = "usage: cargo xtask sparse-model --shape flash|pro|nano --profile PROFILE \
                     [--layers N] [--random SEED] OUT.gguf";

/// Rows of a tensor that are made at a time.
const ROWS: usize = 4096;

/// Runs the command with the words after its name.
///
/// # Errors
/// Unknown options, or a file that cannot be written.
pub fn run(words: &[&str]) -> anyhow::Result<ExitCode> {
    let (mut shape, mut profile, mut out) = (None, None, None);
    let (mut layers, mut seed) = (None, None);
    let mut words = words.iter();
    while let Some(&word) = words.next() {
        match word {
            "--shape" => shape = words.next().map(|name| shape_named(name)).transpose()?,
            "--layers" => layers = words.next().map(|n| n.parse::<usize>()).transpose()?,
            "--random" => seed = words.next().map(|n| n.parse::<u64>()).transpose()?,
            "--profile" => profile = words.next().map(|name| profile_named(name)).transpose()?,
            _ if word.starts_with('-') || out.is_some() => bail!("unexpected `{word}`; {USAGE}"),
            path => out = Some(Path::new(path)),
        }
    }
    let (Some(mut shape), Some(profile), Some(out)) = (shape, profile, out) else { bail!(USAGE) };
    if let Some(layers) = layers {
        cut(&mut shape, layers);
    }
    let model = sparse_model(&shape, profile)?;
    let mut file = write(&model, out).with_context(|| format!("cannot write {}", out.display()))?;
    if let Some(seed) = seed {
        fill(&mut file, &model, &shape, profile, seed)
            .with_context(|| format!("cannot fill {}", out.display()))?;
    }
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
        "nano" => Ok(Shape::nano()),
        _ => bail!("there is no shape `{name}`: flash, pro, nano"),
    }
}

fn profile_named(name: &str) -> anyhow::Result<Profile> {
    let names: Vec<&str> = Profile::ALL.iter().map(|(name, _)| *name).collect();
    Profile::from_name(name)
        .with_context(|| format!("there is no profile `{name}`: {}", names.join(", ")))
}

/// Writes the header and gives the file its length; file systems store the rest as a hole.
fn write(model: &SparseModel, out: &Path) -> std::io::Result<File> {
    let mut file = File::create(out)?;
    file.write_all(&model.header)?;
    file.set_len(model.file_bytes)?;
    Ok(file)
}

/// Keeps the first layers only.
fn cut(shape: &mut Shape, layers: usize) {
    shape.layers = layers.min(shape.layers);
    shape.ratios.truncate(shape.layers);
    shape.swiglu_clamp.truncate(shape.layers);
    shape.hash_layers = shape.hash_layers.min(shape.layers);
}

/// Fills the hole with random weights, a few rows at a time.
fn fill(
    file: &mut File,
    model: &SparseModel,
    shape: &Shape,
    profile: Profile,
    seed: u64,
) -> std::io::Result<()> {
    let mut random = Random::new(seed);
    for (spec, &offset) in inventory(shape).iter().zip(&model.offsets) {
        file.seek(SeekFrom::Start(offset))?;
        let (experts, rows, _) = spec.kind.sizes();
        let mut left = experts * rows;
        while left > 0 {
            let rows = left.min(ROWS);
            file.write_all(&random_rows(
                spec,
                profile.quant(spec),
                rows,
                shape.experts,
                &mut random,
            ))?;
            left -= rows;
        }
    }
    Ok(())
}
