"""Filters against the pool that compare words: exact copies, ROUGE-L neighbours, near-duplicates by MinHash."""

import hashlib
import math
import re
import zlib
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rapidfuzz.distance import LCSseq

from synthwright.errors import ConfigError
from synthwright.filters.base import Filter, Texts, no_single_name, text_of

if TYPE_CHECKING:
    from synthwright.filters.index import DigestSet, Postings, TextStore

__all__ = ["ExactDuplicate", "RougeNovelty", "rouge_l", "rouge_tokens"]

_NOT_ALPHANUMERIC = re.compile(r"[^a-z0-9]+")
_SLACK = 1e-9  # rounding must only ever loosen a bound
_FEW = 8  # candidates that are compared at once, without looking for a tighter bound


@dataclass
class ExactDuplicate(Filter):
    """Drops rows whose fields equal those of a kept row, after case and white space are folded.

    Rows are remembered by 64 bits of a hash, 12 to 24 bytes a row. That two different rows among a million have equal
    hashes has a chance of 3 in 100 million.

    Args:
        fields: Fields compared; empty compares the whole content by the row's id.
    """

    fields: tuple[str, ...] = ()
    _seen: "DigestSet | None" = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        no_single_name(self, "fields")

    def _digest(self, row: Any) -> int:
        if not self.fields:
            return int(row.id[:16], 16)
        key = "\n".join(" ".join(text_of(row, name).lower().split()) for name in self.fields)
        return int.from_bytes(hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")

    def check(self, row: Any) -> str | None:
        return "duplicate" if self._seen is not None and self._digest(row) in self._seen else None

    def add(self, row: Any) -> None:
        if self._seen is None:
            from synthwright.filters.index import DigestSet  # brings numpy, too slow for `import synthwright`

            self._seen = DigestSet()
        self._seen.add(self._digest(row))


def rouge_tokens(text: str) -> list[str]:
    """Lower-case runs of a-z and 0-9: the tokens of the `rouge-score` package without a stemmer."""
    return _NOT_ALPHANUMERIC.sub(" ", text.lower()).split()


def rouge_l(a: Sequence[str], b: Sequence[str]) -> float:
    """ROUGE-L F-measure of two token lists, in [0, 1]; 0 if one is empty.

    Source: Lin, 2004; equal to the last bit to the `rouge-score` package on the same tokens.
    """
    return _f_measure(LCSseq.similarity(a, b), len(a), len(b)) if a and b else 0.0


def _code(tokens: Sequence[str]) -> str:
    """A character for each token, for fast comparison; two tokens in a million share one, which only adds matches."""
    return "".join([chr(0x10000 + (zlib.crc32(token.encode()) & 0xFFFFF)) for token in tokens])


def _f_measure(common: int, m: int, n: int) -> float:
    if not common:
        return 0.0
    # The package's own expression: 2 * 7 / 20 is 0.7, but from 7 of 13 and 7 of 7 it is 0.7000000000000001, and
    # decisions at a threshold of 0.7 must be the same.
    precision, recall = common / n, common / m
    return 2 * precision * recall / (precision + recall)


@dataclass
class RougeNovelty(Filter):
    """Drops a row if its field has a ROUGE-L of the threshold or more with that field of any kept row.

    Decisions are those of comparing with every row by the `rouge-score` package (no stemmer), at a small part of the
    work: rows that can reach the threshold share words with the new one, rare ones among them, so only the lists of its
    rarest words are read; how many words are shared, and the lengths, bound the score; what is left is compared
    exactly. Its tokens are runs of a-z and 0-9, so texts of other scripts are all novel to it: use `MinHashNovelty` or
    `EmbeddingNovelty` for those.

    Source: Self-Instruct (Wang et al., 2023, section 2.2): "less than 0.7 is added", which is the default here; its
    released code drops above 0.7 only, which is `strict`. Bounds: the prefix filter of Chaudhuri et al., 2006.

    Args:
        field_name: The text field compared.
        threshold: ROUGE-L from which a row counts as a copy, in (0, 1].
        strict: Whether the score must be above the threshold.
        seeds: Texts that count as known from the start.
    """

    field_name: str
    threshold: float = 0.7
    strict: bool = False
    seeds: Sequence[str] = ()
    _texts: "TextStore | None" = field(default=None, init=False, repr=False)
    _lengths: "array[int]" = field(default_factory=lambda: array("I"), init=False, repr=False)  # tokens of each text
    _postings: "Postings | None" = field(default=None, init=False, repr=False)
    _codes: list[str] = field(default_factory=list, init=False, repr=False)  # of `nearest`, made when it is asked
    _last: tuple[str, list[str], list[int]] = field(default=("", [], []), init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise ConfigError(f"`threshold` of RougeNovelty must be in (0, 1], got {self.threshold!r}.")
        self.seeds = Texts(self.seeds)

    def check(self, row: Any) -> str | None:
        texts, lengths, postings = self._index()
        _, tokens, keys = self._read(text_of(row, self.field_name))
        if not tokens or not lengths:
            return None
        best, nearest = 0.0, ""
        for bound, index in self._candidates(len(tokens), keys, lengths, postings):
            if _f_measure(bound, len(tokens), lengths[index]) < best - _SLACK:
                break  # the bounds only fall from here
            other = texts[index]
            score = rouge_l(tokens, rouge_tokens(other))
            if score > best:
                best, nearest = score, other
        if best > self.threshold or (best == self.threshold and not self.strict):
            return f"not_novel: ROUGE-L {best:.2f} with {' '.join(nearest.split())[:80]!r}"
        return None

    def add(self, row: Any) -> None:
        self._index()
        self._append(text_of(row, self.field_name))

    def nearest(self, row_or_text: Any, k: int = 10) -> list[tuple[float, str]]:
        """The known texts with the highest ROUGE-L, best first, the earlier first among equals.

        Self-Instruct stores the ten of every task that it adds: ask before the row is added.

        Args:
            row_or_text: A row, or a text.
            k: How many; fewer are returned if fewer share a word with the text.
        """
        import numpy as np
        from rapidfuzz import process

        texts, lengths, _ = self._index()
        text = row_or_text if isinstance(row_or_text, str) else text_of(row_or_text, self.field_name)
        tokens = self._read(text)[1]
        if not texts or not tokens:
            return []
        self._codes.extend(_code(rouge_tokens(texts[index])) for index in range(len(self._codes), len(texts)))
        common = process.cdist([_code(tokens)], self._codes, scorer=LCSseq.similarity, dtype=np.int32)[0]
        bounds = 2 * common / (len(tokens) + np.frombuffer(lengths, dtype=np.uint32))
        found: list[tuple[float, int]] = []
        for index in np.argsort(-bounds, kind="stable").tolist():
            if not common[index] or (len(found) >= k and bounds[index] < -found[-1][0] - _SLACK):
                break
            found = sorted([*found, (-rouge_l(tokens, rouge_tokens(texts[index])), index)])[:k]
        return [(-score, texts[index]) for score, index in found if score]

    def _index(self) -> "tuple[TextStore, array[int], Postings]":
        if self._texts is None or self._postings is None:
            from synthwright.filters.index import Postings, TextStore  # brings numpy, too slow for `import synthwright`

            self._texts, self._postings = TextStore(), Postings()
            for text in self.seeds:
                self._append(text)
        return self._texts, self._lengths, self._postings

    def _append(self, text: str) -> None:
        texts, lengths, postings = self._index()
        _, tokens, keys = self._read(text)
        postings.add(len(texts), keys)
        lengths.append(len(tokens))
        texts.append(text)

    def _read(self, text: str) -> tuple[str, list[str], list[int]]:
        """A text with its tokens and a 32-bit key of each: a row is read once, not again when it is added.

        The second "the" of a text has another key than the first, so that shared keys count shared tokens with their
        multiplicity. Two tokens with one key only make a bound looser.
        """
        if self._last[0] != text:
            tokens = rouge_tokens(text)
            seen: dict[str, int] = {}
            keys = []
            for token in tokens:
                seen[token] = before = seen.get(token, -1) + 1
                keys.append(zlib.crc32(token.encode(), before))  # unlike `hash`, the same in every process
            self._last = (text, tokens, keys)
        return self._last

    def _candidates(
        self, m: int, keys: list[int], lengths: "array[int]", postings: "Postings"
    ) -> list[tuple[int, int]]:
        """Known texts that may reach the threshold, the likeliest first: (most tokens in common, index).

        A score of t needs a common subsequence of t * (m + n) / 2 tokens, and so as many shared tokens. The shortest
        text that can reach t has n = m * t / (2 - t) tokens, thus every text that can has at least one of any
        m - t * (m + n) / 2 + 1 tokens; we take the rarest.
        """
        import numpy as np

        from synthwright.filters.index import tally

        t = self.threshold
        shortest = math.ceil(m * t / (2 - t) - _SLACK)
        read = min(m, m - math.ceil(t * (m + shortest) / 2 - _SLACK) + 1)
        lists = sorted(postings.lists(keys), key=lambda entry: entry.size)
        rows, shared = tally(lists[:read], len(lengths))
        sizes = np.frombuffer(lengths, dtype=np.uint32)[rows].astype(np.int64)
        while True:
            most = np.minimum(shared + (m - read), np.minimum(sizes, m))
            (likely,) = np.nonzero(most >= t * (m + sizes) / 2 - _SLACK)
            rows, shared, sizes, most = rows[likely], shared[likely], sizes[likely], most[likely]
            if read == m or len(rows) <= _FEW:
                break
            shared = shared + lists[read].holds(rows)  # the lists of common words are not read but looked up
            read += 1
        order = np.argsort(-(most / (m + sizes)), kind="stable")
        return list(zip(most[order].tolist(), rows[order].tolist(), strict=True))
