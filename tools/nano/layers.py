"""Small pieces of the model: norm, linear map, rotation, cache rounding, hyper-connections."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from sinkhorn import sinkhorn

NEG = -1.0e30


def rms(x, w, eps):
    y = x.float()
    y = y * torch.rsqrt(y.square().mean(-1, keepdim=True) + eps)
    return (y * w if w is not None else y).to(x.dtype)


def lin(x, w):
    return F.linear(x, w.to(x.dtype))


def rope(x, cos, sin):
    """Interleaved rotation of the last 2*cos.shape[-1] channels; cos/sin broadcast over x[...,
    pairs].
    """
    rd = 2 * cos.shape[-1]
    nope, tail = x[..., :-rd], x[..., -rd:]
    t = tail.float().unflatten(-1, (rd // 2, 2))
    a, b = t[..., 0], t[..., 1]
    r = torch.stack((a * cos - b * sin, a * sin + b * cos), dim=-1).flatten(-2)
    return torch.cat((nope, r.to(x.dtype)), dim=-1)


def inv_freqs(cfg, compress):
    half = cfg.rd // 2
    base = cfg.ctheta if compress else cfg.theta
    inv = 1.0 / base ** (torch.arange(0, cfg.rd, 2, dtype=torch.float32) / cfg.rd)
    if compress and cfg.yarn_factor > 1:

        def dim(rot):
            return cfg.rd * math.log(cfg.yarn_orig / (rot * 2 * math.pi)) / (2 * math.log(base))

        lo, hi = (
            max(math.floor(dim(cfg.yarn_fast)), 0),
            min(math.ceil(dim(cfg.yarn_slow)), cfg.rd - 1),
        )
        ramp = ((torch.arange(half, dtype=torch.float32) - lo) / max(hi - lo, 0.001)).clamp(0, 1)
        inv = inv / cfg.yarn_factor * ramp + inv * (1 - ramp)
    return inv


def fake_e4m3(x, block=64):
    """Engine's KV round trip: E4M3 with a power-of-two scale per `block` channels."""
    with torch.no_grad():
        y = x.float().unflatten(-1, (-1, block))
        amax = y.abs().amax(-1, keepdim=True).clamp_min(1e-4)
        s = torch.exp2(torch.ceil(torch.log2(amax / 448.0)))
        v = y / s
        e = torch.floor(torch.log2(v.abs().clamp_min(2.0**-6)))
        step = torch.exp2(e - 3)
        q = (torch.round(v / step) * step).clamp(-448, 448) * s
        q = q.flatten(-2).to(x.dtype)
    return x + (q - x).detach()


def fake_e2m1(x, block=32):
    """Engine's indexer round trip: E2M1 with a power-of-two scale per `block` channels."""
    with torch.no_grad():
        y = x.float().unflatten(-1, (-1, block))
        amax = y.abs().amax(-1, keepdim=True).clamp_min(7.1e-38)
        s = torch.exp2(torch.ceil(torch.log2(amax / 6.0)))
        v = (y / s).clamp(-6, 6)
        a = v.abs()
        step = torch.where(a < 2, 0.5, torch.where(a < 4, 1.0, 2.0))
        q = torch.round(v / step) * step * s
        q = q.flatten(-2).to(x.dtype)
    return x + (q - x).detach()


def hadamard(n):
    h = torch.ones(1, 1)
    while h.shape[0] < n:
        h = torch.cat((torch.cat((h, h), 1), torch.cat((h, -h), 1)), 0)
    return h / math.sqrt(n)


class Weight(nn.Module):
    def __init__(self, *shape, std=None, fill=None):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(*shape))
        if fill is not None:
            nn.init.constant_(self.weight, fill)
        else:
            nn.init.normal_(self.weight, std=std if std is not None else shape[-1] ** -0.5)


def norm(n):
    return Weight(n, fill=1.0)


# ---------------------------------------------------------------------------------------------
# hyper-connections


class HC(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        n = cfg.hc
        self.fn = nn.Parameter(
            torch.randn((2 + n) * n, n * cfg.d) * 0.02 / math.sqrt(n * cfg.d / 256)
        )
        base = torch.zeros((2 + n) * n)
        base[:n] = -math.log(n - 1)  # pre = 1/n each: the block sees the mean of the streams
        base[n : 2 * n] = torch.linspace(
            1.0, -1.5, n
        )  # streams take up block outputs at different rates
        base[2 * n :] = (torch.eye(n) * 3.0).flatten()  # comb starts near the identity
        self.base = nn.Parameter(base)
        self.scale = nn.Parameter(torch.ones(3))


class HCHead(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        n = cfg.hc
        self.hc_fn = nn.Parameter(torch.randn(n, n * cfg.d) * 0.02 / math.sqrt(n * cfg.d / 256))
        self.hc_base = nn.Parameter(torch.full((n,), -math.log(n - 1)))
        self.hc_scale = nn.Parameter(torch.ones(1))


def hc_in(cfg, p, s):
    """Streams [B,S,n,D] -> block input, post [B,S,n], comb [B,S,n,n]."""
    n = cfg.hc
    flat = s.flatten(2)
    r = torch.rsqrt(flat.float().square().mean(-1, keepdim=True) + cfg.eps)
    mix = lin(flat, p.fn).float() * r
    pre = torch.sigmoid(mix[..., :n] * p.scale[0] + p.base[:n]) + cfg.hc_eps
    post = 2 * torch.sigmoid(mix[..., n : 2 * n] * p.scale[1] + p.base[n : 2 * n])
    comb = sinkhorn(
        (mix[..., 2 * n :] * p.scale[2] + p.base[2 * n :]).unflatten(-1, (n, n)),
        cfg.sink_iters,
        cfg.hc_eps,
    )
    x = (pre.unsqueeze(-1) * s.float()).sum(2).to(s.dtype)
    return x, post, comb


def hc_out(s, y, post, comb):
    """new[k] = post[k]*y + sum_j comb[j,k]*s[j]"""
    mixed = (comb.unsqueeze(-1) * s.float().unsqueeze(3)).sum(2)  # [B,S,j,k,D] summed over j
    return (post.unsqueeze(-1) * y.float().unsqueeze(2) + mixed).to(s.dtype)


def hc_collapse(cfg, p, s):
    flat = s.flatten(2)
    r = torch.rsqrt(flat.float().square().mean(-1, keepdim=True) + cfg.eps)
    pre = torch.sigmoid(lin(flat, p.hc_fn).float() * r * p.hc_scale + p.hc_base) + cfg.hc_eps
    return (pre.unsqueeze(-1) * s.float()).sum(2).to(s.dtype)
