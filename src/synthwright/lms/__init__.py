"""Language models: engines behind `dspy.LM`, the adapter of runs, usage and budgets."""

from synthwright.lms.adapters import AutoAdapter, SchemaAdapter
from synthwright.lms.budgets import Budget, Meter, Price, Retry, Usage
from synthwright.lms.calls import RAW, EngineLM
from synthwright.lms.embedded import EmbeddedEngine, embedded_lm
from synthwright.lms.openai import OpenAIEngine, openai_lm

__all__ = [
    "RAW",
    "AutoAdapter",
    "Budget",
    "EmbeddedEngine",
    "EngineLM",
    "Meter",
    "OpenAIEngine",
    "Price",
    "Retry",
    "SchemaAdapter",
    "Usage",
    "embedded_lm",
    "openai_lm",
]
