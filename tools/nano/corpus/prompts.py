"""Texts that the engine itself puts into a prompt, as the engine exports them.

`prompts.json` is written by `ds4 tokenize --export-prompts`; it is never edited here. The system
texts below are only examples of what users write.
"""

import json
import os

ENGINE = "ds4"
MODEL = "DS4 Nano"

with open(
    os.path.join(os.path.dirname(os.path.abspath(__file__)), "prompts.json"), encoding="utf-8"
) as _f:
    _EXPORT = json.load(_f)
STRINGS, SPECIAL = _EXPORT["strings"], _EXPORT["specials"]

BOS, EOS, PAD = SPECIAL["bos"], SPECIAL["eos"], SPECIAL["pad"]
USER, ASSISTANT = SPECIAL["user"], SPECIAL["assistant"]
THINK, END_THINK = SPECIAL["think"], SPECIAL["end_think"]
# The first three ids as in the real tokenizer; the others stand at the end of the vocabulary, as
# there.
SPECIALS = [BOS, EOS, PAD]
TAIL_SPECIALS = [v for v in SPECIAL.values() if v not in SPECIALS]

DEFAULT_SYSTEM = "You are a helpful assistant"
SYSTEMS = [
    "",
    "",
    "",
    DEFAULT_SYSTEM,
    DEFAULT_SYSTEM,
    "You are a helpful assistant.",
    "You are a friendly assistant.",
    "You are a helpful coding assistant.",
    "Answer briefly.",
    "You are a careful assistant. Answer in English.",
    "You are terse.",
    "You are a helpful AI assistant running on a local machine.",
]

EFFORTS = [STRINGS["effort_thorough"], STRINGS["effort_exhaustive"]]
TOOLS_HEAD, TOOLS_TAIL = STRINGS["tools_head"], STRINGS["tools_tail"]
DS4_TOOLS_HEAD, DS4_TOOLS_TAIL = STRINGS["ds4_tools_head"], STRINGS["ds4_tools_tail"]
SEPARATOR = STRINGS["separator"]
RESULT_OPEN, RESULT_CLOSE = STRINGS["result_open"], STRINGS["result_close"]
