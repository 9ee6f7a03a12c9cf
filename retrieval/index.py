"""A BM25 index on disk: built as a stream, read by memory mapping, refused when it is damaged or out of date.

A folder holds the arrays in the format of bm25s (`bm25s.BM25.load(folder, mmap=True)` reads it), the passages as
JSON lines with their offsets, and a manifest that says what the index was made from and the size and CRC of each file.

bm25s builds its arrays from lists of words held in memory, and has no method with the weights of rank-bm25. So the
arrays are built here, in two passes whose memory does not grow with the corpus except for the vocabulary and about
30 bytes a passage, with exactly the formula of `rank_bm25.BM25Okapi`.
"""

import itertools
import json
import math
import mmap
import os
import shutil
import zlib
from array import array
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import bm25s
import numpy as np

from synthwright.errors import ConfigError
from synthwright.retrieval.passages import Passage
from synthwright.retrieval.tokens import Tokenizer

__all__ = ["DamagedIndexError", "DiskIndex", "build_index", "check_index", "remove_index"]

FORMAT = 1
MANIFEST = "manifest.json"
_DATA, _INDICES, _INDPTR = "data.csc.index.npy", "indices.csc.index.npy", "indptr.csc.index.npy"
_VOCABULARY, _PARAMETERS = "vocab.index.json", "params.index.json"
_PASSAGES, _OFFSETS = "passages.jsonl", "offsets.npy"
_FILES = (_DATA, _INDICES, _INDPTR, _VOCABULARY, _PARAMETERS, _PASSAGES, _OFFSETS)
_RUN_KEYS, _RUN_COUNTS = "run-keys.tmp", "run-counts.tmp"
OWN_FILES = frozenset((*_FILES, MANIFEST, _RUN_KEYS, _RUN_COUNTS))
_RUN = 2_000_000
"""Words sorted at a time, about 100 MB."""


_SAMPLE = 4096
"""Passages whose scores give the floor of a search, at least."""


class DamagedIndexError(Exception):
    """A folder does not hold a whole index; the message says what is wrong. Never seen outside this package."""


class _Vocabulary(dict[str, int]):
    def __missing__(self, word: str) -> int:
        self[word] = number = len(self)
        return number


def build_index(
    passages: Iterable[Passage],
    folder: Path,
    *,
    tokenizer: Tokenizer,
    k1: float,
    b: float,
    epsilon: float,
    origin: dict[str, Any],
) -> None:
    """Write the index of a stream of passages into an empty folder; the manifest comes last.

    Args:
        passages: Read once.
        folder: Exists and is empty.
        tokenizer: Splits passages into words.
        k1: As in `BM25`.
        b: As in `BM25`.
        epsilon: As in `BM25`.
        origin: What the index is made from, kept in the manifest and compared by `check_index`.

    Raises:
        ConfigError: No passage has a word in it.
    """
    vocabulary = _Vocabulary()
    offsets, lengths = array("Q", [0]), array("I")
    runs: list[int] = []
    ids, first = array("I"), 0
    with (
        open(folder / _PASSAGES, "wb") as texts,
        open(folder / _RUN_KEYS, "wb") as keys,
        open(folder / _RUN_COUNTS, "wb") as counts,
    ):
        for passage in passages:
            line = passage.model_dump_json(exclude={"id", "score"}).encode() + b"\n"
            texts.write(line)
            offsets.append(offsets[-1] + len(line))
            words = [vocabulary[word] for word in tokenizer(passage.text)]
            lengths.append(len(words))
            ids.extend(words)
            if len(ids) >= _RUN:
                runs.append(_write_run(ids, lengths, first, keys, counts))
                ids, first = array("I"), len(lengths)
        runs.append(_write_run(ids, lengths, first, keys, counts))
    if not vocabulary:
        raise ConfigError(
            f"BM25 needs passages with words in them, got {len(lengths)} without any. A corpus says in `skipped` what "
            "it left out."
        )
    np.save(folder / _OFFSETS, np.frombuffer(offsets, dtype=np.uint64))
    _write_postings(folder, runs, np.frombuffer(lengths, dtype=np.uint32), len(vocabulary), k1, b, epsilon)
    (folder / _VOCABULARY).write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
    parameters = {
        "k1": k1, "b": b, "delta": 0.5, "method": "atire", "idf_method": "atire", "dtype": "float32",
        "int_dtype": "int32", "num_docs": len(lengths), "version": bm25s.__version__, "backend": "numpy",
    }  # fmt: skip
    (folder / _PARAMETERS).write_text(json.dumps(parameters), encoding="utf-8")
    for name in (_RUN_KEYS, _RUN_COUNTS):
        (folder / name).unlink()
    files = {name: [(folder / name).stat().st_size, _crc(folder / name)] for name in _FILES}
    manifest = {"format": FORMAT, "origin": origin, "passages": len(lengths), "files": files}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")


def _write_run(ids: "array[int]", lengths: "array[int]", first: int, keys: Any, counts: Any) -> int:
    """Count the words of the passages from `first` on; write them sorted by word, then by passage."""
    sizes = np.array(lengths[first:], dtype=np.int64)
    passages = np.repeat(np.arange(first, first + len(sizes), dtype=np.uint64), sizes)
    key, count = np.unique((np.frombuffer(ids, dtype=np.uint32).astype(np.uint64) << 32) | passages, return_counts=True)
    key.tofile(keys)
    count.astype(np.uint32).tofile(counts)
    return len(key)


