//! A folder of safetensors shards.
//!
//! Matrices are bf16, f16 or f32; FP8 (e4m3, a tensor NAME.scale of one scale for each tile of 128
//! x 128 beside NAME.weight); or, experts, FP4 (two e2m1 codes in a byte of an I8 or U8 tensor, the
//! low half first, one scale for each 32 inputs). Scales are ue8m0 bytes, in some conversions f32.
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

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ds4_format::gguf::Value;
use ds4_format::quant::Quant;
use ds4_io::ReadFile;
use ds4_model::inventory::{WeightKind, WeightSpec, inventory};

use super::names::{Naming, Place};
use super::safetensors::{self, Dtype, Entry};
use super::{Element, Part, ScaleType, Scales, Source, SourceTensor};
use super::{config, identify, read_small, vocabulary};
use crate::QuantizeError;
use crate::limits::{JSON_BYTES_MAX, SHARDS_MAX, TOKENIZER_BYTES_MAX};

/// Rows and values of a row that share a scale in FP8 tensors.
const FP8_TILE: usize = 128;
/// Values of a row that share a scale in FP4 tensors.
const FP4_TILE: usize = 32;

/// All tensors of all shards.
struct Shards {
    folder: PathBuf,
    tensors: BTreeMap<String, (Arc<ReadFile>, Entry)>,
    /// Names that were asked for.
    used: BTreeSet<String>,
}

/// Opens a folder with config.json, tokenizer.json and shards.
///
/// # Errors
/// What is missing or wrong in which file.
pub fn open(folder: &Path) -> Result<Source, QuantizeError> {
    let config_path = folder.join("config.json");
    let shape = config::shape(&config_path, &read_small(&config_path, JSON_BYTES_MAX)?)?;
    let tokenizer_path = folder.join("tokenizer.json");
    let tokenizer = read_small(&tokenizer_path, TOKENIZER_BYTES_MAX)?;
    let paths = shard_paths(folder)?;
    let mut shards = Shards::open(folder, &paths)?;
    let naming = [Naming::Published, Naming::Transformers]
        .into_iter()
        .find(|naming| shards.tensors.contains_key(naming.embedding()))
        .ok_or_else(|| {
            let names = "neither embed.weight (published layout) nor model.embed_tokens.weight";
            QuantizeError::format(folder, format!("the shards have {names}"))
        })?;

    let mut tensors = Vec::new();
    for spec in inventory(&shape) {
        let place = naming.place(spec.id);
        if spec.optional && !shards.has(&place) {
            continue;
        }
        let parts = shards.parts(&spec, &place)?;
        tensors.push(SourceTensor { name: spec.name.clone(), dims: spec.kind.dims(), parts });
    }
    let mut metadata = shape.to_metadata();
    let name = folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf());
    let name = name.file_name().unwrap_or_default().to_string_lossy().into_owned();
    metadata.insert(1.min(metadata.len()), ("general.name".to_owned(), Value::String(name)));
    metadata.extend(vocabulary::metadata(&tokenizer_path, &tokenizer, shape.vocab)?);

    let mut hasher = blake3::Hasher::new();
    identify(&mut hasher, paths.iter().map(PathBuf::as_path));
    for (name, (_, entry)) in &shards.tensors {
        hasher.update(
            format!("{name} {:?} {:?} {}\n", entry.dtype, entry.shape, entry.offset).as_bytes(),
        );
    }
    let unused = shards.tensors.keys().filter(|name| !shards.used.contains(*name)).cloned();
    Ok(Source {
        path: folder.to_path_buf(),
        unused: unused.collect(),
        fingerprint: hasher.finalize(),
        shape,
        metadata,
        tensors,
    })
}

/// The `*.safetensors` files of a folder, by name.
fn shard_paths(folder: &Path) -> Result<Vec<PathBuf>, QuantizeError> {
    let entries = std::fs::read_dir(folder).map_err(QuantizeError::file("read", folder))?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(QuantizeError::file("read", folder))?.path();
        if path.extension().is_some_and(|extension| extension == "safetensors") {
            paths.push(path);
        }
    }
    paths.sort();
    match paths.len() {
        0 => Err(QuantizeError::format(folder, "no *.safetensors file in this folder")),
        count if count > SHARDS_MAX => {
            let what = format!("{count} shards; at most {SHARDS_MAX} are read");
            Err(QuantizeError::format(folder, what))
        }
        _ => Ok(paths),
    }
}

