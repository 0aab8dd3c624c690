"""The mix of training documents, and held-out documents for evaluation."""

import json

from .arithmetic import q_add, q_compare, q_div, q_mul, q_sequence, q_sub, q_wordprob
from .calls import (
    CALL_F,
    CALL_W,
    TOOLS,
    T,
    a_path,
    call_bash_,
    call_cat,
    call_list,
    call_read,
    call_readmiss,
    call_write,
    novel_tool,
)
from .language import GAME_WORDS, q_case, q_extract, q_facts, q_words
from .prompts import BOS, DEFAULT_SYSTEM, EOS
from .recall import d_recall, filler, strict_last
from .render import R, Chat, Doc, noise
from .talk import q_code, q_identity, q_poem, q_smalltalk, q_story, q_unknown
from .words import ANIMALS, CITIES, COLORS, FOODS, JOBS, NAMES, NOUNS

SMALL = [
    (q_identity, 4),
    (q_smalltalk, 4),
    (q_add, 12),
    (q_sub, 9),
    (q_mul, 8),
    (q_div, 6),
    (q_wordprob, 4),
    (q_compare, 6),
    (q_sequence, 3),
    (q_words, 60),
    (q_facts, 11),
    (q_case, 4),
    (q_extract, 4),
    (q_story, 4),
    (q_poem, 2),
    (q_code, 3),
    (q_unknown, 5),
]
SMALL_F, SMALL_W = zip(*SMALL)
TASK_OF = {f: f.__name__[2:] for f in SMALL_F}


def d_small(r, f=None, think=None):
    f = f or r.choices(SMALL_F, SMALL_W)[0]
    if think is None:
        think = r.p(
            0.35 if f is q_words else 0.5
        )  # word games without reasoning are the slowest to learn
    u, t, a, c = f(r, think)
    ch = Chat(r, TASK_OF[f] + ("_think" if think else ""), think)
    ch.user(noise(r, u) if not r.ev else u).bot(a, t, c)
    return ch.doc


def d_multi(r):
    think = r.p(0.5)
    ch = Chat(r, "multi", think)
    n = r.randint(2, 5)
    for i in range(n):
        u, t, a, c = r.choices(SMALL_F, SMALL_W)[0](r, think)
        ch.user(noise(r, u)).bot(a, t, c, last=i == n - 1)
    return ch.doc


def d_memory(r):
    """Facts given early in a chat and asked for later."""
    think = r.p(0.5)
    ch = Chat(r, "memory", think)
    n = r.choice(NAMES)
    facts = r.some(
        [
            ("name", f"My name is {n}.", "What is my name?", f"Your name is {n}."),
            (
                "color",
                (c := r.choice(COLORS)) and f"My favorite color is {c}.",
                "What is my favorite color?",
                f"Your favorite color is {c}.",
            ),
            (
                "city",
                (y := r.choice(CITIES)) and f"I live in {y}.",
                "Where do I live?",
                f"You live in {y}.",
            ),
            (
                "pet",
                (p := r.choice(ANIMALS)) and f"I have a pet {p}.",
                "What pet do I have?",
                f"You have a pet {p}.",
            ),
            (
                "job",
                (j := r.choice(JOBS)) and f"I work as a {j}.",
                "What is my job?",
                f"You work as a {j}.",
            ),
            (
                "number",
                (k := r.randint(10, 999)) and f"My lucky number is {k}.",
                "What is my lucky number?",
                f"Your lucky number is {k}.",
            ),
            (
                "food",
                (f := r.choice(FOODS)) and f"I love {f}.",
                "What food do I love?",
                f"You love {f}.",
            ),
        ],
        r.randint(1, 3),
    )
    for what, s, _, _ in facts:
        if what == "name":
            ch.user(s).bot(
                f"Nice to meet you, {n}! How can I help you?",
                f"The user is called {n}. I will greet {n}.",
                "A",
                last=False,
            )
        else:
            ch.user(s).bot(
                "Thank you, I will remember that.",
                "The user tells me something about themselves.",
                "A",
                last=False,
            )
    for _ in range(r.randint(0, 5)):
        f = r.choices(SMALL_F, SMALL_W)[0]
        if f in (q_smalltalk, q_extract):  # they name other people
            continue
        u, t, a, c = f(r, think)
        ch.user(noise(r, u)).bot(a, t, "B" if r.ev else c, last=False)
    r.shuffle(facts)
    if r.ev:
        facts = facts[:1]
    for i, (_, s, q, a) in enumerate(facts):
        ch.user(q).bot(a, f"The user said: {s}", "A", last=i == len(facts) - 1)
    if r.ev:
        strict_last(ch.doc)
    return ch.doc


