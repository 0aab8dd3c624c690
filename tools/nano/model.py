"""DeepSeek-V4 architecture at "nano" size, for training (parallel over the sequence).

Parameter names follow the Hugging Face `deepseek_v4` implementation, so `state_dict()` can be
saved as safetensors and loaded by it.  The MTP block uses `mtp.0.*` names (Hugging Face ignores
them).

Computes in the dtype of the streams (bf16 on the GPU, fp32 for parity tests); norms, softmaxes,
router scores, hyper-connection coefficients and losses are fp32.
"""

import torch
import torch.nn.functional as F
from torch import nn

from attention import Attention, Ctx, attention, make_ctx
from layers import (
    HC,
    HCHead,
    Weight,
    hadamard,
    hc_collapse,
    hc_in,
    hc_out,
    inv_freqs,
    lin,
    norm,
    rms,
)
from shape import Cfg

__all__ = ["Block", "Cfg", "MTP", "Nano", "head_loss", "make_ctx", "mtp_in"]


class Router(nn.Module):
    def __init__(self, cfg, is_hash):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(cfg.experts, cfg.d) * cfg.d**-0.5)
        if is_hash:
            t = torch.arange(cfg.vocab, dtype=torch.int64)
            h = (t * 2654435761 + 12345) % 4294967291
            cols = [h % cfg.experts]
            for k in range(1, cfg.topk):
                h = (h * 1103515245 + 12345 + k) % 4294967291
                step = 1 + h % (cfg.experts - 1)
                e = (cols[0] + step) % cfg.experts
                while True:  # keep the chosen experts of a token distinct
                    clash = sum((e == c).long() for c in cols) > 0
                    if not clash.any():
                        break
                    e = torch.where(clash, (e + 1) % cfg.experts, e)
                cols.append(e)
            self.register_buffer("tid2eid", torch.stack(cols, 1))
        else:
            self.register_buffer("e_score_correction_bias", torch.zeros(cfg.experts))


