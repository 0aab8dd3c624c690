"""Trains the nano model within a time budget, evaluates it, writes what is needed to build the
shipped file.

The schedule runs over `--total` seconds of training. A process works for `--seconds` of wall
clock; what is left of the schedule another process does, with `--resume` (weights, optimiser,
progress) or `--init` (weights and progress only).
  train.py --smoke --out DIR       about a minute on one CPU thread: proves that everything works
"""

import argparse
import csv
import json
import math
import os
import sys
import time
import traceback

T_START = time.time()
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

ap = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
ap.add_argument("--out", default=os.environ.get("OUT", "out"))
ap.add_argument(
    "--seconds", type=float, default=420, help="wall clock until training stops in this process"
)
ap.add_argument(
    "--total",
    type=float,
    default=0,
    help="training seconds of the whole schedule (0: what --seconds leaves)",
)
ap.add_argument(
    "--state", default="", help="where the state goes when the schedule is not finished"
)
ap.add_argument("--resume", default="", help="state to continue from")
ap.add_argument("--init", default="", help="run folder to continue from without optimiser state")
ap.add_argument("--smoke", action="store_true")
ap.add_argument("--batch", type=int, default=8, help="rows per step")
ap.add_argument("--seq", type=int, default=4096)
ap.add_argument("--workers", type=int, default=12)
ap.add_argument("--compile", type=int, default=1)
ap.add_argument("--lr", type=float, default=0.02)
ap.add_argument("--wd", type=float, default=0.05)
ap.add_argument(
    "--hold", type=float, default=0.25, help="share of the run at full rate before the cosine"
)
ap.add_argument(
    "--sparse-at", type=float, default=0.35, help="share after which the indexer's top-k applies"
)
ap.add_argument(
    "--qat-at",
    type=float,
    default=0.60,
    help="share after which experts are trained through their block format",
)
ap.add_argument("--qat", default="q2", choices=["none", "q2", "q4"])
ap.add_argument(
    "--act-quant", type=int, default=1, help="simulate the engine's rounding of the cache"
)
ap.add_argument("--mtp-weight", type=float, default=0.2)
ap.add_argument("--layers", type=int, default=8)
ap.add_argument("--seed", type=int, default=1)
ap.add_argument(
    "--evals", type=int, default=200, help="held-out documents per task (0: no evaluation)"
)
ap.add_argument("--gen", type=int, default=200, help="tokens per printed sample")
ap.add_argument("--max-steps", type=int, default=10**9)
ap.add_argument(
    "--profile",
    action="store_true",
    help="write kernels.txt: device time by kernel over five steps",
)
A = ap.parse_args()

QAT = {"none": None, "q2": ("iq2_xxs", "q2_k"), "q4": ("q4_k", "q4_k")}
os.makedirs(A.out, exist_ok=True)
LOG = open(os.path.join(A.out, "train.log"), "a")


def log(*a):
    s = f"[{time.time() - T_START:7.1f}s] " + " ".join(str(x) for x in a)
    print(s, flush=True)
    LOG.write(s + "\n")
    LOG.flush()


import torch  # noqa: E402

from packing import GROUPS, TASKS, Loader, eval_batches, tokenizer  # noqa: E402

if A.smoke:
    A.batch, A.seq, A.workers, A.compile = 1, 1024, 0, 0
    A.evals, A.gen, A.seconds = min(A.evals, 1), 4, min(A.seconds, 25)
    torch.set_num_threads(1)

# Data never repeats: a process that continues draws from other seeds. Forked before CUDA starts.
DATA_SEED = A.seed + (500_000 if A.resume or A.init else 0)
loader = Loader(A.batch, A.seq, A.workers, DATA_SEED)

import model as nm  # noqa: E402
import sinkhorn  # noqa: E402
from corpus.mix import eval_docs  # noqa: E402
from evaluate import VARIANTS, evaluate, samples, summary, with_weights  # noqa: E402
from export import load_weights, read_run, save_run  # noqa: E402
from optim import Optim  # noqa: E402

