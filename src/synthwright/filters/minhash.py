"""Near-duplicates by shared words, for millions of rows: MinHash with locality-sensitive hashing."""

import zlib
from array import array
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from synthwright.errors import ConfigError
from synthwright.filters.base import Filter, text_of
from synthwright.filters.words import ngrams, words

if TYPE_CHECKING:
    from synthwright.filters.index import Postings, TextStore

__all__ = ["MinHashNovelty"]

_MISS = 0.001  # chance of overlooking a pair whose similarity is just the threshold


@dataclass
class MinHashNovelty(Filter):
    """Drops a row if the words of its field have a Jaccard similarity of the threshold or more with a kept row's.

    Signatures by `rensa` (R-MinHash) find the candidates: pairs that agree in a whole band of the signature. Each
    candidate is then compared exactly, so nothing below the threshold is dropped, and a pair at the threshold is found
    with a probability of 0.999 or more. Works for every script. A row without words is kept.

    Source: Persona Hub (Ge et al., 2024, section 2.3): 1-grams, 128 permutations, 0.9; Broder, 1997; banding as in
    Leskovec et al., Mining of Massive Datasets, section 3.4. Why `rensa`: `benchmarks/results/duplicates.md`.

    Args:
        field_name: The text field compared.
        threshold: Jaccard similarity from which a row counts as a copy, in (0, 1].
        ngram: Words of one feature, 1 or more.
        permutations: Length of a signature, 16 to 1024.
        seed: Fixes the hash functions, 0 or more.
    """

    field_name: str
    threshold: float = 0.9
    ngram: int = 1
    permutations: int = 128
    seed: int = 0
    _texts: "TextStore | None" = field(default=None, init=False, repr=False)
    _bands: "Postings | None" = field(default=None, init=False, repr=False)
    _last: tuple[str, frozenset[str], list[int]] | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise ConfigError(f"`threshold` of MinHashNovelty must be in (0, 1], got {self.threshold!r}.")
        if self.ngram < 1 or not 16 <= self.permutations <= 1024 or self.seed < 0:
            raise ConfigError(
                "MinHashNovelty needs `ngram` >= 1, `permutations` in 16..1024 and `seed` >= 0, got "
                f"{self.ngram!r}, {self.permutations!r}, {self.seed!r}."
            )

    def check(self, row: Any) -> str | None:
        texts, bands = self._index()
        _, grams, keys = self._read(text_of(row, self.field_name))
        best, nearest = 0.0, ""
        for index in sorted({int(i) for entry in bands.lists(keys) for part in entry.parts for i in part}):
            other = texts[index]
            score = jaccard(grams, self._grams(other))
            if score > best:
                best, nearest = score, other
        if best < self.threshold:
            return None
        return f"near_duplicate: Jaccard {best:.2f} with {' '.join(nearest.split())[:80]!r}"

    def add(self, row: Any) -> None:
        texts, bands = self._index()
        text, _, keys = self._read(text_of(row, self.field_name))
        bands.add(len(texts), keys)
        texts.append(text)

    def _index(self) -> "tuple[TextStore, Postings]":
        if self._texts is None or self._bands is None:
            from synthwright.filters.index import Postings, TextStore  # brings numpy, too slow for `import synthwright`

            self._texts, self._bands = TextStore(), Postings()
        return self._texts, self._bands

    def _grams(self, text: str) -> frozenset[str]:
        tokens = words(text)
        return frozenset(" ".join(gram) for gram in ngrams(tokens, min(self.ngram, len(tokens))))

    def _read(self, text: str) -> tuple[str, frozenset[str], list[int]]:
        """A text with its features and the keys of its bands: a row is read once, not again when it is added."""
        if self._last is None or self._last[0] != text:
            grams = self._grams(text)
            self._last = (text, grams, self._keys(grams))
        return self._last

    def _keys(self, grams: frozenset[str]) -> list[int]:
        if not grams:
            return []
        from rensa import RMinHash  # pyright: ignore[reportAttributeAccessIssue]  # compiled, without stubs

        signature = RMinHash(self.permutations, self.seed)
        signature.update(sorted(grams))
        packed, width = array("I", signature.digest()).tobytes(), 4 * band_rows(self.threshold, self.permutations)
        whole = len(packed) // width * width
        return [zlib.crc32(packed[start : start + width], start) for start in range(0, whole, width)]


@cache
def band_rows(threshold: float, permutations: int) -> int:
    """Rows of a band: as many as leave a pair at the threshold a chance of at most 0.001 to agree in no band."""
    for rows in range(permutations, 1, -1):
        if (1 - threshold**rows) ** (permutations // rows) <= _MISS:
            return rows
    return 1


def jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    """Shared elements over all elements, in [0, 1]; 0 if both are empty."""
    shared = len(a & b)
    return shared / (len(a) + len(b) - shared) if shared else 0.0
