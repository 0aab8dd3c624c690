"""Loss and accuracy over the tokens of a run: plot.py curves.csv OUT.png (needs matplotlib)."""

import csv
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

rows = [
    {k: float(v) if v else None for k, v in r.items()} for r in csv.DictReader(open(sys.argv[1]))
]
fig, (left, right) = plt.subplots(1, 2, figsize=(11, 4))


def curve(ax, key, label, f=lambda v: v):
    pts = [(r["tokens"] / 1e6, f(r[key])) for r in rows if r[key] is not None]
    ax.plot(*zip(*pts), label=label, linewidth=0.9)


curve(left, "loss", "next token")
curve(left, "mtp_loss", "MTP, token after")
curve(left, "index_loss", "indexer")
left.set(xlabel="million tokens", ylabel="weighted training loss", yscale="log")
curve(right, "answer_accuracy", "wrong answer tokens", lambda v: 1 - v)
curve(right, "second_accuracy", "wrong second tokens (MTP)", lambda v: 1 - v)
right.set(xlabel="million tokens", ylabel="share of answer tokens", yscale="log")
for ax in (left, right):
    ax.legend()
    ax.grid(alpha=0.3)
fig.tight_layout()
fig.savefig(sys.argv[2], dpi=90)
