"""Filters and searches in an embedding space: near-duplicates by meaning, nearest neighbours."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from synthwright.errors import ConfigError
from synthwright.filters.base import Filter, text_of

if TYPE_CHECKING:
    import numpy as np

__all__ = ["EmbeddingNovelty", "Neighbours"]

Embed = Callable[[list[str]], Any]

_BLOCK = 4096  # vectors of one matrix
_WAITING = 256  # texts that are embedded together when a run resumes


@dataclass(repr=False)
class EmbeddingNovelty(Filter):
    """Drops a row whose embedding lies close to that of a kept row, measured by squared L2 distance or cosine.

    A check is one product of a matrix and a vector: time and memory grow with the kept rows (384 dimensions: 1.5 GB for
    a million). Rows of a resumed run are embedded in batches.

    Source: Magpie (Xu et al., 2025): squared L2 below 0.05, which is a cosine of about 0.975. SAND-Math (2025): cosine
    from 0.99. Persona Hub (Ge et al., 2024, section 2.3): cosine from 0.9.

    Args:
        field_name: The text field compared.
        embed: Takes a list of n texts, returns n vectors of equal length; they are normalised here.
        threshold: For `squared_l2`, distance below which a row counts as a copy, in (0, 4]; for `cosine`, similarity
            from which it does, in (0, 1].
        metric: How the threshold is meant.
    """

    field_name: str
    embed: Embed
    threshold: float = 0.05
    metric: Literal["squared_l2", "cosine"] = "squared_l2"
    _blocks: "list[np.ndarray[Any, Any]]" = field(default_factory=list, init=False)
    _texts: list[str] = field(default_factory=list, init=False)
    _waiting: list[str] = field(default_factory=list, init=False)  # kept, not embedded yet
    _count: int = field(default=0, init=False)
    _last: tuple[str, Any] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        if self.metric not in ("squared_l2", "cosine"):
            raise ConfigError(f"`metric` of EmbeddingNovelty must be 'squared_l2' or 'cosine', got {self.metric!r}.")
        largest = 4 if self.metric == "squared_l2" else 1
        if not 0 < self.threshold <= largest:
            raise ConfigError(
                f"`threshold` of EmbeddingNovelty must be in (0, {largest}] for {self.metric}, got {self.threshold!r}."
            )

    def __repr__(self) -> str:
        return (
            f"EmbeddingNovelty({self.field_name!r}, {_name(self.embed)}, threshold={self.threshold!r}, "
            f"metric={self.metric!r})"
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> "EmbeddingNovelty":
        twin = EmbeddingNovelty(self.field_name, self.embed, self.threshold, self.metric)  # runs share the model
        twin._blocks = [block.copy() for block in self._blocks]
        twin._texts, twin._waiting = self._texts.copy(), self._waiting.copy()
        twin._count, twin._last = self._count, self._last
        return twin

    def check(self, row: Any) -> str | None:
        self._settle()
        if not self._count:
            return None
        vector = self._vector(text_of(row, self.field_name))
        cosine, index = -1.0, 0
        for number, block in enumerate(self._blocks):
            products = block[: self._count - number * _BLOCK] @ vector
            place = int(products.argmax())
            if products[place] > cosine:
                cosine, index = float(products[place]), number * _BLOCK + place
        distance = max(0.0, 2 - 2 * cosine)
        other = " ".join(self._texts[index].split())[:80]
        if self.metric == "cosine":
            return f"near_duplicate: cosine {cosine:.3f} with {other!r}" if cosine >= self.threshold else None
        return f"near_duplicate: squared distance {distance:.3f} with {other!r}" if distance < self.threshold else None

    def add(self, row: Any) -> None:
        text = text_of(row, self.field_name)
        if self._last is not None and self._last[0] == text and not self._waiting:
            self._append(text, self._last[1])
            return
        self._waiting.append(text)
        if len(self._waiting) >= _WAITING:
            self._settle()

    def _settle(self) -> None:
        if self._waiting:
            texts, self._waiting = self._waiting, []
            for text, vector in zip(texts, unit_vectors(self.embed, texts), strict=True):
                self._append(text, vector)

    def _vector(self, text: str) -> Any:
        if self._last is None or self._last[0] != text:
            self._last = (text, unit_vectors(self.embed, [text])[0])
        return self._last[1]

    def _append(self, text: str, vector: Any) -> None:
        import numpy as np

        if self._count == _BLOCK * len(self._blocks):
            self._blocks.append(np.empty((_BLOCK, len(vector)), dtype=np.float32))
        self._blocks[-1][self._count % _BLOCK] = vector
        self._texts.append(text)
        self._count += 1


class Neighbours:
    """The nearest of a fixed set of texts by cosine.

    The search half of SAND-Math's decontamination (2025): the five benchmark items nearest to a question are shown to a
    judge, whose signature is the method's.

    Args:
        texts: The texts searched, such as those of `read_items`.
        embed: Takes a list of n texts, returns n vectors of equal length; they are normalised here.
    """

    def __init__(self, texts: Sequence[str], embed: Embed) -> None:
        self.texts, self.embed = tuple(texts), embed
        self._vectors: Any = None

    def nearest(self, texts: Sequence[str], k: int = 5) -> list[list[tuple[float, int]]]:
        """For each text the k nearest, best first, as (cosine, index into `self.texts`); all if there are fewer."""
        import numpy as np

        if not self.texts or not texts or k < 1:
            return [[] for _ in texts]
        if self._vectors is None:
            parts = [self.texts[start : start + _WAITING] for start in range(0, len(self.texts), _WAITING)]
            self._vectors = np.concatenate([unit_vectors(self.embed, list(part)) for part in parts])
        found = []
        for start in range(0, len(texts), _WAITING):
            cosines = unit_vectors(self.embed, list(texts[start : start + _WAITING])) @ self._vectors.T
            best = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
            found += [[(float(line[i]), int(i)) for i in places] for line, places in zip(cosines, best, strict=True)]
        return found


def unit_vectors(embed: Embed, texts: list[str]) -> "np.ndarray[Any, Any]":
    """The vectors of some texts, float32, n x d, each of length 1.

    Raises:
        ConfigError: The embedder returned another number of vectors, or none at all.
    """
    import numpy as np

    vectors = np.asarray(embed(texts), dtype=np.float32)
    if vectors.ndim != 2 or len(vectors) != len(texts):
        raise ConfigError(
            f"The embedder {_name(embed)} must return {len(texts)} vectors for {len(texts)} texts, got an array of "
            f"shape {vectors.shape!r}."
        )
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def _name(embed: Embed) -> str:
    """How runs record an embedder: its `repr` if that is short and stable, else its name."""
    plain = repr(embed)
    if len(plain) <= 120 and " at 0x" not in plain:
        return plain
    named = embed if hasattr(embed, "__qualname__") else type(embed)
    return f"{named.__module__}.{getattr(named, '__qualname__', '?')}"
