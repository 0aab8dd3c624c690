"""Questions about words, facts and texts. Functions as in `arithmetic`."""

import json

from .render import an, listing
from .words import (
    ADJ,
    ANIMALS,
    CAPITALS,
    CITIES,
    COLORS,
    COLOR_OF,
    CONTINENT,
    DAYS,
    ELEMENT,
    HOBBIES,
    JOBS,
    LANGUAGE,
    LEGS,
    MONTHS,
    NAMES,
    NOUNS,
    NUMWORDS,
    OPPOSITE,
    PAST_TENSE,
    PLANETS,
    PLURAL,
    PROJECTS,
    SOUNDS,
    VERBS,
)

GAME_WORDS = sorted(set(NOUNS + ANIMALS + ADJ + COLORS + VERBS))


WORD_KINDS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 8, 8, 9, 10, 11]


def q_words(r, think):
    # Training sees more of what is hard (sorting, names); an evaluation draws all kinds alike.
    k = r.randrange(12) if r.ev else r.choice(WORD_KINDS)
    w = r.choice(GAME_WORDS) if r.p(0.9 if r.ev else 0.8) else r.choice(NAMES)
    sp = " ".join(w)
    if k in (0, 1):
        return (
            r.choice(
                [
                    f"Spell the word {w}.",
                    f"Spell {w}",
                    f"How do you spell {w}?",
                    f'Please spell "{w}".',
                    f"Spell out {w}.",
                    f"Write {w} letter by letter.",
                ]
            ),
            f"The letters of {w} are {sp}.",
            sp,
            "A",
        )
    if k in (2, 3):
        rv = " ".join(w[::-1])
        return (
            r.choice(
                [
                    f"Reverse the word {w}.",
                    f"Spell {w} backwards.",
                    f"Reverse {w}",
                    f"Write {w} in reverse.",
                    f"What is {w} spelled backwards?",
                ]
            ),
            f"{w}: {sp}. Backwards: {rv}.",
            rv,
            "A",
        )
    if k in (4, 5):
        c = r.choice(w.lower()) if r.p(0.8) else r.choice("aeiourtn")
        n, t = 0, []
        for ch in w:
            n += ch.lower() == c
            t.append(f"{ch} {n}")
        return (
            r.choice(
                [
                    f"How many times does the letter {c} appear in {w}?",
                    f"Count the letter {c} in {w}.",
                    f"How many {c}'s are in {w}?",
                    f'How many {c} are in the word "{w}"?',
                ]
            ),
            "Counting: " + ", ".join(t) + ".",
            f"The letter {c} appears {n} time{'s' if n != 1 else ''} in {w}.",
            "A",
        )
    if k == 6:
        t = ", ".join(f"{ch} {i + 1}" for i, ch in enumerate(w))
        return (
            r.choice(
                [
                    f"How many letters are in {w}?",
                    f"How long is the word {w}?",
                    f"Count the letters in {w}.",
                ]
            ),
            f"Counting: {t}.",
            f"{w} has {len(w)} letters.",
            "A",
        )
    if k == 7:
        f = r.choice(["first", "last"])
        c = w[0] if f == "first" else w[-1]
        return (
            r.choice([f"What is the {f} letter of {w}?", f"Tell me the {f} letter of {w}."]),
            f"{w}: {sp}.",
            f"The {f} letter of {w} is {c}.",
            "A",
        )
    ws = r.some(GAME_WORDS, r.randint(3, 6))
    s = ", ".join(ws)
    if k == 8:
        o = ", ".join(sorted(ws))
        return (
            r.choice(
                [
                    f"Sort these words alphabetically: {s}",
                    f"Put these words in alphabetical order: {s}",
                    f"Sort alphabetically: {s}",
                ]
            ),
            f"In alphabetical order: {o}.",
            o,
            "A",
        )
    if k == 9:
        i = r.randrange(len(ws))
        o = ["first", "second", "third", "fourth", "fifth", "sixth"][i]
        return (
            r.choice([f"What is the {o} word in this list: {s}?", f"Give me the {o} item of: {s}"]),
            f"Item {i + 1} is {ws[i]}.",
            f"The {o} word is {ws[i]}.",
            "A",
        )
    if k == 10:
        o = ", ".join(ws[::-1])
        return f"Reverse this list: {s}", f"Backwards the list is {o}.", o, "A"
    if r.p(0.5):
        return (
            r.choice([f"How many words are in this list: {s}?", f"Count the words: {s}"]),
            ", ".join(f"{x} {i + 1}" for i, x in enumerate(ws)) + ".",
            f"There are {len(ws)} words.",
            "A",
        )
    ac = "".join(x[0].upper() for x in ws)
    return (
        f"Make an acronym from these words: {s}",
        " ".join(x[0].upper() for x in ws),
        " ".join(ac),
        "A",
    )