def _write_postings(
    folder: Path, runs: list[int], lengths: np.ndarray, words: int, k1: float, b: float, epsilon: float
) -> None:
    starts = np.concatenate([[0], np.cumsum(runs)])
    total = int(starts[-1])
    keys = np.memmap(folder / _RUN_KEYS, dtype=np.uint64, mode="r", shape=(total,))
    counts = np.memmap(folder / _RUN_COUNTS, dtype=np.uint32, mode="r", shape=(total,))
    holding = np.zeros(words, dtype=np.int64)
    for begin, end in itertools.pairwise(starts.tolist()):
        holding += np.bincount((keys[begin:end] >> 32).astype(np.int64), minlength=words)
    bounds = np.concatenate([[0], np.cumsum(holding)])
    np.save(folder / _INDPTR, bounds)
    weights = _weights(holding, len(lengths), epsilon)
    norms = k1 * (1 - b + b * lengths / lengths.mean())
    create = np.lib.format.open_memmap
    data = create(folder / _DATA, mode="w+", dtype=np.float32, shape=(total,))
    indices = create(folder / _INDICES, mode="w+", dtype=np.int32, shape=(total,))
    heads = bounds[:-1].copy()
    for begin, end in itertools.pairwise(starts.tolist()):
        word = (keys[begin:end] >> 32).astype(np.int64)
        passage = (keys[begin:end] & 0xFFFFFFFF).astype(np.int64)
        count = counts[begin:end].astype(np.float64)
        here, at, many = np.unique(word, return_index=True, return_counts=True)
        places = np.arange(end - begin) + np.repeat(heads[here] - at, many)
        data[places] = weights[word] * (count * (k1 + 1) / (count + norms[passage]))
        indices[places] = passage
        heads[here] += many
    data.flush()
    indices.flush()


def _weights(holding: np.ndarray, passages: int, epsilon: float) -> np.ndarray:
    """Weight of each word, as `rank_bm25.BM25Okapi` has it.

    That is log(N - n + 0.5) - log(n + 0.5) for a word in `n` of `N` passages; a word in more than half of them, for
    which this is negative, gets `epsilon` times the mean of all.
    """
    weights = np.log(passages - holding + 0.5) - np.log(holding + 0.5)
    return np.where(weights < 0, epsilon * math.fsum(weights) / len(weights), weights)


def check_index(folder: Path, origin: dict[str, Any]) -> None:
    """Nothing, if the folder holds a whole index of this origin. Reads every byte: about 1 s for a GB.

    Raises:
        DamagedIndexError: It does not; the message says why.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if manifest["format"] != FORMAT or manifest["origin"] != origin:
            raise DamagedIndexError("it was made from another corpus, with other settings or by another version")
        for name in _FILES:
            size, crc = manifest["files"][name]
            if (folder / name).stat().st_size != size or _crc(folder / name) != crc:
                raise DamagedIndexError(f"{name} is not as it was written")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedIndexError(f"{type(error).__name__}: {error}") from error


def remove_index(folder: Path) -> None:
    """Delete a folder that holds files of an index and nothing else.

    Raises:
        ConfigError: It holds something else.
    """
    if not folder.exists():
        return
    foreign = sorted(set(os.listdir(folder)) - OWN_FILES) if folder.is_dir() else [folder.name]
    if foreign:
        raise ConfigError(f"{str(folder)!r} holds {foreign[0]!r}, which is not part of an index. Give another `path`.")
    shutil.rmtree(folder)


class DiskIndex:
    """An index opened for searching. It maps its files into memory, so it is not picklable itself."""

    def __init__(self, folder: Path) -> None:
        self._bm25 = bm25s.BM25.load(folder, mmap=True, show_progress=False)
        self._offsets = np.load(folder / _OFFSETS, mmap_mode="r")
        with open(folder / _PASSAGES, "rb") as file:
            self._texts = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def passage(self, number: int) -> Passage:
        """A passage by its place in the corpus, from 0."""
        start, end = int(self._offsets[number]), int(self._offsets[number + 1])
        return Passage.model_validate_json(self._texts[start:end])

    def search(self, words: list[str], k: int) -> list[Passage]:
        """The `k` best passages that share a word with the query, best first; ties keep the order of the corpus."""
        ids = self._bm25.get_tokens_ids(words)
        if not ids:
            return []
        scores = self._bm25.get_scores_from_ids(ids)
        found = self._candidates(scores, ids, k)
        best = found[np.lexsort((found, -scores[found]))[:k]].tolist()
        return [self.passage(number).scored(float(scores[number])) for number in best]

    def _candidates(self, scores: np.ndarray, ids: list[int], k: int) -> np.ndarray:
        """Passages among which are the `k` best, found without sorting the scores of all.

        (bm25s partitions them all, which takes about a third of a second where most of a million are 0.) Any `k`
        passages give a floor, the least of their scores, and a sample that holds the rarest words gives a high one.
        """
        indices, bounds = self._bm25.scores["indices"], self._bm25.scores["indptr"]
        columns = sorted((indices[bounds[i] : bounds[i + 1]] for i in set(ids)), key=len)
        sample = np.empty(0, dtype=np.int32)
        for column in columns:
            if len(sample) < k:
                step = max(1, len(column) // max(4 * k, _SAMPLE))
                sample = np.union1d(sample, column[::step])
        if len(sample) >= k and (floor := np.sort(scores[sample])[-k]) > 0:
            return np.flatnonzero(scores >= floor)
        # Few passages, or words without weight: a score of 0 does not tell whether a passage has a word.
        held = np.zeros(len(self), dtype=bool)
        for column in columns:
            held[column] = True
        return np.flatnonzero(held)


def _crc(path: Path) -> int:
    crc = 0
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            crc = zlib.crc32(block, crc)
    return crc
