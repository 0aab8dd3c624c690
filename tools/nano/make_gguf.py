"""A run (or an export) to one GGUF file in the layout of the published DeepSeek V4 files, with the
MTP block.

usage: make_gguf.py RUN_OR_EXPORT_DIR OUT.gguf [--experts q2|q4|q8|f16] [--embd f16|q8_0] [--comp
f16|q8_0] [--no-mtp] The blocks of a run that was trained through them are written as they were
trained. Needs the gguf package.
"""

import argparse
import json
import os

import gguf
import torch

import quant
from export import load_hf, read_run
from model import Cfg

HERE = os.path.dirname(os.path.abspath(__file__))
GT = gguf.GGMLQuantizationType
ap = argparse.ArgumentParser()
ap.add_argument("dir")
ap.add_argument("out")
ap.add_argument("--experts", default="q2", choices=["q2", "q4", "q8", "f16"])
ap.add_argument("--embd", default="f16", choices=["f16", "q8_0"])
ap.add_argument(
    "--comp",
    default="f16",
    choices=["f16", "q8_0"],
    help="compressors, indexer and router are f16 in published files",
)
ap.add_argument("--no-mtp", action="store_true")
A = ap.parse_args()
torch.set_num_threads(1)

if os.path.exists(os.path.join(A.dir, "config.json")):
    m = load_hf(A.dir)
    cfg, sd = (
        m.cfg,
        {k: v.detach().float() if v.is_floating_point() else v for k, v in m.state_dict().items()},
    )
else:
    sd, meta = read_run(A.dir)
    cfg = Cfg(**meta["config"]["nano"])
w = gguf.GGUFWriter(A.out, "deepseek4")
K = "deepseek4."
w.add_name("DS4 Nano")
for k, v in [
    ("block_count", cfg.layers),
    ("embedding_length", cfg.d),
    ("vocab_size", cfg.vocab),
    ("context_length", cfg.max_ctx),
    ("attention.head_count", cfg.heads),
    ("attention.head_count_kv", 1),
    ("attention.key_length", cfg.hd),
    ("attention.value_length", cfg.hd),
    ("rope.dimension_count", cfg.rd),
    ("attention.q_lora_rank", cfg.q_lora),
    ("attention.output_lora_rank", cfg.o_lora),
    ("attention.output_group_count", cfg.o_groups),
    ("expert_count", cfg.experts),
    ("expert_used_count", cfg.topk),
    ("expert_feed_forward_length", cfg.ff),
    ("expert_shared_count", 1),
    ("hash_layer_count", cfg.hash_layers),
    ("expert_group_count", 0),
    ("expert_group_used_count", 0),
    ("attention.sliding_window", cfg.window),
    ("attention.indexer.head_count", cfg.ih),
    ("attention.indexer.key_length", cfg.ihd),
    ("attention.indexer.top_k", cfg.itopk),
    ("hyper_connection.count", cfg.hc),
    ("hyper_connection.sinkhorn_iterations", cfg.sink_iters),
    ("rope.scaling.original_context_length", cfg.yarn_orig),
    ("nextn_predict_layers", 0 if A.no_mtp else cfg.mtp),
]:
    w.add_uint32(K + k, v)
for k, v in [
    ("hyper_connection.epsilon", cfg.hc_eps),
    ("attention.layer_norm_rms_epsilon", cfg.eps),
    ("expert_weights_scale", cfg.route_scale),
    ("rope.freq_base", cfg.theta),
    ("attention.compress_rope_freq_base", cfg.ctheta),
    ("rope.scaling.factor", cfg.yarn_factor),
    ("rope.scaling.yarn_beta_fast", cfg.yarn_fast),
    ("rope.scaling.yarn_beta_slow", cfg.yarn_slow),
]:
    w.add_float32(K + k, v)
w.add_bool(K + "expert_weights_norm", True)
w.add_array(K + "attention.compress_ratios", [int(x) for x in cfg.ratios])
w.add_array(K + "swiglu_clamp_exp", [float(cfg.limit)] * cfg.layers)

tj = json.load(open(os.path.join(HERE, "tokenizer.json")))
toks = [None] * cfg.vocab
for t, i in tj["model"]["vocab"].items():
    toks[i] = t
special = set()
for a in tj["added_tokens"]:
    toks[a["id"]] = a["content"]
    special.add(a["id"])
assert all(t is not None for t in toks)
w.add_tokenizer_model("gpt2")
w.add_tokenizer_pre("joyai-llm")
w.add_token_list(toks)
w.add_token_types([3 if i in special else 1 for i in range(cfg.vocab)])
w.add_token_merges([x if isinstance(x, str) else " ".join(x) for x in tj["model"]["merges"]])
w.add_bos_token_id(0)
w.add_eos_token_id(1)
w.add_add_bos_token(False)
w.add_add_eos_token(False)

PACK = {
    "q8_0": (quant.pack_q8_0, GT.Q8_0),
    "q4_k": (quant.pack_q4_k, GT.Q4_K),
    "q2_k": (quant.pack_q2_k, GT.Q2_K),
    "iq2_xxs": (quant.pack_iq2_xxs, GT.IQ2_XXS),
}
EXP = {
    "q2": ("iq2_xxs", "q2_k"),
    "q4": ("q4_k", "q4_k"),
    "q8": ("q8_0", "q8_0"),
    "f16": ("f16", "f16"),
}[A.experts]
total = {}


