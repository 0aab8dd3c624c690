"""Attention over the window and the compressed rows, with compressor and indexer."""

import torch
import torch.nn.functional as F
from torch import nn

from layers import NEG, Weight, fake_e2m1, fake_e4m3, lin, norm, rms, rope

# Parity tests only: subtracted per entry index from indexer scores, to break exact ties alike.
TIE = 0.0


def compress(cfg, x, p, ratio, hd, newdoc, cos, sin):
    """Pool `ratio` tokens (plus the previous window when ratio is 4) into one entry of width hd."""
    B, S, _ = x.shape
    T = S // ratio
    kv = lin(x, p.kv_proj.weight).view(B, T, ratio, -1)
    gate = lin(x, p.gate_proj.weight).view(B, T, ratio, -1).float() + p.position_bias
    if ratio == 4:
        pk = F.pad(kv[:, :-1, :, :hd], (0, 0, 0, 0, 1, 0))
        pg = F.pad(gate[:, :-1, :, :hd], (0, 0, 0, 0, 1, 0)).masked_fill(
            newdoc[:, :, None, None], NEG
        )
        kv = torch.cat((pk, kv[..., hd:]), dim=2)
        gate = torch.cat((pg, gate[..., hd:]), dim=2)
    c = (kv.float() * gate.softmax(dim=2)).sum(2)
    c = rms(c, p.kv_norm.weight, cfg.eps).to(x.dtype)
    return rope(c, cos[:S:ratio], sin[:S:ratio])