AFTER = "I have the result and can answer now."


def d_tool(r, final=True, n=None, new=0.2):
    """One tool call (evaluation) or several in a row, which share the long preamble (training).
    `new`: share of invented tools.
    """
    think = r.p(0.5)
    n = n or (1 if r.ev else r.choice([1, 2, 3, 4]))
    smps, need = [], []
    for _ in range(n):
        if r.p(new):
            tool, smp = novel_tool(r)
            if tool["name"] in [t["name"] for t in need]:
                continue
            need.append(tool)
        else:
            smp = r.choices(CALL_F, CALL_W)[0](r)
            if TOOLS[smp[2][0]] not in need:
                need.append(TOOLS[smp[2][0]])
        smps.append(smp)
    pool = [t for t in TOOLS.values() if t not in need]
    tools = need + r.some(pool, r.choice([0, 1, 2, 2, 3, 4]))
    r.shuffle(tools)
    ch = Chat(r, "tool", think, tools=tools)
    for i, (u, t, call, res, fin) in enumerate(smps):
        if not r.ev and r.p(0.1):
            su, st, sa, sc = r.choice([q_identity, q_smalltalk, q_facts, q_words, q_case])(r, think)
            ch.user(su).bot(sa, st, sc, last=False)
        ch.user(noise(r, u) if not r.ev and r.p(0.3) else u).bot(
            "", t, "A", calls=[call], last=False
        )
        if final:
            ch.results([res]).bot(fin, AFTER, "A")
    if not final:
        ch.doc.task = "tool_call"
    return ch.doc


def d_tool_parallel(r):
    think = r.p(0.5)
    if r.p(0.7):
        c1, c2 = r.some(CITIES, 2)
        w = [(r.choice(["sunny", "cloudy", "rainy", "windy"]), r.randint(-5, 35)) for _ in range(2)]
        u = r.choice(
            [f"What is the weather in {c1} and {c2}?", f"Compare the weather in {c1} and {c2}."]
        )
        calls = [("get_weather", [("city", c)]) for c in (c1, c2)]
        res = [
            json.dumps({"city": c, "condition": x, "temperature": t})
            for c, (x, t) in zip((c1, c2), w)
        ]
        fin = f"The weather in {c1} is {w[0][0]} with {w[0][1]} degrees, and in {c2} it is {w[1][0]} with {w[1][1]} degrees."
        t = f"The user asks about {c1} and {c2}. I will call get_weather twice."
        need = [TOOLS["get_weather"]]
    else:
        p1, p2 = a_path(r), a_path(r)
        s1, s2 = (" ".join(r.some(GAME_WORDS, 2)) for _ in range(2))
        u, calls, res = (
            f"Read {p1} and {p2}.",
            [("read_file", [("path", p)]) for p in (p1, p2)],
            [s1, s2],
        )
        fin, t = f"{p1} contains: {s1}. {p2} contains: {s2}.", f"I will read {p1} and {p2}."
        need = [TOOLS["read_file"]]
    tools = need + r.some([x for x in TOOLS.values() if x not in need], r.randint(0, 3))
    r.shuffle(tools)
    ch = Chat(r, "tool_parallel", think, tools=tools)
    ch.user(u).bot("", t, "A", calls=calls, last=False).results(res).bot(fin, AFTER, "A")
    return ch.doc


def d_tool_none(r):
    """Tools are offered but the question needs none."""
    think = r.p(0.5)
    f = r.choice([q_identity, q_smalltalk, q_facts, q_words, q_story])
    u, t, a, c = f(r, think)
    ch = Chat(r, "tool_none", think, tools=r.some(TOOLS.values(), r.randint(1, 4)))
    ch.user(noise(r, u)).bot(a, t, c)
    return ch.doc


AGENT_TOOLS = [
    T(
        "bash",
        "Run a shell command.",
        [
            ("command", "string", None),
            ("timeout_sec", "number", None),
            ("refresh_sec", "number", None),
        ],
        ("timeout_sec", "refresh_sec"),
    ),
    T(
        "read",
        "Read a text file or a range of lines.",
        [
            ("path", "string", None),
            ("start_line", "number", None),
            ("max_lines", "number", None),
            ("whole", "boolean", None),
        ],
        ("start_line", "max_lines", "whole"),
    ),
    T(
        "write",
        "Create or overwrite a text file.",
        [("path", "string", None), ("content", "string", None)],
    ),
    T(
        "edit",
        "Edit a file by line or old and new text.",
        [
            ("path", "string", None),
            ("line", "number", None),
            ("range", "string", None),
            ("old", "string", None),
            ("new", "string", None),
        ],
        ("line", "range", "old", "new"),
    ),
    T(
        "search",
        "Search files and return matches.",
        [("query", "string", None), ("path", "string", None)],
        ("path",),
    ),
    T("list", "List one directory.", [("path", "string", None)]),
]


