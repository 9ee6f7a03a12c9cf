"""How varied the rows are: a map of them in two dimensions, the nearest pairs, and a few measures."""

import random
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from synthwright.filters.diversity import distinct_n, self_bleu, vendi_score
from synthwright.filters.words import ngrams, words

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Diversity", "Embed", "diversity", "hashed_ngrams", "nearest", "project"]

Embed = Callable[[Sequence[str]], Any]

MOST_MAPPED = 4_000
"""Rows on the map and in the search for nearest pairs; more are sampled."""

MOST_EMBEDDED = 1_500
"""The same where a model embeds the texts, which takes some milliseconds a text."""

MOST_MEASURED = 500
"""Rows of which the measures are taken, so that datasets of different sizes can be compared."""

PAIRS = 100
"""Nearest pairs that are kept."""

DIMENSIONS = 4_096
"""Hash buckets of the n-grams."""


@dataclass(frozen=True)
class Diversity:
    """What was found.

    Attributes:
        by: What the vectors are made of, in words.
        indexes: Positions in the given texts of the rows that were looked at.
        points: Their places on the map, within [-1, 1].
        similarity: Of each the cosine to its nearest neighbour, in [0, 1].
        pairs: (position, position, cosine) of the nearest pairs, nearest first.
        measures: (name, value, what it says).
    """

    by: str
    indexes: list[int]
    points: list[tuple[float, float]]
    similarity: list[float]
    pairs: list[tuple[int, int, float]]
    measures: list[tuple[str, float, str]]


def diversity(texts: Sequence[str], embed: Embed | None = None, *, seed: int = 0) -> Diversity | None:
    """Compare the texts of rows.

    Args:
        texts: One text a row.
        embed: An embedder; None for hashed n-grams of words.
        seed: Fixes the samples.

    Returns:
        None if fewer than three texts hold words.
    """
    usable = [index for index, text in enumerate(texts) if words(text)]
    if len(usable) < 3:
        return None
    indexes = _sample(usable, MOST_MAPPED if embed is None else MOST_EMBEDDED, seed)
    chosen = [texts[index] for index in indexes]
    matrix = hashed_ngrams(chosen) if embed is None else _unit(embed(chosen))
    similarity, pairs = nearest(matrix)
    measured = _sample(range(len(indexes)), MOST_MEASURED, seed)
    sample = [chosen[place] for place in measured]
    size = f"{len(sample):,} rows"
    measures = [
        ("distinct-2", distinct_n(sample), f"different word pairs among all of {size}; 1 if none comes twice"),
        ("self-BLEU", self_bleu(sample, sample=None), f"overlap of a text with the rest of {size}; lower is better"),
        (
            "Vendi score",
            vendi_score(matrix[measured]),
            f"the number of wholly different texts that would be as varied as {size}",
        ),
    ]
    return Diversity(
        by="embeddings" if embed is not None else "words and pairs of words they share (hashed n-grams)",
        indexes=indexes,
        points=project(matrix),
        similarity=similarity,
        pairs=[(indexes[a], indexes[b], cosine) for a, b, cosine in pairs],
        measures=measures,
    )


def hashed_ngrams(texts: Sequence[str]) -> "np.ndarray[Any, Any]":
    """Unit vectors of words and pairs of words: hashed into buckets, logarithmic counts, rare ones weigh more."""
    import numpy as np

    matrix = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
    for index, text in enumerate(texts):
        tokens = words(text)
        grams = Counter(zlib.crc32("\0".join(g).encode()) % DIMENSIONS for n in (1, 2) for g in ngrams(tokens, n))
        for bucket, count in grams.items():
            matrix[index, bucket] = 1 + np.log(count)
    rows_with = (matrix > 0).sum(axis=0)
    matrix *= np.log((1 + len(texts)) / (1 + rows_with)).astype(np.float32) + 1
    return _unit(matrix)


def project(matrix: "np.ndarray[Any, Any]", *, rounds: int = 8) -> list[tuple[float, float]]:
    """Places in the plane that keep most of the variance, scaled to [-1, 1].

    The two largest singular directions of the centred matrix, by subspace iteration with a fixed start.

    Source: Halko, Martinsson and Tropp, 2011, algorithm 4.4.

    Args:
        matrix: n x d vectors.
        rounds: Power iterations.
    """
    import numpy as np

    centred = matrix - matrix.mean(axis=0)
    basis = np.random.default_rng(0).standard_normal((matrix.shape[1], min(10, *matrix.shape))).astype(np.float32)
    for _ in range(rounds):
        basis, _ = np.linalg.qr(centred.T @ (centred @ basis))
    left, values, _ = np.linalg.svd(centred @ basis, full_matrices=False)
    places = np.zeros((len(matrix), 2))
    kept = min(2, len(values))
    places[:, :kept] = left[:, :kept] * values[:kept]
    for axis in range(2):  # singular vectors have no sign of their own
        if places[np.abs(places[:, axis]).argmax(), axis] < 0:
            places[:, axis] *= -1
    places /= max(float(np.abs(places).max()), 1e-12)
    return [(round(float(x), 4), round(float(y), 4)) for x, y in places]


def nearest(matrix: "np.ndarray[Any, Any]", *, block: int = 512) -> tuple[list[float], list[tuple[int, int, float]]]:
    """Of each vector the cosine to its nearest neighbour, and the nearest pairs, nearest first, each once."""
    import numpy as np

    best = np.zeros(len(matrix), dtype=np.float32)
    other = np.zeros(len(matrix), dtype=np.int64)
    for start in range(0, len(matrix), block):
        stop = min(start + block, len(matrix))
        cosines = matrix[start:stop] @ matrix.T
        cosines[np.arange(stop - start), np.arange(start, stop)] = -1
        other[start:stop] = cosines.argmax(axis=1)
        best[start:stop] = cosines.max(axis=1)
    found = {
        (min(a, b), max(a, b)): float(cosine)
        for a, b, cosine in zip(range(len(matrix)), other.tolist(), best.tolist(), strict=True)
    }
    pairs = sorted(((a, b, round(min(1.0, c), 4)) for (a, b), c in found.items()), key=lambda p: (-p[2], p[0], p[1]))
    return [round(min(1.0, max(0.0, float(c))), 4) for c in best], pairs[:PAIRS]


def _unit(vectors: Any) -> "np.ndarray[Any, Any]":
    import numpy as np

    matrix = np.asarray(vectors, dtype=np.float32)
    return matrix / np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-12)


def _sample(values: Sequence[int], most: int, seed: int) -> list[int]:
    if len(values) <= most:
        return list(values)
    places = sorted(random.Random(f"{seed}:report").sample(range(len(values)), most))
    return [values[place] for place in places]
