"""Documents in which something said far back must be found again."""

from .calls import TOOLS, a_path
from .prompts import USER
from .render import Chat, an
from .words import (
    ADJ,
    ANIMALS,
    CITIES,
    COLORS,
    DAYS,
    FOODS,
    HOBBIES,
    ITEMS,
    JOBS,
    MONTHS,
    NAMES,
    NOUNS,
    PAST,
    PLACES,
    PROJECTS,
)


def strict_last(doc):
    """Only the answer to the last user turn counts in an evaluation."""
    last = max(i for i, (t, _) in enumerate(doc.parts) if USER in t)
    doc.parts = [(t, "B" if c in "AT" and i < last else c) for i, (t, c) in enumerate(doc.parts)]


def filler(r):
    n, m = r.choice(NAMES), r.choice(NAMES)
    k = r.randrange(12)
    if k == 0:
        return f"The {r.choice(ADJ)} {r.choice(ANIMALS)} {r.choice(list(PAST.values()))} near the {r.choice(PLACES)}."
    if k == 1:
        return f"{n} {r.choice(list(PAST.values()))} in {r.choice(CITIES)} with {m}."
    if k == 2:
        return f"In {r.choice(MONTHS)}, {n} bought {an(r.choice(COLORS))} {r.choice(NOUNS)}."
    if k == 3:
        return f"On {r.choice(DAYS)} the {r.choice(ANIMALS)} slept under the {r.choice(NOUNS)}."
    if k == 4:
        return f"The {r.choice(NOUNS)} was {r.choice(ADJ)} and the {r.choice(NOUNS)} was {r.choice(ADJ)}."
    if k == 5:
        return f"{n} likes {r.choice(FOODS)} and {m} likes {r.choice(FOODS)}."
    if k == 6:
        return f"It was {an(r.choice(ADJ))} day at the {r.choice(PLACES)}."
    if k == 7:
        return f"{n} and {m} went to the {r.choice(PLACES)} to see the {r.choice(NOUNS)}."
    if k == 8:
        return f"There were {r.randint(2, 99)} {r.choice(ITEMS)} in the {r.choice(ADJ)} {r.choice(NOUNS)}."
    if k == 9:
        return f'"Where is the {r.choice(NOUNS)}?" asked {n}.'
    if k == 10:
        return f"The {r.choice(JOBS)} from {r.choice(CITIES)} works near the {r.choice(PLACES)}."
    return f"Nobody knew why the {r.choice(ANIMALS)} had {an(r.choice(ADJ))} {r.choice(NOUNS)}."


def ntok(s):
    """Rough token count (the tokenizer is not needed to generate)."""
    return int(len(s) / 4.6) + 1


def needle(r, used):
    """(statement, question, answer) about a key not used before."""
    for _ in range(50):
        k = r.randrange(6)
        n, p, o = r.choice(NAMES), r.choice(PROJECTS), r.choice(NOUNS)
        if k == 0:
            key, v = ("code", n), r.randint(1000, 9999)
            s, q, a = (
                f"The secret code of {n} is {v}.",
                f"What is the secret code of {n}?",
                f"The secret code of {n} is {v}.",
            )
        elif k == 1:
            key, v = ("pass", p), f"{r.choice(ADJ)} {r.choice(NOUNS)}"
            s, q, a = (
                f"The password for project {p} is {v}.",
                f"What is the password for project {p}?",
                f"The password for project {p} is {v}.",
            )
        elif k == 2:
            key, v = ("hid", n), r.choice(PLACES)
            s, q, a = (
                f"{n} hid the {o} in the {v}.",
                f"Where did {n} hide the {o}?",
                f"{n} hid the {o} in the {v}.",
            )
        elif k == 3:
            key, v = ("color", n, o), r.choice(COLORS)
            s, q, a = (
                f"The color of the {o} of {n} is {v}.",
                f"What color is the {o} of {n}?",
                f"The color of the {o} of {n} is {v}.",
            )
        elif k == 4:
            key, v = ("room", n), r.randint(10, 999)
            s, q, a = (
                f"{n} sleeps in room {v}.",
                f"In which room does {n} sleep?",
                f"{n} sleeps in room {v}.",
            )
        else:
            key, v = ("animal", n), r.choice(ANIMALS)
            s, q, a = (
                f"The magic animal of {n} is the {v}.",
                f"What is the magic animal of {n}?",
                f"The magic animal of {n} is the {v}.",
            )
        if key not in used:
            used.add(key)
            return s, q, a
    return s, q, a


def length(r, lo=120, hi=3500):
    """Rough tokens of a text: mostly log-uniform, some uniform so that long ones are not rare."""
    return int(lo * (hi / lo) ** r.random()) if r.p(0.75) else r.randint(500, hi)


