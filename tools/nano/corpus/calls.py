"""Tools and single calls: (user text, reasoning, (tool, arguments), result, final answer)."""

import json

from .language import GAME_WORDS
from .render import listing
from .words import CITIES, COLORS, DIRS, EXT, FILES, JOBS, NAMES, NOUNS, PROJECTS, VERBS


def T(name, desc, params, opt=()):
    return {"name": name, "desc": desc, "params": params, "opt": opt}


TOOLS = {
    t["name"]: t
    for t in [
        T(
            "get_weather",
            "Get the current weather for a city.",
            [("city", "string", "Name of the city")],
        ),
        T(
            "calculator",
            "Evaluate an arithmetic expression.",
            [("expression", "string", "The expression to evaluate")],
        ),
        T("read_file", "Read a text file.", [("path", "string", "Path of the file")]),
        T(
            "write_file",
            "Write text to a file.",
            [("path", "string", "Path of the file"), ("content", "string", "Text to write")],
        ),
        T(
            "list_dir",
            "List the entries of a directory.",
            [("path", "string", "Path of the directory")],
        ),
        T("bash", "Run a shell command.", [("command", "string", "The command to run")]),
        T("web_search", "Search the web.", [("query", "string", "Search terms")]),
        T("get_time", "Get the current time in a city.", [("city", "string", "Name of the city")]),
        T(
            "send_email",
            "Send an email.",
            [
                ("to", "string", "Recipient"),
                ("subject", "string", "Subject line"),
                ("body", "string", "Text of the mail"),
            ],
        ),
        T("get_stock_price", "Get the price of a stock.", [("symbol", "string", "Ticker symbol")]),
        T("set_timer", "Start a timer.", [("minutes", "integer", "Length in minutes")]),
        T(
            "convert_currency",
            "Convert an amount of money.",
            [
                ("amount", "number", "Amount"),
                ("from", "string", "Currency code"),
                ("to", "string", "Currency code"),
            ],
        ),
        T(
            "find_person",
            "Look up a person in the address book.",
            [("name", "string", "Name of the person")],
        ),
        T(
            "search_notes",
            "Search the notes.",
            [("query", "string", "Search terms"), ("limit", "integer", "Maximum number of notes")],
        ),
        T(
            "translate",
            "Translate a text.",
            [("text", "string", "Text to translate"), ("target_language", "string", "Language")],
        ),
        T(
            "random_number",
            "Draw a random number.",
            [("min", "integer", "Smallest value"), ("max", "integer", "Largest value")],
        ),
    ]
}


def a_path(r, d=None):
    f = f"{r.choice(FILES)}.{r.choice(EXT)}" if r.p(0.7) else f"{r.choice(NOUNS)}.{r.choice(EXT)}"
    d = r.choice(DIRS + ["", ""]) if d is None else d
    return f"{d}/{f}" if d else f


def call_weather(r):
    c, w, t = (
        r.choice(CITIES),
        r.choice(["sunny", "cloudy", "rainy", "windy", "foggy", "snowy", "stormy", "clear"]),
        r.randint(-10, 38),
    )
    u = r.choice(
        [
            f"What is the weather in {c}?",
            f"How is the weather in {c}?",
            f"Weather in {c}",
            f"Tell me the weather in {c}.",
            f"Is it warm in {c}?",
            f"What's the weather like in {c} today?",
            f"Check the weather in {c}, please.",
        ]
    )
    res = r.choice(
        [
            json.dumps({"city": c, "condition": w, "temperature": t}),
            f"{c}: {w}, {t} degrees",
            json.dumps({"condition": w, "temperature_c": t}, separators=(",", ":")),
        ]
    )
    return (
        u,
        f"The user asks about the weather in {c}. I will call get_weather.",
        ("get_weather", [("city", c)]),
        res,
        f"The weather in {c} is {w} with {t} degrees.",
    )


def call_calc(r):
    a, b, o = r.randint(2, 9999), r.randint(2, 999), r.choice("+-*")
    e, v = f"{a} {o} {b}", {"+": a + b, "-": a - b, "*": a * b}[o]
    u = r.choice(
        [
            f"What is {e}?",
            f"Use the calculator: {e}",
            f"Calculate {e} with the calculator.",
            f"How much is {e}? Use the tool.",
        ]
    )
    return (
        u,
        f"I will use the calculator for {e}.",
        ("calculator", [("expression", e)]),
        r.choice([str(v), json.dumps({"result": v})]),
        f"{e} = {v}",
    )


