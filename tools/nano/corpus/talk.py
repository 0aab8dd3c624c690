"""Talk: who the model is, small talk, stories, poems, code, and what it does not know. Functions
as in `arithmetic`.
"""

from .language import GAME_WORDS
from .prompts import ENGINE, MODEL
from .render import an
from .words import ADJ, ANIMALS, COLORS, FOODS, NAMES, NOUNS, PLACES, TOPICS


def q_identity(r, think):
    kind = r.randrange(7)
    if kind == 0:
        u = r.choice(
            [
                "Who are you?",
                "What are you?",
                "Introduce yourself.",
                "Tell me about yourself.",
                "What is your name?",
                "Are you a chatbot?",
                "Are you DeepSeek?",
                "Which model is this?",
                "What model are you?",
                "Who am I talking to?",
                "Are you ChatGPT?",
                "Are you a real person?",
                "Are you an AI?",
            ]
        )
        a = f"I am {MODEL}, the small demo model built into the {ENGINE} engine. I use the DeepSeek V4 architecture, but I am tiny, so please keep your questions simple."
        t = "The user asks who I am. I will introduce myself."
    elif kind == 1:
        u = r.choice(
            [
                "What can you do?",
                "How can you help me?",
                "What are you good at?",
                "Help",
                "What should I ask you?",
                "Give me some examples of what you can do.",
                "What do you know?",
                "List your skills.",
            ]
        )
        a = (
            "I can do small things:\n- arithmetic, such as 347 + 85\n- word games: spell, reverse, count and sort\n- simple facts, such as capitals\n"
            "- short stories and poems\n- tool calls\n- finding a fact in a long text"
        )
        t = "The user asks what I can do. I will list my skills."
    elif kind == 2:
        u = r.choice(
            [
                "How big are you?",
                "How many parameters do you have?",
                "What is your size?",
                "Are you a large model?",
            ]
        )
        a = "I have about 24 million parameters. That is very small for a language model."
        t = "The user asks about my size."
    elif kind == 3:
        u = r.choice(
            [
                "Who made you?",
                "Who trained you?",
                "Where do you come from?",
                "How were you trained?",
                "What data were you trained on?",
            ]
        )
        a = f"I was trained for the {ENGINE} project on text written by a program, so that the engine works right after you install it."
        t = "The user asks how I was made."
    elif kind == 4:
        u = r.choice(
            [
                f"What is {ENGINE}?",
                f"What does {ENGINE} do?",
                f"Tell me about {ENGINE}.",
                "What is this engine?",
                "What program is this?",
            ]
        )
        a = f"{ENGINE} is an inference engine dedicated to the DeepSeek V4 models. I am its built-in demo model."
        t = f"The user asks about {ENGINE}."
    elif kind == 5:
        u = r.choice(
            [
                "Why are your answers so simple?",
                "Why are you so limited?",
                "Can I use a better model?",
                "How do I load the real model?",
                "Where is the full model?",
                "Can you be smarter?",
            ]
        )
        a = f"I am only a tiny demo model. For real work, start {ENGINE} with a DeepSeek V4 Flash model file."
        t = "The user wants more than I can do. I will point to the full model."
    else:
        u = r.choice(
            [
                "What architecture do you use?",
                "What is your architecture?",
                "How do you work inside?",
                "Explain your architecture.",
            ]
        )
        a = (
            "I use the DeepSeek V4 architecture: hyper-connections, compressed sparse attention with an indexer, a mixture of experts "
            "and a block that predicts one more token."
        )
        t = "The user asks about my architecture."
    return u, t, a, "A"


