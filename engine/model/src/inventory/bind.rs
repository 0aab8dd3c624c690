//! `bind`: finds the tensors of a shape in a file, and tells everything that is wrong with them at
//! once.
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

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use ds4_format::gguf::{Gguf, GgufSet, Metadata, TensorInfo};
use ds4_format::quant::Quant;

use super::{Role, Touched, WeightId, WeightKind, WeightSpec, inventory};
use crate::placement::StoredWeight;
use crate::shape::Shape;

#[cfg(test)]
mod tests;

/// An entry of a tensor directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectoryEntry<'a> {
    /// Name of the tensor.
    pub name: &'a str,
    /// Its dimensions in ggml order, contiguous one first.
    pub dims: &'a [u64],
    /// Its format.
    pub quant: Quant,
    /// The file it stands in: part of a split model, from 0.
    pub shard: usize,
    /// Where it starts in that file, in bytes.
    pub offset: u64,
    /// Its size in the file.
    pub bytes: u64,
}

/// A weight of the model and where its bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundWeight {
    /// Which weight.
    pub id: WeightId,
    /// Name of its tensor.
    pub name: String,
    /// Its format.
    pub quant: Quant,
    /// Its sizes.
    pub kind: WeightKind,
    /// How much of it one decoded token reads.
    pub touched: Touched,
    /// The file it stands in: part of a split model, from 0.
    pub shard: usize,
    /// Where it starts in that file, in bytes.
    pub offset: u64,
    /// Its size in the file.
    pub bytes: u64,
}

impl BoundWeight {
    /// Bytes of the weight read to decode one token that is number `context` of its sequence (from
    /// 1): its share of the bytes that the tensor directory gives.
    pub fn bytes_per_token(&self, context: usize) -> u64 {
        let (experts, rows, _) = self.kind.sizes();
        let (part, whole) = match self.touched {
            Touched::All => (1, 1),
            Touched::Rows(read) => (read.min(rows), rows),
            Touched::Experts(used) => (used.min(experts), experts),
            Touched::OnlyBeyond(tokens) => (usize::from(context / 4 > tokens / 4), 1),
        };
        let wide = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let one = self.bytes.checked_div(wide(whole)).unwrap_or(0);
        one.saturating_mul(wide(part))
    }
}

/// Every weight of a model, found in its files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Binding {
    weights: BTreeMap<WeightId, BoundWeight>,
    ignored: Vec<String>,
}

impl Binding {
    /// Where a weight is; `None` if the model has no such weight, or an optional one is not in the
    /// file.
    pub fn get(&self, id: WeightId) -> Option<&BoundWeight> {
        self.weights.get(&id)
    }

    /// All weights: embedding and head, then layer by layer.
    pub fn weights(&self) -> impl ExactSizeIterator<Item = &BoundWeight> {
        self.weights.values()
    }

    /// Bytes of weights read to decode one token that is number `context` of its sequence (from 1).
    pub fn bytes_per_token(&self, context: usize) -> u64 {
        let read = |weight: &BoundWeight| weight.bytes_per_token(context);
        self.weights().map(read).fold(0, u64::saturating_add)
    }

    /// What [`crate::placement::place`] needs to know of the weights.
    pub fn stored(&self) -> Vec<StoredWeight> {
        let stored = |w: &BoundWeight| StoredWeight { id: w.id, quant: w.quant, kind: w.kind };
        self.weights().map(stored).collect()
    }

    /// Tensors of the file that belong to a draft model or are not needed.
    pub fn ignored(&self) -> &[String] {
        &self.ignored
    }
}

/// One thing wrong with the tensors of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BindProblem {
    /// A tensor that the shape asks for.
    Missing {
        /// Its name.
        name: String,
        /// Its dimensions in ggml order.
        dims: Vec<u64>,
    },
    /// Other dimensions than the shape asks for.
    Dims {
        /// Name of the tensor.
        name: String,
        /// Dimensions in the file, ggml order.
        found: Vec<u64>,
        /// Dimensions that follow from the shape.
        expected: Vec<u64>,
        /// Where the tensor is.
        place: Place,
    },
    /// A format that is not accepted for this tensor.
    Type {
        /// Name of the tensor.
        name: String,
        /// Format in the file.
        found: Quant,
        /// Formats accepted.
        allowed: &'static [Quant],
        /// Where the tensor is.
        place: Place,
    },
    /// Gate and up experts of a layer in two formats.
    MixedExperts {
        /// Layer.
        layer: u16,
        /// Format of the gate experts.
        gate: Quant,
        /// Format of the up experts.
        up: Quant,
        /// Where the up experts are.
        place: Place,
    },
    /// A tensor that no model of this shape has.
    Unexpected {
        /// Its name.
        name: String,
        /// Its dimensions in ggml order.
        dims: Vec<u64>,
        /// Where the tensor is.
        place: Place,
    },
}

