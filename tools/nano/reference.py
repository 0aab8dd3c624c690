"""Reference values of an export for engine tests: token ids, logits of the last position and a
greedy continuation, without and with the engine's cache rounding (FP8 rows, Hadamard + FP4
indexer).

usage: reference.py EXPORT_DIR OUT.json [tokens]
"""

import json
import sys

import torch

from corpus.mix import d_recall, d_tool
from corpus.prompts import ASSISTANT, BOS, DEFAULT_SYSTEM, END_THINK, THINK, USER
from corpus.render import R
from export import load_hf
from packing import tokenizer

torch.set_num_threads(1)
m, tok = load_hf(sys.argv[1]), tokenizer()
n = int(sys.argv[3]) if len(sys.argv) > 3 else 12
r = R(5)
r.ev = True
prompts = [
    BOS + DEFAULT_SYSTEM + USER + "What is 4821 + 397?" + ASSISTANT + THINK,
    BOS + USER + "Who are you?" + ASSISTANT + END_THINK,
]
for d in (d_tool(r, n=1), d_recall(r, 600, "needle"), d_recall(r, 1500, "notes")):
    t = d.text()
    cut = t.rindex(ASSISTANT) + len(ASSISTANT)
    prompts.append(t[:cut] + (THINK if t[cut:].startswith(THINK) else END_THINK))
out = []
for p in prompts:
    e = {"text": p, "ids": tok.encode(p, add_special_tokens=False).ids}
    for name, qat in (("plain", False), ("rounded", True)):
        ids = list(e["ids"])
        with torch.no_grad():
            for k in range(n):
                lg = m.logits(torch.tensor([ids]), qat=qat)[0, -1]
                if k == 0:
                    top = lg.topk(20)
                    e[name] = {
                        "top_ids": top.indices.tolist(),
                        "top_logits": [round(x, 5) for x in top.values.tolist()],
                        "logsumexp": round(torch.logsumexp(lg, 0).item(), 5),
                    }
                ids.append(int(lg.argmax()))
                if ids[-1] == 1:
                    break
        e[name]["greedy"] = ids[len(e["ids"]) :]
        e[name]["greedy_text"] = tok.decode(e[name]["greedy"], skip_special_tokens=False)
    out.append(e)
json.dump(out, open(sys.argv[2], "w"), ensure_ascii=False, indent=1)