class Indexer(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.kv_proj = Weight(2 * cfg.ihd, cfg.d)
        self.gate_proj = Weight(2 * cfg.ihd, cfg.d)
        self.position_bias = nn.Parameter(torch.zeros(4, 2 * cfg.ihd))
        self.kv_norm = norm(cfg.ihd)
        self.q_b_proj = Weight(cfg.ih * cfg.ihd, cfg.q_lora)
        self.scorer = nn.Module()
        self.scorer.weights_proj = Weight(cfg.ih, cfg.d)


class Compressor(nn.Module):
    def __init__(self, cfg, ratio):
        super().__init__()
        w = cfg.hd * (2 if ratio == 4 else 1)
        self.kv_proj = Weight(w, cfg.d)
        self.gate_proj = Weight(w, cfg.d)
        self.position_bias = nn.Parameter(torch.zeros(ratio, w))
        self.kv_norm = norm(cfg.hd)
        if ratio == 4:
            self.indexer = Indexer(cfg)


class Attention(nn.Module):
    def __init__(self, cfg, ratio):
        super().__init__()
        self.sinks = nn.Parameter(torch.zeros(cfg.heads))
        self.q_a_proj = Weight(cfg.q_lora, cfg.d)
        self.q_a_norm = norm(cfg.q_lora)
        self.q_b_proj = Weight(cfg.heads * cfg.hd, cfg.q_lora)
        self.kv_proj = Weight(cfg.hd, cfg.d)
        self.kv_norm = norm(cfg.hd)
        self.o_a_proj = Weight(cfg.o_groups * cfg.o_lora, cfg.heads * cfg.hd // cfg.o_groups)
        self.o_b_proj = Weight(cfg.d, cfg.o_groups * cfg.o_lora)
        if ratio:
            self.compressor = Compressor(cfg, ratio)


class Ctx:
    """Per-batch constants shared by all layers (rope tables and masks)."""

    __slots__ = (
        "cos",
        "sin",
        "ccos",
        "csin",
        "mask_w",
        "vis4",
        "vis128",
        "newdoc",
        "sparse",
        "had",
    )


def make_ctx(cfg, model, seg, sparse=True):
    B, S = seg.shape
    W = cfg.window
    dev = seg.device
    c = Ctx()
    c.cos, c.sin, c.ccos, c.csin = (t[:S] for t in model.tables(S, dev))
    pos = torch.arange(S, device=dev)
    sb = seg.view(B, S // W, W)
    kseg = torch.cat((F.pad(sb[:, :-1], (0, 0, 1, 0), value=-1), sb), dim=2)  # [B,n,2W]
    i = torch.arange(W, device=dev)[:, None]
    j = torch.arange(2 * W, device=dev)[None, :]
    band = (j > i) & (j <= i + W)  # t-W < key <= t
    c.mask_w = band & (sb[..., None] == kseg[:, :, None, :])
    s4 = seg[:, 3::4]
    c.vis4 = (torch.arange(S // 4, device=dev)[None, :] < ((pos + 1) // 4)[:, None]) & (
        seg[:, :, None] == s4[:, None, :]
    )
    c.newdoc = torch.cat(
        (torch.ones(B, 1, dtype=torch.bool, device=dev), seg[:, 4::4] != seg[:, 3:-1:4]), dim=1
    )
    if S >= 128:
        a, b = seg[:, 0 : S // 128 * 128 : 128], seg[:, 127::128]
        c.vis128 = (torch.arange(S // 128, device=dev)[None, :] < ((pos + 1) // 128)[:, None]) & (
            seg[:, :, None] == torch.where(a == b, b, -2)[:, None, :]
        )
    else:
        c.vis128 = None
    c.sparse = sparse if torch.is_tensor(sparse) else torch.tensor(bool(sparse), device=dev)
    c.had = model.had.to(dev)
    return c


def attention(cfg, p, ratio, x, c, qat):
    B, S, _ = x.shape
    H, D, W = cfg.heads, cfg.hd, cfg.window
    cos, sin = (c.ccos, c.csin) if ratio else (c.cos, c.sin)
    qr = rms(lin(x, p.q_a_proj.weight), p.q_a_norm.weight, cfg.eps)
    q = rms(lin(qr, p.q_b_proj.weight).view(B, S, H, D), None, cfg.eps)
    q = rope(q, cos[:, None], sin[:, None])
    kv = rope(rms(lin(x, p.kv_proj.weight), p.kv_norm.weight, cfg.eps), cos, sin)
    kl = x.new_zeros((), dtype=torch.float32)
    scale = D**-0.5
    nope = D - cfg.rd
    if qat:
        kv = torch.cat((fake_e4m3(kv[..., :nope]), kv[..., nope:]), -1)

    n = S // W
    kb = kv.view(B, n, W, D)
    kk = torch.cat((F.pad(kb[:, :-1], (0, 0, 0, 0, 1, 0)), kb), dim=2)  # [B,n,2W,D]
    sw = (
        torch.matmul(q.reshape(B, n, W * H, D), kk.transpose(-1, -2))
        .view(B, n, W, H, 2 * W)
        .float()
        * scale
    )
    sw = sw.masked_fill(~c.mask_w[:, :, :, None, :], NEG).view(B, S, H, 2 * W)
    m = sw.amax(-1, keepdim=True)
    sink = p.sinks.float().view(1, 1, H, 1)
    kc = None
    if ratio and S >= ratio:
        kc = compress(cfg, x, p.compressor, ratio, D, c.newdoc, c.ccos, c.csin)
        if qat:
            kc = torch.cat((fake_e4m3(kc[..., :nope]), kc[..., nope:]), -1)
        vis = c.vis4 if ratio == 4 else c.vis128
        T = kc.shape[1]
        if ratio == 4:
            ix = p.compressor.indexer
            xd, qd = x.detach(), qr.detach()
            ki = compress(cfg, xd, ix, 4, cfg.ihd, c.newdoc, c.ccos, c.csin)
            qi = rope(
                lin(qd, ix.q_b_proj.weight).view(B, S, cfg.ih, cfg.ihd), cos[:, None], sin[:, None]
            )
            if qat:
                had = c.had.to(x.dtype)
                ki, qi = fake_e2m1(ki @ had), fake_e2m1(qi @ had)
            wi = lin(xd, ix.scorer.weights_proj.weight).float() * (cfg.ih**-0.5 * cfg.ihd**-0.5)
            dots = torch.matmul(qi.reshape(B, S * cfg.ih, cfg.ihd), ki.transpose(1, 2)).view(
                B, S, cfg.ih, T
            )
            score = (F.relu(dots.float()) * wi.unsqueeze(-1)).sum(2)  # [B,S,T]
            if TIE:
                score = score - TIE * torch.arange(T, device=x.device)
            if T > cfg.itopk:
                top = score.detach().masked_fill(~vis, NEG).topk(cfg.itopk, dim=-1).indices
                sel = torch.zeros_like(vis).scatter_(-1, top, True)
                vis = vis & (sel | ~c.sparse)
        sc = (
            torch.matmul(q.reshape(B, S * H, D), kc.transpose(1, 2)).view(B, S, H, T).float()
            * scale
        )
        sc = sc.masked_fill(~vis[:, :, None, :], NEG)
        m = torch.maximum(m, sc.amax(-1, keepdim=True))
    m = torch.maximum(m, sink).detach()
    ew = torch.exp(sw - m)
    den = ew.sum(-1, keepdim=True) + torch.exp(sink - m)
    if kc is not None:
        ec = torch.exp(sc - m)
        den = den + ec.sum(-1, keepdim=True)
    pw = (ew / den).to(x.dtype)
    o = torch.matmul(pw.view(B, n, W * H, 2 * W), kk).view(B, S, H, D)
    if kc is not None:
        pc = (ec / den).to(x.dtype)
        o = o + torch.matmul(pc.view(B, S * H, T), kc).view(B, S, H, D)
        if ratio == 4:
            # train the indexer to reproduce the (head-summed) attention mass over compressed
            # entries
            t = pc.detach().float().sum(2) / H
            si = score.masked_fill(~vis, NEG)
            kl = (t.sum(-1) * torch.logsumexp(si, -1) - (t * si).sum(-1)).mean()
    o = rope(o, cos[:, None], -sin[:, None])
    g = cfg.o_groups
    o = torch.matmul(
        o.reshape(B * S, g, -1).transpose(0, 1),
        p.o_a_proj.weight.to(x.dtype).view(g, cfg.o_lora, -1).transpose(1, 2),
    )
    o = o.transpose(0, 1).reshape(B, S, g * cfg.o_lora)
    return lin(o, p.o_b_proj.weight), kl