impl Shards {
    fn open(folder: &Path, paths: &[PathBuf]) -> Result<Self, QuantizeError> {
        let mut tensors: BTreeMap<String, (Arc<ReadFile>, Entry)> = BTreeMap::new();
        for path in paths {
            let (file, entries) = safetensors::open(path)?;
            for entry in entries {
                let name = entry.name.clone();
                if let Some((other, _)) = tensors.get(&name) {
                    let what = format!("also in {}", other.path().display());
                    return Err(QuantizeError::tensor(path, &name, what));
                }
                tensors.insert(name, (file.clone(), entry));
            }
        }
        Ok(Self { folder: folder.to_path_buf(), tensors, used: BTreeSet::new() })
    }

    fn has(&self, place: &Place) -> bool {
        match place {
            Place::Whole(name) | Place::Stacked(name, ..) => self.tensors.contains_key(name),
            Place::EachExpert(prefix, suffix) => {
                self.tensors.contains_key(&format!("{prefix}0{suffix}"))
            }
        }
    }

    fn parts(&mut self, spec: &WeightSpec, place: &Place) -> Result<Vec<Part>, QuantizeError> {
        let (experts, rows, width) = spec.kind.sizes();
        match place {
            Place::Whole(name) if matches!(spec.kind, WeightKind::Table { .. }) => {
                Ok(vec![self.table(name, rows, width)?])
            }
            Place::Whole(name) => {
                let shape: &[usize] = match spec.kind {
                    WeightKind::Vector { .. } => &[width],
                    _ => &[rows, width],
                };
                Ok(vec![self.matrix(name, shape)?])
            }
            Place::EachExpert(prefix, suffix) => (0..experts)
                .map(|expert| self.matrix(&format!("{prefix}{expert}{suffix}"), &[rows, width]))
                .collect(),
            Place::Stacked(name, part, of) => {
                let stack = self.matrix(name, &[experts, rows.saturating_mul(*of), width])?;
                (0..experts).map(|expert| self.slice(&stack, expert, *part, *of, rows)).collect()
            }
        }
    }

    fn entry(&mut self, name: &str) -> Result<(Arc<ReadFile>, Entry), QuantizeError> {
        self.used.insert(name.to_owned());
        let found = self.tensors.get(name).cloned();
        found.ok_or_else(|| {
            QuantizeError::tensor(
                &self.folder,
                name,
                "missing in all shards; is the download complete?",
            )
        })
    }

    /// Part `part` of `of` of one expert's rows.
    fn slice(
        &self,
        stack: &Part,
        expert: usize,
        part: usize,
        of: usize,
        rows: usize,
    ) -> Result<Part, QuantizeError> {
        let bytes = match stack.element {
            Element::Blocks(quant) => quant.row_bytes(stack.width),
            _ => None,
        };
        let offset = || {
            let first = expert.checked_mul(of)?.checked_add(part)?.checked_mul(rows)?;
            stack.offset.checked_add(u64::try_from(first).ok()?.checked_mul(bytes?)?)
        };
        let offset = offset().ok_or_else(|| {
            let what = "stacked experts must be F32, F16 or BF16";
            QuantizeError::tensor(stack.file.path(), &stack.name, what)
        })?;
        Ok(Part { offset, rows, ..stack.clone() })
    }

