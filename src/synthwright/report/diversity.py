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

__all__ = ["Diversity", "Embed", "diversity", "hashed_ngrams", "lay_out", "nearest", "neighbours", "project"]

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

NEIGHBOURS = 10
"""Neighbours of a row that it is drawn to on the map; of fewer than 80 rows an eighth."""

PUSHES = 20
"""Rows that it is pushed off at a time."""

START = 10.0
"""Half the width of the map at the start, where the reach of the forces is 1."""


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
    near, cosines = neighbours(matrix, min(NEIGHBOURS, max(2, len(matrix) // 8)))
    similarity, pairs = nearest(near, cosines)
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
        points=lay_out(project(matrix), near, cosines),
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


def neighbours(
    matrix: "np.ndarray[Any, Any]", most: int, *, block: int = 512
) -> tuple["np.ndarray[Any, Any]", "np.ndarray[Any, Any]"]:
    """Of each unit vector the places of the nearest others, nearest first, and their cosines: two n x k matrices."""
    import numpy as np

    count = min(most, len(matrix) - 1)
    places, found = [], []
    for start in range(0, len(matrix), block):
        cosines = matrix[start : start + block] @ matrix.T
        own = np.arange(len(cosines))
        cosines[own, start + own] = -np.inf
        near = np.argpartition(-cosines, count - 1, axis=1)[:, :count]
        near = np.take_along_axis(near, np.lexsort((near, -np.take_along_axis(cosines, near, axis=1))), axis=1)
        places.append(near)
        found.append(np.take_along_axis(cosines, near, axis=1))
    return np.concatenate(places), np.concatenate(found)


def nearest(
    near: "np.ndarray[Any, Any]", cosines: "np.ndarray[Any, Any]"
) -> tuple[list[float], list[tuple[int, int, float]]]:
    """Of each vector the cosine to its nearest neighbour, and these pairs, nearest first, each once."""
    found = {
        (min(a, b), max(a, b)): float(cosine)
        for a, (b, cosine) in enumerate(zip(near[:, 0].tolist(), cosines[:, 0].tolist(), strict=True))
    }
    pairs = sorted(((a, b, round(min(1.0, c), 4)) for (a, b), c in found.items()), key=lambda p: (-p[2], p[0], p[1]))
    return [round(min(1.0, max(0.0, float(c))), 4) for c in cosines[:, 0]], pairs[:PAIRS]


def project(matrix: "np.ndarray[Any, Any]", *, rounds: int = 8) -> "np.ndarray[Any, Any]":
    """Places in the plane that keep most of the variance, scaled to [-1, 1]: an n x 2 matrix.

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
    return places / max(float(np.abs(places).max()), 1e-12)


def lay_out(
    start: "np.ndarray[Any, Any]", near: "np.ndarray[Any, Any]", cosines: "np.ndarray[Any, Any]", *, rounds: int = 300
) -> list[tuple[float, float]]:
    """Places in the plane where rows lie next to their neighbours, scaled to [-1, 1].

    Neighbours attract each other, the more the nearer they are among those of a row, and every row is pushed off some
    that are drawn anew in each round: the forces of UMAP (a = b = 1) with all rows moved at once.

    Source: McInnes, Healy and Melville, 2018, sections 3.1 and 3.2.

    Args:
        start: n x 2 places to begin with, which decide where groups lie among each other.
        near: Places of the neighbours of each row, n x k, nearest first.
        cosines: Their cosines.
        rounds: Moves.
    """
    import numpy as np

    rng, count = np.random.default_rng(0), len(near)
    beyond = cosines[:, :1] - cosines  # how much farther than the nearest
    weights = np.exp(-beyond / np.maximum(beyond.mean(axis=1, keepdims=True), 1e-6)).ravel()
    rows, others = np.repeat(np.arange(count), near.shape[1]), near.ravel()
    hold = np.bincount(rows, weights, count) + np.bincount(others, weights, count)
    places = start * START
    for number in range(rounds):
        apart = places[others] - places[rows]
        pull = apart * (2 * weights / (1 + (apart**2).sum(axis=1)))[:, None]
        away = places[:, None] - places[rng.integers(0, count, (count, PUSHES))]
        square = (away**2).sum(axis=2)
        force = (away * (2 / ((0.01 + square) * (1 + square)))[:, :, None]).sum(axis=1)
        for axis in range(2):
            force[:, axis] += np.bincount(rows, pull[:, axis], count) - np.bincount(others, pull[:, axis], count)
        places += (1 - number / rounds) / 2 * np.clip(force / hold[:, None], -4, 4)
    places -= places.mean(axis=0)
    places /= max(float(np.abs(places).max()), 1e-12)
    return [(round(float(x), 4), round(float(y), 4)) for x, y in places]


def _unit(vectors: Any) -> "np.ndarray[Any, Any]":
    import numpy as np

    matrix = np.asarray(vectors, dtype=np.float32)
    return matrix / np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-12)


def _sample(values: Sequence[int], most: int, seed: int) -> list[int]:
    if len(values) <= most:
        return list(values)
    places = sorted(random.Random(f"{seed}:report").sample(range(len(values)), most))
    return [values[place] for place in places]
