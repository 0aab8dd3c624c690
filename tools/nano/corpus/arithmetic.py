"""Arithmetic: questions, written-out reasoning and answers.

A question function takes a random source and the thinking mode and returns (user text, reasoning,
answer, class); the classes are those of `render`.
"""

from .words import ITEMS, NAMES

PLACE_NAMES = [
    "Ones",
    "Tens",
    "Hundreds",
    "Thousands",
    "Ten thousands",
    "Hundred thousands",
    "Millions",
]


def t_add(a, b):
    s, c, out = f"{a} + {b}.", 0, []
    da, db = str(a)[::-1], str(b)[::-1]
    for i in range(max(len(da), len(db))):
        x, y = int(da[i]) if i < len(da) else 0, int(db[i]) if i < len(db) else 0
        tot = x + y + c
        s += f" {PLACE_NAMES[i]}: {x} + {y}" + (f" + {c}" if c else "") + f" = {tot}"
        c2 = tot // 10
        s += f", write {tot % 10}, carry {c2}." if c2 else f", write {tot}."
        out.append(str(tot % 10))
        c = c2
    if c:
        s += f" Carry {c}."
        out.append(str(c))
    return s + f" Result: {' '.join(out[::-1])}, {a + b}."


def t_sub(a, b):
    s, c = f"{a} - {b}.", 0
    da, db = str(a)[::-1], str(b)[::-1]
    out = []
    for i in range(len(da)):
        x, y = int(da[i]), int(db[i]) if i < len(db) else 0
        s += f" {PLACE_NAMES[i]}: {x} - {y}" + (" - 1" if c else "")
        v = x - y - c
        if v < 0:
            s += f" = {v}, borrow, write {v + 10}."
            v, c = v + 10, 1
        else:
            s += f" = {v}, write {v}."
            c = 0
        out.append(str(v))
    return s + f" Result: {' '.join(out[::-1])}, {a - b}."


def t_mul1(a, b, tail=True):
    s, c, out = "", 0, []
    for i, d in enumerate(str(a)[::-1]):
        tot = int(d) * b + c
        s += f" {d} * {b}" + (f" + {c}" if c else "") + f" = {tot}"
        out.append(str(tot % 10))
        c = tot // 10
        s += f", write {tot % 10}, carry {c}." if c else f", write {tot}."
    if c:
        out.append(str(c))
        s += f" Carry {c}."
    return s.strip() + f" Result: {' '.join(out[::-1])}, {a * b}."