def d_agent(r):
    think = r.p(0.7)
    ch = Chat(
        r,
        "agent",
        think,
        system=r.choice(["", "", DEFAULT_SYSTEM, "You are a helpful coding assistant."]),
        tools=AGENT_TOOLS,
    )
    for _ in range(r.randint(1, 4)):
        k = r.randrange(6)
        if k == 0:
            u, t, (n, a), res, fin = r.choice([call_cat, call_readmiss])(r)
            steps = [(t, ("read", a), res)]
        elif k == 1:
            u, t, (n, a), res, fin = call_write(r)
            steps = [(t, ("write", a), res)]
        elif k == 2:
            u, t, (n, a), res, fin = call_list(r)
            steps = [(t, ("list", a), res)]
        elif k == 3:
            u, t, (n, a), res, fin = call_read(r)
            steps = [(t, ("read", a), res)]
        elif k == 4:
            u, t, (n, a), res, fin = call_bash_(r)
            steps = [(t, ("bash", a), res)]
        else:
            p, w = f"{r.choice(NOUNS)}.py", r.choice(GAME_WORDS)
            u = r.choice(
                [
                    f"Create {p} that prints {w} and run it.",
                    f"Write a script {p} that prints {w}, then run it.",
                ]
            )
            steps = [
                (
                    f"First I will write {p}.",
                    ("write", [("path", p), ("content", f'print("{w}")')]),
                    "ok",
                ),
                (f"Now I will run {p}.", ("bash", [("command", f"python3 {p}")]), w),
            ]
            fin = f"I created {p}. It prints {w}."
        ch.user(u)
        for t, call, res in steps:
            ch.bot("", t, "A", calls=[call], last=False).results([res])
        ch.bot(fin, AFTER, "A")
    return ch.doc


def d_raw(r):
    d = Doc("raw")
    if r.p(0.5):
        t = q_story(r, False)[2]
    else:
        t = " ".join(filler(r) for _ in range(r.randint(5, 30)))
    d.add(BOS, "P")
    d.add(t, "R")
    d.add(EOS, "R")
    return d


MIX = [
    (d_small, 130),
    (d_multi, 28),
    (d_memory, 6),
    (d_tool, 12),
    (d_tool_parallel, 2),
    (d_tool_none, 2),
    (d_agent, 2),
    (d_recall, 13),
    (d_raw, 2),
]
MIX_F, MIX_W = zip(*MIX)


def train_doc(r):
    return r.choices(MIX_F, MIX_W)[0](r)


ARITHMETIC = [("add", q_add), ("sub", q_sub), ("mul", q_mul), ("div", q_div)]
OTHERS = [
    ("words", q_words),
    ("wordprob", q_wordprob),
    ("compare", q_compare),
    ("facts", q_facts),
    ("extract", q_extract),
    ("identity", q_identity),
    ("case", q_case),
    ("sequence", q_sequence),
]


def eval_tasks():
    """{task: generator of one held-out document}"""
    out = {}
    for name, f in ARITHMETIC + OTHERS:
        for think in (False, True):
            out[name + ("_think" if think else "")] = lambda r, f=f, t=think: d_small(r, f, t)
    out["memory"] = d_memory
    out["tool_call"] = lambda r: d_tool(r, final=False, n=1, new=0)
    out["tool_known"] = lambda r: d_tool(r, n=1, new=0)
    out["tool_new"] = lambda r: d_tool(r, n=1, new=1)
    out["tool_parallel"] = d_tool_parallel
    out["agent"] = d_agent
    for L in (200, 500, 1000, 2000, 3000):
        for kind in ("needle", "kv") if L <= 2000 else ("needle",):
            out[f"recall_{kind}_{L}"] = lambda r, L=L, k=kind: d_recall(r, L, k)
    return out


def eval_docs(seed, n):
    """{task: [Doc]}: n held-out documents a task; strict parts are the last answer (with its
    reasoning).
    """
    docs = {}
    for i, (task, f) in enumerate(eval_tasks().items()):
        r = R(seed * 1000 + i)
        r.ev = True
        docs[task] = [f(r) for _ in range(n)]
        for d in docs[task]:
            d.task = task
    return docs


if __name__ == "__main__":
    import sys

    r = R(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
    for _ in range(int(sys.argv[2]) if len(sys.argv) > 2 else 12):
        d = train_doc(r)
        t = d.text()
        print(f"--- {d.task} ({len(t)} chars)")
        print(t if len(t) < 1500 else t[:500] + "\n[...]\n" + t[-700:])
