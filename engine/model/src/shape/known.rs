//! The real models, and telling which one a shape is.

use std::fmt;

use super::Shape;
use super::fields::{FIELDS, Kind};

/// Which published model a shape belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// DeepSeek V4 Flash: 284 billion parameters, 13 billion of them active.
    Flash,
    /// DeepSeek V4 PRO: 1,573 billion parameters, 49 billion of them active.
    Pro,
    /// Another model of the same architecture.
    Other,
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Flash => "DeepSeek V4 Flash",
            Self::Pro => "DeepSeek V4 PRO",
            Self::Other => "another model of the DeepSeek V4 architecture",
        })
    }
}

impl Shape {
    /// DeepSeek V4 Flash (spec/model.md 1.1 and 1.2).
    pub fn flash() -> Self {
        let layers = 43;
        let ratio = |layer: usize| match layer {
            0 | 1 => 0,
            _ if layer.is_multiple_of(2) => 4,
            _ => 128,
        };
        Self {
            layers,
            hidden: 4096,
            vocab: 129_280,
            context: 1 << 20,
            heads: 64,
            head_dim: 512,
            rope_dim: 64,
            q_rank: 1024,
            o_rank: 1024,
            o_groups: 8,
            experts: 256,
            experts_used: 6,
            ffn: 2048,
            hash_layers: 3,
            window: 128,
            ratios: (0..layers).map(ratio).collect(),
            index_heads: 64,
            index_dim: 128,
            index_top_k: 512,
            streams: 4,
            sinkhorn_iterations: 20,
            hyper_epsilon: 1e-6,
            norm_epsilon: 1e-6,
            swiglu_clamp: vec![10.0; layers],
            route_scale: 1.5,
            rope_base: 10_000.0,
            compress_rope_base: 160_000.0,
            yarn_factor: 16.0,
            yarn_original_context: 65_536,
            yarn_beta_fast: 32.0,
            yarn_beta_slow: 1.0,
        }
    }

    /// The embedded demo model: every kind of layer and block, 24 million parameters.
    pub fn nano() -> Self {
        let layers = 8;
        Self {
            layers,
            hidden: 256,
            vocab: 4096,
            heads: 8,
            head_dim: 128,
            q_rank: 256,
            o_rank: 64,
            o_groups: 4,
            experts: 8,
            experts_used: 2,
            ffn: 256,
            hash_layers: 2,
            window: 64,
            ratios: vec![0, 0, 4, 128, 4, 128, 4, 128],
            index_heads: 4,
            index_top_k: 64,
            swiglu_clamp: vec![10.0; layers],
            ..Self::flash()
        }
    }

    /// DeepSeek V4 PRO (spec/model.md 1.1 and 1.2).
    pub fn pro() -> Self {
        let layers = 61;
        let ratio = |layer: usize| match layer {
            0 => 128,
            _ if layer.is_multiple_of(2) => 4,
            _ => 128,
        };
        Self {
            layers,
            hidden: 7168,
            heads: 128,
            q_rank: 1536,
            o_groups: 16,
            experts: 384,
            ffn: 3072,
            ratios: (0..layers).map(ratio).collect(),
            index_top_k: 1024,
            swiglu_clamp: vec![10.0; layers],
            route_scale: 2.5,
            ..Self::flash()
        }
    }

    /// Which published model this is: every count and ratio equal, every real number within 1e-6 of
    /// it.
    pub fn family(&self) -> Family {
        if self.same_as(&Self::flash()) {
            Family::Flash
        } else if self.same_as(&Self::pro()) {
            Family::Pro
        } else {
            Family::Other
        }
    }

    fn same_as(&self, other: &Self) -> bool {
        let close = |a: f32, b: f32| a == b || (a - b).abs() <= 1e-6 * a.abs().max(b.abs());
        let same_field = |kind: &Kind| match kind {
            Kind::Count { get, .. } => get(self) == get(other),
            Kind::Real { get, .. } => close(get(self), get(other)),
        };
        FIELDS.iter().all(|field| same_field(&field.kind))
            && self.ratios == other.ratios
            && self.swiglu_clamp.len() == other.swiglu_clamp.len()
            && self.swiglu_clamp.iter().zip(&other.swiglu_clamp).all(|(&a, &b)| close(a, b))
    }
}