dev = torch.device("cuda" if torch.cuda.is_available() else "cpu")
cuda = dev.type == "cuda"
dtype = torch.bfloat16 if cuda else torch.float32
torch.manual_seed(A.seed)
if cuda:
    torch.backends.cuda.matmul.allow_tf32 = True
    log(torch.__version__, torch.cuda.get_device_name(), "cores", os.cpu_count())
    try:
        d = sinkhorn.self_test(dev)
        log("sinkhorn kernel self-test, forward / gradient difference:", d)
        sinkhorn.USE_TRITON = d[0] < 1e-4 and d[1] < 0.1
    except Exception as e:
        sinkhorn.USE_TRITON = False
        log("sinkhorn kernel unusable:", repr(e)[:500])
    log("sinkhorn through triton:", sinkhorn.USE_TRITON)

model = load_weights(A.init) if A.init else nm.Nano(nm.Cfg(layers=A.layers))
model.requires_grad_(True)
cfg = model.cfg
model = model.to(dev)
model.dtype = dtype
opt = Optim(model, dtype, dev, lr=A.lr, wd=A.wd)
log(
    f"parameters {sum(p.numel() for p in model.parameters()) / 1e6:.2f}M (matrices {opt.n_mat / 1e6:.2f}M in stacks "
    f"{[tuple(s.master.shape) for s in opt.stacks]}, others {opt.n_adam / 1e6:.2f}M)"
)

EAGER = (nm.Block.forward, nm.head_loss, nm.mtp_in)


def set_fns(compiled):
    fns = EAGER
    if compiled:
        import torch._dynamo as dynamo

        dynamo.config.recompile_limit = 64
        fns = [torch.compile(g, dynamic=False) for g in EAGER]
    model.block_fn, model.head_fn, model.mtp_in_fn = fns


set_fns(A.compile)
sparse = torch.tensor(False, device=dev)
tok = tokenizer()
qact = bool(A.act_quant)
stats = torch.zeros(len(TASKS), 4, device=dev)  # weight, loss, correct, second token correct
progress = {"step": 0, "tokens": 0, "seconds": 0.0, "parts": 0}


def to_dev(batch):
    t = [torch.from_numpy(x) for x in batch]
    if cuda:
        t = [x.pin_memory().to(dev, non_blocking=True) for x in t]
    return t[0].long(), t[1], t[2].long(), t[3].long()


def shifted(w, seg, k):
    """Weight of the token k places ahead, zero when it belongs to another document."""
    ws, ss = torch.zeros_like(w), torch.full_like(seg, -2)
    ws[:, :-k], ss[:, :-k] = w[:, k:], seg[:, k:]
    return torch.where((ss == seg) & (seg >= 0), ws, torch.zeros_like(ws))


def forward(batch):
    ids, _, seg, _ = batch
    return model.losses(ids, nm.make_ctx(cfg, model, seg, sparse), qact)


def train_step(batch, scale):
    ids, w8, seg, task = batch
    ce, pred, ce2, pred2, kl, counts = forward(batch)
    w = w8.float() / 100
    w1, w2 = shifted(w, seg, 1), shifted(w, seg, 2)
    loss = (ce * w1).sum() / w1.sum()
    mtp = (ce2 * w2).sum() / w2.sum()
    (loss + A.mtp_weight * mtp + kl).backward()
    opt.step(scale)
    opt.zero()
    with torch.no_grad():
        rate = 0.001 * min(1.0, scale + 0.1)
        for b, n in zip(list(model.model.layers) + list(model.mtp), counts):
            if not b.is_hash:
                b.mlp.gate.e_score_correction_bias.add_(torch.sign(n.mean() - n), alpha=rate)
        a = (w1 > 0.9).float()
        pad = torch.nn.functional.pad
        ok, ok2 = (pred[:, :-1] == ids[:, 1:]).float(), (pred2[:, :-2] == ids[:, 2:]).float()
        v = torch.stack((a, ce * a, pad(ok, (0, 1)) * a, pad(ok2, (0, 2)) * a * (w2 > 0.9)), -1)
        stats.index_add_(0, pad(task[:, 1:], (0, 1)).flatten(), v.flatten(0, 1))
    return torch.stack(
        (
            loss.detach(),
            mtp.detach(),
            torch.as_tensor(kl).detach(),
            torch.stack([c.max() / c.mean() for c in counts]).max(),
        )
    )


