"""Trains the byte-level BPE tokenizer on generated text and writes tokenizer.json.

The splitting rules and the first and last ids are those of the real tokenizer; digits are taken
out of the training text, so that each stays a token of its own. The tokenizer.json beside this
file was made by an earlier state of the generator and is what the shipped weights were trained
with: making it anew means training anew. Hence the output name is an argument.
"""

import re
import sys

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from corpus.language import GAME_WORDS
from corpus.mix import train_doc
from corpus.prompts import (
    DS4_TOOLS_HEAD,
    DS4_TOOLS_TAIL,
    EFFORTS,
    SPECIALS,
    TAIL_SPECIALS,
    TOOLS_HEAD,
    TOOLS_TAIL,
)
from corpus.render import R
from corpus.words import CAPITALS, CITIES, FOODS, HOBBIES, JOBS, NAMES, PROJECTS, TOPICS

SPLITS = [
    r"\p{N}{1,3}",
    r"[一-龥぀-ゟ゠-ヿ]+",
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
]


def main(out, vocab=4096, docs=60000):
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(x), "isolated") for x in SPLITS]
        + [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    t.decoder = decoders.ByteLevel()
    r = R(12345)
    spec = re.compile("|".join(re.escape(x) for x in SPECIALS + TAIL_SPECIALS))

    def texts():
        seen = set()
        for i in range(docs):
            d = train_doc(r)
            for s in spec.split(d.text()):
                if len(s) > 200:  # boilerplate would dominate the counts: once is enough
                    for para in s.split("\n"):
                        if para in seen and len(para) > 60:
                            continue
                        seen.add(para)
                        yield re.sub(r"\d", "", para)  # digits stay single tokens
                else:
                    yield re.sub(r"\d", "", s)
        # every name and word, in the forms in which users type them
        for _ in range(40):
            for w in sorted(
                set(
                    NAMES
                    + CITIES
                    + GAME_WORDS
                    + TOPICS
                    + FOODS
                    + HOBBIES
                    + JOBS
                    + PROJECTS
                    + list(CAPITALS)
                    + list(CAPITALS.values())
                )
            ):
                yield w
                yield " " + w
        for _ in range(30):
            yield "\n".join([TOOLS_HEAD, TOOLS_TAIL, DS4_TOOLS_HEAD, DS4_TOOLS_TAIL] + EFFORTS)

    tr = trainers.BpeTrainer(
        vocab_size=vocab - len(TAIL_SPECIALS),
        min_frequency=2,
        show_progress=False,
        special_tokens=SPECIALS,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    t.train_from_iterator(texts(), tr)
    t.add_special_tokens([AddedToken(x, special=True, normalized=False) for x in TAIL_SPECIALS])
    t.save(out)
    print("vocab", t.get_vocab_size())
    assert t.get_vocab_size() == vocab, "corpus too small for this vocabulary"
    assert [t.token_to_id(x) for x in SPECIALS] == [0, 1, 2]
    return t


if __name__ == "__main__":
    t = main(sys.argv[1])
    r = R(7)
    c = n = 0
    by = {}
    for _ in range(3000):
        d = train_doc(r)
        for s, cls in d.parts:
            k = len(t.encode(s, add_special_tokens=False).ids)
            c += len(s)
            n += k
            key = d.task.replace("_think", "")
            by.setdefault(key, [0, 0])
            by[key][0] += k
            by[key][1] += k if cls in "ABTR" else 0
    tot_a = sum(v[1] for v in by.values())
    print(f"chars/token {c / n:.2f}, tokens/doc {n / 3000:.0f}, trained share {tot_a / n:.2f}")
    for k, v in sorted(by.items(), key=lambda x: -x[1][0]):
        print(f"  {k:14s} tokens {v[0] / n:.3f}  answer tokens {v[1] / tot_a:.3f}")
    for s in [
        "What is 4821 + 397?",
        "Tell me a story about a fox named Lina.",
        '\n\n<｜DSML｜tool_calls>\n<｜DSML｜invoke name="get_weather">\n',
        TOOLS_HEAD,
        DS4_TOOLS_HEAD,
        "src/config.toml",
        "n r e t n a l",
        "Schöne Grüße, 你好",
    ]:
        e = t.encode(s, add_special_tokens=False)
        print(len(e.ids), e.tokens[:40])
        assert t.decode(e.ids, skip_special_tokens=False) == s
