//! The tensors of a model (spec/model.md 2.1): which exist, their sizes and types, and how much of
//! each one token reads.

pub mod bind;
mod profile;
mod spec;
pub mod synthetic;
#[cfg(test)]
mod tests;

use std::fmt;

pub use bind::{BindError, BindProblem, Binding, BoundWeight, bind, bind_set};
pub use profile::Profile;
pub use spec::{Touched, WeightKind, WeightSpec, inventory};

/// What a weight is for. Dimensions in memory order, outermost first; letters as in spec/model.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// `token_embd.weight` \[V, D\]
    TokenEmbedding,
    /// `output_norm.weight` \[D\]
    OutputNorm,
    /// `output.weight` \[V, D\]
    Output,
    /// `output_hc_fn.weight` \[N, N*D\]
    OutputHyperFn,
    /// `output_hc_base.weight` \[N\]
    OutputHyperBase,
    /// `output_hc_scale.weight` \[1\]
    OutputHyperScale,
    /// `hc_attn_fn.weight` \[2N+N*N, N*D\]
    AttentionHyperFn,
    /// `hc_attn_base.weight` \[2N+N*N\]
    AttentionHyperBase,
    /// `hc_attn_scale.weight` \[3\]
    AttentionHyperScale,
    /// `attn_norm.weight` \[D\]
    AttentionNorm,
    /// `attn_q_a.weight` \[q_rank, D\]
    QueryA,
    /// `attn_q_a_norm.weight` \[q_rank\]
    QueryANorm,
    /// `attn_q_b.weight` \[H*dh, q_rank\]
    QueryB,
    /// `attn_kv.weight` \[dh, D\]
    KeyValue,
    /// `attn_kv_a_norm.weight` \[dh\]
    KeyValueNorm,
    /// `attn_sinks.weight` \[H\]
    Sinks,
    /// `attn_output_a.weight` \[G*o_rank, H*dh/G\], group-major rows
    OutputA,
    /// `attn_output_b.weight` \[D, G*o_rank\]
    OutputB,
    /// `attn_compressor_kv.weight` \[c*dh, D\], c = 2 for ratio 4, else 1
    CompressorKv,
    /// `attn_compressor_gate.weight` \[c*dh, D\]
    CompressorGate,
    /// `attn_compressor_ape.weight` \[r, c*dh\]
    CompressorApe,
    /// `attn_compressor_norm.weight` \[dh\]
    CompressorNorm,
    /// `indexer.attn_q_b.weight` \[index_heads*index_dim, q_rank\]
    IndexQuery,
    /// `indexer.proj.weight` \[index_heads, D\]
    IndexWeights,
    /// `indexer_compressor_kv.weight` \[2*index_dim, D\]
    IndexCompressorKv,
    /// `indexer_compressor_gate.weight` \[2*index_dim, D\]
    IndexCompressorGate,
    /// `indexer_compressor_ape.weight` \[4, 2*index_dim\]
    IndexCompressorApe,
    /// `indexer_compressor_norm.weight` \[index_dim\]
    IndexCompressorNorm,
    /// `hc_ffn_fn.weight` \[2N+N*N, N*D\]
    FfnHyperFn,
    /// `hc_ffn_base.weight` \[2N+N*N\]
    FfnHyperBase,
    /// `hc_ffn_scale.weight` \[3\]
    FfnHyperScale,
    /// `ffn_norm.weight` \[D\]
    FfnNorm,
    /// `ffn_gate_inp.weight` \[E, D\]
    Router,
    /// `exp_probs_b.bias` \[E\]
    RouterBias,
    /// `ffn_gate_tid2eid.weight` \[V, experts_used\], I32
    HashExperts,
    /// `ffn_gate_exps.weight` \[E, F, D\]
    ExpertGate,
    /// `ffn_up_exps.weight` \[E, F, D\]
    ExpertUp,
    /// `ffn_down_exps.weight` \[E, D, F\]
    ExpertDown,
    /// `ffn_gate_shexp.weight` \[F, D\]
    SharedGate,
    /// `ffn_up_shexp.weight` \[F, D\]
    SharedUp,
    /// `ffn_down_shexp.weight` \[D, F\]
    SharedDown,
}