def t_mul(a, b):
    if b < 10:
        return f"{a} * {b}. " + t_mul1(a, b)
    hi, lo = b // 10 * 10, b % 10
    if lo == 0:
        return (
            f"{a} * {b}. First {a} * {b // 10}. " + t_mul1(a, b // 10) + f" Then times 10: {a * b}."
        )
    return (
        f"{a} * {b} = {a} * {hi} + {a} * {lo}. "
        + t_mul1(a, b // 10)
        + f" Times 10: {a * hi}. "
        + t_mul1(a, lo)
        + " Sum: "
        + t_add(a * hi, a * lo)
    )


def t_div(a, b):
    s, rem, out = f"{a} / {b}.", 0, []
    for d in str(a):
        cur = rem * 10 + int(d)
        q, rem = cur // b, cur % b
        s += f" {cur} / {b} = {q}, remainder {rem}."
        out.append(str(q))
    return (
        s
        + f" Digits: {' '.join(out)}. Result: {a // b}"
        + (f", remainder {a % b}." if a % b else ".")
    )


def num(r, digits):
    return r.randint(10 ** (digits - 1), 10**digits - 1) if digits > 1 else r.randint(0, 9)


def pick(r, make, key):
    for _ in range(60):
        v = make()
        if r.mine(key(v)):
            return v
    return v


def q_add(r, think):
    def mk():
        return (
            (num(r, r.choice([1, 2, 2, 3, 3, 4, 5])), num(r, r.choice([1, 2, 2, 3, 3, 4, 5])))
            if think
            else (num(r, r.choice([1, 2, 2, 3])), num(r, r.choice([1, 1, 2, 2])))
        )

    a, b = pick(r, mk, lambda v: f"{v[0]}+{v[1]}")
    u = r.choice(
        [
            "What is {a} + {b}?",
            "{a} + {b}",
            "{a}+{b}",
            "{a} + {b} = ?",
            "Compute {a} + {b}.",
            "Calculate {a} + {b}",
            "How much is {a} + {b}?",
            "What is {a} plus {b}?",
            "Add {a} and {b}.",
            "What's {a}+{b}?",
            "{a} plus {b}",
            "What is the sum of {a} and {b}?",
            "Can you add {a} and {b}?",
            "{a}+{b}=",
            "Solve {a} + {b}.",
            "What does {a} + {b} equal?",
            "Tell me {a} + {b}.",
        ]
    ).format(a=a, b=b)
    return u, t_add(a, b), f"{a} + {b} = {a + b}", "A"


def q_sub(r, think):
    def mk():
        a, b = (
            (num(r, r.choice([2, 3, 3, 4, 5])), num(r, r.choice([1, 2, 3, 4])))
            if think
            else (num(r, r.choice([1, 2, 2])), num(r, r.choice([1, 1, 2])))
        )
        return max(a, b), min(a, b)

    a, b = pick(r, mk, lambda v: f"{v[0]}-{v[1]}")
    u = r.choice(
        [
            "What is {a} - {b}?",
            "{a} - {b}",
            "{a}-{b}",
            "Compute {a} - {b}.",
            "Calculate {a} - {b}",
            "How much is {a} - {b}?",
            "What is {a} minus {b}?",
            "Subtract {b} from {a}.",
            "{a} minus {b}",
            "{a} - {b} = ?",
            "Take {b} away from {a}.",
            "What is the difference of {a} and {b}?",
        ]
    ).format(a=a, b=b)
    return u, t_sub(a, b), f"{a} - {b} = {a - b}", "A"


def q_mul(r, think):
    def mk():
        if not think:
            return r.randint(0, 12), r.randint(0, 12)
        return r.choice([(num(r, r.choice([1, 2, 3])), r.randint(2, 9)), (num(r, 2), num(r, 2))])

    a, b = pick(r, mk, lambda v: f"{v[0]}*{v[1]}") if think else mk()
    u = r.choice(
        [
            "What is {a} * {b}?",
            "{a} * {b}",
            "{a}*{b}",
            "{a} x {b}",
            "What is {a} times {b}?",
            "Multiply {a} by {b}.",
            "Compute {a} * {b}.",
            "Calculate {a} * {b}",
            "How much is {a} times {b}?",
            "{a} times {b}",
            "{a} * {b} = ?",
            "What is the product of {a} and {b}?",
        ]
    ).format(a=a, b=b)
    return u, t_mul(a, b), f"{a} * {b} = {a * b}", "A"


def q_div(r, think):
    def mk():
        b = r.randint(2, 9)
        return (num(r, r.choice([2, 3, 3, 4])), b) if think else (b * r.randint(1, 12), b)

    a, b = pick(r, mk, lambda v: f"{v[0]}/{v[1]}") if think else mk()
    u = r.choice(
        [
            "What is {a} / {b}?",
            "{a} / {b}",
            "{a}/{b}",
            "Divide {a} by {b}.",
            "What is {a} divided by {b}?",
            "Compute {a} / {b}.",
            "Calculate {a} / {b}",
            "How much is {a} divided by {b}?",
        ]
    ).format(a=a, b=b)
    ans = f"{a} / {b} = {a // b}" + (f", remainder {a % b}" if a % b else "")
    return u, t_div(a, b), ans, "A"


def q_wordprob(r, think):
    n, m = r.some(NAMES, 2)
    it = r.choice(ITEMS)
    k = r.randrange(4)
    hi = 60 if think else 12
    x, y, z = r.randint(2, hi), r.randint(2, hi), r.randint(1, hi)
    if k == 0:
        u = f"{n} has {x} {it}. {n} gets {y} more {it}. How many {it} does {n} have now?"
        t, v = f"{x} + {y} = {x + y}.", x + y
    elif k == 1:
        x += y
        u = f"{n} has {x} {it} and gives {y} {it} to {m}. How many {it} does {n} have left?"
        t, v = f"{x} - {y} = {x - y}.", x - y
    elif k == 2:
        z = min(z, x + y)
        u = f"{n} has {x} {it}. {n} finds {y} more and then gives {z} to {m}. How many {it} does {n} have?"
        t, v = f"{x} + {y} = {x + y}. {x + y} - {z} = {x + y - z}.", x + y - z
    else:
        x, y = r.randint(2, 9), r.randint(2, 12)
        u = f"There are {x} boxes with {y} {it} each. How many {it} are there in total?"
        t, v = f"{x} * {y} = {x * y}.", x * y
        return u, t, f"There are {v} {it} in total.", "A"
    return u, t, f"{n} has {v} {it}.", "A"


def q_compare(r, think):
    k = r.randrange(6)
    if k == 0:
        a, b = r.randint(1, 9999), r.randint(1, 9999)
        u = r.choice(
            [
                "Which is larger, {a} or {b}?",
                "Which number is bigger: {a} or {b}?",
                "Is {a} larger than {b}?",
            ]
        ).format(a=a, b=b)
        t = f"{a} has {len(str(a))} digits and {b} has {len(str(b))} digits."
        if u.startswith("Is"):
            return (
                u,
                t,
                (f"Yes, {a} is larger than {b}." if a > b else f"No, {a} is not larger than {b}."),
                "A",
            )
        return u, t, f"{max(a, b)} is larger." if a != b else "They are equal.", "A"
    if k == 1:
        n = r.randint(0, 9999)
        return (
            r.choice([f"Is {n} even or odd?", f"Is the number {n} odd or even?"]),
            f"The last digit of {n} is {n % 10}.",
            f"{n} is {'even' if n % 2 == 0 else 'odd'}.",
            "A",
        )
    if k == 2:
        n = r.randint(0, 9998)
        if r.p(0.5):
            return f"What comes after {n}?", f"{n} + 1 = {n + 1}.", f"After {n} comes {n + 1}.", "A"
        return (
            f"What number comes before {n + 1}?",
            f"{n + 1} - 1 = {n}.",
            f"Before {n + 1} comes {n}.",
            "A",
        )
    xs = r.some(range(1, 100), r.randint(3, 7))
    s = ", ".join(map(str, xs))
    if k == 3:
        w = r.choice(["largest", "smallest"])
        v = max(xs) if w == "largest" else min(xs)
        return (
            r.choice(
                [
                    f"What is the {w} of {s}?",
                    f"Find the {w} number: {s}",
                    f"Which is the {w} number in {s}?",
                ]
            ),
            f"Looking at {s}, the {w} is {v}.",
            f"The {w} number is {v}.",
            "A",
        )
    if k == 4:
        o = ", ".join(map(str, sorted(xs)))
        if r.p(0.3):
            o = ", ".join(map(str, sorted(xs, reverse=True)))
            return (
                f"Sort these numbers in descending order: {s}",
                f"From large to small: {o}.",
                o,
                "A",
            )
        return (
            r.choice(
                [
                    f"Sort these numbers: {s}",
                    f"Sort {s}",
                    f"Put these numbers in order: {s}",
                    f"Sort in ascending order: {s}",
                ]
            ),
            f"From small to large: {o}.",
            o,
            "A",
        )
    xs = xs[: r.randint(3, 5)]
    s, t, c = " + ".join(map(str, xs)), "", xs[0]
    for x in xs[1:]:
        t += f" {c} + {x} = {c + x}."
        c += x
    if not think:
        xs = [x % 10 for x in xs[:3]]
        s, c = " + ".join(map(str, xs)), sum(xs)
    return r.choice([f"What is {s}?", f"Compute {s}.", f"{s} = ?"]), t.strip(), f"{s} = {c}", "A"


def q_sequence(r, think):
    k = r.randrange(3)
    if k == 0:
        a, n, st = r.randint(0, 50), r.randint(4, 12), r.choice([1, 1, 1, 2, 5, 10])
        xs = [a + i * st for i in range(n)]
        u = f"Count from {xs[0]} to {xs[-1]}" + (f" by {st}." if st > 1 else ".")
        return u, f"I start at {xs[0]} and add {st} each time.", ", ".join(map(str, xs)), "A"
    if k == 1:
        n = r.randint(3, 10)
        return (
            r.choice([f"Count backwards from {n}.", f"Count down from {n}."]),
            "I go down to 1.",
            ", ".join(map(str, range(n, 0, -1))),
            "A",
        )
    a, st = r.randint(1, 40), r.randint(2, 12)
    xs = [a + i * st for i in range(4)]
    return (
        r.choice(
            ["What is the next number: ", "Continue the sequence: ", "Which number comes next: "]
        )
        + ", ".join(map(str, xs)),
        f"Each step adds {st}. {xs[-1]} + {st} = {xs[-1] + st}.",
        f"The next number is {xs[-1] + st}.",
        "A",
    )
