//! Models in several files.
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

use super::{Gguf, GgufError, GgufErrorKind as Kind, Metadata, Subject, TensorInfo};
use crate::limits;

/// The parts of one model; a model in one file is a set of one.
#[derive(Clone, Debug, PartialEq)]
pub struct GgufSet {
    parts: Vec<Gguf>,
    metadata: Metadata,
    /// Part and index in it of every tensor, in the order of their names.
    by_name: Vec<(u32, u32)>,
}

impl GgufSet {
    /// Joins parts in their order: either the numbered parts of a split file (keys `split.no`,
    /// `split.count`, `split.tensors.count`) or files without numbers that the user lists, such as
    /// the two halves PRO q4 is published in.
    ///
    /// The metadata is the first part's, and of the others what it does not have. Keys of the
    /// architecture must agree wherever they occur.
    ///
    /// # Errors
    /// No part, a missing, repeated or misplaced one, parts of different models, or a tensor that
    /// stands in two parts.
    pub fn join(parts: Vec<Gguf>) -> Result<Self, GgufError> {
        check_numbers(&parts)?;
        let metadata = join_metadata(&parts)?;
        let by_name = index_names(&parts)?;
        Ok(Self { parts, metadata, by_name })
    }

    /// The parts in order.
    pub fn parts(&self) -> &[Gguf] {
        &self.parts
    }

    /// Keys and values of all parts.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// All tensors in file order, each with the index of its part.
    pub fn tensors(&self) -> impl Iterator<Item = (usize, &TensorInfo)> {
        let parts = self.parts.iter().enumerate();
        parts.flat_map(|(part, gguf)| gguf.tensors().iter().map(move |tensor| (part, tensor)))
    }

    /// The tensor of this name and the index of its part.
    pub fn tensor(&self, name: &str) -> Option<(usize, &TensorInfo)> {
        let order =
            |&place: &(u32, u32)| get(&self.parts, place).map(|(_, tensor)| tensor.name.as_str());
        let place = self.by_name.binary_search_by_key(&Some(name), order).ok()?;
        self.by_name.get(place).and_then(|&place| get(&self.parts, place))
    }
}

/// File names of the `count` parts of a split model, made from the name of its first part
/// (`NAME-00001-of-00003.gguf`). Names never come from metadata.
///
/// # Errors
/// If the name is not that of a first part of `count`, or has directories in it.
pub fn shard_names(first: &str, count: u32) -> Result<Vec<String>, GgufError> {
    let bad = |detail: String| GgufError::new(Kind::Parts, Subject::Part(1), None, detail);
    if first.contains(['/', '\\', '\0']) {
        return Err(bad(format!("{first:?} is not a plain file name")));
    }
    if !(1..=limits::SHARDS_MAX).contains(&count) {
        return Err(bad(format!("{count} parts; 1 to {} are read", limits::SHARDS_MAX)));
    }
    let ending = format!("-00001-of-{count:05}.gguf");
    let Some(stem) = first.strip_suffix(&ending).filter(|stem| !stem.is_empty()) else {
        return Err(bad(format!("{first:?} does not end in {ending:?}: open the first part")));
    };
    Ok((1..=count).map(|number| format!("{stem}-{number:05}-of-{count:05}.gguf")).collect())
}

fn part_fault(index: usize, detail: String) -> GgufError {
    GgufError::new(Kind::Parts, Subject::Part(index.saturating_add(1)), None, detail)
}

