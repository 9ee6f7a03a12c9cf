"""Filters against the pool: exact copies, ROUGE-L neighbours, neighbours in an embedding space."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from rapidfuzz.distance import LCSseq

from synthwright.errors import ConfigError
from synthwright.filters.base import Filter, text_of

__all__ = ["EmbeddingNovelty", "ExactDuplicate", "RougeNovelty", "rouge_l"]

_NOT_ALPHANUMERIC = re.compile(r"[^a-z0-9]+")


@dataclass
class ExactDuplicate(Filter):
    """Drops rows whose fields equal those of a kept row, after case and white space are folded.

    Args:
        fields: Fields compared; empty compares the whole content by the row's id.
    """

    fields: tuple[str, ...] = ()
    _seen: set[str] = field(default_factory=set, init=False, repr=False)

    def _key(self, row: Any) -> str:
        if not self.fields:
            return row.id
        return "\n".join(" ".join(text_of(row, name).lower().split()) for name in self.fields)

    def check(self, row: Any) -> str | None:
        return "duplicate" if self._key(row) in self._seen else None

    def add(self, row: Any) -> None:
        self._seen.add(self._key(row))


def rouge_tokens(text: str) -> list[str]:
    """Lower-case runs of a-z and 0-9: the tokens of the `rouge-score` package without a stemmer."""
    return _NOT_ALPHANUMERIC.sub(" ", text.lower()).split()


def rouge_l(a: Sequence[str], b: Sequence[str]) -> float:
    """ROUGE-L F-measure of two token lists, in [0, 1]; 0 if one is empty.

    Source: Lin, 2004; equal to the `rouge-score` package on the same tokens.
    """
    if not a or not b:
        return 0.0
    common = LCSseq.similarity(a, b)
    return 2 * common / (len(a) + len(b))


@dataclass
class RougeNovelty(Filter):
    """Drops a row if its field has a ROUGE-L of the threshold or more with that field of any kept row.

    Source: Self-Instruct (Wang et al., 2023, section 2.2) with its threshold 0.7. The pool is scanned with a bound
    from the lengths and the shared tokens before the exact computation.

    Args:
        field_name: The text field compared.
        threshold: ROUGE-L from which a row counts as a copy, in (0, 1].
    """

    field_name: str
    threshold: float = 0.7
    _pool: list[tuple[list[str], frozenset[str]]] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise ConfigError(f"`threshold` of RougeNovelty must be in (0, 1], got {self.threshold!r}.")

    def check(self, row: Any) -> str | None:
        tokens = rouge_tokens(text_of(row, self.field_name))
        types = frozenset(tokens)
        for other, other_types in self._pool:
            shorter, longer = sorted((len(tokens), len(other)))
            if types.isdisjoint(other_types) or 2 * shorter / (shorter + longer) < self.threshold:
                continue
            score = rouge_l(tokens, other)
            if score >= self.threshold:
                return f"not_novel: ROUGE-L {score:.2f} with {' '.join(other)[:80]!r}"
        return None

    def add(self, row: Any) -> None:
        tokens = rouge_tokens(text_of(row, self.field_name))
        self._pool.append((tokens, frozenset(tokens)))


@dataclass
class EmbeddingNovelty(Filter):
    """Drops a row whose embedding lies within a squared L2 distance of that of a kept row.

    Source: Magpie (Xu et al., 2025) with unit vectors and the threshold 0.05, i.e. a cosine of about 0.975.

    Args:
        field_name: The text field compared.
        embed: Takes a list of n texts, returns n vectors of equal length; they are normalised here.
        threshold: Squared L2 distance below which a row counts as a copy, in (0, 4].
    """

    field_name: str
    embed: Callable[[list[str]], Any] = field(repr=False)
    threshold: float = 0.05
    _vectors: Any = field(default=None, init=False, repr=False)  # a matrix with room for more rows at its end
    _count: int = field(default=0, init=False, repr=False)

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 4:
            raise ConfigError(f"`threshold` of EmbeddingNovelty must be in (0, 4], got {self.threshold!r}.")

    def __deepcopy__(self, memo: dict[int, Any]) -> "EmbeddingNovelty":
        twin = EmbeddingNovelty(self.field_name, self.embed, self.threshold)  # runs share the model behind `embed`
        twin._vectors = None if self._vectors is None else self._vectors.copy()
        twin._count = self._count
        return twin

    def _vector(self, row: Any) -> Any:
        import numpy as np  # here, because it would be a sixth of the time of `import synthwright`

        vector = np.asarray(self.embed([text_of(row, self.field_name)])[0], dtype=np.float32)
        return vector / max(float(np.linalg.norm(vector)), 1e-12)

    def check(self, row: Any) -> str | None:
        if not self._count:
            return None
        nearest = float((2 - 2 * (self._vectors[: self._count] @ self._vector(row))).min())
        return f"near_duplicate: squared distance {nearest:.3f}" if nearest < self.threshold else None

    def add(self, row: Any) -> None:
        import numpy as np

        vector = self._vector(row)
        if self._vectors is None:
            self._vectors = np.empty((64, len(vector)), dtype=np.float32)
        elif self._count == len(self._vectors):
            self._vectors = np.concatenate([self._vectors, np.empty_like(self._vectors)])
        self._vectors[self._count] = vector
        self._count += 1
