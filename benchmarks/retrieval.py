"""BM25 over made-up corpora: build time, queries per second and peak memory of both engines, each in its own process.

Usage: python benchmarks/retrieval.py [PASSAGES ...]     (default 10000 100000 1000000)

Passages have 40 to 80 words drawn from 500,000 by Zipf's law (exponent 1.07), seeded. A query is three to five words
of a random passage: any of its words ("any words": half of them are in most passages, as words like "the" are), or
words other than the 100 most frequent ("keywords"). rank-bm25 is run up to 100,000 passages: it keeps each passage as
Python objects (several KB) and looks at every passage for every word of a query.

Times are seconds of processor time, so that they mean the same on a machine that is busy with other things: a figure
for two processes is what they would reach with a core each.
"""

import json
import multiprocessing
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import TypeVar, cast

import numpy as np

from synthwright.retrieval import BM25, Corpus, Passage
from synthwright.retrieval.bm25 import BM25Engine

_index: BM25
T = TypeVar("T")
WORDS, EXPONENT, MOST_FOR_REFERENCE = 500_000, 1.07, 100_000


class Zipf(Corpus):
    """Passages of made-up words, the same at every reading."""

    def __init__(self, passages: int) -> None:
        super().__init__()
        self.passages, self.name = passages, f"zipf-{passages}"

    @property
    def size(self) -> int:
        return self.passages

    def hash(self) -> str:
        return f"{WORDS}-{EXPONENT}-{self.passages}"

    def __iter__(self) -> Iterator[Passage]:
        rng = np.random.default_rng(7)
        shares = np.cumsum(np.arange(1, WORDS + 1) ** -EXPONENT)
        words = [_word(i) for i in range(WORDS)]
        for start in range(0, self.passages, 1000):
            lengths = rng.integers(40, 81, size=min(1000, self.passages - start))
            drawn = np.searchsorted(shares, rng.random(lengths.sum()) * shares[-1])
            for ids in np.split(drawn, np.cumsum(lengths)[:-1]):
                yield Passage(text=" ".join(words[i] for i in ids), source=self.name)


def _word(number: int) -> str:
    letters = ""
    while True:
        number, rest = divmod(number, 100)
        letters += "bcdfghjklm"[rest % 10] + "aeiouyarel"[rest // 10]
        if not number:
            return letters


def build(engine: BM25Engine, passages: int, folder: str) -> tuple[BM25, dict[str, float]]:
    index, seconds = _timed(lambda: BM25(Zipf(passages), engine=engine, path=folder))
    return index, {"build": seconds, "build_peak": _peak()}


def search(index: BM25, count: int) -> dict[str, float]:
    """Queries per second for both kinds of queries: in this process, and in two processes that share them."""
    rng, common = random.Random(3), {_word(i) for i in range(100)}
    result: dict[str, float] = {}
    with multiprocessing.get_context("spawn").Pool(2, _start, (index,)) as pool:
        for kind in ("any", "key"):
            queries = [
                " ".join(rng.sample([w for w in p.text.split() if kind == "any" or w not in common], rng.randint(3, 5)))
                for p in Zipf(count)
            ]
            pool.map(_answer, [queries[:5]] * 8, chunksize=1)
            index.search(queries[:5], k=10)
            result[f"{kind}_one"] = count / _timed(lambda part=queries: index.search(part, k=10))[1]
            workers: dict[int, float] = defaultdict(float)
            for worker, seconds in pool.map(_answer, [queries[i::8] for i in range(8)], chunksize=1):
                workers[worker] += seconds
            result[f"{kind}_two"] = count / max(sum(workers.values()) / 2, 1e-9)
    return result | {"search_peak": _peak()}


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    started = time.process_time()
    done = work()
    return done, time.process_time() - started


def _start(index: BM25) -> None:
    global _index
    _index = index


def _answer(queries: list[str]) -> tuple[int, float]:
    return os.getpid(), _timed(lambda: _index.search(queries, k=10))[1]


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def _child(*arguments: str) -> dict[str, float]:
    done = subprocess.run([sys.executable, __file__, *arguments], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def _compare(counts: list[int]) -> None:
    print(
        "| passages | engine | build, s | its peak, GB | on disk, GB | open, s | any words, /s | in 2 processes |",
        end="",
    )
    print(" keywords, /s | in 2 processes | peak of one, GB |")
    print("| --- " * 11 + "|")
    for count in counts:
        for engine in ("rank_bm25", "bm25s"):
            if engine == "rank_bm25" and count > MOST_FOR_REFERENCE:
                continue
            with tempfile.TemporaryDirectory() as folder:
                index = os.path.join(folder, "index")
                if engine == "rank_bm25":
                    r = _child("both", engine, str(count), index) | {"disk": 0.0, "open": 0.0}
                else:
                    r = _child("build", engine, str(count), index)
                    r["disk"] = sum(entry.stat().st_size for entry in os.scandir(index)) / 2**30
                    r |= _child("search", engine, str(count), index)
            cells = f"{r['build']:.1f} | {r['build_peak']:.2f} | {r['disk']:.2f} | {r['open']:.2f}"
            cells += f" | {r['any_one']:.0f} | {r['any_two']:.0f} | {r['key_one']:.0f} | {r['key_two']:.0f}"
            print(f"| {count:,} | {engine} | {cells} | {r['search_peak']:.2f} |", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in ("both", "build", "search"):
        phase, engine, count, folder = sys.argv[1:]
        index, result = build(cast(BM25Engine, engine), int(count), folder)
        if phase == "search":
            result = {"open": result["build"]}
        if phase != "build":
            result |= search(index, 1000 if engine == "bm25s" else 10)
        print(json.dumps(result))
    else:
        _compare([int(argument) for argument in sys.argv[1:]] or [10_000, 100_000, 1_000_000])
