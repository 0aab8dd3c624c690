//! One table of the hyper-parameters: GGUF key, place in [`Shape`], and the values each may have
//! alone.
//!
//! Reading, writing, checking, comparing and printing a shape all walk this table.

use super::Shape;
use crate::limits::{
    CONTEXT_MAX, EXPERTS_MAX, HEAD_DIM_MAX, HEADS_MAX, LAYERS_MAX, SINKHORN_MAX, TOP_K_MAX,
    VOCAB_MAX, WIDTH_MAX, WINDOW_MAX,
};

/// A hyper-parameter with one value for the whole model.
pub struct Field {
    /// Name of the field in [`Shape`].
    pub name: &'static str,
    /// GGUF key without the `deepseek4.` in front.
    pub key: &'static str,
    /// What it is, for people.
    pub about: &'static str,
    /// Its type, place, range and default.
    pub kind: Kind,
}

/// Type, place, range (inclusive) and default of a field. No default: the key is required.
pub enum Kind {
    /// A count, stored as `u32` or another integer type.
    Count {
        /// Reads it.
        get: fn(&Shape) -> usize,
        /// Writes it.
        set: fn(&mut Shape, usize),
        /// Smallest value allowed.
        min: usize,
        /// Largest value allowed.
        max: usize,
        /// Value when the key is missing.
        default: Option<usize>,
    },
    /// A finite real number, stored as `f32` or `f64`.
    Real {
        /// Reads it.
        get: fn(&Shape) -> f32,
        /// Writes it.
        set: fn(&mut Shape, f32),
        /// Smallest value allowed.
        min: f32,
        /// Largest value allowed.
        max: f32,
        /// Value when the key is missing.
        default: Option<f32>,
    },
}

macro_rules! count {
    ($name:ident, $key:literal, $min:expr, $max:expr, $about:literal) => {
        count!($name, $key, $min, $max, None, $about)
    };
    ($name:ident, $key:literal, $min:expr, $max:expr, $default:expr, $about:literal) => {
        Field {
            name: stringify!($name),
            key: $key,
            about: $about,
            kind: Kind::Count {
                get: |shape| shape.$name,
                set: |shape, value| shape.$name = value,
                min: $min,
                max: $max,
                default: $default,
            },
        }
    };
}

macro_rules! real {
    ($name:ident, $key:literal, $min:expr, $max:expr, $about:literal) => {
        real!($name, $key, $min, $max, None, $about)
    };
    ($name:ident, $key:literal, $min:expr, $max:expr, $default:expr, $about:literal) => {
        Field {
            name: stringify!($name),
            key: $key,
            about: $about,
            kind: Kind::Real {
                get: |shape| shape.$name,
                set: |shape, value| shape.$name = value,
                min: $min,
                max: $max,
                default: $default,
            },
        }
    };
}

/// All scalar hyper-parameters, in the order of spec/model.md 1.1.
///
/// The YaRN keys are optional, with the values of both real models.
#[rustfmt::skip]
pub static FIELDS: &[Field] = &[
    count!(layers, "block_count", 1, LAYERS_MAX, "layers"),
    count!(hidden, "embedding_length", 1, WIDTH_MAX, "hidden width"),
    count!(vocab, "vocab_size", 1, VOCAB_MAX, "vocabulary"),
    count!(context, "context_length", 1, CONTEXT_MAX, "longest context"),
    count!(heads, "attention.head_count", 1, HEADS_MAX, "query heads"),
    count!(head_dim, "attention.key_length", 2, HEAD_DIM_MAX, "head width"),
    count!(rope_dim, "rope.dimension_count", 2, HEAD_DIM_MAX, "rotary dimensions"),
    count!(q_rank, "attention.q_lora_rank", 1, WIDTH_MAX, "query rank"),
    count!(o_rank, "attention.output_lora_rank", 1, WIDTH_MAX, "output rank per group"),
    count!(o_groups, "attention.output_group_count", 1, HEADS_MAX, "output groups"),
    count!(experts, "expert_count", 1, EXPERTS_MAX, "routed experts"),
    count!(experts_used, "expert_used_count", 1, EXPERTS_MAX, "experts per token"),
    count!(ffn, "expert_feed_forward_length", 1, WIDTH_MAX, "expert width"),
    count!(hash_layers, "hash_layer_count", 0, LAYERS_MAX, "hash-routed layers"),
    count!(window, "attention.sliding_window", 1, WINDOW_MAX, "sliding window"),
    count!(index_heads, "attention.indexer.head_count", 1, HEADS_MAX, "indexer heads"),
    count!(index_dim, "attention.indexer.key_length", 2, HEAD_DIM_MAX, "indexer head width"),
    count!(index_top_k, "attention.indexer.top_k", 1, TOP_K_MAX, "rows the indexer selects"),
    count!(streams, "hyper_connection.count", 4, 4, "residual streams"),
    count!(sinkhorn_iterations, "hyper_connection.sinkhorn_iterations", 1, SINKHORN_MAX,
           "Sinkhorn iterations"),
    real!(hyper_epsilon, "hyper_connection.epsilon", 1e-20, 0.1, "hyper-connection epsilon"),
    real!(norm_epsilon, "attention.layer_norm_rms_epsilon", 1e-20, 0.1, "RMS norm epsilon"),
    real!(route_scale, "expert_weights_scale", 1e-6, 1e6, "expert weight scale"),
    real!(rope_base, "rope.freq_base", 2.0, 1e12, "RoPE base, ratio 0"),
    real!(compress_rope_base, "attention.compress_rope_freq_base", 2.0, 1e12,
          "RoPE base, ratios 4 and 128"),
    real!(yarn_factor, "rope.scaling.factor", 1.0, 1e6, Some(16.0), "YaRN factor"),
    count!(yarn_original_context, "rope.scaling.original_context_length", 1, CONTEXT_MAX,
           Some(65_536), "YaRN original context"),
    real!(yarn_beta_fast, "rope.scaling.yarn_beta_fast", 1e-6, 1e6, Some(32.0), "YaRN beta fast"),
    real!(yarn_beta_slow, "rope.scaling.yarn_beta_slow", 1e-6, 1e6, Some(1.0), "YaRN beta slow"),
];
