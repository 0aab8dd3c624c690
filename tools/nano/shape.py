"""Shape of the model: all hyper-parameters, and config.json in Hugging Face form."""

import json
from dataclasses import asdict, dataclass, field


@dataclass
class Cfg:
    vocab: int = 4096
    d: int = 256  # hidden size
    layers: int = 8
    heads: int = 8
    hd: int = 128  # head dim (one shared KV head)
    rd: int = 64  # rope dims at the tail of a head
    q_lora: int = 256
    o_groups: int = 4
    o_lora: int = 64
    experts: int = 8
    topk: int = 2
    ff: int = 256
    hash_layers: int = 2
    window: int = 64
    ih: int = 4  # indexer heads
    ihd: int = 128  # indexer head dim
    itopk: int = 64
    hc: int = 4
    sink_iters: int = 20
    hc_eps: float = 1e-6
    eps: float = 1e-6
    route_scale: float = 1.5
    limit: float = 10.0
    theta: float = 10000.0
    ctheta: float = 160000.0
    yarn_factor: float = 16.0
    yarn_orig: int = 65536
    yarn_fast: float = 32.0
    yarn_slow: float = 1.0
    max_ctx: int = 1048576
    mtp: int = 1
    ratios: list = field(default_factory=list)

    def __post_init__(self):
        if not self.ratios:  # the real rule: two window-only layers, then 4 / 128 alternating
            self.ratios = [0 if i < 2 else (4 if i % 2 == 0 else 128) for i in range(self.layers)]

    # -- Hugging Face config.json -------------------------------------------------------------
    def to_hf(self):
        names = {
            0: "sliding_attention",
            4: "compressed_sparse_attention",
            128: "heavily_compressed_attention",
        }
        pr = self.rd / self.hd
        return {
            "architectures": ["DeepseekV4ForCausalLM"],
            "model_type": "deepseek_v4",
            "vocab_size": self.vocab,
            "hidden_size": self.d,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": 1,
            "head_dim": self.hd,
            "qk_rope_head_dim": self.rd,
            "partial_rotary_factor": pr,
            "q_lora_rank": self.q_lora,
            "o_groups": self.o_groups,
            "o_lora_rank": self.o_lora,
            "n_routed_experts": self.experts,
            "num_experts_per_tok": self.topk,
            "n_shared_experts": 1,
            "moe_intermediate_size": self.ff,
            "scoring_func": "sqrtsoftplus",
            "norm_topk_prob": True,
            "routed_scaling_factor": self.route_scale,
            "swiglu_limit": self.limit,
            "hidden_act": "silu",
            "mlp_layer_types": [
                "hash_moe" if i < self.hash_layers else "moe" for i in range(self.layers)
            ],
            "layer_types": [names[r] for r in self.ratios],
            "compress_rates": {
                "compressed_sparse_attention": 4,
                "heavily_compressed_attention": 128,
            },
            "sliding_window": self.window,
            "index_n_heads": self.ih,
            "index_head_dim": self.ihd,
            "index_topk": self.itopk,
            "hc_mult": self.hc,
            "hc_sinkhorn_iters": self.sink_iters,
            "hc_eps": self.hc_eps,
            "rms_norm_eps": self.eps,
            "rope_theta": self.theta,
            "compress_rope_theta": self.ctheta,
            "max_position_embeddings": self.max_ctx,
            "rope_parameters": {
                "main": {
                    "rope_type": "default",
                    "rope_theta": self.theta,
                    "partial_rotary_factor": pr,
                },
                "compress": {
                    "rope_type": "yarn",
                    "rope_theta": self.ctheta,
                    "partial_rotary_factor": pr,
                    "factor": self.yarn_factor,
                    "original_max_position_embeddings": self.yarn_orig,
                    "beta_fast": self.yarn_fast,
                    "beta_slow": self.yarn_slow,
                    "attention_factor": 1.0,
                },
            },
            "num_nextn_predict_layers": self.mtp,
            "tie_word_embeddings": False,
            "attention_bias": False,
            "bos_token_id": 0,
            "eos_token_id": 1,
            "pad_token_id": None,
            "dtype": "bfloat16",
            "nano": asdict(self),
        }

    @staticmethod
    def from_hf(path):
        return Cfg(**json.load(open(path))["nano"])