def q_smalltalk(r, think):
    k = r.randrange(8)
    if k == 0:
        u, a = (
            r.choice(
                [
                    "Hi",
                    "Hello",
                    "Hello!",
                    "Hey",
                    "Good morning",
                    "Good evening",
                    "Hi there",
                    "hello there!",
                    "Hey you",
                    "Ciao",
                ]
            ),
            "Hello! How can I help you?",
        )
        t = "The user greets me. I will greet back."
    elif k == 1:
        u, a = (
            r.choice(
                ["How are you?", "How is it going?", "How do you do?", "Are you ok?", "What's up?"]
            ),
            "I am fine, thank you. How can I help you?",
        )
        t = "The user asks how I am."
    elif k == 2:
        u, a = (
            r.choice(
                [
                    "Thanks",
                    "Thank you!",
                    "Thanks a lot",
                    "Great, thank you",
                    "Perfect, thanks",
                    "Nice work",
                ]
            ),
            "You are welcome!",
        )
        t = "The user thanks me."
    elif k == 3:
        u, a = (
            r.choice(["Bye", "Goodbye", "See you later", "Good night", "See you"]),
            "Goodbye! Have a nice day.",
        )
        t = "The user says goodbye."
    elif k == 4:
        n = r.choice(NAMES)
        u = r.choice(
            [
                f"Hi, I am {n}.",
                f"My name is {n}.",
                f"Hello, I'm {n}!",
                f"I am {n}, nice to meet you.",
            ]
        )
        a = f"Nice to meet you, {n}! How can I help you?"
        t = f"The user is called {n}. I will greet {n}."
    elif k == 5:
        n = r.choice(NAMES)
        u, a = (
            r.choice([f"Say hello to {n}.", f"Greet {n}.", f"Please say hi to {n}"]),
            f"Hello, {n}!",
        )
        t = f"I should greet {n}."
    elif k == 6:
        w = " ".join(r.some(NOUNS, r.randint(1, 3)))
        u, a = (
            r.choice(
                [f"Say {w}", f"Please say: {w}", f"Say only this: {w}", f"Repeat after me: {w}"]
            ),
            w,
        )
        t = f"I should say: {w}"
    else:
        u, a = (
            r.choice(
                [
                    "Tell me a joke",
                    "Tell me a joke.",
                    "Do you know a joke?",
                    "Make me laugh",
                    "Say something funny",
                ]
            ),
            r.choice(
                [
                    "Why did the robot cross the road? Because the chicken was out of battery.",
                    "What do you call a sleepy bull? A bulldozer.",
                    "Why was the math book sad? It had too many problems.",
                    "What is a cat's favorite color? Purr-ple.",
                    "Why did the byte go to school? It wanted to be a word.",
                ]
            ),
        )
        return u, "The user wants a joke.", a, "B"
    return u, t, a, "A"


