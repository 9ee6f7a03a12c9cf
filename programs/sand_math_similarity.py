"""What a problem is compared with: earlier problems, test items, and problems that are known already."""

import itertools
import logging
import re
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from synthwright.errors import ConfigError
from synthwright.filters import BenchmarkItem, read_items
from synthwright.filters.embedding import unit_vectors
from synthwright.lms.embeddings import Embedder
from synthwright.programs.base import data_path, read_jsonl
from synthwright.retrieval import BM25, Corpus, Files, Passage, PassageList, Retriever

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Embed", "HashedWords", "Known", "Search", "benchmark_items", "embedder_of", "searcher"]

Embed = Callable[[list[str]], Any]
"""An embedder: takes n texts, returns n vectors of equal length."""

Search = Callable[[str], Iterable[str]]
"""A search client: takes a query, returns the texts that it found."""

Known = Literal["shipped"] | Retriever | Corpus | str | Path | Search | None
"""Where known problems are searched: ours, a retriever, a corpus, a file or folder, a client of your own, nowhere."""

HITS = 30
"""Texts taken from one search, as in the first release of the code."""

_WIDTH = 4096
_TOKEN = re.compile(r"\w+|[^\w\s]")
_FIELDS = ("question", "problem", "instruction", "Question", "Problem", "prompt")

_log = logging.getLogger("synthwright")


@dataclass(frozen=True)
class HashedWords:
    """An embedder without a model: words, numbers, signs and pairs of neighbours, hashed to 4,096 counts.

    Its cosine measures shared wording, not meaning. Two problems that differ in one number of twenty words have about
    0.9. Nothing needs to be installed or fetched.
    """

    def __call__(self, texts: Sequence[str]) -> "np.ndarray[Any, Any]":
        import numpy as np

        vectors = np.zeros((len(texts), _WIDTH), dtype=np.float32)
        for row, text in zip(vectors, texts, strict=True):
            tokens = _TOKEN.findall(text.casefold())
            for gram in (*tokens, *map(" ".join, itertools.pairwise(tokens))):
                row[zlib.crc32(gram.encode("utf-8", "replace")) % _WIDTH] += 1
        return vectors


@dataclass(frozen=True)
class Remembered:
    """An embedder that embeds a text once; it keeps the last 20,000."""

    embed: Embed
    _vectors: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __call__(self, texts: Sequence[str]) -> Any:
        import numpy as np

        new = list(dict.fromkeys(text for text in texts if text not in self._vectors))
        made = dict(zip(new, self.embed(new), strict=True)) if new else {}
        found = np.stack([made[text] if text in made else self._vectors[text] for text in texts])
        self._vectors.update(made)
        while len(self._vectors) > 20_000:
            self._vectors.pop(next(iter(self._vectors)), None)
        return found

    def __deepcopy__(self, memo: dict[int, Any]) -> "Remembered":
        return self


def embedder_of(embedder: str | Embed) -> Embed:
    """The embedder that an argument names.

    Raises:
        ConfigError: It is neither a known name nor callable.
    """
    if embedder == "words":
        return HashedWords()
    if embedder == "minilm":
        return Embedder()
    if callable(embedder):
        return embedder
    raise ConfigError(f"`embedder` must be 'words', 'minilm' or a function of a list of texts, got {embedder!r}.")


def benchmark_items(files: Sequence[str | Path]) -> list[BenchmarkItem]:
    """The items of test sets, whichever of the usual names their field has: question, problem, instruction, prompt.

    Raises:
        ConfigError: A file cannot be read, is empty, or has no such field.
    """
    return [item for path in files for item in _items_of(path)]


def _items_of(path: str | Path) -> list[BenchmarkItem]:
    error: ConfigError | None = None
    for name in _FIELDS:
        try:
            return read_items([path], name)
        except ConfigError as refusal:
            if f"no field {name!r}" not in str(refusal) and f"no column {name!r}" not in str(refusal):
                raise
            error = error or refusal
    raise ConfigError(f"{error} Looked for: {', '.join(_FIELDS)}.")


def searcher(known: Known) -> Retriever | Search | None:
    """What searches the known problems.

    Raises:
        ConfigError: It is none of the things that can.
    """
    if known is None or isinstance(known, Retriever):
        return known
    if known == "shipped":
        records = read_jsonl(data_path("sand_math/known.jsonl"))
        return BM25(PassageList([Passage(text=record["problem"]) for record in records], name="known problems"))
    if isinstance(known, Corpus):
        return BM25(known)
    if isinstance(known, str | Path):
        if Path(known).suffix.lower() in (".jsonl", ".ndjson", ".parquet", ".txt"):  # a problem each, however short
            items = benchmark_items([known])
            return BM25(PassageList([Passage(text=item.text) for item in items], name=Path(known).name))
        return BM25(Files(known))
    if callable(known):
        return known
    raise ConfigError(
        "`known` takes 'shipped', a retriever, a corpus, a file or folder, a function of a query, or None; got "
        f"{known!r}."
    )


def largest_similarity(question: str, search: Retriever | Search, embed: Embed) -> float | None:
    """The largest cosine of a question with what a search for it finds, in [-1, 1].

    None if nothing was found, or the search failed: then whether the problem is known stays unknown.

    Args:
        question: The problem, which is also the query.
        search: Where known problems are looked for.
        embed: Embedder of the question and of what was found.
    """
    try:
        if isinstance(search, Retriever):
            texts = [passage.text for passage in search.search(question, HITS)]
        else:
            texts = [text for text in search(question) if isinstance(text, str)][:HITS]
    except ConfigError:
        raise
    except Exception as error:  # each client of the web has errors of its own
        _log.warning("SandMath: a search for known problems failed: %s", error)
        return None
    texts = [text for text in texts if text.strip()]
    if not texts:
        return None
    vectors = unit_vectors(embed, [question, *texts])
    return float((vectors[1:] @ vectors[0]).max())