fn check_numbers(parts: &[Gguf]) -> Result<(), GgufError> {
    let given = parts.len();
    let Some(first) = parts.first() else {
        return Err(part_fault(0, "no part given".to_owned()));
    };
    let max = usize::try_from(limits::SHARDS_MAX).unwrap_or(usize::MAX);
    if given > max {
        return Err(part_fault(max, format!("{given} parts given; at most {max} are read")));
    }
    let numbered = first.metadata.contains("split.count");
    let mut seen = vec![false; given];
    for (index, part) in parts.iter().enumerate() {
        let metadata = &part.metadata;
        if metadata.contains("split.count") != numbered {
            let detail = "numbered and unnumbered parts are mixed".to_owned();
            return Err(part_fault(index, detail));
        }
        if !numbered {
            continue;
        }
        let (number, count) = (metadata.u64("split.no")?, metadata.u64("split.count")?);
        if u64::try_from(given).ok() != Some(count) {
            let detail = format!("the model has {count} parts (split.count), {given} are given");
            return Err(part_fault(index, detail));
        }
        // From 1, as the file names count.
        let shown = number.saturating_add(1);
        match usize::try_from(number).ok().and_then(|number| seen.get_mut(number)) {
            None => {
                return Err(part_fault(index, format!("it calls itself part {shown} of {count}")));
            }
            Some(true) => {
                return Err(part_fault(index, format!("part {shown} of {count} is given twice")));
            }
            Some(seen) => *seen = true,
        }
        if u64::try_from(index).ok() != Some(number) {
            let detail = format!("it calls itself part {shown} of {count}: the order is wrong");
            return Err(part_fault(index, detail));
        }
    }
    check_tensor_count(parts)
}

fn check_tensor_count(parts: &[Gguf]) -> Result<(), GgufError> {
    const KEY: &str = "split.tensors.count";
    let total = parts.iter().map(|part| part.tensors().len()).fold(0, usize::saturating_add);
    for (index, part) in parts.iter().enumerate() {
        if !part.metadata.contains(KEY) {
            continue;
        }
        let declared = part.metadata.u64(KEY)?;
        if u64::try_from(total).ok() != Some(declared) {
            let detail = format!("{declared} tensors declared ({KEY}), {total} found in all parts");
            return Err(part_fault(index, detail));
        }
    }
    Ok(())
}

fn join_metadata(parts: &[Gguf]) -> Result<Metadata, GgufError> {
    const ARCHITECTURE: &str = "general.architecture";
    let mut joined = parts.first().map(|part| part.metadata.clone()).unwrap_or_default();
    let architecture = joined.str(ARCHITECTURE).map(|name| format!("{name}.")).ok();
    for (index, part) in parts.iter().enumerate().skip(1) {
        let mut new = Vec::new();
        for entry in part.metadata.entries() {
            let of_model = |prefix: &String| entry.key.starts_with(prefix.as_str());
            let binding = entry.key == ARCHITECTURE || architecture.as_ref().is_some_and(of_model);
            match joined.get(&entry.key) {
                None => new.push(entry.clone()),
                Some(value) if binding && *value != entry.value => {
                    let detail = format!("key {:?} differs from an earlier part's", entry.key);
                    return Err(part_fault(index, detail));
                }
                Some(_) => {}
            }
        }
        if !new.is_empty() {
            joined = Metadata::index(joined.entries().iter().cloned().chain(new).collect())?;
        }
    }
    Ok(joined)
}

fn index_names(parts: &[Gguf]) -> Result<Vec<(u32, u32)>, GgufError> {
    let mut order = Vec::new();
    for (part, gguf) in (0..).zip(parts) {
        order.extend((0..).take(gguf.tensors().len()).map(|index| (part, index)));
    }
    order.sort_unstable_by_key(|&place| {
        (get(parts, place).map(|(_, tensor)| tensor.name.as_str()), place)
    });
    for (first, second) in order.iter().zip(order.iter().skip(1)) {
        let (Some(first), Some(second)) = (get(parts, *first), get(parts, *second)) else {
            continue;
        };
        if first.1.name == second.1.name {
            let detail = format!(
                "the tensor stands in part {} and in part {}",
                first.0.saturating_add(1),
                second.0.saturating_add(1)
            );
            let subject = Subject::Tensor(second.1.name.clone());
            let offset = Some(second.1.entry_offset);
            return Err(GgufError::new(Kind::DuplicateTensor, subject, offset, detail));
        }
    }
    Ok(order)
}

fn get(parts: &[Gguf], (part, index): (u32, u32)) -> Option<(usize, &TensorInfo)> {
    let part = usize::try_from(part).ok()?;
    let index = usize::try_from(index).ok()?;
    parts.get(part)?.tensors().get(index).map(|tensor| (part, tensor))
}
