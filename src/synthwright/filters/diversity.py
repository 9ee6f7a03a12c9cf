"""How varied a set of texts, vectors or labels is. Higher is more varied, except where a measure says otherwise."""

import math
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from synthwright.errors import ConfigError
from synthwright.filters.duplicates import rouge_l, rouge_tokens
from synthwright.filters.words import ngrams, words

__all__ = ["distinct_n", "label_entropy", "max_rouge_l", "mean_rouge_l", "self_bleu", "vendi_score"]

_BLOCK = 256


def distinct_n(texts: Iterable[str], n: int = 2) -> float:
    """Distinct n-grams over all n-grams of all texts, in [0, 1]; 0 if there are none. Falls as a set grows.

    Source: Li et al., 2016 (distinct-1 and distinct-2).
    """
    counts: Counter[tuple[str, ...]] = Counter()
    for text in texts:
        counts.update(ngrams(words(text), n))
    return len(counts) / counts.total() if counts else 0.0


def self_bleu(texts: Sequence[str], n: int = 4, *, sample: int | None = 1000, seed: int = 0) -> float:
    """Mean BLEU of each text against all others, in [0, 1]. Lower is more varied; 0 for fewer than two texts.

    Uniform weights for 1- to n-grams, smoothing method 1 of Chen and Cherry, 2014 (0.1 for no match), the closest
    reference length; equal to NLTK's `sentence_bleu` on the same words. Grows with the number of texts, so compare sets
    of one size. Linear in the number of words, since only the two largest counts of an n-gram matter.

    Source: Zhu et al., 2018 (Texygen).

    Args:
        texts: The texts.
        n: Longest n-gram, 1 or more.
        sample: Texts drawn if there are more; None takes all.
        seed: Fixes the draw.
    """
    chosen = _sample(texts, sample, seed)
    tokens = [words(text) for text in chosen]
    if len(tokens) < 2:
        return 0.0
    counts = [[Counter(ngrams(line, size)) for size in range(1, n + 1)] for line in tokens]
    # for each n-gram the largest count of any text, whose it is, and the largest count of any other text
    best: dict[tuple[str, ...], tuple[int, int, int]] = {}
    for index, sizes in enumerate(counts):
        for grams in sizes:
            for gram, count in grams.items():
                first, owner, second = best.get(gram, (0, -1, 0))
                best[gram] = (count, index, first) if count > first else (first, owner, max(second, count))
    lengths = Counter(map(len, tokens))
    total = 0.0
    for index, sizes in enumerate(counts):
        logs = 0.0
        for size, grams in enumerate(sizes, 1):
            matches = sum(min(c, best[g][2] if best[g][1] == index else best[g][0]) for g, c in grams.items())
            if size == 1 and matches == 0:
                break  # not one word in common: BLEU is 0 whatever the smoothing
            logs += math.log((matches or 0.1) / max(1, len(tokens[index]) - size + 1)) / n
        else:
            length = len(tokens[index])
            lengths[length] -= 1
            closest = min((abs(other - length), other) for other, count in lengths.items() if count)[1]
            lengths[length] += 1
            total += math.exp(logs + min(0.0, 1 - closest / length))
    return total / len(tokens)