def table():
    """Logs loss and token accuracy of the answers since the last call, by task; returns loss,
    accuracy, second token.
    """
    s = stats.clone().cpu()
    stats.zero_()
    g = torch.zeros(len(GROUPS), 4)
    for i, t in enumerate(TASKS):
        g[GROUPS.index(t.replace("_think", ""))] += s[i]
    out = [
        f"{t} {g[i, 1] / g[i, 0]:.3f}/{g[i, 2] / g[i, 0]:.4f}"
        for i, t in enumerate(GROUPS)
        if g[i, 0] > 0
    ]
    tot = g.sum(0)
    log("   loss/token accuracy by task:", ", ".join(out))
    log(
        f"   answers: loss {tot[1] / tot[0]:.4f} accuracy {tot[2] / tot[0]:.4f}; second token ahead {tot[3] / tot[0]:.4f}"
    )
    return [round((tot[k] / tot[0]).item(), 5) for k in (1, 2, 3)]


def schedule(p):
    warm = min(1.0, p / 0.01 + 0.02)
    x = max(0.0, (p - A.hold) / (1 - A.hold))
    return warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, x))))


def profile():
    from torch.profiler import ProfilerActivity, profile as prof

    with prof(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as p:
        t = time.time()
        for _ in range(5):
            train_step(to_dev(loader.next()), 0.5)
        torch.cuda.synchronize()
        log(f"profiled five steps, {(time.time() - t) / 5 * 1000:.1f} ms each under the profiler")
    with open(os.path.join(A.out, "kernels.txt"), "w") as f:
        f.write(
            p.key_averages().table(
                sort_by="cuda_time_total", row_limit=70, max_name_column_width=90
            )
        )


class Phases:
    """What changes at given shares of the run."""

    sparse = qat = False

    def at(self, p):
        if p >= A.sparse_at and not self.sparse:
            self.sparse = True
            sparse.fill_(True)
            log(f"step {progress['step']}: indexer top-{cfg.itopk} on")
        if p >= A.qat_at and not self.qat and QAT[A.qat]:
            self.qat = True
            opt.qat = QAT[A.qat]
            opt.refresh()
            log(f"step {progress['step']}: experts through {A.qat}")


def train():
    """Trains until the schedule or the wall clock ends; returns the share of the schedule done."""
    deadline = T_START + A.seconds
    curves = open(os.path.join(A.out, "curves.csv"), "a", newline="")
    rows = csv.writer(curves)
    if curves.tell() == 0:
        rows.writerow(
            "step,tokens,seconds,rate,loss,mtp_loss,index_loss,load,answer_loss,answer_accuracy,second_accuracy".split(
                ","
            )
        )
    lagged, phases, t0, first, last, saved = (
        [],
        Phases(),
        None,
        progress["seconds"],
        time.time(),
        time.time(),
    )
    tok0, acc, here = 0, ["", "", ""], 0
    total = A.total
    while time.time() < deadline and here < A.max_steps:
        if t0 is not None:
            progress["seconds"] = first + time.time() - t0
            total = total or deadline - t0 + first
        p = progress["seconds"] / total if total else 0.0
        if A.max_steps < 10**9:
            p = max(p, here / A.max_steps)
        if p >= 1:
            return p
        phases.at(p)
        batch = to_dev(loader.next())
        # without optimiser state the first steps after a restart are small
        scale = schedule(p) * (min(1.0, (here + 1) / 150) if A.init else 1.0)
        out = train_step(batch, scale)
        here += 1
        progress["step"] += 1
        progress["tokens"] += batch[0].numel()
        if cuda:  # stay at most two steps ahead of the GPU
            e = torch.cuda.Event()
            e.record()
            lagged.append(e)
            if len(lagged) > 2:
                lagged.pop(0).synchronize()
        if t0 is None and (here >= 3 or not cuda):
            if cuda:
                torch.cuda.synchronize()
                log(
                    f"compiled and warm after {here} steps; memory {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB"
                )
                if A.profile:
                    profile()
            t0, tok0, last, saved = time.time(), progress["tokens"], time.time(), time.time()
        if here in (1, 2, 5, 10, 20) or progress["step"] % 50 == 0 or A.smoke:
            v = [round(x, 5) for x in out.tolist()]
            if progress["step"] % 200 == 0 or here <= 20:
                rate = (
                    (progress["tokens"] - tok0) / (time.time() - t0)
                    if t0 and time.time() > t0
                    else 0
                )
                log(
                    f"step {progress['step']} p {p:.3f} lr {schedule(p):.3f} loss {v[0]:.4f} mtp {v[1]:.4f} index {v[2]:.4f} "
                    f"load {v[3]:.2f} tok/s {rate:.0f}"
                )
            rows.writerow(
                [
                    progress["step"],
                    progress["tokens"],
                    round(progress["seconds"], 1),
                    round(schedule(p), 5),
                ]
                + v
                + acc
            )
            curves.flush()
            acc = ["", "", ""]
            if not math.isfinite(v[0]):
                raise RuntimeError("loss is not finite")
        if cuda and time.time() - last > 40:
            acc = table()
            last = time.time()
        if cuda and time.time() - saved > 240:  # whatever happens later, these weights come back
            save_run(model, opt, A.out, meta())
            saved = time.time()
    return progress["seconds"] / total if total else 0.0


def meta():
    return {
        "config": model.cfg.to_hf(),
        "progress": progress,
        "arguments": vars(A),
        "qat": A.qat if opt.qat else "none",
    }


def restore():
    s = torch.load(A.resume, map_location="cpu", weights_only=False)
    opt.load(s["opt"])
    for b, v in zip(model.buffers(), s["buffers"]):
        b.copy_(v)
    progress.update(s["progress"])
    progress["parts"] += 1
    log("continuing", A.resume, progress)


def run_forward(batch):
    """(prediction, prediction two ahead); gradients stay on, so that the compiled training graphs
    are used again.
    """
    _, pred, _, pred2, _, _ = forward(batch)
    return pred, pred2


def final_evaluation():
    batches, index = eval_batches(eval_docs(777, A.evals), A.batch, A.seq)
    variants = VARIANTS
    if A.smoke:
        batches, index, variants = (
            batches[:2],
            [x for x in index if x[1] < 2],
            VARIANTS[:1] + VARIANTS[3:4],
        )
    log(f"evaluation: {len(index)} documents in {len(batches)} batches")
    res = {}
    for title, experts, rest, topk in variants:
        sparse.fill_(topk)
        res[title] = with_weights(
            opt, experts, rest, lambda: evaluate(lambda b: run_forward(to_dev(b)), batches, index)
        )
        for line in summary(res[title]):
            log(("EVAL " + title + ": " if line.startswith("mean") else "") + line)
        json.dump(res, open(os.path.join(A.out, "eval.json"), "w"), indent=1)
    sparse.fill_(True)


def main():
    if A.resume:
        restore()
    if A.init:
        progress.update(read_run(A.init)[1]["progress"])
        progress["parts"] += 1
        log("continuing", A.init, progress)
    if A.compile and cuda:  # first batch alone: fall back when compilation fails
        try:
            ce = forward(to_dev(loader.next()))
            (ce[0].mean() + ce[2].mean() + ce[4]).backward()
            torch.cuda.synchronize()
            log("compiled step works")
        except Exception:
            log("COMPILE FAILED, continuing without it:\n" + traceback.format_exc()[-3000:])
            set_fns(False)
            torch.cuda.empty_cache()
        opt.zero()
    done = 0.0
    try:
        done = train()
        table()
        log(
            f"trained to {done:.4f} of the schedule: {progress['step']} steps, {progress['tokens'] / 1e6:.1f}M tokens, {progress['seconds']:.1f} s"
        )
    except Exception:
        log("TRAINING STOPPED:\n" + traceback.format_exc()[-3000:])
        if not cuda:
            raise
    loader.close()
    if A.state and done < 1:
        t = time.time()
        torch.save(
            {
                "opt": opt.state(),
                "buffers": [b.cpu() for b in model.buffers()],
                "progress": progress,
            },
            A.state + ".tmp",
        )
        os.replace(A.state + ".tmp", A.state)
        log(f"state written in {time.time() - t:.1f} s")
    opt.refresh()
    log(
        "saved", save_run(model, opt, A.out, meta())
    )  # before the evaluation: the weights come back in any case
    try:
        if A.evals:
            final_evaluation()
        if A.gen:
            for prompt, answer in samples(run_forward, tok, A.batch, A.seq, dev, A.gen):
                log(f"--- ...{prompt}\n>>> {answer}")
    except Exception:
        log("EVALUATION STOPPED:\n" + traceback.format_exc()[-3000:])
    log("done")


main()
