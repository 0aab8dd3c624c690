"""Block quantisation in torch: fake quantisation for training and evaluation, and packing to GGUF
bytes.

All functions take fp32 tensors whose last dimension is a multiple of 256 (32 for q8_0), and return
the dequantised values an engine would compute with.  `parts=True` also returns what `pack_*` needs.
Search is unweighted (no importance matrix).
"""

import torch

from iq2_grid import GRID


def f16(x):
    return x.half().float()


def nz(x):
    return torch.where(x == 0, torch.ones_like(x), x)


def q8_0(x):
    b = x.unflatten(-1, (-1, 32))
    d = f16(b.abs().amax(-1, keepdim=True) / 127)
    return (torch.round(b / nz(d)).clamp(-127, 127) * d * (d != 0)).flatten(-2)


def _affine(b, nmax, shrink=(1.0, 0.9, 0.8, 0.7)):
    """Blocks [..., n] ~ s*q - m with q in 0..nmax, m >= 0: a small search with least squares
    refits.
    """
    hi = b.amax(-1, keepdim=True).clamp_min(0)
    lo = b.amin(-1, keepdim=True).clamp_max(0)
    best = None
    for sh in shrink:
        l, h = lo * sh, hi * sh
        s = nz((h - l) / nmax)
        m = -l
        for _ in range(2):
            q = torch.round((b + m) / s).clamp(0, nmax)
            qm, bm = q.mean(-1, keepdim=True), b.mean(-1, keepdim=True)
            var = (q - qm).square().sum(-1, keepdim=True)
            cov = ((q - qm) * (b - bm)).sum(-1, keepdim=True)
            s2 = torch.where(var > 0, cov / nz(var), s)
            m2 = s2 * qm - bm
            neg = m2 < 0  # the offset cannot be negative: refit without it
            s2 = torch.where(
                neg, (q * b).sum(-1, keepdim=True) / nz(q.square().sum(-1, keepdim=True)), s2
            )
            m2 = torch.where(neg, torch.zeros_like(m2), m2)
            ok = s2 > 0
            s, m = torch.where(ok, s2, s), torch.where(ok, m2, m)
        q = torch.round((b + m) / s).clamp(0, nmax)
        err = (s * q - m - b).square().sum(-1, keepdim=True)
        if best is None:
            best = (err, s, m)
        else:
            t = err < best[0]
            best = tuple(torch.where(t, a, o) for a, o in zip((err, s, m), best))
    return best[1], best[2]


