"""Fresh samples as JSONL, for measuring a model file through the engine itself.

usage: make_eval.py OUT.jsonl [--samples 200] [--seed 20260] [--groups arithmetic,words|all]

One object a line:
  task       name of the task; `group` is the bar it counts for (arithmetic, words, tools,
    recall_500, ...)
  id         number within the task
  thinking   whether the prompt asks for reasoning
  keep       whether reasoning of earlier turns stays in the prompt
  tools      function objects, as in the OpenAI API without the wrapper
  messages   the conversation so far: {role, content, reasoning?, tool_calls? [{name, arguments}]}
  steps      what must follow, one after the other; each has `expect` and, unless it is the last,
    `then`: messages that follow it
             expect {kind "text", text}: the answer, white space at its ends aside, is this text
             expect {kind "calls", calls [{name, arguments}]}: these calls, in order, with equal
               names and equal JSON arguments
  prompt     the rendered prompt of the first step, to check an engine's renderer against the
    generator's
  ids        its token ids
Additions, subtractions, and products and quotients with reasoning are held out of training by a
checksum (sixty draws may all miss: about 5% are not). Products and quotients without reasoning are
tables, and everything else is drawn from other seeds than training.
"""

import argparse
import json

from corpus.mix import eval_tasks
from corpus.prompts import ASSISTANT, END_THINK, THINK
from corpus.render import R
from packing import tokenizer

GROUPS = {
    "add": "arithmetic",
    "sub": "arithmetic",
    "mul": "arithmetic",
    "div": "arithmetic",
    "words": "words",
    "tool_known": "tools",
}


def group(task):
    base = task.replace("_think", "")
    if base.startswith("recall_needle_"):
        return base.replace("needle_", "")
    return GROUPS.get(base, base)


def plain(message):
    """A message as a client sends it."""
    out = {"role": message["role"], "content": message["content"]}
    if message.get("reasoning"):
        out["reasoning"] = message["reasoning"]
    if message.get("calls"):
        out["tool_calls"] = [{"name": n, "arguments": dict(args)} for n, args in message["calls"]]
    return out


def expectation(message):
    if message["calls"]:
        return {"kind": "calls", "calls": plain(message)["tool_calls"]}
    return {"kind": "text", "text": message["content"].strip()}


def steps(messages):
    """What follows the first message that is tested."""
    out = []
    for m in messages:
        if m["role"] == "assistant":
            out.append({"expect": expectation(m), "then": [plain(m)]})
        else:
            out[-1]["then"].append(plain(m))
    out[-1].pop("then")
    return out


def first_tested(doc):
    """Index of the first assistant message after the last user message."""
    last = max(i for i, m in enumerate(doc.messages) if m["role"] == "user")
    return next(i for i in range(last, len(doc.messages)) if doc.messages[i]["role"] == "assistant")


def sample(doc, task, number, tok):
    at = first_tested(doc)
    turns = sum(m["role"] == "assistant" for m in doc.messages[:at])
    text, pos = doc.text(), -1
    for _ in range(turns + 1):  # the opening of the tested answer
        pos = text.index(ASSISTANT, pos + 1)
    pos += len(ASSISTANT)
    pos += len(THINK) if text.startswith(THINK, pos) else len(END_THINK)
    ids = []
    for part in cut(doc.parts, pos):
        ids += tok.encode(part, add_special_tokens=False).ids
    return {
        "task": task,
        "group": group(task),
        "id": number,
        "thinking": doc.think,
        "keep": doc.keep,
        "tools": doc.tools,
        "messages": [plain(m) for m in doc.messages[:at]],
        "steps": steps(doc.messages[at:]),
        "prompt": text[:pos],
        "ids": ids,
    }


def cut(parts, pos):
    """The texts of the parts up to a position of the document."""
    for text, _ in parts:
        if pos <= 0:
            return
        yield text[:pos]
        pos -= len(text)


def main():
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ap.add_argument("out")
    ap.add_argument(
        "--samples",
        type=int,
        default=200,
        help="samples a group; a group of several tasks shares them",
    )
    ap.add_argument("--seed", type=int, default=20260)
    ap.add_argument(
        "--groups",
        default="arithmetic,words,tools,recall_500,recall_1000,recall_3000",
        help="or `all`",
    )
    a = ap.parse_args()
    tok, tasks = tokenizer(), eval_tasks()
    wanted = {group(t) for t in tasks} if a.groups == "all" else set(a.groups.split(","))
    counts = {}
    with open(a.out, "w", encoding="utf-8") as f:
        for i, (task, make) in enumerate(tasks.items()):
            g = group(task)
            if g not in wanted:
                continue
            share = -(-a.samples // sum(group(t) == g for t in tasks))
            r = R(a.seed * 1000 + i)
            r.ev = True
            for n in range(share):
                f.write(json.dumps(sample(make(r), task, n, tok), ensure_ascii=False) + "\n")
            counts[g] = counts.get(g, 0) + share
    print(a.out, counts)


if __name__ == "__main__":
    main()
