"""Evaluation by teacher forcing, weight variants, and greedy samples.

All answer tokens predicted correctly given the reference prefix means that greedy decoding
reproduces the answer, so exact match needs one forward pass a document and no generation.
"""

import torch

import quant
from corpus.mix import d_agent, d_tool
from corpus.prompts import ASSISTANT, BOS, END_THINK, THINK, USER
from corpus.render import R

SUFFIXES = ("experts.gate_up_proj", "experts.down_proj")


def evaluate(run, batches, index):
    """{task: {n, exact, answer, mtp}}. `run(batch)` gives (prediction, prediction two ahead);
    `exact`: reasoning and answer
    right; `answer`: the answer right; `mtp`: share of answer tokens where the MTP block's greedy
    token equals the one that
    the main model then chooses (acceptance of one draft token)."""
    preds = [[p.cpu() for p in run(b)] for b in batches]
    res = {}
    for task, b, row, p, n, ids, w in index:
        ids, w = torch.from_numpy(ids.astype("int64")), torch.from_numpy(w)[1:]
        pred, pred2 = preds[b][0][row, p : p + n - 1], preds[b][1][row, p : p + n - 2]
        ok = pred == ids[1:]
        strict, answer = (w == 100) | (w == 98), w == 100
        if strict.sum() == 0:
            continue
        # MTP at i predicts the token i+2, which the main model predicts at i+1
        drafts = (pred2 == pred[1:])[strict[1:]]
        r = res.setdefault(task, [0, 0, 0, 0, 0])
        for i, v in enumerate(
            (1, bool(ok[strict].all()), bool(ok[answer].all()), int(drafts.sum()), drafts.numel())
        ):
            r[i] += v
    return {
        t: {
            "n": r[0],
            "exact": round(r[1] / r[0], 4),
            "answer": round(r[2] / r[0], 4),
            "mtp": round(r[3] / max(1, r[4]), 4),
            "drafts": r[4],
        }
        for t, r in res.items()
    }


def summary(res):
    """Text lines of a result, and its mean."""
    mean = sum(v["exact"] for v in res.values()) / max(1, len(res))
    drafts = max(1, sum(v["drafts"] for v in res.values()))
    mtp = sum(v["mtp"] * v["drafts"] for v in res.values()) / drafts
    lines = [f"mean exact {mean:.4f}, MTP acceptance {mtp:.4f}"]
    items = list(res.items())
    for i in range(0, len(items), 6):
        lines.append(
            "   "
            + "  ".join(
                f"{t} {v['exact']:.3f}"
                + (f"({v['answer']:.3f})" if v["answer"] != v["exact"] else "")
                for t, v in items[i : i + 6]
            )
        )
    return lines


# (title, formats of the experts, format of all other matrices, indexer's top-k); None: bf16 masters
VARIANTS = [
    ("as trained", "keep", None, True),
    ("as trained, all rows", "keep", None, False),
    ("bf16 masters", None, None, True),
    ("q2: IQ2_XXS/Q2_K experts, rest Q8_0", ("iq2_xxs", "q2_k"), "q8_0", True),
    ("q4: Q4_K experts, rest Q8_0", ("q4_k", "q4_k"), "q8_0", True),
    ("all matrices Q8_0", ("q8_0", "q8_0"), "q8_0", True),
]


def with_weights(opt, fmt_experts, fmt_rest, f):
    """Runs f with the matrices in other formats, and puts the old values back."""
    if fmt_experts == "keep":
        return f()
    keep = [s.shadow.clone() for s in opt.stacks]
    for s in opt.stacks:
        s.shadow.copy_(s.master)
        end = max([x[1] for x in map(s.span, SUFFIXES) if x] or [0])
        if fmt_rest and end < s.master.shape[0]:
            s.shadow[end:] = getattr(quant, fmt_rest)(s.master[end:]).to(s.shadow.dtype)
        if fmt_experts:
            opt.quantise(s, fmt_experts)
    try:
        return f()
    finally:
        for s, k in zip(opt.stacks, keep):
            s.shadow.copy_(k)


SYSTEM = "You are a helpful assistant"
PROMPTS = [
    ("", "Who are you?", 0),
    (SYSTEM, "What can you do?", 0),
    (SYSTEM, "What is 4821 + 397?", 1),
    ("", "What is 12 + 30?", 0),
    ("", "What is 12 + 30?", 1),
    (SYSTEM, "what is 23 * 47?", 1),
    ("", "What is the capital of Italy?", 0),
    (SYSTEM, "Tell me a story about a fox named Lina.", 0),
    ("", "Reverse the word lantern.", 1),
    ("", "How many times does the letter r appear in strawberry?", 1),
    (SYSTEM, "Write a poem about the moon.", 0),
    ("", "Write a Python function that checks whether a number is prime.", 0),
    ("", "Explain quantum entanglement.", 0),
    (SYSTEM, "hello", 1),
]


def sample_prompts(tok, limit, room):
    """Rendered prompts: the fixed ones, then held-out tool and agent chats cut before the first
    answer.
    """
    out = [BOS + s + USER + u + ASSISTANT + (THINK if t else END_THINK) for s, u, t in PROMPTS]
    r = R(991)
    r.ev = True
    for _ in range(300):
        if len(out) >= min(20, limit):
            break
        t = (d_tool(r, n=1) if len(out) < 18 else d_agent(r)).text()
        cut = t.index(ASSISTANT) + len(ASSISTANT)
        cut += len(THINK) if t[cut:].startswith(THINK) else len(END_THINK)
        if len(tok.encode(t[:cut], add_special_tokens=False).ids) < room:
            out.append(t[:cut])
    return out[:limit]


def samples(run, tok, batch, seq, dev, tokens):
    """Greedy continuations, each in a slot of one batch of the training shape; yields (end of the
    prompt, answer).
    """
    slot = 1024 if seq >= 4096 else 512
    per_row = seq // slot
    prompts = sample_prompts(tok, batch * per_row, slot - tokens)
    ids = torch.full((batch, seq), 2, dtype=torch.long, device=dev)
    seg = torch.arange(seq, device=dev)[None].expand(batch, -1) // slot
    zero = torch.zeros_like(ids)
    start, pos, done = [], [], [False] * len(prompts)
    for i, t in enumerate(prompts):
        k = tok.encode(t, add_special_tokens=False).ids
        p = i % per_row * slot
        ids[i // per_row, p : p + len(k)] = torch.tensor(k, device=dev)
        start.append(p + len(k))
        pos.append(p + len(k))
    for _ in range(tokens):
        pred = run((ids, zero, seg, zero))[0].cpu()
        for i in range(len(prompts)):
            if not done[i]:
                t = int(pred[i // per_row, pos[i] - 1])
                ids[i // per_row, pos[i]] = t
                pos[i] += 1
                done[i] = t == 1 or pos[i] % slot == 0
        if all(done):
            break
    for i, t in enumerate(prompts):
        yield (
            t[-160:],
            tok.decode(ids[i // per_row, start[i] : pos[i]].tolist(), skip_special_tokens=False),
        )