/// Where a tensor is: part of the model from 0, byte of that file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Part of a split model, from 0.
    pub shard: usize,
    /// Bytes from the start of the file.
    pub offset: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.shard {
            0 => write!(f, "at byte {}", self.offset),
            shard => write!(f, "at byte {} of part {}", self.offset, shard.saturating_add(1)),
        }
    }
}

impl fmt::Display for BindProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { name, dims } => {
                write!(f, "tensor {name} {dims:?} is missing")
            }
            Self::Dims { name, found, expected, place } => write!(
                f,
                "tensor {name} {place} has dimensions {found:?}; the hyper-parameters ask for \
                 {expected:?}"
            ),
            Self::Type { name, found, allowed, place } => {
                let allowed: Vec<_> = allowed.iter().map(|quant| quant.name()).collect();
                let allowed = allowed.join(", ");
                write!(f, "tensor {name} {place} has type {found}; accepted here: {allowed}")
            }
            Self::MixedExperts { layer, gate, up, place } => write!(
                f,
                "layer {layer}: gate experts are {gate} and up experts ({place}) are {up}; they \
                 must share one type"
            ),
            // The name comes from the file: it is printed escaped.
            Self::Unexpected { name, dims, place } => {
                write!(f, "tensor {name:?} {dims:?} {place} belongs to no model of this shape")
            }
        }
    }
}

/// The tensors of a file are not those of its hyper-parameters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the model's tensors do not fit its hyper-parameters:{}", listed(.problems))]
pub struct BindError {
    /// Everything found: tensors of the model in file order, then unexpected ones.
    pub problems: Vec<BindProblem>,
}

/// Enough to see a pattern; a wrong layer count alone makes hundreds of lines.
const LISTED_MAX: usize = 40;

fn listed(problems: &[BindProblem]) -> String {
    let shown = problems.iter().take(LISTED_MAX).map(|problem| format!("\n  {problem}"));
    let mut text: String = shown.collect();
    if let Some(more @ 1..) = problems.len().checked_sub(LISTED_MAX) {
        text.push_str(&format!("\n  and {more} more (`ds4 inspect` lists all)"));
    }
    text
}

/// Finds the tensors of a model in one file.
///
/// # Errors
/// All tensors that are missing, unexpected, or of other dimensions or types than accepted.
pub fn bind(shape: &Shape, gguf: &Gguf) -> Result<Binding, BindError> {
    checked(survey_parts(shape, &gguf.metadata, [gguf]))
}

/// Finds the tensors of a model in the parts of a split file.
///
/// # Errors
/// As [`bind`].
pub fn bind_set(shape: &Shape, set: &GgufSet) -> Result<Binding, BindError> {
    checked(survey_parts(shape, set.metadata(), set.parts()))
}

/// As [`bind_set`], for diagnostics: whatever could be found, and what is wrong with the rest.
pub fn survey_parts<'a>(
    shape: &Shape,
    metadata: &Metadata,
    parts: impl IntoIterator<Item = &'a Gguf>,
) -> (Binding, Vec<BindProblem>) {
    let of_part = |(shard, gguf): (usize, &'a Gguf)| {
        gguf.tensors().iter().map(move |tensor| entry(shard, tensor))
    };
    survey(shape, metadata, parts.into_iter().enumerate().flat_map(of_part))
}

fn entry(shard: usize, tensor: &TensorInfo) -> DirectoryEntry<'_> {
    let TensorInfo { name, dims, quant, offset, bytes, .. } = tensor;
    DirectoryEntry { name, dims, quant: *quant, shard, offset: *offset, bytes: *bytes }
}

