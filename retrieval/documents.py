"""From documents to passages: cutting, filtering and leaving out copies, the same for every corpus of documents."""

import hashlib
from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from synthwright.retrieval.base import Corpus
from synthwright.retrieval.chunks import ByParagraphs, Splitter
from synthwright.retrieval.duplicates import SeenTexts
from synthwright.retrieval.markup import Section
from synthwright.retrieval.passages import Passage

__all__ = ["Document", "DocumentCorpus"]


@dataclass(frozen=True)
class Document:
    """A text with its headings, and where it came from.

    Attributes:
        sections: The text.
        title: Title, or empty.
        url: Address, or empty.
        place: Where it came from, for people who read what was left out.
    """

    sections: list[Section]
    title: str = ""
    url: str = ""
    place: str = ""


class DocumentCorpus(Corpus):
    """A corpus made from documents. Subclasses give `_documents` and `_origin`.

    What is left out is counted in `skipped`: `too_short` and the other codes of the splitter, `other_language`,
    `duplicate` and `near_duplicate`.

    Args:
        name: Name of the corpus.
        split: How documents are cut into passages; None for `ByParagraphs()`.
        licence: Licence that the passages carry.
        language_filter: Says of a text whether to keep it, such as whether it is in the wanted language; None keeps
            every text. It must be picklable if the corpus is to be.
        near_duplicates: How much a passage must have in common with an earlier one to be left out, in (0, 1], as in
            `SeenTexts`; None leaves out exact copies only.
    """

    def __init__(
        self,
        name: str,
        *,
        split: Splitter | None = None,
        licence: str = "",
        language_filter: Callable[[str], bool] | None = None,
        near_duplicates: float | None = 0.8,
    ) -> None:
        super().__init__()
        SeenTexts(near_duplicates)
        self.name, self.licence = name, licence
        self.split: Splitter = split or ByParagraphs()
        self.language_filter, self.near_duplicates = language_filter, near_duplicates

    @abstractmethod
    def _documents(self) -> Iterator[Document]:
        """The documents, in the same order at every reading. What cannot be read is counted in `skipped`."""

    @abstractmethod
    def _origin(self) -> Iterator[Any]:
        """Values whose `repr` changes whenever a document may have changed."""

    def __iter__(self) -> Iterator[Passage]:
        self.skipped.restart()
        seen = SeenTexts(self.near_duplicates)
        for document in self._documents():
            for piece in self.split(document.sections):
                problem = piece.problem
                if not problem and self.language_filter and not self.language_filter(piece.text):
                    problem = "other_language"
                problem = problem or seen.problem(piece.text)
                if problem:
                    self.skipped.add(problem, document.place)
                    continue
                headings = [h for h in (document.title, *piece.headings) if h]
                yield Passage(
                    text=piece.text,
                    title=" > ".join(dict.fromkeys(headings)),
                    source=self.name,
                    url=document.url,
                    licence=self.licence,
                )

    def hash(self) -> str:
        digest = hashlib.sha256()
        keep = self.language_filter
        kept = (getattr(keep, "__module__", ""), getattr(keep, "__qualname__", repr(keep))) if keep else None
        for value in (type(self).__name__, self.split, self.licence, kept, self.near_duplicates, *self._origin()):
            digest.update(repr(value).encode("utf-8", "surrogatepass") + b"\n")
        return digest.hexdigest()[:20]