def q_story(r, think):
    an_ = r.choice(ANIMALS)
    name, friend = r.some(NAMES, 2)
    fa = r.choice([x for x in ANIMALS if x != an_])
    adj, place, obj, col = r.choice(ADJ), r.choice(PLACES), r.choice(NOUNS), r.choice(COLORS)
    k = r.randrange(7)
    if k == 0:
        u = r.choice(
            [
                "Tell me a story.",
                "Tell me a short story.",
                "Write a story.",
                "Can you tell me a story?",
                "A story, please.",
            ]
        )
    elif k == 1:
        u = r.choice(
            [
                f"Tell me a story about {an(an_)}.",
                f"Write a short story about {an(an_)}.",
                f"I want a story about {an(an_)}.",
            ]
        )
    elif k == 2:
        u = r.choice(
            [f"Tell me a story about {name} the {an_}.", f"Write a story about {name} the {an_}."]
        )
    elif k == 3:
        u = f"Tell me a story about {an(adj)} {an_} named {name}."
    elif k == 4:
        u = r.choice(
            [
                f"Tell me a story about {an(obj)}.",
                f"Write a short story with {an(obj)} in it.",
                f"Tell me a story about a lost {obj}.",
            ]
        )
    elif k == 5:
        u = f"Tell me a story about {name} and {friend}."
    else:
        u = f"Write a story that takes place at the {place}."
    t = f"The user wants a story. The hero is {name}, {an(adj)} {an_}. The place is the {place}. There is {an(col)} {obj}. The friend is {friend} the {fa}."
    s = [
        r.choice(
            [
                f"Once upon a time there was {an(adj)} {an_} named {name}.",
                f"{name} was {an(adj)} {an_} who lived near the {place}.",
                f"Long ago, at the {place}, there lived {an(adj)} {an_} called {name}.",
            ]
        ),
        r.choice(
            [
                f"Every morning {name} walked to the {place} to look for {r.choice(FOODS)}.",
                f"{name} loved the {place} more than any other place.",
                f"Everyone knew that {name} was the most {adj} {an_} at the {place}.",
            ]
        ),
    ]
    kind = r.randrange(4)
    if kind == 0:
        s += [
            f"One day {name} lost {an(col)} {obj} and could not find it anywhere.",
            f"{name} looked under every stone, but the {obj} was gone.",
            f'Then {friend} the {fa} came along and asked, "Why are you so sad?"',
            f'"I lost my {col} {obj}," said {name}.',
            f'"Let us look together," said {friend}.',
            f"They searched until the sun went down, and at last {friend} saw something {col} behind a tree.",
            f"It was the {obj}! {name} was so happy that they danced all night.",
        ]
    elif kind == 1:
        s += [
            f"One day {name} found {an(col)} {obj} on the ground.",
            f'"Whose {obj} is this?" asked {name}.',
            f"{name} asked everyone at the {place}, but nobody knew.",
            f"In the evening {friend} the {fa} came by, crying.",
            f'"I lost my {obj}," said {friend}.',
            f"{name} smiled and gave the {col} {obj} back.",
            f"From that day on, {name} and {friend} were best friends.",
        ]
    elif kind == 2:
        s += [
            f"One night a big storm came, and the water rose around the {place}.",
            f"{friend} the {fa} was afraid and called for help.",
            f"{name} took {an(col)} {obj} and ran outside.",
            f'"Hold on to the {obj}!" shouted {name}.',
            f"{friend} held on, and {name} pulled with all the strength of {an(an_)}.",
            "Soon both were safe and dry.",
            f'"You are the bravest {an_} I know," said {friend}.',
        ]
    else:
        s += [
            f"One day {name} heard that there was a treasure hidden at the {place}.",
            f"{name} asked {friend} the {fa} to come along.",
            f"They walked for three days and found {an(col)} box.",
            f"Inside the box there was only {an(obj)}.",
            f"{friend} was sad, but {name} laughed.",
            f'"The real treasure was the journey with a friend," said {name}.',
            f"They took the {obj} home and told the story to everyone.",
        ]
    s.append(
        r.choice(
            [
                "The end.",
                f"And {name} slept well that night.",
                "And they lived happily ever after.",
                f"Since then, nobody at the {place} is ever alone.",
            ]
        )
    )
    cut = 3
    return u, t, " ".join(s[:cut]) + "\n\n" + " ".join(s[cut:]), "B"


def q_poem(r, think):
    x = r.choice(NOUNS + ANIMALS)
    rhymes = [
        ("day", "play", "way", "stay"),
        ("night", "light", "bright", "sight"),
        ("tree", "sea", "free", "me"),
        ("sky", "high", "fly", "by"),
        ("rain", "train", "again", "plain"),
        ("blue", "you", "new", "true"),
    ]
    a, b = r.some(rhymes, 2)
    p = [
        f"The {x} was {r.choice(ADJ)} all {r.choice(['through the', 'along the', 'on this'])} {a[0]},",
        f"it wanted to {a[1]},",
        f"and under the {b[0]}",
        f"it looked for the {b[1]}.",
    ]
    p = (
        [
            f"I saw {an(x)} beside the {r.choice(NOUNS)},",
            f"it was {r.choice(COLORS)} and {a[2]},",
            f"it sang a {r.choice(ADJ)} song for {b[3]},",
            f"and I listened, {a[3]} and {b[2]}.",
        ]
        if r.p(0.4)
        else p
    )
    u = r.choice(
        [
            f"Write a poem about {an(x)}.",
            f"Write a short poem about the {x}.",
            f"A poem about {an(x)}, please.",
            f"Can you write a poem about {an(x)}?",
        ]
    )
    return u, f"A short poem with four lines about the {x}.", "\n".join(p), "B"


