"""What to keep: filters return None to keep a row, or a short reason to drop it."""

from synthwright.filters.base import Filter, RowCheck, as_filter
from synthwright.filters.duplicates import ExactDuplicate, RougeNovelty
from synthwright.filters.embedding import EmbeddingNovelty
from synthwright.filters.heuristics import EndsWith, Length, SpecialTokens

__all__ = [
    "EmbeddingNovelty",
    "EndsWith",
    "ExactDuplicate",
    "Filter",
    "Length",
    "RougeNovelty",
    "RowCheck",
    "SpecialTokens",
    "as_filter",
]