class Experts(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.gate_up_proj = nn.Parameter(torch.randn(cfg.experts, 2 * cfg.ff, cfg.d) * cfg.d**-0.5)
        self.down_proj = nn.Parameter(torch.randn(cfg.experts, cfg.d, cfg.ff) * cfg.ff**-0.5)


class MoE(nn.Module):
    def __init__(self, cfg, is_hash):
        super().__init__()
        self.gate = Router(cfg, is_hash)
        self.experts = Experts(cfg)
        self.shared_experts = nn.Module()
        self.shared_experts.gate_proj = Weight(cfg.ff, cfg.d)
        self.shared_experts.up_proj = Weight(cfg.ff, cfg.d)
        self.shared_experts.down_proj = Weight(cfg.d, cfg.ff)


def moe(cfg, p, is_hash, x, ids):
    """All experts as one wide product: few experts, so dense beats gathering at this size."""
    B, S, D = x.shape
    E, Fd = cfg.experts, cfg.ff
    flat = x.reshape(B * S, D)
    scores = F.softplus(lin(flat, p.gate.weight).float()).sqrt()
    if is_hash:
        idx = p.gate.tid2eid[ids.reshape(-1)]
    else:
        idx = torch.topk(scores.detach() + p.gate.e_score_correction_bias, cfg.topk, dim=-1).indices
    w = scores.gather(1, idx)
    w = w / (w.sum(-1, keepdim=True) + 1e-20) * cfg.route_scale
    dense = torch.zeros_like(scores).scatter(1, idx, w)
    counts = (dense.detach() > 0).sum(0).float()
    gu = lin(flat, p.experts.gate_up_proj.flatten(0, 1)).view(-1, E, 2 * Fd)
    g, u = gu[..., :Fd].float(), gu[..., Fd:].float()
    h = F.silu(g.clamp(max=cfg.limit)) * u.clamp(-cfg.limit, cfg.limit) * dense.unsqueeze(-1)
    y = torch.matmul(
        h.to(x.dtype).view(-1, E * Fd),
        p.experts.down_proj.to(x.dtype).transpose(1, 2).reshape(E * Fd, D),
    )
    s = p.shared_experts
    g = lin(flat, s.gate_proj.weight).float().clamp(max=cfg.limit)
    u = lin(flat, s.up_proj.weight).float().clamp(-cfg.limit, cfg.limit)
    y = y + lin((F.silu(g) * u).to(x.dtype), s.down_proj.weight)
    return y.view(B, S, D), counts


# ---------------------------------------------------------------------------------------------


class Block(nn.Module):
    def __init__(self, cfg, ratio, is_hash):
        super().__init__()
        self.cfg, self.ratio, self.is_hash = cfg, ratio, is_hash
        self.self_attn = Attention(cfg, ratio)
        self.mlp = MoE(cfg, is_hash)
        self.input_layernorm = norm(cfg.d)
        self.post_attention_layernorm = norm(cfg.d)
        self.attn_hc = HC(cfg)
        self.ffn_hc = HC(cfg)

    def forward(self, s, ids, cos, sin, ccos, csin, mask_w, vis4, vis128, newdoc, sparse, had, qat):
        cfg = self.cfg
        c = Ctx()
        c.cos, c.sin, c.ccos, c.csin, c.mask_w, c.vis4, c.vis128 = (
            cos,
            sin,
            ccos,
            csin,
            mask_w,
            vis4,
            vis128,
        )
        c.newdoc, c.sparse, c.had = newdoc, sparse, had
        x, post, comb = hc_in(cfg, self.attn_hc, s)
        y, kl = attention(
            cfg, self.self_attn, self.ratio, rms(x, self.input_layernorm.weight, cfg.eps), c, qat
        )
        s = hc_out(s, y, post, comb)
        x, post, comb = hc_in(cfg, self.ffn_hc, s)
        y, counts = moe(
            cfg, self.mlp, self.is_hash, rms(x, self.post_attention_layernorm.weight, cfg.eps), ids
        )
        return hc_out(s, y, post, comb), kl, counts


class MTP(Block):
    """enorm/hnorm, separate e_proj and h_proj (added, per stream), one window-only block, own norm
    and
    stream collapse, shared embedding and output head."""

    def __init__(self, cfg):
        super().__init__(cfg, 0, False)
        self.enorm = norm(cfg.d)
        self.hnorm = norm(cfg.d)
        self.e_proj = Weight(cfg.d, cfg.d)
        self.h_proj = Weight(cfg.d, cfg.d)
        self.hc_head = HCHead(cfg)
        self.norm = norm(cfg.d)


def head_loss(cfg, hc, nw, w, s, target):
    """Stream collapse, norm, output head; per-token cross entropy and greedy prediction."""
    h = rms(hc_collapse(cfg, hc, s), nw, cfg.eps)
    logits = lin(h, w).float()
    ce = F.cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="none").view(
        target.shape
    )
    return ce, logits.argmax(-1)


def mtp_in(cfg, p, e, s):
    return lin(rms(e, p.enorm.weight, cfg.eps), p.e_proj.weight).unsqueeze(2) + lin(
        rms(s, p.hnorm.weight, cfg.eps), p.h_proj.weight
    )


