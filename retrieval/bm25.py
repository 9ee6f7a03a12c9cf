"""BM25 over passages (Robertson and Zaragoza, 2009), by the package rank-bm25."""

import re
from collections.abc import Iterable, Sequence

from rank_bm25 import BM25Okapi

from synthwright.errors import ConfigError
from synthwright.retrieval.passages import Passage

__all__ = ["BM25"]

_WORD = re.compile(r"\w+")


class BM25:
    """Ranks passages by the words they share with a query. The whole index is in memory.

    Args:
        passages: The corpus; read once, and must not be empty.

    Raises:
        ConfigError: The corpus has no passage with a word in it.

    Example:
        >>> BM25([Passage(text="Snow is frozen water."), Passage(text="Bread is baked.")]).search("frozen", k=1)[0].text
        'Snow is frozen water.'
    """

    def __init__(self, passages: Iterable[Passage]) -> None:
        self.passages: Sequence[Passage] = list(passages)
        tokens = [_words(passage.text) for passage in self.passages]
        if not any(tokens):
            raise ConfigError(f"BM25 needs passages with words in them, got {len(self.passages)} without any.")
        self._index = BM25Okapi(tokens)

    def search(self, query: str, k: int = 10) -> list[Passage]:
        """The `k` best passages that share a word with the query, best first; ties keep the order of the corpus.

        Raises:
            ConfigError: `k` is not positive.
        """
        if k < 1:
            raise ConfigError(f"`k` must be at least 1, got {k!r}.")
        words = _words(query)
        scores = self._index.get_scores(words)
        wanted = set(words)
        sharing = [i for i, frequencies in enumerate(self._index.doc_freqs) if wanted & frequencies.keys()]
        return [self.passages[i] for i in sorted(sharing, key=lambda i: -scores[i])[:k]]


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
