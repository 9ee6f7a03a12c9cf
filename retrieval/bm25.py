"""BM25 over any corpus (Robertson and Zaragoza, 2009): rank-bm25 for small ones, bm25s on disk for large ones."""

import hashlib
import itertools
import json
import logging
import os
import re
import shutil
import tempfile
import threading
import weakref
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, get_args

from filelock import FileLock
from rank_bm25 import BM25Okapi

from synthwright.errors import ConfigError
from synthwright.retrieval.base import Corpus, PassageList, Retriever, cache_directory
from synthwright.retrieval.index import DamagedIndexError, DiskIndex, build_index, check_index, remove_index
from synthwright.retrieval.passages import Passage
from synthwright.retrieval.tokens import Tokenizer

__all__ = ["BM25", "BM25Engine"]

BM25Engine = Literal["auto", "rank_bm25", "bm25s"]

LARGE = 10_000
"""Passages from which `auto` takes bm25s."""

_log = logging.getLogger("synthwright.retrieval")


class BM25(Retriever):
    """Ranks passages by the words they share with a query, with the formula of `rank_bm25.BM25Okapi`.

    Two engines give the same ranking. `rank_bm25` is the reference: it keeps everything in memory and looks at every
    passage for every word. `bm25s` keeps its index and the passages on disk, maps them into memory, and looks only at
    passages that hold a word; its scores are rounded to 32 bits, so scores nearer than that are ties.

    bm25s has no method with this formula: the nearest, `atire`, weighs a word by log(N / n), while `BM25Okapi` uses
    log((N - n + 0.5) / (n + 0.5)) and gives words that are in more than half of the passages `epsilon` times the
    mean weight. The index therefore holds the weights of `BM25Okapi`.

    Args:
        corpus: A corpus, or any iterable of passages, which is read once.
        path: Folder for the index of bm25s; made if it is missing, used again if it fits, built again with a warning
            in the log if it is damaged or was made from something else. None for a folder in the cache (for a
            corpus without a hash and for an iterable: a temporary one, which goes with this object).
        engine: `auto` takes `bm25s` from 10,000 passages on.
        tokenizer: Splits passages and queries into words; None for `Tokenizer()`.
        k1: How slowly repetitions of a word stop counting, 0 or more.
        b: How much long passages are held back, from 0 to 1.
        epsilon: Weight of very common words, as a share of the mean weight; 0 or more.

    Raises:
        ConfigError: The corpus has no passage with a word in it, or an argument is wrong.

    Example:
        >>> BM25([Passage(text="Snow is frozen water."), Passage(text="Bread is baked.")]).search("frozen", k=1)[0].text
        'Snow is frozen water.'
    """

    def __init__(
        self,
        corpus: Corpus | Iterable[Passage],
        *,
        path: str | Path | None = None,
        engine: BM25Engine = "auto",
        tokenizer: Tokenizer | None = None,
        k1: float = 1.5,
        b: float = 0.75,
        epsilon: float = 0.25,
    ) -> None:
        if engine not in get_args(BM25Engine):
            raise ConfigError(f"`engine` must be one of {', '.join(get_args(BM25Engine))}, got {engine!r}.")
        if k1 < 0 or not 0 <= b <= 1 or epsilon < 0:
            raise ConfigError(
                f"`k1` and `epsilon` must be 0 or more and `b` in [0, 1], got {k1!r}, {epsilon!r}, {b!r}."
            )
        if isinstance(corpus, (list, tuple)):
            corpus = PassageList(corpus)
        self.tokenizer, self.k1, self.b, self.epsilon = tokenizer or Tokenizer(), k1, b, epsilon
        self.name = getattr(corpus, "name", "passages")
        self._lock = threading.Lock()
        self._disk: DiskIndex | None = None
        self._memory: _Memory | None = None
        origin = self._origin(corpus) if engine != "rank_bm25" and isinstance(corpus, Corpus) else None
        if path is not None and engine != "rank_bm25" and origin is None:
            raise ConfigError(
                f"An index at a `path` is kept by the hash of its corpus, and this {type(corpus).__name__} has none. "
                "Pass a Corpus or a list; for a streamed data set, DatasetCorpus(..., version=...)."
            )
        self.path = self._folder(path, origin)
        if origin and self._fits(origin, warn=True):
            self.engine = "bm25s"
            return
        small, passages = _small(corpus, engine)
        self.engine: str = "rank_bm25" if small else "bm25s"
        if small:
            self._memory = _Memory(list(passages), self.tokenizer, k1, b, epsilon)
        else:
            self._build(passages, origin)

    def __len__(self) -> int:
        return len(self._memory.passages) if self._memory else len(self._opened())

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("_lock", "_disk", "_finalizer")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _lock=threading.Lock(), _disk=None)

    def _search_all(self, queries: list[str], k: int) -> list[list[Passage]]:
        index = self._memory or self._opened()
        return [index.search(self.tokenizer(query), k) for query in queries]

    def _opened(self) -> DiskIndex:
        with self._lock:
            if self._disk is None:
                if not self.path.is_dir():
                    raise ConfigError(f"The index at {str(self.path)!r} is gone. Make the BM25 object again.")
                self._disk = DiskIndex(self.path)
            return self._disk

    def _origin(self, corpus: Corpus) -> dict[str, Any] | None:
        if not (key := corpus.hash()):
            return None
        settings = {"k1": self.k1, "b": self.b, "epsilon": self.epsilon}
        return {"corpus": corpus.name, "hash": key, "tokenizer": self.tokenizer.settings(), **settings}

    def _folder(self, path: str | Path | None, origin: dict[str, Any] | None) -> Path:
        if path is not None:
            return Path(path)
        if origin is None:
            return Path()
        key = hashlib.sha256(json.dumps(origin, sort_keys=True).encode()).hexdigest()[:16]
        name = re.sub(r"[^\w-]+", "-", origin["corpus"])[:40]
        return cache_directory() / "indexes" / f"{name}-{key}"

    def _fits(self, origin: dict[str, Any], *, warn: bool = False) -> bool:
        """Whether the index on disk can be used as it is."""
        if not self.path.is_dir() or not os.listdir(self.path):
            return False
        try:
            check_index(self.path, origin)
        except DamagedIndexError as error:
            if warn:
                _log.warning("The index at %s cannot be used again: %s. It is built anew.", self.path, error)
            return False
        return True

    def _build(self, passages: Iterable[Passage], origin: dict[str, Any] | None) -> None:
        settings = {"tokenizer": self.tokenizer, "k1": self.k1, "b": self.b, "epsilon": self.epsilon}
        if origin is None:
            self.path = Path(tempfile.mkdtemp(prefix="synthwright-bm25-"))
            self._finalizer = weakref.finalize(self, _remove_if_ours, self.path, os.getpid())
            build_index(passages, self.path, origin={}, **settings)
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{self.path}.lock"):
            if self._fits(origin):  # another process has built it in the meantime
                return
            remove_index(self.path)
            building = Path(f"{self.path}.building")
            remove_index(building)
            building.mkdir()
            build_index(passages, building, origin=origin, **settings)
            building.rename(self.path)


