"""Where an optimizer run or an evaluation stands."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from synthwright.lms.budgets import Meter, Usage
from synthwright.optimizers.quiet import audible
from synthwright.optimizers.scoring import Draw
from synthwright.signatures.rows import Rejected, Row

__all__ = ["OptimizeProgress", "Watch"]

EVERY = 0.5
"""Seconds between two reports of calls and draws."""


@dataclass
class OptimizeProgress:
    """Where an optimizer run or an evaluation stands.

    Attributes:
        phase: `before`, `search` or `after` of an optimizer run; `evaluate`, or `a` and `b` of a comparison.
        calls: LM calls made so far.
        budget: LM calls allowed; 0 for no limit.
        candidates: Candidates scored so far.
        first: Mean validation score of the prompts as given; None until it is known.
        best: Best mean validation score so far; None until one is known.
        method: Name of the method.
        draws: Draws made so far.
        planned: Draws that an evaluation makes; 0 for an optimizer run, which draws until its budget is used.
        rows: Rows of those draws.
        made: Rows and rejects of those draws.
        usage: LM usage so far.
        calls_per_second: Of this session, without calls that were answered from the record.
        seconds: Wall time of this session.
        last_row: The row made last, or None.
        last_reject: The candidate dropped last, or None.
        done: True in the last report.
    """

    phase: str
    calls: int
    budget: int
    candidates: int = 0
    first: float | None = None
    best: float | None = None
    method: str = ""
    draws: int = 0
    planned: int = 0
    rows: int = 0
    made: int = 0
    usage: Usage = field(default_factory=Usage)
    calls_per_second: float = 0.0
    seconds: float = 0.0
    last_row: Row | None = None
    last_reject: Rejected | None = None
    done: bool = False


class Watch:
    """Takes down what calls and draws give, from any thread, and tells a listener now and then.

    Args:
        state: What is told.
        listener: Called with the state; None if nobody listens.
    """

    def __init__(self, state: OptimizeProgress, listener: Callable[[OptimizeProgress], None] | None) -> None:
        self.state, self.listener = state, listener
        self._lock = threading.Lock()
        self._told = time.monotonic()

    def called(self, meter: Meter) -> None:
        """A call was booked."""
        state = self.state
        state.usage, state.calls = meter.used, meter.used.calls
        state.seconds = time.monotonic() - meter.started
        state.calls_per_second = (state.calls - meter.recalled) / max(state.seconds, 1e-9)
        self._now_and_then()

    def drawn(self, draw: Draw) -> None:
        """A draw was made."""
        state = self.state
        with self._lock:
            state.draws += 1
            state.rows += len(draw.rows)
            state.made += len(draw.rows) + len(draw.rejected)
            state.last_row = draw.rows[-1] if draw.rows else state.last_row
            state.last_reject = draw.rejected[-1] if draw.rejected else state.last_reject
        self._now_and_then()

    def tell(self) -> None:
        """Tell the listener; what it raises goes through."""
        self._told = time.monotonic()
        if self.listener is not None:
            with audible():
                self.listener(self.state)

    def _now_and_then(self) -> None:
        if time.monotonic() - self._told >= EVERY:
            with suppress(Exception):  # a listener that fails must not fail an LM call
                self.tell()
