"""Sinkhorn normalisation of [..., n, n] (n = 4) exactly as the model defines it.

CPU (and fallback): plain torch with autograd.  CUDA: one Triton kernel each way, as opaque custom
operators so that torch.compile does not unroll forty tiny reductions.  The backward pass uses the
fixed point (rows and columns sum to one) instead of unrolling the iterations.
"""

import os
import torch

try:
    import triton
    import triton.language as tl
except Exception:  # no Triton: torch path only
    triton = None

USE_TRITON = True  # set to False by the self-test when the kernel misbehaves


def sinkhorn_ref(x, iters, eps):
    c = torch.softmax(x, dim=-1) + eps
    c = c / (c.sum(-2, keepdim=True) + eps)
    for _ in range(iters - 1):
        c = c / (c.sum(-1, keepdim=True) + eps)
        c = c / (c.sum(-2, keepdim=True) + eps)
    return c


def sinkhorn_grad_ref(p, g, iters):
    a = p * g
    r, cs = a.sum(-1, keepdim=True), a.sum(-2, keepdim=True)
    alpha = torch.zeros_like(r)
    beta = torch.zeros_like(cs)
    for _ in range(iters):
        beta = cs - (p * alpha).sum(-2, keepdim=True)
        alpha = r - (p * beta).sum(-1, keepdim=True)
    return p * (g - alpha - beta)


if triton is not None:

    @triton.jit
    def _fwd(X, O, N, eps, ITERS: tl.constexpr, BLOCK: tl.constexpr):
        t = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
        i = tl.arange(0, 4)
        off = t[:, None, None] * 16 + i[None, :, None] * 4 + i[None, None, :]
        msk = (t < N)[:, None, None] & (i < 4)[None, :, None] & (i < 4)[None, None, :]
        x = tl.load(X + off, mask=msk, other=0.0)
        x = tl.exp(x - tl.max(x, axis=2, keep_dims=True))
        p = x / tl.sum(x, axis=2, keep_dims=True) + eps
        p = p / (tl.sum(p, axis=1, keep_dims=True) + eps)
        for _ in range(ITERS - 1):
            p = p / (tl.sum(p, axis=2, keep_dims=True) + eps)
            p = p / (tl.sum(p, axis=1, keep_dims=True) + eps)
        tl.store(O + off, p, mask=msk)

    @triton.jit
    def _bwd(P, G, O, N, ITERS: tl.constexpr, BLOCK: tl.constexpr):
        t = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
        i = tl.arange(0, 4)
        off = t[:, None, None] * 16 + i[None, :, None] * 4 + i[None, None, :]
        msk = (t < N)[:, None, None] & (i < 4)[None, :, None] & (i < 4)[None, None, :]
        p = tl.load(P + off, mask=msk, other=0.0)
        g = tl.load(G + off, mask=msk, other=0.0)
        a = p * g
        r = tl.sum(a, axis=2, keep_dims=True)
        cs = tl.sum(a, axis=1, keep_dims=True)
        beta = cs
        alpha = r - tl.sum(p * beta, axis=2, keep_dims=True)
        for _ in range(ITERS - 1):
            beta = cs - tl.sum(p * alpha, axis=1, keep_dims=True)
            alpha = r - tl.sum(p * beta, axis=2, keep_dims=True)
        tl.store(O + off, p * (g - alpha - beta), mask=msk)


@torch.library.custom_op("nano::sinkhorn_fwd", mutates_args=())
def _op_fwd(x: torch.Tensor, iters: int, eps: float) -> torch.Tensor:
    if x.is_cuda and USE_TRITON and triton is not None or os.environ.get("TRITON_INTERPRET") == "1":
        o = torch.empty_like(x)
        n = x.numel() // 16
        _fwd[(triton.cdiv(n, 128),)](x, o, n, eps, ITERS=iters, BLOCK=128)
        return o
    return sinkhorn_ref(x, iters, eps)


@torch.library.custom_op("nano::sinkhorn_bwd", mutates_args=())
def _op_bwd(p: torch.Tensor, g: torch.Tensor, iters: int) -> torch.Tensor:
    if p.is_cuda and USE_TRITON and triton is not None or os.environ.get("TRITON_INTERPRET") == "1":
        o = torch.empty_like(p)
        n = p.numel() // 16
        _bwd[(triton.cdiv(n, 128),)](p, g, o, n, ITERS=iters, BLOCK=128)
        return o
    return sinkhorn_grad_ref(p, g, iters)


@_op_fwd.register_fake
def _(x, iters, eps):
    return torch.empty_like(x)


@_op_bwd.register_fake
def _(p, g, iters):
    return torch.empty_like(p)


def _setup(ctx, inputs, output):
    ctx.save_for_backward(output)
    ctx.iters = inputs[1]


def _backward(ctx, g):
    (p,) = ctx.saved_tensors
    return torch.ops.nano.sinkhorn_bwd(p, g.contiguous(), ctx.iters), None, None


_op_fwd.register_autograd(_backward, setup_context=_setup)


def sinkhorn(x, iters, eps):
    return torch.ops.nano.sinkhorn_fwd(x.contiguous(), iters, eps)


def self_test(device):
    """Compare the custom operator with plain torch autograd; returns the two largest
    differences.
    """
    torch.manual_seed(0)
    x = (torch.randn(517, 4, 4) * 1.5 + torch.eye(4) * 2).to(device).requires_grad_(True)
    g = torch.randn(517, 4, 4).to(device)
    a = sinkhorn_ref(x.double(), 20, 1e-6)
    (ga,) = torch.autograd.grad(a, x, g.double())
    b = sinkhorn(x, 20, 1e-6)
    (gb,) = torch.autograd.grad(b, x, g)
    return (a - b).abs().max().item(), (ga - gb).abs().max().item()


if __name__ == "__main__":
    print("max diff forward / gradient:", self_test("cuda" if torch.cuda.is_available() else "cpu"))