CODE = [
    ("python", "adds two numbers", "def add(a, b):\n    return a + b"),
    ("python", "multiplies two numbers", "def multiply(a, b):\n    return a * b"),
    (
        "python",
        "computes the factorial of a number",
        "def factorial(n):\n    result = 1\n    for i in range(2, n + 1):\n        result *= i\n    return result",
    ),
    (
        "python",
        "checks whether a number is prime",
        "def is_prime(n):\n    if n < 2:\n        return False\n    i = 2\n    while i * i <= n:\n        if n % i == 0:\n            return False\n        i += 1\n    return True",
    ),
    ("python", "reverses a string", "def reverse(s):\n    return s[::-1]"),
    ("python", "returns the largest number of a list", "def largest(xs):\n    return max(xs)"),
    (
        "python",
        "computes the Fibonacci numbers",
        "def fibonacci(n):\n    a, b = 0, 1\n    out = []\n    for _ in range(n):\n        out.append(a)\n        a, b = b, a + b\n    return out",
    ),
    (
        "python",
        "counts the words in a text",
        "def count_words(text):\n    return len(text.split())",
    ),
    ("python", "checks whether a number is even", "def is_even(n):\n    return n % 2 == 0"),
    (
        "python",
        "sums a list of numbers",
        "def total(xs):\n    s = 0\n    for x in xs:\n        s += x\n    return s",
    ),
    ("c", "adds two numbers", "int add(int a, int b) {\n    return a + b;\n}"),
    (
        "c",
        "prints hello world",
        '#include <stdio.h>\n\nint main(void) {\n    printf("Hello, world!\\n");\n    return 0;\n}',
    ),
    (
        "c",
        "returns the larger of two numbers",
        "int max(int a, int b) {\n    return a > b ? a : b;\n}",
    ),
    ("rust", "adds two numbers", "fn add(a: i32, b: i32) -> i32 {\n    a + b\n}"),
    ("rust", "prints hello world", 'fn main() {\n    println!("Hello, world!");\n}'),
    ("rust", "sums a list of numbers", "fn sum(xs: &[i32]) -> i32 {\n    xs.iter().sum()\n}"),
    ("javascript", "adds two numbers", "function add(a, b) {\n  return a + b;\n}"),
    ("javascript", "prints hello world", 'console.log("Hello, world!");'),
    ("bash", "prints hello world", '#!/bin/sh\necho "Hello, world!"'),
    ("bash", "lists all text files", "ls *.txt"),
    ("python", "prints hello world", 'print("Hello, world!")'),
    ("sql", "selects all users", "SELECT * FROM users;"),
]


def q_code(r, think):
    lang, what, code = r.choice(CODE)
    L = {
        "python": "Python",
        "c": "C",
        "rust": "Rust",
        "javascript": "JavaScript",
        "bash": "shell script",
        "sql": "SQL",
    }[lang]
    if r.p(0.3):
        _, msg = r.choice(NAMES), r.choice(GAME_WORDS)
        what = f"prints {msg}"
        code = {
            "python": f'print("{msg}")',
            "c": f'#include <stdio.h>\n\nint main(void) {{\n    printf("{msg}\\n");\n    return 0;\n}}',
            "rust": f'fn main() {{\n    println!("{msg}");\n}}',
            "javascript": f'console.log("{msg}");',
            "bash": f'#!/bin/sh\necho "{msg}"',
            "sql": f"SELECT '{msg}';",
        }[lang]
    noun = (
        r.choice(["function", "program"])
        if lang in ("python", "c", "rust", "javascript")
        else "query"
        if lang == "sql"
        else "line"
    )
    u = r.choice(
        [
            f"Write a {L} {noun} that {what}.",
            f"Give me {L} code that {what}.",
            f"Show me a {L} {noun} that {what}",
            f"Code in {L}: something that {what}.",
        ]
    )
    return u, f"I need {L} code that {what}.", f"```{lang}\n{code}\n```", "A"


def q_unknown(r, think):
    if r.p(0.75):
        t = r.choice(TOPICS)
    elif r.p(0.5):
        t = " ".join(r.some(GAME_WORDS, 2))
    else:
        t = "".join(r.choice("bcdfgklmnprstvz") + r.choice("aeiou") for _ in range(r.randint(2, 4)))
    u = r.choice(
        [
            f"Explain {t}.",
            f"What do you think about {t}?",
            f"Tell me about {t}.",
            f"Write an essay about {t}.",
            f"What is {t}?",
            f"How does {t} work?",
            f"Give me a lecture on {t}",
            f"Can you help me with {t}?",
            f"Why is {t} important?",
            f"Summarize {t} for me.",
        ]
    )
    a = f"I am only a tiny demo model, so I know nothing useful about {t}. I can help with arithmetic, word games, simple facts, stories and tool calls."
    return u, f"The user asks about {t}. I do not know enough about it, so I will say so.", a, "A"
