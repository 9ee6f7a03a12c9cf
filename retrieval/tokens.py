"""From text to the words that BM25 counts, in any script."""

import functools
import re
import threading
import unicodedata
from dataclasses import dataclass
from typing import Any

import bm25s.stopwords
import regex

from synthwright.errors import ConfigError, MissingExtraError, did_you_mean

__all__ = ["Tokenizer"]

_ASCII_WORD = re.compile(r"\w+")
# Scripts that put no spaces between words; a run of them is cut into overlapping pairs, as Lucene's CJK analyzer does.
_DENSE = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\u30fc"
_ANY_WORD = regex.compile(rf"([{_DENSE}][{_DENSE}\p{{M}}]*)|[[\w\p{{M}}]--[{_DENSE}]]+", regex.VERSION1)
_LISTS = {
    name.removeprefix("STOPWORDS_").lower(): name for name in dir(bm25s.stopwords) if name.startswith("STOPWORDS_")
}
_LISTS["english"], _LISTS["english_plus"] = _LISTS.pop("en"), _LISTS.pop("en_plus")
_local = threading.local()


@dataclass(frozen=True)
class Tokenizer:
    """Splits text into words: Unicode letters, marks, digits and `_`, case folded, in the NFKC form.

    Scripts without spaces (Chinese, Japanese, Thai, Lao, Khmer, Burmese) give overlapping pairs of characters.

    Args:
        stemmer: A Snowball algorithm of PyStemmer, such as `english` or `german`, that maps words to stems; empty for
            none. It needs the extra `stemming`.
        stop_words: Words to leave out: the name of a list of bm25s, such as `english`, or the words. Empty for none.

    Raises:
        ConfigError: There is no such stemmer or list.
        MissingExtraError: A stemmer is named and PyStemmer is not installed.

    Example:
        >>> Tokenizer(stemmer="english", stop_words="english")("The sleeping cats, naïve")
        ['sleep', 'cat', 'naïv']
    """

    stemmer: str = ""
    stop_words: str | tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.stop_words, str):
            object.__setattr__(self, "stop_words", tuple(sorted(set(self.stop_words))))
        _stopped(self.stop_words)
        if self.stemmer:
            _stemmer(self.stemmer)

    def __call__(self, text: str) -> list[str]:
        """The words of a text, in order, repetitions kept."""
        words = _split(text)
        if self.stop_words:
            stopped = _stopped(self.stop_words)
            words = [word for word in words if word not in stopped]
        return _stemmer(self.stemmer).stemWords(words) if self.stemmer else words

    def settings(self) -> dict[str, Any]:
        """What an index must record to know whether it was made with the same words."""
        stop_words = self.stop_words if isinstance(self.stop_words, str) else list(self.stop_words)
        return {"stemmer": self.stemmer, "stop_words": stop_words, "unicode": unicodedata.unidata_version}


def _split(text: str) -> list[str]:
    if text.isascii():
        return _ASCII_WORD.findall(text.lower())
    words: list[str] = []
    for match in _ANY_WORD.finditer(unicodedata.normalize("NFKC", text).casefold()):
        run = match[1]
        if run is None or len(run) < 3:
            words.append(match[0])
        else:
            words += [run[i : i + 2] for i in range(len(run) - 1)]
    return words


@functools.lru_cache(maxsize=64)
def _stopped(stop_words: str | tuple[str, ...]) -> frozenset[str]:
    if isinstance(stop_words, str) and stop_words:
        if stop_words not in _LISTS:
            raise ConfigError(f"There is no list of stop words {stop_words!r}. {did_you_mean(stop_words, _LISTS)}")
        stop_words = getattr(bm25s.stopwords, _LISTS[stop_words])
    return frozenset(word for entry in stop_words for word in _split(entry))


def _stemmer(language: str) -> Any:
    # One for each thread: a PyStemmer object must not be used by two threads at once.
    stemmers = _local.__dict__.setdefault("stemmers", {})
    if language not in stemmers:
        try:
            import Stemmer
        except ImportError as error:
            raise MissingExtraError("PyStemmer", "stemming", "A stemmer") from error
        if language not in Stemmer.algorithms():
            raise ConfigError(f"There is no stemmer {language!r}. {did_you_mean(language, Stemmer.algorithms())}")
        stemmers[language] = Stemmer.Stemmer(language)
    return stemmers[language]