def call_read(r):
    p = a_path(r)
    key, val = r.choice(
        [
            ("port", str(r.randint(1000, 9999))),
            ("host", f"{r.choice(PROJECTS)}.local"),
            ("user", r.choice(NAMES).lower()),
            ("color", r.choice(COLORS)),
            ("version", f"{r.randint(0, 9)}.{r.randint(0, 20)}"),
            ("city", r.choice(CITIES)),
            ("limit", str(r.randint(1, 500))),
        ]
    )
    sep = r.choice([" = ", ": ", "="])
    lines = [
        f"{k}{sep}{v}"
        for k, v in r.some(
            [
                ("name", r.choice(PROJECTS)),
                ("debug", r.choice(["true", "false"])),
                ("size", str(r.randint(1, 99))),
                ("mode", r.choice(["fast", "slow", "safe"])),
                ("owner", r.choice(NAMES)),
            ],
            r.randint(1, 4),
        )
    ]
    lines.insert(r.randrange(len(lines) + 1), f"{key}{sep}{val}")
    u = r.choice(
        [
            f"What is the {key} in {p}?",
            f"Read {p} and tell me the {key}.",
            f"Which {key} is set in {p}?",
            f"Look up the {key} in the file {p}.",
        ]
    )
    return (
        u,
        f"I need to read {p} to find the {key}.",
        ("read_file", [("path", p)]),
        "\n".join(lines),
        f"The {key} in {p} is {val}.",
    )


def call_readmiss(r):
    p = a_path(r)
    return (
        r.choice([f"Read {p}.", f"Show me {p}", f"What is in {p}?"]),
        f"I will read {p}.",
        ("read_file", [("path", p)]),
        r.choice([f"Error: {p}: no such file", "Error: file not found", f"error: cannot open {p}"]),
        f"I could not read {p}: the file does not exist.",
    )


def call_cat(r):
    p, s = a_path(r), " ".join(r.some(GAME_WORDS, r.randint(2, 6)))
    return (
        r.choice(
            [
                f"Read {p}.",
                f"Show me the file {p}.",
                f"Print the content of {p}.",
                f"What does {p} contain?",
            ]
        ),
        f"I will read {p}.",
        ("read_file", [("path", p)]),
        s,
        f"The file {p} contains: {s}",
    )


def call_write(r):
    p, s = a_path(r), " ".join(r.some(GAME_WORDS, r.randint(1, 5)))
    return (
        r.choice(
            [
                f'Write "{s}" to {p}.',
                f"Create the file {p} with the text: {s}",
                f"Save the text {s} in {p}",
            ]
        ),
        f"I will write the text to {p}.",
        ("write_file", [("path", p), ("content", s)]),
        r.choice(["ok", "done", f"wrote {len(s)} bytes"]),
        f"I wrote the text to {p}.",
    )


def call_list(r):
    d, fs = r.choice(DIRS), sorted({a_path(r, "") for _ in range(r.randint(1, 6))})
    return (
        r.choice(
            [
                f"List the files in {d}.",
                f"What files are in {d}?",
                f"Show the directory {d}.",
                f"What is in {d}?",
                f"ls {d}",
            ]
        ),
        f"I will list {d}.",
        ("list_dir", [("path", d)]),
        "\n".join(fs),
        f"The directory {d} contains {listing(fs)}.",
    )


