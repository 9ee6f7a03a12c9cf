"""Prompt optimization: one entry, `optimize`, and the metrics of each method."""

if __name__ != "synthwright.optimizers":
    raise ImportError("import synthwright.optimizers, not optimizers")

from synthwright.optimizers.optimize import OptimizeProgress, optimize
from synthwright.optimizers.tuned import Tuned

__all__ = ["OptimizeProgress", "Tuned", "optimize"]