def mean_rouge_l(texts: Sequence[str], *, pairs: int = 100_000, seed: int = 0) -> float:
    """Mean ROUGE-L (no stemmer) of pairs of different texts, in [0, 1]. Lower is more varied; 0 for fewer than two.

    Args:
        texts: The texts.
        pairs: Pairs drawn at random, without replacement, if there are more.
        seed: Fixes the draw.
    """
    count = len(texts)
    total = count * (count - 1) // 2
    if not total:
        return 0.0
    numbers = range(total) if total <= pairs else random.Random(f"{seed}:mean_rouge_l").sample(range(total), pairs)
    tokens: dict[int, list[str]] = {}
    score = 0.0
    for number in numbers:
        i = (1 + math.isqrt(1 + 8 * number)) // 2  # pair (i, j) with j < i has the number i * (i - 1) / 2 + j
        a, b = (tokens.get(k) or tokens.setdefault(k, rouge_tokens(texts[k])) for k in (i, number - i * (i - 1) // 2))
        score += rouge_l(a, b)
    return score / len(numbers)


def max_rouge_l(texts: Sequence[str], *, sample: int | None = 1000, seed: int = 0) -> float:
    """Mean over texts of the highest ROUGE-L (no stemmer) to any other text, in [0, 1]. Lower is more varied.

    Source: Self-Instruct (Wang et al., 2023, figure 5) shows the distribution of the highest ROUGE-L to the seeds.

    Args:
        texts: The texts; each drawn one is compared with all of them. 0 for fewer than two.
        sample: Texts drawn if there are more; None takes all.
        seed: Fixes the draw.
    """
    if len(texts) < 2:
        return 0.0
    import numpy as np
    from rapidfuzz import process
    from rapidfuzz.distance import LCSseq

    tokens = [rouge_tokens(text) for text in texts]
    numbers = {token: number for number, token in enumerate(dict.fromkeys(token for line in tokens for token in line))}
    # a character for each word makes comparison fast; beyond a million words two of them share one
    codes = ["".join([chr(0x10000 + numbers[token] % 0x100000) for token in line]) for line in tokens]
    sizes = np.array([len(line) for line in tokens], dtype=np.float64)
    chosen = _sample(range(len(texts)), sample, seed)
    best = 0.0
    for start in range(0, len(chosen), _BLOCK):
        block = list(chosen[start : start + _BLOCK])
        common = process.cdist([codes[i] for i in block], codes, scorer=LCSseq.similarity, dtype=np.int32)
        scores = 2 * common / np.maximum(sizes[block][:, None] + sizes[None, :], 1)
        scores[np.arange(len(block)), block] = 0
        best += float(scores.max(axis=1).sum())
    return best / len(chosen)


def vendi_score(vectors: Any) -> float:
    """The effective number of different vectors, from 1 (all alike) to their number (all orthogonal).

    The exponential of the entropy of the eigenvalues of K / n, where K holds the cosines of all pairs.

    Source: Friedman and Dieng, 2023 (The Vendi Score).

    Args:
        vectors: A matrix n x d, such as an embedder returns; rows are normalised here.

    Raises:
        ConfigError: It is no matrix, or it has no rows or a row of zeros.
    """
    import numpy as np

    matrix = np.asarray(vectors, dtype=np.float64)
    norms = np.linalg.norm(matrix, axis=1, keepdims=True) if matrix.ndim == 2 else np.zeros(0)
    if not norms.size or not norms.all():
        raise ConfigError(f"The Vendi score needs n x d vectors other than zero, got shape {matrix.shape!r}.")
    matrix = matrix / norms
    n, d = matrix.shape
    gram = matrix @ matrix.T if n <= d else matrix.T @ matrix  # the two have the same eigenvalues beside zeros
    values = np.linalg.eigvalsh(gram / n)
    values = values[values > 1e-12]
    return float(np.exp(-(values * np.log(values)).sum()))


def label_entropy(labels: Iterable[Any], *, normalized: bool = False) -> float:
    """Shannon entropy of labels or categories, in bits; 0 for none or one kind.

    Args:
        labels: Hashable labels, one a row.
        normalized: Whether it is divided by that of as many equally frequent kinds, which gives a value in [0, 1].
    """
    counts = Counter(labels)
    total = counts.total()
    entropy = -sum(count / total * math.log2(count / total) for count in counts.values())
    if normalized:
        return entropy / math.log2(len(counts)) if len(counts) > 1 else 0.0
    return entropy + 0.0  # not -0.0


def _sample(values: Sequence[Any], sample: int | None, seed: int) -> Sequence[Any]:
    if sample is None or len(values) <= sample:
        return values
    places = sorted(random.Random(f"{seed}:sample").sample(range(len(values)), sample))
    return [values[place] for place in places]
