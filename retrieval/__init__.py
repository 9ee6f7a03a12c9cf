"""Corpora and retrievers: real text for generators that begin from it."""

if __name__ != "synthwright.retrieval":
    raise ImportError("import synthwright.retrieval, not retrieval")
