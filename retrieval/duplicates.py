"""Telling whether a text was seen before, exactly or nearly."""

import re
import zlib
from collections import Counter

from synthwright.errors import ConfigError
from synthwright.retrieval.passages import text_key

__all__ = ["SeenTexts"]

_WORD = re.compile(r"\w+")
_SHINGLE, _SKETCH = 5, 16


class SeenTexts:
    """Remembers texts, to leave out their copies.

    Exact copies are found by a hash of the text without case and white space. Near copies are found by a sketch: the
    16 least hashes of the text's runs of five words (bottom-k sketch; Broder, 1997). It costs about 1.5 KB a text.

    Args:
        near: Share of the sketch that a text must have in common with one earlier text to be its near copy, in
            (0, 1]; None to look for exact copies only.

    Raises:
        ConfigError: `near` is out of its range.
    """

    def __init__(self, near: float | None = None) -> None:
        if near is not None and not 0 < near <= 1:
            raise ConfigError(f"`near` must be in (0, 1] or None, got {near!r}.")
        self.near = near
        self._keys: set[bytes] = set()
        self._first: dict[int, int] = {}

    def problem(self, text: str) -> str:
        """`duplicate`, `near_duplicate`, or empty for a new text, which is remembered."""
        key = bytes.fromhex(text_key(text))
        if key in self._keys:
            return "duplicate"
        if self.near is not None:
            sketch = _sketch(text)
            shared = Counter(self._first[mark] for mark in sketch if mark in self._first)
            if shared and max(shared.values()) >= self.near * len(sketch):
                return "near_duplicate"
            for mark in sketch:
                self._first.setdefault(mark, len(self._keys))
        self._keys.add(key)
        return ""


def _sketch(text: str) -> list[int]:
    words = _WORD.findall(text.casefold())
    runs = (" ".join(words[i : i + _SHINGLE]) for i in range(max(1, len(words) - _SHINGLE + 1)))
    # 64 bits from two cheap checksums: equal in every process, unlike `hash`
    marks = {zlib.crc32(run) << 32 | zlib.adler32(run) for run in (run.encode("utf-8", "replace") for run in runs)}
    return sorted(marks)[:_SKETCH]