fn checked((binding, problems): (Binding, Vec<BindProblem>)) -> Result<Binding, BindError> {
    if problems.is_empty() { Ok(binding) } else { Err(BindError { problems }) }
}

/// As [`survey_parts`], for a tensor directory of any origin.
pub fn survey<'a>(
    shape: &Shape,
    metadata: &Metadata,
    entries: impl IntoIterator<Item = DirectoryEntry<'a>>,
) -> (Binding, Vec<BindProblem>) {
    let entries: Vec<DirectoryEntry<'a>> = entries.into_iter().collect();
    let by_name: HashMap<&str, &DirectoryEntry<'a>> =
        entries.iter().map(|entry| (entry.name, entry)).collect();
    let specs = inventory(shape);
    let mut binding = Binding::default();
    let mut problems = Vec::new();
    for spec in &specs {
        match by_name.get(spec.name.as_str()) {
            Some(entry) => {
                check(spec, entry, &mut problems);
                binding.weights.insert(spec.id, bound(spec, entry));
            }
            None if spec.optional => {}
            None => {
                let (name, dims) = (spec.name.clone(), spec.kind.dims());
                problems.push(BindProblem::Missing { name, dims });
            }
        }
    }
    mixed_experts(shape, &binding, &mut problems);
    let known: HashSet<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
    for entry in entries.iter().filter(|entry| !known.contains(entry.name)) {
        if ignorable(entry.name, shape, metadata) {
            binding.ignored.push(entry.name.to_owned());
        } else {
            let (name, dims) = (entry.name.to_owned(), entry.dims.to_vec());
            problems.push(BindProblem::Unexpected { name, dims, place: place(entry) });
        }
    }
    (binding, problems)
}

fn check(spec: &WeightSpec, entry: &DirectoryEntry<'_>, problems: &mut Vec<BindProblem>) {
    let expected = spec.kind.dims();
    if entry.dims != expected {
        problems.push(BindProblem::Dims {
            name: spec.name.clone(),
            found: entry.dims.to_vec(),
            expected,
            place: place(entry),
        });
    }
    if !spec.allowed.contains(&entry.quant) {
        problems.push(BindProblem::Type {
            name: spec.name.clone(),
            found: entry.quant,
            allowed: spec.allowed,
            place: place(entry),
        });
    }
}

fn bound(spec: &WeightSpec, entry: &DirectoryEntry<'_>) -> BoundWeight {
    BoundWeight {
        id: spec.id,
        name: spec.name.clone(),
        quant: entry.quant,
        kind: spec.kind,
        touched: spec.touched,
        shard: entry.shard,
        offset: entry.offset,
        bytes: entry.bytes,
    }
}

fn place(entry: &DirectoryEntry<'_>) -> Place {
    Place { shard: entry.shard, offset: entry.offset }
}

/// One kernel reads gate and up together, so they share a format.
fn mixed_experts(shape: &Shape, binding: &Binding, problems: &mut Vec<BindProblem>) {
    for layer in (0..shape.layers).filter_map(|layer| u16::try_from(layer).ok()) {
        let of = |role| binding.get(WeightId { layer: Some(layer), role });
        if let (Some(gate), Some(up)) = (of(Role::ExpertGate), of(Role::ExpertUp))
            && gate.quant != up.quant
        {
            let place = Place { shard: up.shard, offset: up.offset };
            let (gate, up) = (gate.quant, up.quant);
            problems.push(BindProblem::MixedExperts { layer, gate, up, place });
        }
    }
}

/// Tensors that other tools put into a main model's file and this engine does not need: rotation
/// factors (computed from the shape) and the draft layers after the trunk.
fn ignorable(name: &str, shape: &Shape, metadata: &Metadata) -> bool {
    if name == "rope_freqs.weight" || name.starts_with("mtp.") {
        return true;
    }
    let layer = name.strip_prefix("blk.").and_then(|rest| rest.split_once('.'));
    let Some(layer) = layer.and_then(|(number, _)| number.parse::<u64>().ok()) else {
        return false;
    };
    let drafts = metadata.u64("deepseek4.nextn_predict_layers").unwrap_or(0);
    let trunk = u64::try_from(shape.layers).unwrap_or(u64::MAX);
    (trunk..trunk.saturating_add(drafts)).contains(&layer)
}