class Nano(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.cfg = cfg
        self.model = nn.Module()
        self.model.embed_tokens = Weight(cfg.vocab, cfg.d, std=1.0)
        self.model.layers = nn.ModuleList(
            [Block(cfg, cfg.ratios[i], i < cfg.hash_layers) for i in range(cfg.layers)]
        )
        self.model.norm = norm(cfg.d)
        self.model.hc_head = HCHead(cfg)
        self.lm_head = Weight(cfg.vocab, cfg.d, std=0.5 * cfg.d**-0.5)
        self.mtp = nn.ModuleList([MTP(cfg) for _ in range(cfg.mtp)])
        self.register_buffer("had", hadamard(cfg.ihd), persistent=False)
        self._tab = None
        self.block_fn = Block.forward
        self.head_fn = head_loss
        self.mtp_in_fn = mtp_in
        self.dtype = torch.float32
        for n, p in self.named_parameters():  # residual branches start small
            if (
                n.endswith("o_b_proj.weight")
                or n.endswith("down_proj")
                or n.endswith("down_proj.weight")
            ):
                p.data.mul_(0.3)

    def tables(self, S, dev):
        if self._tab is None or self._tab[0].shape[0] < S or self._tab[0].device != dev:
            pos = torch.arange(max(S, 1024), dtype=torch.float32)
            out = []
            for compress_ in (False, True):
                f = pos[:, None] * inv_freqs(self.cfg, compress_)[None]
                out += [f.cos().to(dev), f.sin().to(dev)]
            self._tab = out
        return self._tab

    def streams(self, ids, c, qat=False):
        s = F.embedding(ids, self.model.embed_tokens.weight).to(self.dtype)
        s = s.unsqueeze(2).expand(-1, -1, self.cfg.hc, -1).contiguous()
        kl, counts = 0.0, []
        for b in self.model.layers:
            s, k, n = self.block(b, s, ids, c, qat)
            kl = kl + k
            counts.append(n)
        return s, kl, counts

    def block(self, b, s, ids, c, qat):
        return self.block_fn(
            b,
            s,
            ids,
            c.cos,
            c.sin,
            c.ccos,
            c.csin,
            c.mask_w,
            c.vis4,
            c.vis128,
            c.newdoc,
            c.sparse,
            c.had,
            qat,
        )

    def head(self, s):
        m = self.model
        return rms(hc_collapse(self.cfg, m.hc_head, s), m.norm.weight, self.cfg.eps)

    def mtp_streams(self, s, ids, c, qat=False):
        """Position i: streams of i and the embedding of token i+1; predicts token i+2."""
        p = self.mtp[0]
        nxt = F.pad(ids[:, 1:], (0, 1))
        e = F.embedding(nxt, self.model.embed_tokens.weight).to(self.dtype)
        s, _, n = self.block(p, self.mtp_in_fn(self.cfg, p, e, s), nxt, c, qat)
        return s, n

    def losses(self, ids, c, qat=False, mtp=True):
        """Per-token losses and predictions of the next token and (mtp) of the one after it."""
        m, w = self.model, self.lm_head.weight
        s, kl, counts = self.streams(ids, c, qat)
        ce, pred = self.head_fn(self.cfg, m.hc_head, m.norm.weight, w, s, F.pad(ids[:, 1:], (0, 1)))
        if not (mtp and len(self.mtp)):
            return ce, pred, None, None, kl, counts
        p = self.mtp[0]
        s, n = self.mtp_streams(s, ids, c, qat)
        ce2, pred2 = self.head_fn(
            self.cfg, p.hc_head, p.norm.weight, w, s, F.pad(ids[:, 2:], (0, 2))
        )
        return ce, pred, ce2, pred2, kl, counts + [n]

    def mtp_head(self, s):
        p = self.mtp[0]
        return rms(hc_collapse(self.cfg, p.hc_head, s), p.norm.weight, self.cfg.eps)

    def logits(self, ids, sparse=True, qat=False, with_mtp=False):
        """Plain inference over [B,S] (any S); one document per row."""
        B, S = ids.shape
        pad = (-S) % 128
        seg = F.pad(torch.zeros_like(ids), (0, pad), value=-1)
        ids = F.pad(ids, (0, pad), value=2)
        c = make_ctx(self.cfg, self, seg, sparse)
        s, _, _ = self.streams(ids, c, qat)
        out = lin(self.head(s), self.lm_head.weight)[:, :S]
        if not with_mtp:
            return out
        ms, _ = self.mtp_streams(s, ids, c, qat)
        return out, lin(self.mtp_head(ms), self.lm_head.weight)[:, :S]
