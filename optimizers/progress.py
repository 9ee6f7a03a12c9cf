"""Where an optimizer run or an evaluation stands."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from synthwright.optimizers.quiet import audible

__all__ = ["OptimizeProgress", "reporter"]

EVERY = 0.5
"""Seconds between two reports of calls."""


@dataclass
class OptimizeProgress:
    """Where an optimizer run or an evaluation stands.

    Attributes:
        phase: `before`, `search` or `after`; `evaluate` for an evaluation.
        calls: LM calls made so far.
        budget: LM calls allowed; 0 for no limit.
        candidates: Candidates scored so far.
        first: Mean validation score of the prompts as given; None until it is known.
        best: Best mean validation score so far; None until one is known.
    """

    phase: str
    calls: int
    budget: int
    candidates: int = 0
    first: float | None = None
    best: float | None = None


def reporter(
    state: OptimizeProgress, progress: Callable[[OptimizeProgress], None] | None
) -> Callable[[int], None] | None:
    """What a session calls with the number of its calls so far; None if nobody listens."""
    if progress is None:
        return None
    last = time.monotonic()

    def changed(calls: int) -> None:
        nonlocal last
        state.calls = calls
        if time.monotonic() - last >= EVERY:
            last = time.monotonic()
            with suppress(Exception), audible():  # a listener that fails must not fail an LM call
                progress(state)

    return changed
