"""Random source, documents and their rendering in the prompt format.

A document is a list of (text, class) parts. Classes decide the loss weight and whether the tokens
count for exact match: A = answer fully determined by the context (strict), T = reasoning, also
determined, B = assistant text with free choice, L = user text, P = prompt boilerplate, Z = never
trained on, R = raw text. Beside the rendered text a document keeps its messages, so that the same
document can be sent through an engine's own renderer.
"""

import json
import random
import zlib

from .prompts import (
    ASSISTANT,
    BOS,
    DS4_TOOLS_HEAD,
    DS4_TOOLS_TAIL,
    EFFORTS,
    END_THINK,
    EOS,
    RESULT_CLOSE,
    RESULT_OPEN,
    SEPARATOR,
    STRINGS,
    SYSTEMS,
    THINK,
    TOOLS_HEAD,
    TOOLS_TAIL,
    USER,
)

WEIGHT = {"A": 100, "T": 98, "B": 99, "L": 8, "P": 2, "Z": 0, "R": 40}


class R(random.Random):
    """Random source. `ev` selects the held-out problems (by a checksum of the problem) instead of
    the others.
    """

    ev = False

    def mine(self, key):
        return (zlib.crc32(key.encode()) % 20 == 0) == self.ev

    def some(self, seq, k):
        return self.sample(list(seq), k)

    def p(self, x):
        return self.random() < x


class Doc:
    """Parts, and the same as messages: [{role, content, reasoning?, calls?}], tools (function
    schemas), thinking.
    """

    __slots__ = ("parts", "task", "messages", "tools", "think", "keep")

    def __init__(self, task, think=False):
        self.parts, self.task, self.messages, self.tools, self.think, self.keep = (
            [],
            task,
            [],
            [],
            think,
            False,
        )

    def add(self, text, cls):
        if text:
            if self.parts and self.parts[-1][1] == cls:
                self.parts[-1] = (self.parts[-1][0] + text, cls)
            else:
                self.parts.append((text, cls))

    def text(self):
        return "".join(t for t, _ in self.parts)


def schema(tool):
    """The function object of a tool as clients send it."""
    props = {}
    for name, typ, desc in tool["params"]:
        props[name] = {"type": typ}
        if desc:
            props[name]["description"] = desc
    required = [p[0] for p in tool["params"] if p[0] not in tool.get("opt", ())]
    return {
        "name": tool["name"],
        "description": tool["desc"],
        "parameters": {"type": "object", "properties": props, "required": required},
    }


def render_calls(calls):
    """A block of calls as the official encoder writes it, with the separator before it."""
    s = STRINGS
    out = [SEPARATOR, s["calls_open"]]
    for name, args in calls:
        out += [s["invoke_open"], name, s["invoke_named"]]
        for k, v in args:
            text = isinstance(v, str)
            out += [
                s["parameter_open"],
                k,
                s["parameter_string" if text else "parameter_json"],
                v if text else json.dumps(v, ensure_ascii=False),
                s["parameter_close"],
                "\n",
            ]
        out.append(s["invoke_close"])
    return "".join(out + [s["calls_close"]])


class Chat:
    """Builds a document turn by turn. `tools`: tools offered; `keep`: whether earlier reasoning
    stays in the prompt.
    """

    def __init__(self, r, task, think, system=None, tools=None, keep=None):
        self.think, self.doc = think, Doc(task, think)
        self.keep = tools is not None or (r.p(0.5) if keep is None else keep)
        self.doc.keep = self.keep
        system = r.choice(SYSTEMS) if system is None else system
        self.official = r.ev or r.p(0.88)
        head = BOS
        if think and not r.ev and r.p(0.02):
            head += r.choice(EFFORTS)
        if tools is None:
            head += system
        else:
            self.doc.tools = [schema(t) for t in tools]
            if self.official:
                lines = "\n".join(json.dumps(t, ensure_ascii=False) for t in self.doc.tools)
                head += system + SEPARATOR + TOOLS_HEAD + lines + TOOLS_TAIL
            else:
                sep = r.choice([(",", ":"), (", ", ": ")])
                lines = "\n".join(
                    json.dumps(t, ensure_ascii=False, separators=sep) for t in self.doc.tools
                )
                head += (
                    DS4_TOOLS_HEAD + lines + DS4_TOOLS_TAIL + (SEPARATOR + system if system else "")
                )
        if system:
            self.doc.messages.append({"role": "system", "content": system})
        self.doc.add(head, "P")

    def user(self, text, cls="L"):
        self.doc.messages.append({"role": "user", "content": text})
        self.doc.add(USER + text, cls)
        return self

    def results(self, texts):
        self.doc.messages += [{"role": "tool", "content": t} for t in texts]
        sep = SEPARATOR if self.official else ""
        self.doc.add(USER + sep.join(RESULT_OPEN + t + RESULT_CLOSE for t in texts), "L")
        return self

    def bot(self, answer, thought="", cls="A", calls=None, last=True):
        d = self.doc
        d.messages.append(
            {
                "role": "assistant",
                "content": answer,
                "reasoning": thought if self.think else "",
                "calls": calls or [],
            }
        )
        if self.think and (self.keep or last):
            d.add(ASSISTANT + THINK, "P")
            d.add(thought + END_THINK, "T" if cls == "A" else cls)
        else:
            d.add(ASSISTANT + END_THINK, "P")
            if self.think:
                cls = "Z"  # an answer whose reasoning was cut away is not a training target
        d.add(answer + (render_calls(calls) if calls else "") + EOS, cls)
        return self


def noise(r, s):
    """Small variations that real users produce."""
    x = r.random()
    if x < 0.10:
        s = s.lower()
    elif x < 0.14:
        s = s.rstrip("?.!")
    elif x < 0.17:
        s = s.lower().rstrip("?.!")
    elif x < 0.20:
        s = r.choice(["Please: ", "Hey, ", "Hi! ", "OK, ", "Question: "]) + s
    elif x < 0.22:
        s = s + r.choice([" Thanks.", " Thank you!", " Please."])
    return s


def an(w):
    return ("an " if w[0] in "aeiou" else "a ") + w


def listing(xs):
    xs = list(xs)
    return xs[0] if len(xs) == 1 else ", ".join(xs[:-1]) + " and " + xs[-1]