def q_facts(r, think):
    k = r.randrange(14)
    if k <= 2:
        c, v = r.choice(list(CAPITALS.items()))
        if r.p(0.75):
            return (
                r.choice(
                    [
                        f"What is the capital of {c}?",
                        f"Capital of {c}?",
                        f"Tell me the capital of {c}.",
                        f"Which city is the capital of {c}?",
                        f"What's the capital of {c}",
                        f"Name the capital of {c}.",
                    ]
                ),
                f"The capital of {c} is {v}.",
                f"The capital of {c} is {v}.",
                "A",
            )
        return (
            r.choice(
                [f"{v} is the capital of which country?", f"Which country has the capital {v}?"]
            ),
            f"{v} is the capital of {c}.",
            f"{v} is the capital of {c}.",
            "A",
        )
    if k == 3:
        c, v = r.choice(list(CONTINENT.items()))
        return (
            r.choice(
                [f"On which continent is {c}?", f"Which continent is {c} in?", f"Where is {c}?"]
            ),
            f"{c} is in {v}.",
            f"{c} is in {v}.",
            "A",
        )
    if k == 4:
        c, v = r.choice(list(LANGUAGE.items()))
        return (
            r.choice(
                [f"What language do people speak in {c}?", f"Which language is spoken in {c}?"]
            ),
            f"In {c} people speak {v}.",
            f"In {c} people speak {v}.",
            "A",
        )
    if k == 5:
        a, b = r.choice(list(OPPOSITE.items()))
        if r.p(0.3) and b not in OPPOSITE and list(OPPOSITE.values()).count(b) == 1:
            a, b = b, a
        return (
            r.choice(
                [
                    f"What is the opposite of {a}?",
                    f"Opposite of {a}?",
                    f"Give me the opposite of {a}.",
                ]
            ),
            f"{a} and {b} are opposites.",
            f"The opposite of {a} is {b}.",
            "A",
        )
    if k == 6:
        a, b = r.choice(list(SOUNDS.items()))
        return (
            r.choice([f"What sound does a {a} make?", f"What does the {a} say?"]),
            f"The {a} says {b}.",
            f"The {a} says {b}.",
            "A",
        )
    if k == 7:
        a, b = r.choice(list(LEGS.items()))
        return (
            r.choice([f"How many legs does {an(a)} have?", f"Number of legs of {an(a)}?"]),
            f"{an(a).capitalize()} has {b} legs.",
            f"{an(a).capitalize()} has {b} legs.",
            "A",
        )
    if k == 8:
        a, b = r.choice(list(COLOR_OF.items()))
        return (
            r.choice(
                [f"What color is {a}?", f"Which color does {a} have?", f"What is the color of {a}?"]
            ),
            f"The color of {a} is {b}.",
            f"The color of {a} is {b}.",
            "A",
        )
    if k == 9:
        a, b = r.choice(list(ELEMENT.items()))
        return (
            r.choice([f"What is the chemical symbol for {a}?", f"What is the symbol of {a}?"]),
            f"The symbol of {a} is {b}.",
            f"The chemical symbol for {a} is {b}.",
            "A",
        )
    if k == 10:
        a, b = r.choice(list(PLURAL.items()))
        return (
            r.choice([f"What is the plural of {a}?", f"Plural of {a}?"]),
            f"One {a}, many {b}.",
            f"The plural of {a} is {b}.",
            "A",
        )
    if k == 11:
        a, b = r.choice(list(PAST_TENSE.items()))
        return (
            r.choice([f"What is the past tense of {a}?", f"Past tense of {a}?"]),
            f"Today {a}, yesterday {b}.",
            f"The past tense of {a} is {b}.",
            "A",
        )
    if k == 12:
        xs = r.choice([DAYS, MONTHS])
        i = r.randrange(len(xs))
        j = (i + 1) % len(xs)
        if r.p(0.6):
            return (
                r.choice(
                    [
                        f"What {'day' if xs is DAYS else 'month'} comes after {xs[i]}?",
                        f"What is the next {'day' if xs is DAYS else 'month'} after {xs[i]}?",
                    ]
                ),
                f"After {xs[i]} comes {xs[j]}.",
                f"After {xs[i]} comes {xs[j]}.",
                "A",
            )
        return (
            f"What {'day' if xs is DAYS else 'month'} comes before {xs[j]}?",
            f"Before {xs[j]} comes {xs[i]}.",
            f"Before {xs[j]} comes {xs[i]}.",
            "A",
        )
    j = r.randrange(5)
    if j == 0:
        return (
            r.choice(
                [
                    "Name the planets.",
                    "List the planets of the solar system.",
                    "What are the planets?",
                ]
            ),
            "I know the eight planets.",
            listing(PLANETS) + ".",
            "A",
        )
    if j == 1:
        i = r.randrange(8)
        return (
            f"Which planet is number {i + 1} from the sun?",
            f"The order is {', '.join(PLANETS)}.",
            f"Planet number {i + 1} is {PLANETS[i]}.",
            "A",
        )
    if j == 2:
        return (
            r.choice(["List the days of the week.", "What are the days of the week?"]),
            "There are seven days.",
            listing(DAYS) + ".",
            "A",
        )
    if j == 3:
        return (
            r.choice(["List the months of the year.", "What are the months?"]),
            "There are twelve months.",
            listing(MONTHS) + ".",
            "A",
        )
    n = r.randrange(21)
    if r.p(0.5):
        return f"Write {n} in words.", f"{n} is {NUMWORDS[n]}.", NUMWORDS[n], "A"
    return f"Write the number {NUMWORDS[n]} in digits.", f"{NUMWORDS[n]} is {n}.", str(n), "A"


