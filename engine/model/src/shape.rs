//! The hyper-parameters of a model of the DeepSeek V4 family (spec/model.md 1).

mod check;
pub mod fields;
mod known;
mod metadata;
pub mod rules;
#[cfg(test)]
mod tests;

pub use check::{ShapeError, ShapeProblem};
pub use known::Family;
pub use metadata::ARCHITECTURE;

/// Sizes and constants of one model. Every count is a plain number of elements, rows or layers.
///
/// Notation of spec/model.md in brackets.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// Trunk layers \[L\].
    pub layers: usize,
    /// Width of one residual stream \[D\].
    pub hidden: usize,
    /// Vocabulary entries \[V\].
    pub vocab: usize,
    /// Longest context the checkpoint was made for, in tokens.
    pub context: usize,
    /// Query heads \[H\].
    pub heads: usize,
    /// Width of a head, and of the one key-value row \[dh\].
    pub head_dim: usize,
    /// Rotary dimensions: the last ones of a head and of an indexer head \[dr\].
    pub rope_dim: usize,
    /// Rank of the query projection.
    pub q_rank: usize,
    /// Rank of the output projection of one group.
    pub o_rank: usize,
    /// Output groups \[G\].
    pub o_groups: usize,
    /// Routed experts \[E\].
    pub experts: usize,
    /// Routed experts active for a token.
    pub experts_used: usize,
    /// Inner width of a routed expert and of the shared one \[F\].
    pub ffn: usize,
    /// The first layers, whose experts come from a token table.
    pub hash_layers: usize,
    /// Sliding window in rows, the query's own row included.
    pub window: usize,
    /// Compress ratio of each layer: 0 (window only), 4 (indexed) or 128. `layers` entries.
    pub ratios: Vec<usize>,
    /// Indexer heads.
    pub index_heads: usize,
    /// Width of an indexer head and key.
    pub index_dim: usize,
    /// Compressed rows the indexer selects.
    pub index_top_k: usize,
    /// Residual streams \[N\]; always 4.
    pub streams: usize,
    /// Column normalisations of the Sinkhorn iteration.
    pub sinkhorn_iterations: usize,
    /// Epsilon of the hyper-connection weights and of the Sinkhorn iteration.
    pub hyper_epsilon: f32,
    /// Epsilon of every RMS norm.
    pub norm_epsilon: f32,
    /// SwiGLU clamp of each layer; infinite where the file says "off". `layers` entries.
    pub swiglu_clamp: Vec<f32>,
    /// Factor of the normalised expert weights.
    pub route_scale: f32,
    /// RoPE base of ratio-0 layers.
    pub rope_base: f32,
    /// RoPE base of compressed layers.
    pub compress_rope_base: f32,
    /// YaRN factor of compressed layers.
    pub yarn_factor: f32,
    /// Context before YaRN's stretch, in tokens.
    pub yarn_original_context: usize,
    /// Rotations over the original context above which a pair keeps its frequency.
    pub yarn_beta_fast: f32,
    /// Rotations over the original context below which a pair is fully interpolated.
    pub yarn_beta_slow: f32,
}

impl Shape {
    /// Whether cache rows can be packed (FP8 and FP4, spec/model.md 3.5 and 3.7): the non-rotary
    /// part of a head must be whole FP8 blocks of 64 (or nothing), and an indexer key must suit the
    /// Hadamard transform (a power of two) and FP4 blocks of 32.
    pub fn packed_rows_supported(&self) -> bool {
        let plain = self.head_dim.saturating_sub(self.rope_dim);
        plain.is_multiple_of(64)
            && self.index_dim.is_multiple_of(32)
            && self.index_dim.is_power_of_two()
    }
}