class _Memory:
    """The reference engine."""

    def __init__(self, passages: list[Passage], tokenizer: Tokenizer, k1: float, b: float, epsilon: float) -> None:
        self.passages = passages
        words = [tokenizer(passage.text) for passage in passages]
        if not any(words):
            raise ConfigError(
                f"BM25 needs passages with words in them, got {len(passages)} without any. A corpus says in `skipped` "
                "what it left out."
            )
        self._bm25 = BM25Okapi(words, k1=k1, b=b, epsilon=epsilon)

    def search(self, words: list[str], k: int) -> list[Passage]:
        scores, wanted = self._bm25.get_scores(words), set(words)
        sharing = [i for i, counts in enumerate(self._bm25.doc_freqs) if not wanted.isdisjoint(counts)]
        best = sorted(sharing, key=lambda i: -scores[i])[:k]
        return [self.passages[i].scored(float(scores[i])) for i in best]


def _small(corpus: Iterable[Passage], engine: str) -> tuple[bool, Iterable[Passage]]:
    """Whether rank-bm25 serves this corpus, and its passages, of which at most the first 10,000 were read."""
    if engine != "auto":
        return engine == "rank_bm25", corpus
    size = corpus.size if isinstance(corpus, Corpus) else None
    if size is not None:
        return size < LARGE, corpus
    passages: Iterator[Passage] = iter(corpus)
    first = list(itertools.islice(passages, LARGE))
    return len(first) < LARGE, itertools.chain(first, passages)


def _remove_if_ours(folder: Path, process: int) -> None:
    if os.getpid() == process:  # a forked worker must not delete the index of its parent
        shutil.rmtree(folder, ignore_errors=True)
