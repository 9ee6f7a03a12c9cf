"""Stopping early: when every seed fails, when nothing can be read, when nothing is kept any more."""

from dataclasses import dataclass, field
from pathlib import Path

import dspy
from dspy.utils.exceptions import (
    LMAuthError,
    LMBillingError,
    LMRateLimitError,
    LMServerError,
    LMTimeoutError,
    LMTransportError,
)

from synthwright.errors import ProgramError, UnusableLMError
from synthwright.runs.outcome import Outcome

__all__ = ["BARREN_SEEDS", "FAILURES_IN_A_ROW", "PATIENCE", "Watch"]

FAILURES_IN_A_ROW = 8
"""Seeds that may fail one after another, with no success between, before the run gives up."""

BARREN_SEEDS = 20
"""Seeds at the start of a session of which not one reply could be read, before the LM counts as unusable."""

PATIENCE = 300
"""Seeds in a row without a kept row before a run stops by itself."""

_OUTAGE = (LMAuthError, LMBillingError, LMRateLimitError, LMServerError, LMTimeoutError, LMTransportError)
"""Errors that say something about the LM and nothing about the seed."""


@dataclass
class Watch:
    """What a run has seen of its seeds, and why it should stop.

    Attributes:
        out: Directory of the run, for messages.
        models: Model names of the run, for messages.
        stop: Why no more seeds are taken, or None.
        fatal: The error to raise when all is stored, or None.
        last_failure: The outcome of the seed that failed last.
    """

    out: Path
    models: list[str]
    stop: str | None = None
    fatal: Exception | None = None
    last_failure: Outcome = field(default_factory=Outcome)
    _failures_in_a_row: int = 0
    _last_success: int = -1
    _barren: int = 0
    _fruitless: int = 0
    _read_any: bool = False
    _sample: str = ""

    def asked(self, index: int, outcome: Outcome, again: bool) -> None:
        """Take notice of what a seed gave.

        Args:
            index: The seed. If a later one succeeded, the LM was alive after this one was asked.
            outcome: What it gave.
            again: It failed in an earlier session; failing again for a reason of its own says nothing about the LM.
        """
        if outcome.error is not None:
            self.last_failure = outcome
            if index > self._last_success:
                self._failures_in_a_row += isinstance(outcome.exception, _OUTAGE) or not again
            if self._failures_in_a_row >= FAILURES_IN_A_ROW and not self.stop:
                self.give_up(f"{self._failures_in_a_row} seeds in a row failed")
            return
        self._failures_in_a_row, self._last_success = 0, max(index, self._last_success)
        unread = [r for r in outcome.rejected if r.reason in ("unparsable", "truncated")]
        if outcome.rows or outcome.artifacts or len(outcome.rejected) > len(unread):
            self._read_any = True
        elif unread and not self._read_any:
            self._barren += 1
            self._sample = self._sample or str(unread[0].content.get("reply", ""))
            if self._barren >= BARREN_SEEDS and not self.stop:
                self.stop = "nothing that the LM returned could be read"
                models = " or ".join(repr(model) for model in dict.fromkeys(self.models))
                self.fatal = UnusableLMError(
                    f"Not one reply of the first {self._barren} seeds could be read. The first of them was "
                    f"{self._sample[:300]!r}. Is {models} the right model, and does it "
                    "follow instructions? A weak LM needs demonstrations: see `synthwright optimize --help`."
                )

    def admitted(self, outcome: Outcome, kept: int) -> None:
        """Take notice of what was kept of a seed."""
        self._fruitless = 0 if kept or outcome.artifacts else self._fruitless + (outcome.error is None)
        if self._fruitless >= PATIENCE:
            self.stop = self.stop or f"no row was kept from the last {PATIENCE} seeds"

    def give_up(self, what: str) -> None:
        """Stop with the error of the last failure as the cause."""
        outcome = self.last_failure
        self.stop = "every seed fails"
        error = UnusableLMError if isinstance(outcome.exception, dspy.LMError | None) else ProgramError
        self.fatal = error(
            f"{what}, the last with {outcome.error}\n"
            f"What was made is kept in {str(self.out)!r}; run the same command to go on."
        )
        self.fatal.__cause__ = outcome.exception
