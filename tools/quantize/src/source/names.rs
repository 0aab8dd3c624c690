//! Names of tensors in checkpoints (spec/model.md 2.1), in the published form and in that of the
//! transformers library.

use ds4_model::inventory::{Role, WeightId};

/// How tensors are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// `layers.0.attn.wq_a.weight`, one tensor for each matrix of an expert.
    Published,
    /// `model.layers.0.self_attn.q_a_proj.weight`, experts stacked, gate above up.
    Transformers,
}

/// Where the values of a weight stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// One tensor.
    Whole(String),
    /// One tensor for each expert: this with the expert's number between.
    EachExpert(String, &'static str),
    /// Rows of a tensor \[experts, rows of all, width\]: part number `.1` of `.2` of each expert.
    Stacked(String, usize, usize),
}

impl Naming {
    /// The tensor that only this naming has.
    pub fn embedding(self) -> &'static str {
        match self {
            Self::Published => "embed.weight",
            Self::Transformers => "model.embed_tokens.weight",
        }
    }

    /// Where a weight stands.
    pub fn place(self, id: WeightId) -> Place {
        let names = names(id.role);
        let (prefix, name) = match (self, id.layer) {
            (Self::Published, None) => (String::new(), names.0),
            (Self::Published, Some(layer)) => (format!("layers.{layer}."), names.0),
            (Self::Transformers, None) => (String::new(), names.1),
            (Self::Transformers, Some(layer)) => (format!("model.layers.{layer}."), names.1),
        };
        let name = format!("{prefix}{name}");
        match (self, id.role) {
            (Self::Published, Role::ExpertGate) => Place::EachExpert(name, ".w1.weight"),
            (Self::Published, Role::ExpertUp) => Place::EachExpert(name, ".w3.weight"),
            (Self::Published, Role::ExpertDown) => Place::EachExpert(name, ".w2.weight"),
            (Self::Transformers, Role::ExpertGate) => Place::Stacked(name, 0, 2),
            (Self::Transformers, Role::ExpertUp) => Place::Stacked(name, 1, 2),
            (Self::Transformers, Role::ExpertDown) => Place::Stacked(name, 0, 1),
            _ => Place::Whole(name),
        }
    }
}

/// Published and transformers name, without the layer.
fn names(role: Role) -> (&'static str, &'static str) {
    match role {
        Role::TokenEmbedding => ("embed.weight", "model.embed_tokens.weight"),
        Role::OutputNorm => ("norm.weight", "model.norm.weight"),
        Role::Output => ("head.weight", "lm_head.weight"),
        Role::OutputHyperFn => ("hc_head_fn", "model.hc_head.hc_fn"),
        Role::OutputHyperBase => ("hc_head_base", "model.hc_head.hc_base"),
        Role::OutputHyperScale => ("hc_head_scale", "model.hc_head.hc_scale"),
        Role::AttentionHyperFn => ("hc_attn_fn", "attn_hc.fn"),
        Role::AttentionHyperBase => ("hc_attn_base", "attn_hc.base"),
        Role::AttentionHyperScale => ("hc_attn_scale", "attn_hc.scale"),
        Role::AttentionNorm => ("attn_norm.weight", "input_layernorm.weight"),
        Role::QueryA => ("attn.wq_a.weight", "self_attn.q_a_proj.weight"),
        Role::QueryANorm => ("attn.q_norm.weight", "self_attn.q_a_norm.weight"),
        Role::QueryB => ("attn.wq_b.weight", "self_attn.q_b_proj.weight"),
        Role::KeyValue => ("attn.wkv.weight", "self_attn.kv_proj.weight"),
        Role::KeyValueNorm => ("attn.kv_norm.weight", "self_attn.kv_norm.weight"),
        Role::Sinks => ("attn.attn_sink", "self_attn.sinks"),
        Role::OutputA => ("attn.wo_a.weight", "self_attn.o_a_proj.weight"),
        Role::OutputB => ("attn.wo_b.weight", "self_attn.o_b_proj.weight"),
        Role::CompressorKv => ("attn.compressor.wkv.weight", "self_attn.compressor.kv_proj.weight"),
        Role::CompressorGate => {
            ("attn.compressor.wgate.weight", "self_attn.compressor.gate_proj.weight")
        }
        Role::CompressorApe => ("attn.compressor.ape", "self_attn.compressor.position_bias"),
        Role::CompressorNorm => {
            ("attn.compressor.norm.weight", "self_attn.compressor.kv_norm.weight")
        }
        Role::IndexQuery => {
            ("attn.indexer.wq_b.weight", "self_attn.compressor.indexer.q_b_proj.weight")
        }
        Role::IndexWeights => (
            "attn.indexer.weights_proj.weight",
            "self_attn.compressor.indexer.scorer.weights_proj.weight",
        ),
        Role::IndexCompressorKv => {
            ("attn.indexer.compressor.wkv.weight", "self_attn.compressor.indexer.kv_proj.weight")
        }
        Role::IndexCompressorGate => (
            "attn.indexer.compressor.wgate.weight",
            "self_attn.compressor.indexer.gate_proj.weight",
        ),
        Role::IndexCompressorApe => {
            ("attn.indexer.compressor.ape", "self_attn.compressor.indexer.position_bias")
        }
        Role::IndexCompressorNorm => {
            ("attn.indexer.compressor.norm.weight", "self_attn.compressor.indexer.kv_norm.weight")
        }
        Role::FfnHyperFn => ("hc_ffn_fn", "ffn_hc.fn"),
        Role::FfnHyperBase => ("hc_ffn_base", "ffn_hc.base"),
        Role::FfnHyperScale => ("hc_ffn_scale", "ffn_hc.scale"),
        Role::FfnNorm => ("ffn_norm.weight", "post_attention_layernorm.weight"),
        Role::Router => ("ffn.gate.weight", "mlp.gate.weight"),
        Role::RouterBias => ("ffn.gate.bias", "mlp.gate.e_score_correction_bias"),
        Role::HashExperts => ("ffn.gate.tid2eid", "mlp.gate.tid2eid"),
        Role::ExpertGate | Role::ExpertUp => ("ffn.experts.", "mlp.experts.gate_up_proj"),
        Role::ExpertDown => ("ffn.experts.", "mlp.experts.down_proj"),
        Role::SharedGate => ("ffn.shared_experts.w1.weight", "mlp.shared_experts.gate_proj.weight"),
        Role::SharedUp => ("ffn.shared_experts.w3.weight", "mlp.shared_experts.up_proj.weight"),
        Role::SharedDown => ("ffn.shared_experts.w2.weight", "mlp.shared_experts.down_proj.weight"),
    }
}
