"""Muon for all matrices (stacked by shape, one batched orthogonalisation per shape), AdamW for the
rest.

Masters are fp32; the model computes with a shadow copy in the compute dtype, which is where
quantisation-aware training enters: the shadow of an expert matrix is the dequantised
block-quantised master, gradients go to the master unchanged (straight through).
"""

import torch

import quant


def views(cfg, name, p):
    """A parameter as [n, rows, cols] sub-matrices that are orthogonalised separately."""
    t = p.data
    if name.endswith("experts.gate_up_proj"):
        return t.view(-1, cfg.ff, cfg.d)
    if name.endswith("experts.down_proj"):
        return t.view(-1, cfg.d, cfg.ff)
    if name.endswith("indexer.q_b_proj.weight"):
        return t.view(-1, cfg.ihd, cfg.q_lora)
    if name.endswith("q_b_proj.weight"):
        return t.view(-1, cfg.hd, cfg.q_lora)
    if name.endswith("o_a_proj.weight"):
        return t.view(cfg.o_groups, cfg.o_lora, -1)
    if ".indexer." in name:
        return t.view(-1, cfg.ihd, cfg.d)
    if ".compressor." in name:
        return t.view(-1, cfg.hd, cfg.d)
    return t.view(1, *t.shape)


def is_matrix(name, p):
    skip = (
        "embed_tokens",
        "lm_head",
        "mlp.gate.weight",
        "weights_proj",
        "_hc.fn",
        "hc_fn",
        "position_bias",
    )
    return p.dim() >= 2 and not any(s in name for s in skip)


def newton_schulz(g, steps=5):
    """Approximate orthogonal factor of each matrix of a stack (quintic iteration)."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = g.bfloat16() if g.is_cuda else g.float()
    tr = x.shape[-2] > x.shape[-1]
    if tr:
        x = x.transpose(-1, -2)
    x = x / (x.float().norm(dim=(-2, -1), keepdim=True) * 1.02 + 1e-7).to(x.dtype)
    for _ in range(steps):
        y = x @ x.transpose(-1, -2)
        x = a * x + (b * y + c * (y @ y)) @ x
    return x.transpose(-1, -2) if tr else x


class Stack:
    def __init__(self, items, shape, dtype, dev):
        n = sum(v.shape[0] for _, _, v in items)
        self.master = torch.empty(n, *shape, device=dev)
        self.shadow = torch.empty(n, *shape, device=dev, dtype=dtype)
        self.grad = torch.zeros(n, *shape, device=dev, dtype=dtype)
        self.mom = torch.zeros(n, *shape, device=dev)
        self.slices, i = {}, 0
        for name, p, v in items:
            k = v.shape[0]
            self.master[i : i + k] = v
            self.shadow[i : i + k] = v
            p.data = self.shadow[i : i + k].view(p.shape)
            p.grad = self.grad[i : i + k].view(p.shape)
            self.slices[name] = (i, k)
            i += k

    def span(self, suffix):
        """First and last+1 matrix of all parameters whose name ends with suffix (registered
        contiguously).
        """
        s = [v for n, v in self.slices.items() if n.endswith(suffix)]
        return (min(a for a, _ in s), max(a + k for a, k in s)) if s else None


class Optim:
    def __init__(self, model, dtype, dev, lr=0.02, wd=0.05, mom=0.95):
        self.lr, self.wd, self.mu = lr, wd, mom
        cfg = model.cfg
        named = list(model.named_parameters())
        mats = [(n, p) for n, p in named if is_matrix(n, p)]
        order = {"experts.gate_up_proj": 0, "experts.down_proj": 1}
        mats.sort(
            key=lambda x: next((v for k, v in order.items() if x[0].endswith(k)), 2)
        )  # stable
        by = {}
        for n, p in mats:
            v = views(cfg, n, p)
            by.setdefault(tuple(v.shape[1:]), []).append((n, p, v))
        self.stacks = [Stack(v, k, dtype, dev) for k, v in by.items()]
        rest = [(n, p) for n, p in named if not is_matrix(n, p)]
        lrs = {
            "embed_tokens": 0.01,
            "lm_head": 0.004,
            "_hc.": 0.004,
            "hc_head": 0.004,
            "sinks": 0.01,
            "position_bias": 0.01,
            "mlp.gate.weight": 0.002,
            "weights_proj": 0.002,
        }
        groups = {}
        for n, p in rest:
            x = next((v for k, v in lrs.items() if k in n), 0.005)
            groups.setdefault(x, []).append(p)
        self.adam_params = [p for _, p in rest]
        self.adam = torch.optim.AdamW(
            [{"params": v, "lr": k, "base": k} for k, v in groups.items()],
            betas=(0.9, 0.95),
            eps=1e-10,
            weight_decay=0.0,
            fused=dev.type == "cuda",
        )
        self.qat = None
        self.n_mat = sum(s.master.numel() for s in self.stacks)
        self.n_adam = sum(p.numel() for p in self.adam_params)

    def quantise(self, s, fmt):
        """Replace the shadow of expert matrices by dequantised values; fmt = (gate/up format, down
        format).
        """
        for suffix, f in zip(("experts.gate_up_proj", "experts.down_proj"), fmt):
            sp = s.span(suffix)
            if sp and f:
                s.shadow[sp[0] : sp[1]] = getattr(quant, f)(s.master[sp[0] : sp[1]]).to(
                    s.shadow.dtype
                )

    @torch.no_grad()
    def refresh(self):
        for s in self.stacks:
            s.shadow.copy_(s.master)
            if self.qat:
                self.quantise(s, self.qat)

    @torch.no_grad()
    def step(self, scale):
        lr = self.lr * scale
        for s in self.stacks:
            g = s.grad.float()
            s.mom.lerp_(g, 1 - self.mu)
            u = newton_schulz(g.lerp_(s.mom, self.mu))
            s.master.mul_(1 - lr * self.wd).add_(
                u, alpha=-lr * max(1, u.shape[-2] / u.shape[-1]) ** 0.5
            )
        self.refresh()
        for g in self.adam.param_groups:
            g["lr"] = g["base"] * scale
        torch.nn.utils.clip_grad_norm_(self.adam_params, 1.0)
        self.adam.step()

    def zero(self):
        for s in self.stacks:
            s.grad.zero_()
        for p in self.adam_params:
            p.grad = None

    def state(self):
        """Everything needed to continue."""
        return {
            "stacks": [(s.master.cpu(), s.mom.cpu()) for s in self.stacks],
            "adam": self.adam.state_dict(),
            "params": [p.detach().cpu() for p in self.adam_params],
        }

    @torch.no_grad()
    def load(self, state):
        for s, (master, mom) in zip(self.stacks, state["stacks"]):
            s.master.copy_(master)
            s.mom.copy_(mom)
        for p, v in zip(self.adam_params, state["params"]):
            p.copy_(v)
        self.adam.load_state_dict(state["adam"])
        self.refresh()