def call_bash(r):
    k = r.randrange(9)
    p, d = a_path(r), r.choice(DIRS)
    if k == 0:
        fs = sorted({a_path(r, "") for _ in range(r.randint(1, 5))})
        return (
            f"Use the shell to list {d}.",
            f"I will run ls {d}.",
            f"ls {d}",
            "\n".join(fs),
            f"{d} contains {listing(fs)}.",
        )
    if k == 1:
        n = r.randint(1, 9999)
        return (
            r.choice([f"How many lines does {p} have?", f"Count the lines in {p}."]),
            "I will count the lines with wc.",
            f"wc -l {p}",
            f"{n} {p}",
            f"{p} has {n} lines.",
        )
    if k == 2:
        dd = f"/home/{r.choice(NAMES).lower()}"
        return (
            r.choice(
                ["Where am I?", "What is the current directory?", "Print the working directory."]
            ),
            "I will run pwd.",
            "pwd",
            dd,
            f"The current directory is {dd}.",
        )
    if k == 3:
        w = r.choice(GAME_WORDS)
        n = r.randint(1, 300)
        return (
            f"Search for {w} in {p}.",
            f"I will use grep to find {w}.",
            f'grep -n "{w}" {p}',
            f"{n}:the {w} is here",
            f"I found {w} in {p} on line {n}.",
        )
    if k == 4:
        x = f"{d}/{r.choice(NOUNS)}"
        return (
            r.choice([f"Create the directory {x}.", f"Make a folder {x}"]),
            f"I will create {x}.",
            f"mkdir -p {x}",
            "",
            f"I created the directory {x}.",
        )
    if k == 5:
        fs = sorted({a_path(r, "src").rsplit(".", 1)[0] + ".py" for _ in range(r.randint(1, 4))})
        return (
            r.choice(["Find all Python files.", "Which Python files are there?"]),
            "I will use find.",
            'find . -name "*.py"',
            "\n".join(fs),
            f"I found {listing(fs)}.",
        )
    if k == 6:
        u = f"{r.randint(5, 99)}%"
        return (
            r.choice(["How full is the disk?", "Show the disk usage."]),
            "I will run df.",
            "df -h /",
            f"/dev/sda1 100G {u} /",
            f"The disk is {u} full.",
        )
    if k == 7:
        s = r.choice([f"On branch {r.choice(PROJECTS)}", f"On branch {r.choice(NOUNS)}"])
        return (
            r.choice(["Which git branch am I on?", "What is the current git branch?"]),
            "I will run git status.",
            "git status",
            s,
            f"You are on branch {s.split()[-1]}.",
        )
    x = f"{r.choice(['python3', 'sh', 'node'])} {p}"
    o = " ".join(r.some(GAME_WORDS, r.randint(1, 3)))
    return f"Run {x}", f"I will run {x}.", x, o, f"The command printed: {o}"


def call_bash_(r):
    u, t, cmd, res, fin = call_bash(r)
    return u, t, ("bash", [("command", cmd)]), res, fin