def d_recall(r, L=None, kind=None):
    think = r.p(0.3)
    L = L or length(r)
    kind = r.choice(["needle", "needle", "kv", "people", "log", "notes"]) if kind is None else kind
    qs, lines = [], []
    if kind == "needle":
        tot = 0
        while tot < L:
            s = filler(r)
            tot += ntok(s)
            lines.append(s)
        used = set()
        for _ in range(r.randint(1, min(8, 1 + L // 120))):
            s, q, a = needle(r, used)
            lines.insert(r.randrange(len(lines) + 1), s)
            qs.append((q, s, a))
        if r.p(0.5):
            out, i = [], 0
            while i < len(lines):
                n = r.randint(3, 7)
                out.append(" ".join(lines[i : i + n]))
                i += n
            text = "\n\n".join(out)
        else:
            text = " ".join(lines)
        intro = r.choice(
            ["Read this text.\n\n", "Here is a text:\n\n", "Remember the following.\n\n", ""]
        )
    elif kind == "kv":
        n = max(4, min(230, L // 11))
        keys = set()
        while len(keys) < n:
            keys.add(f"{r.choice(ADJ)} {r.choice(NOUNS + ANIMALS)}")
        for k in sorted(keys):  # the order of a set differs between processes
            v = r.choice([str(r.randint(100, 9999)), r.choice(COLORS), r.choice(CITIES)])
            lines.append(f"{k}: {v}")
        r.shuffle(lines)
        for x in r.some(lines, min(len(lines), 8)):
            k, v = x.split(": ")
            qs.append((f"What is the value of {k}?", x, f"The value of {k} is {v}."))
        text, intro = "\n".join(lines), r.choice(["Here is a table.\n", "Look at this list:\n", ""])
    elif kind == "people":
        n = max(3, min(len(NAMES), L // 22))
        for nm in r.some(NAMES, n):
            c, j, h = r.choice(CITIES), r.choice(JOBS), r.choice(HOBBIES)
            s = f"{nm} lives in {c}, works as a {j} and likes {h}."
            lines.append(s)
            qs.append(
                r.choice(
                    [
                        (f"Where does {nm} live?", s, f"{nm} lives in {c}."),
                        (f"What is the job of {nm}?", s, f"{nm} works as a {j}."),
                        (f"What does {nm} like?", s, f"{nm} likes {h}."),
                    ]
                )
            )
        text, intro = (
            r.choice([" ", "\n"]).join(lines),
            r.choice(["Read about these people.\n", ""]),
        )
        r.shuffle(qs)
    elif kind == "log":
        n = max(5, L // 24)
        servers = r.some(PROJECTS, min(len(PROJECTS), 12))
        h = r.randint(0, 20) * 3600
        for i in range(n):
            h += r.randint(1, 59)
            lines.append(
                f"{h // 3600 % 24:02d}:{h // 60 % 60:02d}:{h % 60:02d} {r.choice(servers)} {r.choice(['status ok', 'request done', 'cache hit', 'user login', 'backup started', 'sync complete'])}"
            )
        used = set()
        for _ in range(r.randint(1, min(5, 1 + n // 8))):
            sv, code = r.choice([x for x in PROJECTS if x not in used]), r.randint(100, 999)
            used.add(sv)
            i = r.randrange(len(lines))
            lines[i] = lines[i].split(" ")[0] + f" {sv} ERROR code {code}"
            if r.p(0.5):
                qs.append(
                    (
                        f"Which error code did {sv} report?",
                        lines[i],
                        f"{sv} reported error code {code}.",
                    )
                )
            else:
                qs.append(
                    (
                        f"Which server reported error code {code}?",
                        lines[i],
                        f"{sv} reported error code {code}.",
                    )
                )
        qs = [q for q in qs if q[1] in lines]
        text, intro = "\n".join(lines), r.choice(["This is a log.\n", "Log file:\n", ""])
    else:
        n = max(3, L // 22)
        used = set()
        for i in range(n):
            s, q, a = needle(r, used)
            lines.append(f"Note {i + 1}: {s}")
            qs.append((q, s, a))
        r.shuffle(qs)
        text, intro = "\n".join(lines), r.choice(["These are my notes.\n", "My notes:\n", ""])
    if not qs:
        return d_recall(r, L, "needle")
    r.shuffle(qs)
    qs = qs[:1] if r.ev else qs[: r.randint(2, 8)]
    style = 4 if r.p(0.12) else r.randrange(4)
    if style == 4:
        p = a_path(r)
        tools = [TOOLS["read_file"]] + r.some(
            [t for t in TOOLS.values() if t["name"] != "read_file"], r.randint(0, 2)
        )
        ch = Chat(r, "recall", think, tools=tools)
        ch.user(f"Read {p}. {qs[0][0]}").bot(
            "", f"I will read {p}.", "A", calls=[("read_file", [("path", p)])], last=False
        ).results([text])
    else:
        ch = Chat(r, "recall", think, system=(intro + text) if style == 3 else None)
    if style == 4:
        pass
    elif style != 3:
        if style == 0:
            ch.user(intro + text + "\n\n" + qs[0][0])
        elif style == 1:
            ch.user(qs[0][0] + "\n\n" + text)
        else:
            ch.user(intro + text).bot(
                "I have read it.", "The user gives me a text to read.", "A", last=False
            )
            ch.user(qs[0][0])
    else:
        ch.user(qs[0][0])
    for i, (q, s, a) in enumerate(qs):
        if i:
            ch.user(q)
        ch.bot(a, f"The text says: {s}", "A", last=i == len(qs) - 1)
    if r.ev:
        strict_last(ch.doc)
    return ch.doc
