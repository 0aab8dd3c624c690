"""CPU float32 parity of model.py with the Hugging Face deepseek_v4 implementation.

usage: check_hf.py [EXPORT_DIR]     without a folder: random weights of a small and of the nano
shape Loads the exported safetensors through `from_pretrained`, compares logits of several lengths,
of the cached (prefill + token by token) path, and prints the largest absolute differences.
"""

import os
import sys
import tempfile

import torch

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from export import load_hf, save_hf
from model import Cfg, Nano


def hf_load(d):
    from transformers import DeepseekV4ForCausalLM

    m, info = DeepseekV4ForCausalLM.from_pretrained(
        d, dtype=torch.float32, output_loading_info=True
    )
    bad = {k: sorted(v)[:5] for k, v in info.items() if v}
    print("  loading info:", bad or "clean")
    return m.eval()


def break_ties(eps=1e-3):
    """ReLU makes many indexer scores exactly zero, and top-k among equal scores is arbitrary in
    both
    implementations.  Subtract eps*index on both sides so that the comparison is about the
    arithmetic."""
    import attention
    from transformers.models.deepseek_v4.modeling_deepseek_v4 import DeepseekV4IndexerScorer as S

    attention.TIE = eps
    orig = S.forward
    if not hasattr(S, "_plain"):
        S._plain = orig

    def forward(self, q, ckv, h):
        s = self._plain(q, ckv, h)
        return s - eps * torch.arange(s.shape[-1])

    S.forward = forward


def compare(d, lens, decode_len=300, seed=1):
    torch.manual_seed(seed)
    ours = load_hf(d)
    hf = hf_load(d)
    worst = 0.0
    with torch.no_grad():
        for n in lens:
            ids = torch.randint(3, ours.cfg.vocab, (1, n))
            a = hf(ids, use_cache=False).logits
            b = ours.logits(ids)
            dlt = (a - b).abs().max().item()
            same = (a.argmax(-1) == b.argmax(-1)).float().mean().item()
            worst = max(worst, dlt)
            print(
                f"  len {n:5d}: max abs diff {dlt:.2e}  (logit range {a.abs().max():.2f}, same argmax {same:.4f})"
            )
        if decode_len:
            ids = torch.randint(3, ours.cfg.vocab, (1, decode_len))
            full = ours.logits(ids)
            cut = decode_len - 40
            o = hf(ids[:, :cut], use_cache=True)
            pkv, dlt = o.past_key_values, (o.logits - full[:, :cut]).abs().max().item()
            for t in range(cut, decode_len):
                o = hf(ids[:, t : t + 1], past_key_values=pkv, use_cache=True)
                dlt = max(dlt, (o.logits[:, 0] - full[:, t]).abs().max().item())
            worst = max(worst, dlt)
            print(f"  cached decode to {decode_len}: max abs diff {dlt:.2e}")
    return worst


def randomise(m):
    """Give every parameter a value that matters (norm weights, sinks, biases, coefficients)."""
    torch.manual_seed(0)
    for n, p in m.named_parameters():
        if p.dim() == 1 or "position_bias" in n:
            p.data.add_(torch.randn_like(p) * 0.3)
        if n.endswith("_hc.fn") or n.endswith("hc_fn"):
            p.data.mul_(3)
    for n, b in m.named_buffers():
        if n.endswith("e_score_correction_bias"):
            b.copy_(torch.randn_like(b) * 0.1)
    return m


if __name__ == "__main__":
    torch.set_num_threads(1)
    break_ties()
    if len(sys.argv) > 1:
        w = compare(sys.argv[1], [64, 333, 1024])
    else:
        w = 0.0
        for name, cfg, lens in [
            (
                "small",
                Cfg(
                    vocab=512,
                    d=64,
                    layers=6,
                    heads=4,
                    q_lora=32,
                    o_groups=2,
                    o_lora=16,
                    experts=4,
                    ff=32,
                    ih=2,
                    itopk=16,
                    window=16,
                ),
                [5, 64, 130, 517],
            ),
            ("nano", Cfg(), [100, 900]),
        ]:
            print(name)
            with tempfile.TemporaryDirectory() as d:
                m = randomise(Nano(cfg))
                save_hf(
                    {
                        k: v.detach().to(torch.int32) if v.dtype == torch.int64 else v.detach()
                        for k, v in m.state_dict().items()
                    },
                    cfg.to_hf(),
                    d,
                )
                w = max(w, compare(d, lens))
    print(f"WORST {w:.3e}", "OK" if w < 1e-3 else "FAIL")
