"""Compares the engine's rendering and tokenising of conversations with the generator's.

usage: check_prompts.py DS4 MODEL.gguf [--samples 20]
Takes held-out conversations of every task, gives them to `ds4 tokenize --chat`, and compares token
ids. Also checks that corpus/prompts.json is what the engine exports.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile

from corpus.mix import eval_docs
from make_eval import sample
from packing import tokenizer

HERE = os.path.dirname(os.path.abspath(__file__))


def client_message(message, number):
    """A message as the OpenAI API has it."""
    out = {"role": message["role"], "content": message["content"]}
    if "reasoning" in message:
        out["reasoning_content"] = message["reasoning"]
    if "tool_calls" in message:
        out["tool_calls"] = [
            {
                "id": f"call_{number}_{i}",
                "type": "function",
                "function": {
                    "name": c["name"],
                    "arguments": json.dumps(c["arguments"], ensure_ascii=False),
                },
            }
            for i, c in enumerate(message["tool_calls"])
        ]
    return out


def conversation(s):
    messages, open_calls = [], []
    for number, m in enumerate(s["messages"]):
        messages.append(client_message(m, number))
        if "tool_calls" in m:
            open_calls = [c["id"] for c in messages[-1]["tool_calls"]]
        elif m["role"] == "tool":
            messages[-1]["tool_call_id"] = open_calls.pop(0)
    out = {"messages": messages}
    if s["tools"]:
        out["tools"] = [{"type": "function", "function": t} for t in s["tools"]]
    return out


def engine_ids(ds4, model, samples, thinking, keep):
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as f:
        for s in samples:
            f.write(json.dumps(conversation(s), ensure_ascii=False) + "\n")
        f.flush()
        command = [
            ds4,
            "tokenize",
            "-m",
            model,
            "--chat",
            f.name,
            "--ids",
            "--mode",
            "thinking" if thinking else "chat",
        ]
        text = subprocess.run(
            command + (["--keep-reasoning"] if keep else []),
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    return [json.loads(line) for line in text.splitlines()]


def main():
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ap.add_argument("ds4")
    ap.add_argument("model")
    ap.add_argument("--samples", type=int, default=20)
    a = ap.parse_args()
    export = subprocess.run(
        [a.ds4, "tokenize", "--export-prompts"], check=True, capture_output=True, text=True
    ).stdout
    with open(os.path.join(HERE, "corpus", "prompts.json"), encoding="utf-8") as f:
        same = json.loads(export) == json.load(f)
    print(
        "corpus/prompts.json",
        "is what the engine exports" if same else "DIFFERS from the engine's export",
    )
    tok, classes = tokenizer(), {}
    for task, docs in eval_docs(4711, a.samples).items():
        for i, d in enumerate(docs):
            s = sample(d, task, i, tok)
            classes.setdefault((s["thinking"], s["keep"]), []).append(s)
    bad = total = 0
    for (thinking, keep), samples in classes.items():
        for s, ids in zip(samples, engine_ids(a.ds4, a.model, samples, thinking, keep)):
            total += 1
            if ids != s["ids"]:
                bad += 1
                at = next(
                    (k for k, (x, y) in enumerate(zip(ids, s["ids"])) if x != y),
                    min(len(ids), len(s["ids"])),
                )
                if bad <= 5:
                    print(
                        f"{s['task']} {s['id']}: token {at}: engine {tok.decode(ids[at : at + 12])!r}, "
                        f"generator {tok.decode(s['ids'][at : at + 12])!r}"
                    )
    print(f"{total} prompts, {bad} differ")
    sys.exit(bool(bad) or not same)


if __name__ == "__main__":
    main()