def put(name, t, typ):
    """t in [.., out, in] order, as stored, or the bytes of its blocks."""
    if t.dtype == torch.uint8:
        a, raw = t.contiguous().numpy(), PACK[typ][1]
    elif typ == "f32":
        a, raw = t.float().contiguous().numpy(), None
    elif typ == "f16":
        a, raw = t.half().contiguous().numpy(), None
    elif typ == "i32":
        a, raw = t.to(torch.int32).contiguous().numpy(), None
    else:
        f, raw = PACK[typ]
        t = t.float().contiguous()
        b = f(t)
        a = b.reshape(*t.shape[:-1], -1).contiguous().numpy()
    w.add_tensor(name, a, raw_dtype=raw)
    total[typ] = total.get(typ, 0) + a.nbytes


def block(p, o, moe_hash, ratio):
    def g(k):
        return sd[p + k]

    for hc in ("attn", "ffn"):
        put(f"{o}hc_{hc}_fn.weight", g(f"{hc}_hc.fn"), "f16")
        put(f"{o}hc_{hc}_scale.weight", g(f"{hc}_hc.scale"), "f32")
        put(f"{o}hc_{hc}_base.weight", g(f"{hc}_hc.base"), "f32")
    put(o + "attn_norm.weight", g("input_layernorm.weight"), "f32")
    put(o + "ffn_norm.weight", g("post_attention_layernorm.weight"), "f32")
    a = "self_attn."
    for k, n in [
        ("q_a_proj", "attn_q_a"),
        ("q_b_proj", "attn_q_b"),
        ("kv_proj", "attn_kv"),
        ("o_a_proj", "attn_output_a"),
        ("o_b_proj", "attn_output_b"),
    ]:
        put(f"{o}{n}.weight", g(f"{a}{k}.weight"), "q8_0")
    put(o + "attn_q_a_norm.weight", g(a + "q_a_norm.weight"), "f32")
    put(o + "attn_kv_a_norm.weight", g(a + "kv_norm.weight"), "f32")
    put(o + "attn_sinks.weight", g(a + "sinks"), "f32")
    if ratio:
        c = a + "compressor."
        put(o + "attn_compressor_ape.weight", g(c + "position_bias"), "f16")
        put(o + "attn_compressor_kv.weight", g(c + "kv_proj.weight"), A.comp)
        put(o + "attn_compressor_gate.weight", g(c + "gate_proj.weight"), A.comp)
        put(o + "attn_compressor_norm.weight", g(c + "kv_norm.weight"), "f32")
    if ratio == 4:
        c += "indexer."
        put(o + "indexer.attn_q_b.weight", g(c + "q_b_proj.weight"), A.comp)
        put(o + "indexer.proj.weight", g(c + "scorer.weights_proj.weight"), "f16")
        put(o + "indexer_compressor_ape.weight", g(c + "position_bias"), "f16")
        put(o + "indexer_compressor_kv.weight", g(c + "kv_proj.weight"), A.comp)
        put(o + "indexer_compressor_gate.weight", g(c + "gate_proj.weight"), A.comp)
        put(o + "indexer_compressor_norm.weight", g(c + "kv_norm.weight"), "f32")
    put(o + "ffn_gate_inp.weight", g("mlp.gate.weight"), "f16")
    if moe_hash:
        put(o + "ffn_gate_tid2eid.weight", g("mlp.gate.tid2eid"), "i32")
    else:
        put(o + "exp_probs_b.bias", g("mlp.gate.e_score_correction_bias"), "f32")
    gu, down = g("mlp.experts.gate_up_proj"), g("mlp.experts.down_proj")
    if f"{p}mlp.experts.gate_up_proj#{EXP[0]}" in sd:
        gu, down = g(f"mlp.experts.gate_up_proj#{EXP[0]}"), g(f"mlp.experts.down_proj#{EXP[1]}")
    put(o + "ffn_gate_exps.weight", gu[:, : cfg.ff], EXP[0])
    put(o + "ffn_up_exps.weight", gu[:, cfg.ff :], EXP[0])
    put(o + "ffn_down_exps.weight", down, EXP[1])
    for k in ("gate", "up", "down"):
        put(f"{o}ffn_{k}_shexp.weight", g(f"mlp.shared_experts.{k}_proj.weight"), "q8_0")


put("token_embd.weight", sd["model.embed_tokens.weight"], A.embd)
put("output_norm.weight", sd["model.norm.weight"], "f32")
put("output.weight", sd["lm_head.weight"], "q8_0")
for k in ("fn", "base", "scale"):
    put(f"output_hc_{k}.weight", sd[f"model.hc_head.hc_{k}"], "f16" if k == "fn" else "f32")
for i in range(cfg.layers):
    block(f"model.layers.{i}.", f"blk.{i}.", i < cfg.hash_layers, cfg.ratios[i])
if not A.no_mtp and cfg.mtp:
    p = "mtp.0."
    put(p + "e_proj.weight", sd[p + "e_proj.weight"], "q8_0")
    put(p + "h_proj.weight", sd[p + "h_proj.weight"], "q8_0")
    for k in ("enorm", "hnorm", "norm"):
        put(f"{p}{k}.weight", sd[f"{p}{k}.weight"], "f32")
    for k in ("fn", "base", "scale"):
        put(f"{p}hc_head_{k}.weight", sd[f"{p}hc_head.hc_{k}"], "f16" if k == "fn" else "f32")
    block(p, p, False, 0)
w.write_header_to_file()
w.write_kv_data_to_file()
w.write_tensors_to_file()
w.close()
print({k: f"{v / 1e6:.2f} MB" for k, v in total.items()}, "file", os.path.getsize(A.out))
