"""Corpora and retrievers: real text for generators that begin from it."""

if __name__ != "synthwright.retrieval":
    raise ImportError("import synthwright.retrieval, not retrieval")

from synthwright.errors import RetrievalError
from synthwright.retrieval.base import Corpus, PassageList, Retriever, SkipLog
from synthwright.retrieval.bm25 import BM25
from synthwright.retrieval.chunks import ByHeader, ByParagraphs
from synthwright.retrieval.datasets import DatasetCorpus
from synthwright.retrieval.files import Files
from synthwright.retrieval.fusion import aretrieve, fuse, retrieve
from synthwright.retrieval.injection import InjectionEcho, PlantedInjection, read_injections
from synthwright.retrieval.passages import Passage
from synthwright.retrieval.python_docs import PythonDocs
from synthwright.retrieval.quoting import neutralise
from synthwright.retrieval.stack_dump import StackExchangeDump
from synthwright.retrieval.stack_exchange import StackExchange
from synthwright.retrieval.tokens import Tokenizer
from synthwright.retrieval.wikipedia import Wikipedia

__all__ = [
    "BM25",
    "ByHeader",
    "ByParagraphs",
    "Corpus",
    "DatasetCorpus",
    "Files",
    "InjectionEcho",
    "Passage",
    "PassageList",
    "PlantedInjection",
    "PythonDocs",
    "RetrievalError",
    "Retriever",
    "SkipLog",
    "StackExchange",
    "StackExchangeDump",
    "Tokenizer",
    "Wikipedia",
    "aretrieve",
    "fuse",
    "neutralise",
    "read_injections",
    "retrieve",
]
