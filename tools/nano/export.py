"""Weights of a run: written in parts small enough to travel, read back, and exported in the
published layout.

A run folder holds `weights-*.safetensors`: everything in bf16 (fp32 for small tensors), the expert
matrices twice: as masters (`NAME`) and, after quantisation-aware training, as the packed blocks
that were trained (`NAME#iq2_xxs`, `NAME#q2_k`).

usage: export.py RUN_DIR OUT_DIR [--masters]
writes config.json, tokenizer.json, model.safetensors with Hugging Face names. Expert values are
those of the trained blocks, in f32 because bf16 cannot hold them exactly; with --masters they are
the unquantised bf16 masters.
"""

import argparse
import glob
import json
import os
import shutil

import torch
from safetensors import safe_open
from safetensors.torch import save_file

import quant
from model import Cfg, Nano

HERE = os.path.dirname(os.path.abspath(__file__))
BLOCK_FORMATS = {"q2": ("iq2_xxs", "q2_k"), "q4": ("q4_k", "q4_k")}


def expert_format(name, formats):
    for suffix, fmt in zip(("experts.gate_up_proj", "experts.down_proj"), formats or ()):
        if name.endswith(suffix):
            return fmt
    return None


def stored(name, v):
    """A tensor as it is stored: routing tables int32, small tensors fp32, matrices bf16."""
    if v.dtype == torch.int64:
        return v.to(torch.int32)
    return v.float() if v.dim() == 1 or "position_bias" in name else v.to(torch.bfloat16)


@torch.no_grad()
def save_run(model, opt, folder, meta, max_bytes=16_500_000):
    """Writes the parts, filled tightly (largest tensor first into the fullest part with room).
    Returns the file names.
    """
    formats = BLOCK_FORMATS.get(meta["qat"])
    out = {}
    for name, v in model.state_dict().items():
        stack = next((s for s in opt.stacks if name in s.slices), None)
        if stack is not None:
            at, n = stack.slices[name]
            v = stack.master[at : at + n].view(v.shape)
            fmt = expert_format(name, formats)
            if fmt:
                blocks = getattr(quant, "pack_" + fmt)(v.contiguous())
                out[f"{name}#{fmt}"] = blocks.view(*v.shape[:-1], -1).cpu().contiguous()
        out[name] = stored(name, v.detach()).cpu().contiguous()
    size = {k: v.numel() * v.element_size() for k, v in out.items()}
    parts = []
    for k in sorted(out, key=lambda k: -size[k]):
        fit = [p for p in parts if p[0] + size[k] <= max_bytes]
        p = max(fit, key=lambda p: p[0]) if fit else None
        if p is None:
            p = [0, {}]
            parts.append(p)
        p[0] += size[k]
        p[1][k] = out[k]
    names = [f"weights-{i + 1}-of-{len(parts)}.safetensors" for i in range(len(parts))]
    for n, (_, tensors) in zip(names, parts):
        tmp = os.path.join(folder, "part.tmp")
        save_file(tensors, tmp, metadata={"nano": json.dumps(meta)})
        os.replace(tmp, os.path.join(folder, n))
    for old in glob.glob(os.path.join(folder, "weights-*.safetensors")):
        if os.path.basename(old) not in names:
            os.remove(old)
    return names


def read_run(folder):
    """({name: tensor}, meta) of a run folder."""
    tensors, meta = {}, None
    for f in sorted(glob.glob(os.path.join(folder, "weights-*.safetensors"))):
        with safe_open(f, "pt") as h:
            meta = json.loads(h.metadata()["nano"])
            for k in h.keys():
                tensors[k] = h.get_tensor(k)
    if meta is None:
        raise FileNotFoundError(
            f"{folder} holds no weights-*.safetensors; it is not the output of train.py"
        )
    return tensors, meta


def fill(model, tensors):
    own = model.state_dict()
    missing = set(own) - set(tensors)
    if missing:
        raise KeyError(f"tensors missing: {sorted(missing)[:5]}")
    model.load_state_dict({k: tensors[k].to(own[k].dtype) for k in own})
    return model.eval()


def load_weights(folder):
    """Model (fp32) with the masters of a run."""
    tensors, meta = read_run(folder)
    return fill(Nano(Cfg(**meta["config"]["nano"])), tensors)


def snapped(tensors):
    """Tensors with the expert masters replaced by the values of their trained blocks (f32)."""
    out = {k: v for k, v in tensors.items() if "#" not in k}
    for k, blocks in tensors.items():
        if "#" in k:
            name, fmt = k.split("#")
            out[name] = getattr(quant, "unpack_" + fmt)(blocks)
    return out


def save_hf(tensors, config, folder):
    os.makedirs(folder, exist_ok=True)
    save_file(
        {k: v.contiguous() for k, v in tensors.items()},
        os.path.join(folder, "model.safetensors"),
        metadata={"format": "pt"},
    )
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump(config, f, indent=1)
    shutil.copy(os.path.join(HERE, "tokenizer.json"), os.path.join(folder, "tokenizer.json"))


def load_hf(folder):
    """Model (fp32) of an export folder."""
    tensors = {}
    with safe_open(os.path.join(folder, "model.safetensors"), "pt") as h:
        for k in h.keys():
            tensors[k] = h.get_tensor(k)
    return fill(Nano(Cfg.from_hf(os.path.join(folder, "config.json"))), tensors)


if __name__ == "__main__":
    ap = argparse.ArgumentParser()
    ap.add_argument("run")
    ap.add_argument("out")
    ap.add_argument("--masters", action="store_true")
    a = ap.parse_args()
    t, m = read_run(a.run)
    save_hf(
        {k: v for k, v in t.items() if "#" not in k} if a.masters else snapped(t),
        m["config"],
        a.out,
    )
    print("wrote", a.out)
