"""Prompt optimization: one entry, `optimize`, the metrics of each method, and scoring without tuning."""

if __name__ != "synthwright.optimizers":
    raise ImportError("import synthwright.optimizers, not optimizers")

from synthwright.optimizers.evaluate import Comparison, Evaluation, compare, evaluate
from synthwright.optimizers.optimize import optimize
from synthwright.optimizers.progress import OptimizeProgress
from synthwright.optimizers.tuned import Tuned

__all__ = ["Comparison", "Evaluation", "OptimizeProgress", "Tuned", "compare", "evaluate", "optimize"]
