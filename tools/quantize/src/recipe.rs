//! Which format every tensor of the output gets.

use std::collections::HashMap;

use ds4_format::quant::Quant;
use ds4_model::inventory::{Profile, Role, WeightSpec, inventory};
use ds4_model::shape::Shape;

use crate::QuantizeError;
use crate::source::{Element, SourceTensor};

/// A mix of formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mix {
    /// One that is published (spec/model.md 2.2).
    Published(Profile),
    /// Q8_0 experts, everything else as published.
    Q8,
}

impl Mix {
    /// The mix of this name: `q2`, `q4`, `q2-q4`, `q8`, `mxfp4`, `q2-aproj-q4`, `q4-aproj-q4`.
    pub fn from_name(name: &str) -> Option<Self> {
        if name == "q8" { Some(Self::Q8) } else { Profile::from_name(name).map(Self::Published) }
    }

    /// All names.
    pub fn names() -> impl Iterator<Item = &'static str> {
        Profile::ALL.into_iter().map(|(name, _)| name).chain(["q8"])
    }

    fn quant(self, spec: &WeightSpec) -> Quant {
        match (self, spec.id.role) {
            (Self::Published(profile), _) => profile.quant(spec),
            (Self::Q8, Role::ExpertGate | Role::ExpertUp | Role::ExpertDown) => Quant::Q8_0,
            (Self::Q8, _) => Profile::Q4.quant(spec),
        }
    }
}

/// A format for tensors of some names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// As given.
    text: String,
    pattern: String,
    quant: Quant,
}

impl Override {
    /// Reads `NAME=TYPE`; `*` in the name stands for any characters, none included.
    ///
    /// # Errors
    /// No equals sign, or no such type.
    pub fn parse(text: &str) -> Result<Self, QuantizeError> {
        let wrong = |what: String| QuantizeError::Override { text: text.to_owned(), what };
        let (pattern, name) = text.rsplit_once('=').ok_or_else(|| {
            wrong("NAME=TYPE is needed, such as 'blk.*.attn_kv.weight=Q4_K'".into())
        })?;
        let quant =
            Quant::from_name(name).filter(|quant| *quant != Quant::I32).ok_or_else(|| {
                let known: Vec<&str> = Quant::ALL
                    .iter()
                    .filter(|quant| **quant != Quant::I32)
                    .map(|quant| quant.name())
                    .collect();
                wrong(format!("there is no type {name:?}; there are {}", known.join(", ")))
            })?;
        Ok(Self { text: text.to_owned(), pattern: pattern.to_owned(), quant })
    }

    fn matches(&self, name: &str) -> bool {
        matches(&self.pattern, name)
    }
}

/// Whether a name fits a pattern in which `*` stands for any characters.
fn matches(pattern: &str, name: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let mut pieces = pieces.peekable();
    if pieces.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return rest.ends_with(piece);
        }
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    true
}

/// The format of each tensor, in their order.
///
/// Tensors of the inventory get the mix's format; draft blocks (`mtp.N.`) that of the same tensor
/// of a trunk layer; other tensors stay as they are. Blocks of a GGUF source that are quantised
/// already stay too unless an override names them: encoding twice only loses.
///
/// # Errors
/// An override that fits no tensor, or a format that a tensor cannot have.
pub fn formats(
    shape: &Shape,
    tensors: &[SourceTensor],
    mix: Mix,
    overrides: &[Override],
) -> Result<Vec<Quant>, QuantizeError> {
    if let Some(idle) = overrides.iter().find(|o| !tensors.iter().any(|t| o.matches(&t.name))) {
        let what = "no tensor has this name; `ds4 inspect` lists them".to_owned();
        return Err(QuantizeError::Override { text: idle.text.clone(), what });
    }
    let specs = inventory(shape);
    let by_name: HashMap<&str, &WeightSpec> =
        specs.iter().map(|spec| (spec.name.as_str(), spec)).collect();
    let by_role: HashMap<&str, &WeightSpec> =
        specs.iter().map(|spec| (spec.id.role.gguf_name(), spec)).collect();
    tensors.iter().map(|tensor| format(tensor, mix, overrides, &by_name, &by_role)).collect()
}