/// One weight of the model. `layer` is `None` for the embedding and the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WeightId {
    /// Trunk layer, or `None`.
    pub layer: Option<u16>,
    /// What the weight is for.
    pub role: Role,
}

impl WeightId {
    /// A weight of the embedding or the head.
    pub const fn global(role: Role) -> Self {
        Self { layer: None, role }
    }

    /// A weight of trunk layer `layer`.
    pub const fn of_layer(layer: usize, role: Role) -> Self {
        Self { layer: Some(layer as u16), role }
    }

    /// Name of its tensor in GGUF files: `blk.7.attn_kv.weight`, `output.weight`.
    pub fn gguf_name(self) -> String {
        match self.layer {
            Some(layer) => format!("blk.{layer}.{}", self.role.gguf_name()),
            None => self.role.gguf_name().to_owned(),
        }
    }
}

impl fmt::Display for WeightId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.gguf_name())
    }
}

impl Role {
    /// Name of the tensor in GGUF files, without `blk.N.` in front.
    pub const fn gguf_name(self) -> &'static str {
        match self {
            Self::TokenEmbedding => "token_embd.weight",
            Self::OutputNorm => "output_norm.weight",
            Self::Output => "output.weight",
            Self::OutputHyperFn => "output_hc_fn.weight",
            Self::OutputHyperBase => "output_hc_base.weight",
            Self::OutputHyperScale => "output_hc_scale.weight",
            Self::AttentionHyperFn => "hc_attn_fn.weight",
            Self::AttentionHyperBase => "hc_attn_base.weight",
            Self::AttentionHyperScale => "hc_attn_scale.weight",
            Self::AttentionNorm => "attn_norm.weight",
            Self::QueryA => "attn_q_a.weight",
            Self::QueryANorm => "attn_q_a_norm.weight",
            Self::QueryB => "attn_q_b.weight",
            Self::KeyValue => "attn_kv.weight",
            Self::KeyValueNorm => "attn_kv_a_norm.weight",
            Self::Sinks => "attn_sinks.weight",
            Self::OutputA => "attn_output_a.weight",
            Self::OutputB => "attn_output_b.weight",
            Self::CompressorKv => "attn_compressor_kv.weight",
            Self::CompressorGate => "attn_compressor_gate.weight",
            Self::CompressorApe => "attn_compressor_ape.weight",
            Self::CompressorNorm => "attn_compressor_norm.weight",
            Self::IndexQuery => "indexer.attn_q_b.weight",
            Self::IndexWeights => "indexer.proj.weight",
            Self::IndexCompressorKv => "indexer_compressor_kv.weight",
            Self::IndexCompressorGate => "indexer_compressor_gate.weight",
            Self::IndexCompressorApe => "indexer_compressor_ape.weight",
            Self::IndexCompressorNorm => "indexer_compressor_norm.weight",
            Self::FfnHyperFn => "hc_ffn_fn.weight",
            Self::FfnHyperBase => "hc_ffn_base.weight",
            Self::FfnHyperScale => "hc_ffn_scale.weight",
            Self::FfnNorm => "ffn_norm.weight",
            Self::Router => "ffn_gate_inp.weight",
            Self::RouterBias => "exp_probs_b.bias",
            Self::HashExperts => "ffn_gate_tid2eid.weight",
            Self::ExpertGate => "ffn_gate_exps.weight",
            Self::ExpertUp => "ffn_up_exps.weight",
            Self::ExpertDown => "ffn_down_exps.weight",
            Self::SharedGate => "ffn_gate_shexp.weight",
            Self::SharedUp => "ffn_up_shexp.weight",
            Self::SharedDown => "ffn_down_shexp.weight",
        }
    }
}