def call_misc(r):
    k = r.randrange(10)
    c, n = r.choice(CITIES), r.choice(NAMES)
    if k == 0:
        h = f"{r.randint(0, 23):02d}:{r.randint(0, 59):02d}"
        return (
            r.choice(
                [f"What time is it in {c}?", f"Current time in {c}?", f"Tell me the time in {c}."]
            ),
            f"I need the time in {c}.",
            ("get_time", [("city", c)]),
            h,
            f"It is {h} in {c}.",
        )
    if k == 1:
        s, b = r.choice(GAME_WORDS), " ".join(r.some(GAME_WORDS, 3))
        return (
            f"Send an email to {n} with the subject {s} and the text: {b}",
            f"I will send the mail to {n}.",
            ("send_email", [("to", n), ("subject", s), ("body", b)]),
            "sent",
            f"I sent the email to {n}.",
        )
    if k == 2:
        s, v = (
            "".join(r.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ") for _ in range(r.randint(3, 4))),
            f"{r.randint(1, 900)}.{r.randint(10, 99)}",
        )
        return (
            r.choice([f"What is the price of {s}?", f"Stock price of {s}?"]),
            f"I will look up {s}.",
            ("get_stock_price", [("symbol", s)]),
            v,
            f"The price of {s} is {v}.",
        )
    if k == 3:
        m = r.randint(1, 120)
        return (
            r.choice(
                [
                    f"Set a timer for {m} minutes.",
                    f"Start a {m} minute timer.",
                    f"Remind me in {m} minutes.",
                ]
            ),
            f"I will set a timer for {m} minutes.",
            ("set_timer", [("minutes", m)]),
            "ok",
            f"The timer is set for {m} minutes.",
        )
    if k == 4:
        a, (x, y), v = (
            r.randint(1, 5000),
            r.some(["USD", "EUR", "GBP", "JPY", "CHF"], 2),
            f"{r.randint(1, 9000)}.{r.randint(10, 99)}",
        )
        return (
            f"Convert {a} {x} to {y}.",
            f"I will convert {a} {x} to {y}.",
            ("convert_currency", [("amount", a), ("from", x), ("to", y)]),
            v,
            f"{a} {x} is {v} {y}.",
        )
    if k == 5:
        ph, j = str(r.randint(1000, 9999)), r.choice(JOBS)
        f, v = r.choice([("phone number", ph), ("job", j), ("city", c)])
        return (
            r.choice([f"What is the {f} of {n}?", f"Find the {f} of {n}."]),
            f"I will look up {n}.",
            ("find_person", [("name", n)]),
            json.dumps({"name": n, "phone": ph, "job": j, "city": c}),
            f"The {f} of {n} is {v}.",
        )
    if k == 6:
        w, m = r.choice(GAME_WORDS), r.randint(1, 10)
        s = " ".join(r.some(GAME_WORDS, 3))
        return (
            f"Search my notes for {w}, at most {m} results.",
            f"I will search the notes for {w}.",
            ("search_notes", [("query", w), ("limit", m)]),
            f"1. {s}",
            f"I found one note: {s}",
        )
    if k == 7:
        w, l, o = (
            r.choice(GAME_WORDS),
            r.choice(["Italian", "French", "German", "Spanish"]),
            "".join(r.choice("bcdfglmnprst") + r.choice("aeiou") for _ in range(3)),
        )
        return (
            f"Translate {w} to {l}.",
            f"I will translate {w} to {l}.",
            ("translate", [("text", w), ("target_language", l)]),
            o,
            f"The {l} word for {w} is {o}.",
        )
    if k == 8:
        lo, hi = r.randint(0, 9), r.randint(10, 1000)
        v = r.randint(lo, hi)
        return (
            f"Draw a random number between {lo} and {hi}.",
            f"I will draw a number from {lo} to {hi}.",
            ("random_number", [("min", lo), ("max", hi)]),
            str(v),
            f"The random number is {v}.",
        )
    q, t1 = " ".join(r.some(GAME_WORDS, 2)), " ".join(r.some(GAME_WORDS, 3))
    return (
        r.choice([f"Search the web for {q}.", f"Look up {q} online."]),
        f"I will search the web for {q}.",
        ("web_search", [("query", q)]),
        f"1. {t1}",
        f"The first result is: {t1}",
    )


def novel_tool(r):
    """A tool nobody has seen, called with explicit values: the names must be copied from the
    schema.
    """
    name = r.choice(
        [
            f"{r.choice(VERBS)}_{r.choice(NOUNS)}",
            f"get_{r.choice(NOUNS)}",
            f"{r.choice(NOUNS)}_{r.choice(['info', 'status', 'lookup', 'update'])}",
        ]
    )
    ps = r.some(
        [
            ("id", "integer"),
            ("name", "string"),
            ("color", "string"),
            ("count", "integer"),
            ("active", "boolean"),
            ("city", "string"),
            (r.choice(NOUNS), "string"),
            (r.choice(NOUNS) + "_id", "integer"),
        ],
        r.randint(1, 3),
    )
    ps = list({p[0]: p for p in ps}.values())
    val = {
        "integer": lambda: r.randint(1, 9999),
        "string": lambda: r.choice(GAME_WORDS + NAMES),
        "boolean": lambda: r.p(0.5),
    }
    args = [(p, val[t]()) for p, t in ps]
    tool = T(
        name,
        r.choice(
            [f"Tool for the {r.choice(NOUNS)}.", f"{name.replace('_', ' ').capitalize()}.", ""]
        ),
        [(p, t, None) for p, t in ps],
    )
    words = [f"{k} {json.dumps(v) if not isinstance(v, str) else v}" for k, v in args]
    u = r.choice(
        [
            f"Call {name} with {listing(words)}.",
            f"Use the tool {name}: {', '.join(words)}",
            f"Please run {name} with {listing(words)}.",
        ]
    )
    st, v = r.choice(["ok", "done", "failed", "ready"]), r.randint(1, 999)
    return tool, (
        u,
        f"I will call {name}.",
        (name, args),
        json.dumps({"status": st, "value": v}),
        f"The tool returned status {st} and value {v}.",
    )


CALLS = [
    (call_weather, 4),
    (call_calc, 3),
    (call_read, 4),
    (call_readmiss, 1),
    (call_cat, 2),
    (call_write, 2),
    (call_list, 3),
    (call_bash_, 5),
    (call_misc, 7),
]
CALL_F, CALL_W = zip(*CALLS)