    /// A matrix or vector of numbers, \[..., rows, width\].
    fn matrix(&mut self, name: &str, shape: &[usize]) -> Result<Part, QuantizeError> {
        let (file, entry) = self.entry(name)?;
        let (width, outer) =
            shape.split_last().map_or((1, shape), |(width, outer)| (*width, outer));
        let rows = outer.iter().fold(1_usize, |rows, &size| rows.saturating_mul(size));
        let wrong = |what: String| QuantizeError::tensor(file.path(), name, what);
        let expect = |expected: &[usize]| {
            if entry.shape == expected || (expected == [1] && entry.shape.is_empty()) {
                return Ok(());
            }
            let (kind, found) = (type_name(&entry), &entry.shape);
            Err(wrong(format!("{kind} of {found:?}; {expected:?} is expected by config.json")))
        };
        let element = match &entry.dtype {
            Ok(Dtype::F32) => Element::Blocks(Quant::F32),
            Ok(Dtype::F16) => Element::Blocks(Quant::F16),
            Ok(Dtype::BF16) => Element::Blocks(Quant::BF16),
            Ok(Dtype::F8_E4M3) if outer.len() == 1 => {
                Element::Fp8(self.scales(name, rows, width, (FP8_TILE, FP8_TILE))?)
            }
            Ok(Dtype::I8 | Dtype::U8) if outer.len() == 1 && width.is_multiple_of(FP4_TILE) => {
                expect(&[rows, width / 2])?;
                Element::Fp4(self.scales(name, rows, width, (1, FP4_TILE))?)
            }
            _ => {
                let what =
                    "F32, F16, BF16, F8_E4M3 with scales, or FP4 in I8 with scales is needed";
                return Err(wrong(format!("{} of {:?}; {what}", type_name(&entry), entry.shape)));
            }
        };
        if !matches!(element, Element::Fp4(_)) {
            expect(shape)?;
        }
        Ok(Part { name: name.to_owned(), offset: entry.offset, file, element, rows, width })
    }

    /// The scales beside a matrix.
    fn scales(
        &mut self,
        matrix: &str,
        rows: usize,
        width: usize,
        (tile_rows, tile_width): (usize, usize),
    ) -> Result<Scales, QuantizeError> {
        let stem = matrix.strip_suffix(".weight").unwrap_or(matrix);
        let name = [format!("{stem}.scale"), format!("{stem}.weight_scale_inv")]
            .into_iter()
            .find(|name| self.tensors.contains_key(name))
            .unwrap_or_else(|| format!("{stem}.scale"));
        let (file, entry) = self.entry(&name)?;
        let expected = [rows.div_ceil(tile_rows), width.div_ceil(tile_width)];
        let stored = match &entry.dtype {
            Ok(Dtype::F8_E8M0 | Dtype::U8) => ScaleType::Ue8m0,
            Ok(Dtype::F32) => ScaleType::F32,
            _ => {
                let what = format!("{}; scales are F8_E8M0 or F32", type_name(&entry));
                return Err(QuantizeError::tensor(file.path(), &name, what));
            }
        };
        if entry.shape != expected {
            let found = &entry.shape;
            let what = format!(
                "{found:?} scales; {matrix} of [{rows}, {width}] needs {expected:?}, one for each \
                 {tile_rows} x {tile_width}"
            );
            return Err(QuantizeError::tensor(file.path(), &name, what));
        }
        Ok(Scales { file, name, offset: entry.offset, stored, tile_rows, tile_width })
    }

    /// A table of integers, \[rows, width\].
    fn table(&mut self, name: &str, rows: usize, width: usize) -> Result<Part, QuantizeError> {
        let (file, entry) = self.entry(name)?;
        let element = match &entry.dtype {
            Ok(Dtype::I32) => Element::Blocks(Quant::I32),
            Ok(Dtype::I64) => Element::I64,
            _ => {
                let what = format!("{}; I32 or I64 is needed", type_name(&entry));
                return Err(QuantizeError::tensor(file.path(), name, what));
            }
        };
        if entry.shape != [rows, width] {
            let found = &entry.shape;
            let what = format!("{found:?}; [{rows}, {width}] is expected by config.json");
            return Err(QuantizeError::tensor(file.path(), name, what));
        }
        Ok(Part { name: name.to_owned(), offset: entry.offset, file, element, rows, width })
    }
}

fn type_name(entry: &Entry) -> &str {
    match &entry.dtype {
        Ok(dtype) => dtype.name(),
        Err(name) => name,
    }
}