fn format(
    tensor: &SourceTensor,
    mix: Mix,
    overrides: &[Override],
    by_name: &HashMap<&str, &WeightSpec>,
    by_role: &HashMap<&str, &WeightSpec>,
) -> Result<Quant, QuantizeError> {
    let stored = tensor.parts.first().and_then(|part| match part.element {
        Element::Blocks(quant) => Some(quant),
        Element::I64 => Some(Quant::I32),
        _ => None,
    });
    let ids = stored == Some(Quant::I32);
    let chosen = overrides.iter().rev().find(|o| o.matches(&tensor.name)).map(|o| o.quant);
    let plain = matches!(stored, None | Some(Quant::F32 | Quant::F16 | Quant::BF16));
    let spec = by_name.get(tensor.name.as_str()).copied();
    let draft = tensor.name.strip_prefix("mtp.").and_then(|rest| rest.split_once('.'));
    let draft = draft.and_then(|(_, role)| by_role.get(role).copied());
    let quant = match (chosen, stored, spec.or(draft)) {
        _ if ids => Quant::I32,
        (Some(quant), ..) => quant,
        (None, Some(stored), _) if !plain => stored,
        (None, _, Some(spec)) => mix.quant(spec),
        // The reader of draft blocks takes projections as Q8_0 and small tensors as they are.
        (None, Some(stored), None) => stored,
        (None, None, None) => Quant::F32,
    };
    let wrong = |what: String| QuantizeError::Recipe {
        tensor: tensor.name.clone(),
        quant: quant.to_string(),
        what,
    };
    if ids && chosen.is_some() {
        return Err(wrong("its integers are stored as they are".to_owned()));
    }
    if let Some(spec) = spec.filter(|spec| !spec.allowed.contains(&quant)) {
        let allowed: Vec<&str> = spec.allowed.iter().map(|quant| quant.name()).collect();
        return Err(wrong(format!("the engine takes {}", allowed.join(", "))));
    }
    let width = tensor.dims.first().copied().unwrap_or(1);
    if !width.is_multiple_of(quant.block_len() as u64) {
        let length = quant.block_len();
        return Err(wrong(format!("its rows of {width} values are not whole blocks of {length}")));
    }
    Ok(quant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, name, fits) in [
            ("output.weight", "output.weight", true),
            ("output.weight", "output.weights", false),
            ("blk.*.attn_kv.weight", "blk.12.attn_kv.weight", true),
            ("blk.*.attn_kv.weight", "blk.12.attn_kv_a_norm.weight", false),
            ("*", "anything", true),
            ("*exps*", "blk.0.ffn_gate_exps.weight", true),
            ("blk.*exps.weight", "blk.0.ffn_gate_shexp.weight", false),
            ("mtp.*", "blk.0.mtp.", false),
            ("a*a", "a", false),
        ] {
            assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn overrides_say_what_is_wrong() {
        assert!(Override::parse("a=q4_k").is_ok());
        assert!(Override::parse("a").unwrap_err().to_string().contains("NAME=TYPE is needed"));
        let unknown = Override::parse("a=Q3_K").unwrap_err().to_string();
        assert!(unknown.contains("no type \"Q3_K\"") && unknown.contains("IQ2_XXS"), "{unknown}");
        assert!(Override::parse("a=I32").is_err());
    }

    #[test]
    fn every_name_is_a_mix() {
        for name in ["q2", "q4", "q2-q4", "q8", "mxfp4"] {
            assert!(Mix::from_name(name).is_some() && Mix::names().any(|known| known == name));
        }
        assert_eq!(Mix::from_name("q3"), None);
    }
}
