//! What must hold between the hyper-parameters: the one list of cross-field rules.
//!
//! Values that are valid alone and wrong together are how malformed models have broken other
//! engines (reference/reliability.md 2, K12); so a new kernel's assumption becomes a rule here.

use super::Shape;
use crate::inventory::{WeightSpec, inventory};
use crate::limits::{LAYERS_MAX, MATRIX_ELEMENTS_MAX, PARAMETERS_MAX};

/// A condition on a [`Shape`].
pub struct Rule {
    /// Short name, in error messages and tests.
    pub name: &'static str,
    /// Names of the fields it connects ([`super::fields::Field::name`], `ratios`, `swiglu_clamp`).
    pub fields: &'static [&'static str],
    /// The condition in words: "X must ...".
    pub requirement: &'static str,
    /// True where the shape obeys. Must not panic or overflow for any values.
    pub holds: fn(&Shape) -> bool,
}

/// Every cross-field rule. Ranges of single fields stand in [`super::fields::FIELDS`].
pub static RULES: &[Rule] = &[
    Rule {
        name: "heads-in-groups",
        fields: &["heads", "o_groups"],
        requirement: "query heads must divide evenly into output groups",
        holds: |s| s.heads.checked_rem(s.o_groups) == Some(0),
    },
    Rule {
        name: "rope-even",
        fields: &["rope_dim"],
        requirement: "rotary dimensions come in pairs, so their number must be even",
        holds: |s| s.rope_dim.is_multiple_of(2),
    },
    Rule {
        name: "rope-in-head",
        fields: &["rope_dim", "head_dim"],
        requirement: "rotary dimensions are a part of a head, so at most its width",
        holds: |s| s.rope_dim <= s.head_dim,
    },
    Rule {
        name: "rope-in-index-head",
        fields: &["rope_dim", "index_dim"],
        requirement: "rotary dimensions are a part of an indexer head, so at most its width",
        holds: |s| s.rope_dim <= s.index_dim,
    },
    Rule {
        name: "experts-used",
        fields: &["experts_used", "experts"],
        requirement: "a token cannot use more experts than there are",
        holds: |s| s.experts_used <= s.experts,
    },
    Rule {
        name: "hash-layers",
        fields: &["hash_layers", "layers"],
        requirement: "hash-routed layers are the first layers, so at most all of them",
        holds: |s| s.hash_layers <= s.layers,
    },
    Rule {
        name: "ratio-per-layer",
        fields: &["ratios", "layers"],
        requirement: "there must be one compress ratio for each layer",
        holds: |s| s.ratios.len() == s.layers,
    },
    Rule {
        name: "ratio-known",
        fields: &["ratios"],
        requirement: "compress ratios must be 0, 4 or 128",
        holds: |s| s.ratios.iter().all(|ratio| matches!(ratio, 0 | 4 | 128)),
    },
    Rule {
        name: "clamp-per-layer",
        fields: &["swiglu_clamp", "layers"],
        requirement: "there must be one SwiGLU clamp for each layer",
        holds: |s| s.swiglu_clamp.len() == s.layers,
    },
    Rule {
        name: "clamp-positive",
        fields: &["swiglu_clamp"],
        requirement: "SwiGLU clamps must be numbers above 0",
        holds: |s| s.swiglu_clamp.iter().all(|&clamp| clamp > 0.0),
    },
    Rule {
        name: "window-in-context",
        fields: &["window", "context"],
        requirement: "the sliding window must not be longer than the context",
        holds: |s| s.window <= s.context,
    },
    Rule {
        name: "yarn-betas",
        fields: &["yarn_beta_fast", "yarn_beta_slow"],
        requirement: "YaRN's ramp needs beta fast above beta slow",
        holds: |s| s.yarn_beta_fast > s.yarn_beta_slow,
    },
    Rule {
        name: "matrix-elements",
        fields: &[
            "hidden",
            "vocab",
            "heads",
            "head_dim",
            "q_rank",
            "o_rank",
            "o_groups",
            "ffn",
            "index_heads",
            "index_dim",
        ],
        requirement: "no matrix may have more than 2^34 elements",
        holds: |s| matrix_elements_max(s) <= MATRIX_ELEMENTS_MAX,
    },
    Rule {
        name: "parameters",
        fields: &["layers", "hidden", "vocab", "experts", "ffn"],
        requirement: "the model may not have more than 2^44 parameters",
        holds: |s| parameters(s) <= PARAMETERS_MAX,
    },
];

/// The tensors of a shape, or none where the layer count itself is out of bounds (another rule says
/// so).
fn tensors(shape: &Shape) -> Vec<WeightSpec> {
    if shape.layers > LAYERS_MAX || shape.ratios.len() != shape.layers {
        return Vec::new();
    }
    inventory(shape)
}

fn matrix_elements_max(shape: &Shape) -> u64 {
    tensors(shape).iter().map(|spec| spec.kind.matrix_elements()).max().unwrap_or(0)
}

fn parameters(shape: &Shape) -> u64 {
    tensors(shape).iter().map(|spec| spec.kind.elements()).fold(0, u64::saturating_add)
}
