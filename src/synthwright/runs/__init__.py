"""Running a generator: scheduler, run store, resume, budgets, funnel, progress."""

from synthwright.runs.forecast import Forecast
from synthwright.runs.funnel import Funnel
from synthwright.runs.generate import agenerate, generate
from synthwright.runs.run import Progress, Run, load_run

__all__ = ["Forecast", "Funnel", "Progress", "Run", "agenerate", "generate", "load_run"]