def _kquant(x, sub, nmax, smax, parts):
    b = x.unflatten(-1, (-1, 256 // sub, sub))  # [..., super, sub-blocks, sub]
    s, m = _affine(b, nmax)
    d = f16(s.amax(-2, keepdim=True) / smax)
    dm = f16(m.amax(-2, keepdim=True) / smax)
    sc = torch.round(s / nz(d)).clamp(0, smax)
    mc = torch.round(m / nz(dm)).clamp(0, smax)
    se, me = d * sc, dm * mc
    q = torch.round((b + me) / nz(se)).clamp(0, nmax) * (se != 0)
    y = (se * q - me).flatten(-3)
    return (y, dict(d=d, dm=dm, sc=sc, mc=mc, q=q)) if parts else y


def q2_k(x, parts=False):
    return _kquant(x, 16, 3, 15, parts)


def q4_k(x, parts=False):
    return _kquant(x, 32, 15, 63, parts)


_GRID = {}


def _grid(dev):
    if dev not in _GRID:
        g = torch.tensor(GRID, dtype=torch.float32, device=dev)
        _GRID[dev] = (g, (g * g).sum(-1))
    return _GRID[dev]


def _nearest(v, g, gg, s, chunk=1 << 19):
    """Index of the codebook entry nearest to v/s (v [n,8] non-negative up to one flipped sign, s
    [n,1]).
    """
    out = torch.empty(v.shape[0], dtype=torch.long, device=v.device)
    for i in range(0, v.shape[0], chunk):
        t = v[i : i + chunk] / s[i : i + chunk]
        out[i : i + chunk] = torch.addmm(gg, t, g.t(), beta=1, alpha=-2).argmin(-1)
    return out


def iq2_xxs(x, parts=False, factors=(0.75, 0.9, 1.05)):
    g, gg = _grid(x.device)
    b = x.reshape(-1, 8, 4, 8)  # [blocks, groups of 32, vectors, 8]
    sign = torch.where(b < 0, -1.0, 1.0)
    odd = (sign < 0).sum(-1, keepdim=True) % 2 == 1  # an even number of minus signs per vector
    small = torch.zeros_like(b).scatter_(-1, b.abs().argmin(-1, keepdim=True), 1.0)
    sign = torch.where(odd & (small > 0), -sign, sign)
    v = b * sign  # the flipped element becomes negative
    amax = b.abs().amax((-1, -2), keepdim=True)  # per group of 32
    best = None
    vf = v.reshape(-1, 8)
    for f in factors:
        s = nz(amax * f / 43.0)
        for _ in range(2):
            idx = _nearest(vf, g, gg, s.expand(-1, -1, 4, 1).reshape(-1, 1))
            q = g[idx].view_as(v)
            num, den = (q * v).sum((-1, -2), keepdim=True), (q * q).sum((-1, -2), keepdim=True)
            s = nz((num / den).clamp_min(0))
        err = (s * q - v).square().sum((-1, -2), keepdim=True)
        if best is None:
            best = (err, s)
        else:
            t = err < best[0]
            best = (torch.where(t, err, best[0]), torch.where(t, s, best[1]))
    s = best[1] * (amax > 0)
    # value = d * (0.5 + code) * 0.25 * magnitude * sign, one 4-bit code per group of 32, d per 256
    d = f16(s.amax(1, keepdim=True) * 4 / 15.5)
    code = torch.round(4 * s / nz(d) - 0.5).clamp(0, 15)
    se = d * (code + 0.5) * 0.25
    idx = _nearest(vf, g, gg, nz(se).expand(-1, -1, 4, 1).reshape(-1, 1))
    q = g[idx].view_as(v)
    y = (se * q * sign).view_as(x)
    return (y, dict(d=d, code=code, idx=idx.view(-1, 8, 4), sign=sign)) if parts else y


# -- GGUF bytes -------------------------------------------------------------------------------


def _bytes_f16(t):
    return t.half().contiguous().view(torch.uint8).reshape(t.shape[0], -1)


def pack_q8_0(x):
    b = x.reshape(-1, 32)
    d = f16(b.abs().amax(-1, keepdim=True) / 127)
    q = torch.round(b / nz(d)).clamp(-127, 127).to(torch.int8)
    return torch.cat((_bytes_f16(d), q.view(torch.uint8)), 1).contiguous()


def pack_q2_k(x):
    _, p = q2_k(x.reshape(-1, 256), parts=True)
    n = p["q"].shape[0]
    sc, mc = p["sc"].view(n, 16).to(torch.uint8), p["mc"].view(n, 16).to(torch.uint8)
    q = p["q"].view(n, 2, 4, 32).to(torch.uint8)
    qs = q[:, :, 0] | (q[:, :, 1] << 2) | (q[:, :, 2] << 4) | (q[:, :, 3] << 6)
    return torch.cat(
        (
            sc | (mc << 4),
            qs.reshape(n, 64),
            _bytes_f16(p["d"].view(n, 1)),
            _bytes_f16(p["dm"].view(n, 1)),
        ),
        1,
    )


def pack_iq2_xxs(x):
    _, p = iq2_xxs(x.reshape(-1, 256), parts=True)
    n = p["d"].shape[0]
    idx = p["idx"].to(torch.uint8)  # [n,8,4]
    neg = (p["sign"][..., :7] < 0).long()
    bits = (neg << torch.arange(7, device=x.device)).sum(-1)  # [n,8,4]
    word = (bits << (7 * torch.arange(4, device=x.device))).sum(-1) | (
        p["code"].view(n, 8).long() << 28
    )
    w = torch.stack([(word >> (8 * k)) & 255 for k in range(4)], -1).to(torch.uint8)
    return torch.cat((_bytes_f16(p["d"].view(n, 1)), torch.cat((idx, w), -1).reshape(n, 64)), 1)


def pack_q4_k(x):
    _, p = q4_k(x.reshape(-1, 256), parts=True)
    n = p["q"].shape[0]
    s, m = p["sc"].view(n, 8).to(torch.uint8), p["mc"].view(n, 8).to(torch.uint8)
    a = (s[:, :4] & 63) | ((s[:, 4:] >> 4) << 6)
    b = (m[:, :4] & 63) | ((m[:, 4:] >> 4) << 6)
    c = (s[:, 4:] & 15) | ((m[:, 4:] & 15) << 4)
    q = p["q"].view(n, 4, 2, 32).to(torch.uint8)
    qs = (q[:, :, 0] | (q[:, :, 1] << 4)).reshape(n, 128)
    return torch.cat(
        (_bytes_f16(p["d"].view(n, 1)), _bytes_f16(p["dm"].view(n, 1)), a, b, c, qs), 1
    )


# -- and back ---------------------------------------------------------------------------------
# Each takes bytes [..., bytes of a row] and returns f32 [..., row].


def _halves(b, at):
    return b[:, at : at + 2].contiguous().view(torch.float16).float()


def _blocks(raw, size):
    return raw.reshape(-1, size), raw.shape[:-1]


def unpack_q2_k(raw):
    b, lead = _blocks(raw, 84)
    d, dm = _halves(b, 80), _halves(b, 82)
    qs = b[:, 16:80].view(-1, 2, 1, 32)
    q = torch.cat([(qs >> (2 * k)) & 3 for k in range(4)], 2).view(-1, 16, 16).float()
    scale, low = (
        (d * (b[:, :16] & 15).float()).unsqueeze(-1),
        (dm * (b[:, :16] >> 4).float()).unsqueeze(-1),
    )
    return (scale * q - low).reshape(*lead, -1)


def unpack_iq2_xxs(raw):
    b, lead = _blocks(raw, 66)
    d = _halves(b, 0)
    w = b[:, 2:].view(-1, 8, 8)
    idx = w[..., :4].long()
    word = sum(w[..., 4 + k].long() << (8 * k) for k in range(4))
    code = (word >> 28).float()
    bits = (word.unsqueeze(-1) >> (7 * torch.arange(4, device=raw.device))) & 127
    neg = (bits.unsqueeze(-1) >> torch.arange(7, device=raw.device)) & 1
    neg = torch.cat(
        (neg, neg.sum(-1, keepdim=True) & 1), -1
    )  # the eighth sign makes the count even
    scale = d.view(-1, 1, 1, 1) * (code.view(-1, 8, 1, 1) + 0.5) * 0.25
    return (scale * _grid(raw.device)[0][idx] * (1.0 - 2.0 * neg)).reshape(*lead, -1)


if __name__ == "__main__":  # check against the gguf package when it is installed
    torch.set_num_threads(1)
    torch.manual_seed(0)
    x = torch.randn(64, 512) * 0.05
    import numpy as np

    try:
        import gguf
    except ImportError:
        gguf = None
    T = {
        "q8_0": (q8_0, pack_q8_0, 8.5),
        "q4_k": (q4_k, pack_q4_k, 4.5),
        "q2_k": (q2_k, pack_q2_k, 2.625),
        "iq2_xxs": (iq2_xxs, pack_iq2_xxs, 2.0625),
    }
    for name, (f, pk, bits) in T.items():
        y = f(x)
        b = pk(x)
        if "unpack_" + name in globals():
            assert torch.equal(globals()["unpack_" + name](b.view(64, -1)), y), name
        msg = f"{name:8s} rel rmse {((y - x).square().mean() / x.square().mean()).sqrt():.4f}  bits {b.numel() * 8 / x.numel():.4f} (want {bits})"
        if gguf:
            z = gguf.quants.dequantize(
                b.numpy().reshape(64, -1), gguf.GGMLQuantizationType[name.upper()]
            )
            msg += f"  vs gguf dequantise: max diff {np.abs(z - y.numpy()).max():.2e}"
            try:
                r = gguf.quants.dequantize(
                    gguf.quants.quantize(x.numpy(), gguf.GGMLQuantizationType[name.upper()]),
                    gguf.GGMLQuantizationType[name.upper()],
                )
                msg += f"  (gguf's own quantiser rel rmse {np.sqrt(((r - x.numpy()) ** 2).mean() / (x.numpy() ** 2).mean()):.4f})"
            except Exception:
                pass
        # a second pass over already quantised weights should change little
        w = f(y)
        msg += f"  requantise {((w - y).square().mean() / y.square().mean()).sqrt():.5f}"
        print(msg)
