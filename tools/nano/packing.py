"""Documents -> token arrays -> packed rows, in worker processes."""

import multiprocessing as mp
import os

import numpy as np

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
HERE = os.path.dirname(os.path.abspath(__file__))
PAD_ID = 2


def tokenizer():
    from tokenizers import Tokenizer

    return Tokenizer.from_file(os.path.join(HERE, "tokenizer.json"))


def encode(tok, doc):
    """Token ids and class weights of a document, padded to a multiple of four (the short
    compression window).
    """
    from corpus.render import WEIGHT

    ids, w = [], []
    for text, cls in doc.parts:
        k = tok.encode(text, add_special_tokens=False).ids
        ids += k
        w += [WEIGHT[cls]] * len(k)
    pad = -len(ids) % 4
    return np.array(ids + [PAD_ID] * pad, dtype=np.uint16), np.array(w + [0] * pad, dtype=np.uint8)


class Packer:
    """Fills rows of S tokens with whole documents from a small pool."""

    def __init__(self, S, seed, pool=96):
        from corpus.render import R

        self.r, self.S, self.tok, self.pool, self.want = R(seed), S, tokenizer(), [], pool
        self.tasks = {}

    def more(self):
        from corpus.mix import train_doc

        while len(self.pool) < self.want:
            d = train_doc(self.r)
            ids, w = encode(self.tok, d)
            if 8 <= len(ids) <= self.S:
                self.pool.append((ids, w, task_id(d.task)))

    def row(self):
        self.more()
        left, out = self.S, []
        while True:
            fit = [i for i, d in enumerate(self.pool) if len(d[0]) <= left]
            if not fit:
                break
            i = (
                self.r.choice(fit)
                if left > self.S // 4
                else max(fit, key=lambda i: len(self.pool[i][0]))
            )
            d = self.pool.pop(i)
            out.append(d)
            left -= len(d[0])
            if left < 16:
                break
            if len(self.pool) < self.want // 2:
                self.more()
        return pack(out, self.S)


def pack(docs, S):
    """tok, weight, seg (document number in the row, -1 = padding), task"""
    tok = np.full(S, PAD_ID, np.int32)
    w, seg, task = np.zeros(S, np.uint8), np.full(S, -1, np.int16), np.zeros(S, np.uint8)
    p = 0
    for i, (ids, ww, t) in enumerate(docs):
        n = len(ids)
        tok[p : p + n], w[p : p + n], seg[p : p + n], task[p : p + n] = ids, ww, i, t
        p += n
    return tok, w, seg, task


GROUPS = [
    "pad",
    "identity",
    "smalltalk",
    "add",
    "sub",
    "mul",
    "div",
    "wordprob",
    "compare",
    "sequence",
    "words",
    "facts",
    "case",
    "extract",
    "story",
    "poem",
    "code",
    "unknown",
    "multi",
    "memory",
    "tool",
    "tool_parallel",
    "tool_none",
    "agent",
    "recall",
    "raw",
]
TASKS = GROUPS + [g + "_think" for g in GROUPS[1:18]]
_TID = {t: i for i, t in enumerate(TASKS)}


def task_id(t):
    return _TID.get(t, 0)


def _worker(S, rows, seed, q):
    try:
        os.nice(5)
    except OSError:
        pass
    p = Packer(S, seed)
    while True:
        q.put([np.stack(x) for x in zip(*[p.row() for _ in range(rows)])])


class Loader:
    """Yields batches of B rows; with workers=0 everything runs inline."""

    def __init__(self, B, S, workers, seed=1):
        self.B, self.S = B, S
        if workers == 0:
            self.p, self.q = Packer(S, seed), None
            return
        ctx = mp.get_context("fork")
        self.q = ctx.Queue(maxsize=4 * workers)
        self.procs = [
            ctx.Process(target=_worker, args=(S, B, seed + 1000 * (i + 1), self.q), daemon=True)
            for i in range(workers)
        ]
        for p in self.procs:
            p.start()

    def next(self):
        if self.q is None:
            return [np.stack(x) for x in zip(*[self.p.row() for _ in range(self.B)])]
        try:
            return self.q.get(timeout=60)
        except Exception:  # workers gone: carry on inline
            print("data workers do not answer, generating inline", flush=True)
            self.p, self.q = Packer(self.S, 4242), None
            return self.next()

    def close(self):
        if self.q is not None:
            for p in self.procs:
                p.terminate()


def eval_batches(docs, B, S):
    """Packs {task: [Doc]} into batches; also returns per document (task, batch, row, first,
    length, ids, weights).
    """
    tok = tokenizer()
    items = []
    for t, ds in docs.items():
        for d in ds:
            ids, w = encode(tok, d)
            if len(ids) <= S:
                items.append((t, ids, w))
    items.sort(key=lambda x: -len(x[1]))
    rows = []  # first fit decreasing
    for it in items:
        for r in rows:
            if r[0] >= len(it[1]):
                break
        else:
            r = [S, []]
            rows.append(r)
        r[1].append(it)
        r[0] -= len(it[1])
    while len(rows) % B:
        rows.append([S, []])
    batches, index = [], []
    for b in range(0, len(rows), B):
        arr = []
        for k, r in enumerate(rows[b : b + B]):
            p = 0
            for t, ids, w in r[1]:
                index.append((t, b // B, k, p, len(ids), ids, w))
                p += len(ids)
            arr.append(pack([(ids, w, 0) for _, ids, w in r[1]], S))
        batches.append([np.stack(x) for x in zip(*arr)])
    return batches, index


if __name__ == "__main__":
    import time

    p = Packer(4096, 3)
    p.row()
    t, n, used = time.time(), 0, 0
    for _ in range(20):
        tok, w, seg, task = p.row()
        n += len(tok)
        used += (seg >= 0).sum()
    dt = time.time() - t
    print(
        f"{n / dt:.0f} tokens/s a process, filled {used / n:.3f}, strict share {(w >= 98).mean():.3f}"
    )