def q_case(r, think):
    k = r.randrange(4)
    ws = r.some(GAME_WORDS, r.randint(1, 4))
    s = " ".join(ws)
    if k == 0:
        return (
            r.choice(
                [f"Write {s} in capital letters.", f"Make this uppercase: {s}", f"Uppercase: {s}"]
            ),
            f"Capital letters: {s.upper()}",
            s.upper(),
            "A",
        )
    if k == 1:
        return f"Make this lowercase: {s.upper()}", f"Small letters: {s}", s, "A"
    if k == 2:
        return (
            r.choice(
                [f"Repeat this sentence: The {ws[0]} is here.", f"Repeat: The {ws[0]} is here."]
            ),
            "I repeat it.",
            f"The {ws[0]} is here.",
            "A",
        )
    c = [f"{r.choice(COLORS)} {w}" for w in ws]
    return f"Repeat exactly: {', '.join(c)}", "I repeat it exactly.", ", ".join(c), "A"


def q_extract(r, think):
    n, c, j, _ = r.choice(NAMES), r.choice(CITIES), r.choice(JOBS), r.choice(HOBBIES)
    age, mail = r.randint(18, 80), None
    mail = f"{n.lower()}{r.randint(1, 99)}@{r.choice(PROJECTS)}.com"
    txt = r.choice(
        [
            f"{n} is {age} years old, lives in {c} and works as a {j}. You can write to {mail}.",
            f"My name is {n}. I am {age} and I work as a {j} in {c}. My email is {mail}.",
            f"Contact: {n}, {j}, {c}, age {age}, {mail}",
        ]
    )
    k = r.randrange(5)
    if k == 0:
        return f"Extract the email address: {txt}", f"The email address is {mail}.", mail, "A"
    if k == 1:
        return f"How old is {n}? {txt}", f"The text says {age}.", f"{n} is {age} years old.", "A"
    if k == 2:
        return (
            f"{txt} In which city does {n} work or live?",
            f"The text says {c}.",
            f"{n} is in {c}.",
            "A",
        )
    if k == 3:
        return f"{txt}\nWhat is the job of {n}?", f"The text says {j}.", f"{n} works as a {j}.", "A"
    js = json.dumps({"name": n, "age": age, "city": c, "job": j}, ensure_ascii=False)
    return (
        f"Turn this into JSON with name, age, city and job: {txt}",
        "I need name, age, city and job.",
        js,
        "A",
    )
