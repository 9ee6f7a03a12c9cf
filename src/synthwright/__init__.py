"""Synthwright: declarative, optimizable programs that make training data with language models."""

from synthwright.errors import SynthwrightError
from synthwright.lms import Budget, Price, Retry, embedded_lm, openai_lm
from synthwright.optimizers import Comparison, Evaluation, Tuned, compare, evaluate, optimize
from synthwright.pool import Pool, Seed
from synthwright.programs.base import Frozen, Generator, freeze, get_generator, list_generators
from synthwright.runs import Forecast, Funnel, Progress, Run, agenerate, generate, load_run
from synthwright.signatures.rows import InstructionRow, Message, Provenance, Rejected, Row

__all__ = [
    "Budget",
    "Comparison",
    "Evaluation",
    "Forecast",
    "Frozen",
    "Funnel",
    "Generator",
    "InstructionRow",
    "Message",
    "Pool",
    "Price",
    "Progress",
    "Provenance",
    "Rejected",
    "Retry",
    "Row",
    "Run",
    "Seed",
    "SynthwrightError",
    "Tuned",
    "agenerate",
    "compare",
    "embedded_lm",
    "evaluate",
    "freeze",
    "generate",
    "get_generator",
    "list_generators",
    "load_run",
    "openai_lm",
    "optimize",
]
