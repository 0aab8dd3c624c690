//! Reading a shape from GGUF metadata, and writing it back (spec/model.md 1.1).
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

use ds4_format::gguf::{Array, Gguf, GgufError, GgufErrorKind, Metadata, Value};

use super::check::{CLAMPS_KEY, RATIOS_KEY};
use super::fields::{FIELDS, Field, Kind};
use super::{Shape, ShapeError, ShapeProblem};
use crate::limits::LAYERS_MAX;

#[cfg(test)]
mod tests;

/// `general.architecture` of the family.
pub const ARCHITECTURE: &str = "deepseek4";
/// Clamps up to this mean "off" in the published kernels.
const CLAMP_OFF_MAX: f32 = 1e-6;

/// Keys whose value is the same for all models this engine runs: a file that differs describes
/// another graph. The last column tells whether the key may be missing.
const FIXED_COUNTS: &[(&str, u64, bool)] = &[
    ("attention.head_count_kv", 1, false),
    ("expert_shared_count", 1, false),
    ("expert_group_count", 0, true),
    ("expert_group_used_count", 0, true),
];

impl Shape {
    /// Reads every hyper-parameter and checks them, alone and together.
    ///
    /// The YaRN keys are optional, with the values of the real models; the arrays may be longer
    /// than the trunk (published files add an entry for the draft layer).
    ///
    /// # Errors
    /// Everything that is missing, of the wrong type, out of range or contradictory.
    pub fn from_gguf(gguf: &Gguf) -> Result<Self, ShapeError> {
        Self::from_metadata(&gguf.metadata)
    }

    /// As [`Shape::from_gguf`], from metadata alone.
    ///
    /// # Errors
    /// As there.
    pub fn from_metadata(metadata: &Metadata) -> Result<Self, ShapeError> {
        let mut reader = Reader { metadata, problems: Vec::new(), unread: Vec::new() };
        if let Err(problem) = reader.architecture() {
            return Err(ShapeError { problems: vec![problem] });
        }
        let mut shape = Self::flash();
        for field in FIELDS {
            reader.field(field, &mut shape);
        }
        reader.layer_arrays(&mut shape);
        reader.fixed_values();
        let Reader { mut problems, unread, .. } = reader;
        problems.extend(shape.problems_except(&unread));
        if problems.is_empty() { Ok(shape) } else { Err(ShapeError { problems }) }
    }

    /// The metadata that [`Shape::from_metadata`] reads this shape from.
    pub fn to_metadata(&self) -> Vec<(String, Value)> {
        let count = |value: usize| Value::U32(u32::try_from(value).unwrap_or(u32::MAX));
        let mut entries =
            vec![("general.architecture".to_owned(), Value::String(ARCHITECTURE.to_owned()))];
        let mut add = |name: &str, value| entries.push((key(name), value));
        for field in FIELDS {
            let value = match field.kind {
                Kind::Count { get, .. } => count(get(self)),
                Kind::Real { get, .. } => Value::F32(get(self)),
            };
            add(field.key, value);
        }
        for &(name, value, optional) in FIXED_COUNTS {
            if !optional {
                add(name, Value::U32(u32::try_from(value).unwrap_or(u32::MAX)));
            }
        }
        add("attention.value_length", count(self.head_dim));
        add("expert_weights_norm", Value::Bool(true));
        add("rope.scaling.type", Value::String("yarn".to_owned()));
        let ratio = |&ratio: &usize| i32::try_from(ratio).unwrap_or(i32::MAX);
        add(RATIOS_KEY, Value::Array(Array::I32(self.ratios.iter().map(ratio).collect())));
        let clamp = |&clamp: &f32| if clamp.is_finite() { clamp } else { 0.0 };
        add(CLAMPS_KEY, Value::Array(Array::F32(self.swiglu_clamp.iter().map(clamp).collect())));
        entries
    }
}

fn key(name: &str) -> String {
    format!("{ARCHITECTURE}.{name}")
}

/// Reads values and collects what is wrong with them.
struct Reader<'a> {
    metadata: &'a Metadata,
    problems: Vec<ShapeProblem>,
    /// Fields of [`Shape`] that could not be read.
    unread: Vec<&'static str>,
}

