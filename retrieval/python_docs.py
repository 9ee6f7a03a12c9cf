"""PythonDocs: the corpus that every Python brings along."""

import sys
from collections.abc import Iterator
from typing import Any

from synthwright.retrieval.chunks import ByParagraphs
from synthwright.retrieval.documents import Document, DocumentCorpus
from synthwright.retrieval.markup import plain_sections

__all__ = ["PythonDocs"]


class PythonDocs(DocumentCorpus):
    """The topics of Python's language reference that `help()` shows, about 80 documents in some 220 passages.

    It is there to try things out: it needs no network and no download, but knows one subject only. The texts are
    those of the running Python (`pydoc_data.topics`), so other versions give somewhat other passages.

    Example:
        >>> BM25(PythonDocs()).search("loop terminates", k=1)[0].title
        'The "break" statement'
    """

    def __init__(self) -> None:
        super().__init__("python_docs", split=ByParagraphs(keep_short=True), licence="PSF-2.0")

    def _documents(self) -> Iterator[Document]:
        from pydoc_data.topics import topics  # half a MB of text

        url = f"https://docs.python.org/{sys.version_info[0]}.{sys.version_info[1]}/reference/"
        for topic in sorted(topics):
            yield Document(plain_sections(topics[topic]), "", url, topic)

    def _origin(self) -> Iterator[Any]:
        from pydoc_data.topics import topics

        yield sorted(topics.items())
