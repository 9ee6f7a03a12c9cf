"""Corpora and retrievers: real text for generators that begin from it."""

if __name__ != "synthwright.retrieval":
    raise ImportError("import synthwright.retrieval, not retrieval")

from synthwright.retrieval.bm25 import BM25
from synthwright.retrieval.passages import Passage, split_text, text_files
from synthwright.retrieval.wikipedia import RetrievalError, Wikipedia

__all__ = ["BM25", "Passage", "RetrievalError", "Wikipedia", "split_text", "text_files"]