impl Reader<'_> {
    fn architecture(&self) -> Result<(), ShapeProblem> {
        let found = match self.metadata.str("general.architecture") {
            Ok(ARCHITECTURE) => return Ok(()),
            Ok(other) => format!("general.architecture = {other:?}"),
            Err(error) => return Err(unreadable("general.architecture", &error)),
        };
        let requirement = if found.contains("dspark") || found.contains("mtp") {
            "this is a draft model, which cannot run alone: give the main model's file"
        } else {
            "this engine runs the DeepSeek V4 family only, architecture \"deepseek4\""
        };
        Err(ShapeProblem { rule: "architecture", found, requirement: requirement.to_owned() })
    }

    fn field(&mut self, field: &Field, shape: &mut Shape) {
        let key = key(field.key);
        let missing = !self.metadata.contains(&key);
        let read = match field.kind {
            Kind::Count { set, default: Some(value), .. } if missing => {
                set(shape, value);
                Ok(())
            }
            Kind::Real { set, default: Some(value), .. } if missing => {
                set(shape, value);
                Ok(())
            }
            Kind::Count { set, .. } => {
                let value = self.metadata.u64(&key);
                value.map(|value| set(shape, usize::try_from(value).unwrap_or(usize::MAX)))
            }
            Kind::Real { set, .. } => self.metadata.f32(&key).map(|value| set(shape, value)),
        };
        if let Err(error) = read {
            self.problems.push(unreadable(&key, &error));
            self.unread.push(field.name);
        }
    }

    /// Ratios and clamps: one value a layer, more are cut off.
    fn layer_arrays(&mut self, shape: &mut Shape) {
        let layers = shape.layers.min(LAYERS_MAX);
        if self.unread.contains(&"layers") {
            self.unread.extend(["ratios", "swiglu_clamp"]);
            return;
        }
        match self.metadata.array_u32(&key(RATIOS_KEY)) {
            Ok(ratios) => {
                let ratios = ratios.into_iter().take(layers);
                shape.ratios = ratios.map(|r| usize::try_from(r).unwrap_or(usize::MAX)).collect();
            }
            Err(error) => {
                self.problems.push(unreadable(&key(RATIOS_KEY), &error));
                self.unread.push("ratios");
            }
        }
        match self.metadata.array_f32(&key(CLAMPS_KEY)) {
            Ok(clamps) => {
                let off =
                    |c: f32| if (0.0..=CLAMP_OFF_MAX).contains(&c) { f32::INFINITY } else { c };
                shape.swiglu_clamp = clamps.into_iter().take(layers).map(off).collect();
            }
            Err(error) => {
                self.problems.push(unreadable(&key(CLAMPS_KEY), &error));
                self.unread.push("swiglu_clamp");
            }
        }
    }

    fn fixed_values(&mut self) {
        for &(name, wanted, optional) in FIXED_COUNTS {
            let key = key(name);
            if optional && !self.metadata.contains(&key) {
                continue;
            }
            let found = self.metadata.u64(&key);
            self.fixed(&key, found, wanted);
        }
        let (width, value_width) = (key("attention.key_length"), key("attention.value_length"));
        if let Ok(width) = self.metadata.u64(&width) {
            // Keys and values are the same rows.
            let found = self.metadata.u64(&value_width);
            self.fixed(&value_width, found, width);
        }
        let normalised = key("expert_weights_norm");
        let found = self.metadata.bool(&normalised);
        self.fixed(&normalised, found, true);
        let scaling = key("rope.scaling.type");
        if self.metadata.contains(&scaling) {
            let found = self.metadata.str(&scaling).map(str::to_owned);
            self.fixed(&scaling, found, "yarn".to_owned());
        }
    }

    fn fixed<T: PartialEq + std::fmt::Debug>(
        &mut self,
        key: &str,
        found: Result<T, GgufError>,
        wanted: T,
    ) {
        match found {
            Ok(found) if found == wanted => {}
            Ok(found) => self.problems.push(ShapeProblem {
                rule: "fixed",
                found: format!("{key} = {found:?}"),
                requirement: format!("every model of this architecture has {wanted:?} here"),
            }),
            Err(error) => self.problems.push(unreadable(key, &error)),
        }
    }
}

/// A key that could not be read at all.
fn unreadable(key: &str, error: &GgufError) -> ShapeProblem {
    let rule = match error.kind() {
        Some(GgufErrorKind::MissingKey) => "missing",
        _ => "type",
    };
    let (found, requirement) = match error.fault() {
        Some(fault) => match fault.offset {
            Some(offset) => (format!("{key} at byte {offset}"), fault.detail.clone()),
            None => (key.to_owned(), fault.detail.clone()),
        },
        None => (key.to_owned(), error.to_string()),
    };
    ShapeProblem { rule, found, requirement }
}
