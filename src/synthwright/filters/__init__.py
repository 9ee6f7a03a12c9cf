"""What to keep: filters return None to keep a row, or a short reason to drop it. Beside them, measures of diversity."""

from synthwright.filters.base import Filter, RowCheck, as_filter
from synthwright.filters.contamination import BenchmarkItem, Decontamination, read_items
from synthwright.filters.content import Refusal, Repetition, SelfContainment
from synthwright.filters.duplicates import ExactDuplicate, RougeNovelty
from synthwright.filters.embedding import EmbeddingNovelty, Neighbours
from synthwright.filters.heuristics import EndsWith, Keywords, Length, SpecialTokens, Start
from synthwright.filters.language import Language
from synthwright.filters.minhash import MinHashNovelty

__all__ = [
    "BenchmarkItem",
    "Decontamination",
    "EmbeddingNovelty",
    "EndsWith",
    "ExactDuplicate",
    "Filter",
    "Keywords",
    "Language",
    "Length",
    "MinHashNovelty",
    "Neighbours",
    "Refusal",
    "Repetition",
    "RougeNovelty",
    "RowCheck",
    "SelfContainment",
    "SpecialTokens",
    "Start",
    "as_filter",
    "read_items",
]
