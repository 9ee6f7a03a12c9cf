"""Words of a text in any script, for filters and measures that compare or count them."""

import re
import unicodedata
from collections.abc import Sequence

__all__ = ["ngrams", "words"]

# Letters and digits; scripts written without spaces (kana, Han, Thai to Lao, Khmer) give a word for each character.
_UNSPACED = "\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = re.compile(rf"[{_UNSPACED}]|(?:(?![{_UNSPACED}])[^\W_])+")


def words(text: str) -> list[str]:
    """The words of a text, without case, punctuation and Unicode variants (NFKC, case folded)."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def ngrams(tokens: Sequence[str], n: int) -> list[tuple[str, ...]]:
    """All runs of n tokens, in order; none if there are fewer than n."""
    return list(zip(*(tokens[start:] for start in range(n)), strict=False)) if n > 0 else []
