"""What one seed gave, and how that gets from one process to another."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import cloudpickle

from synthwright.runs.texts import body_of, load_row
from synthwright.signatures.rows import Rejected, Row

__all__ = ["Outcome", "pack_outcome", "unpack_outcome"]


@dataclass
class Outcome:
    """What one seed gave: either its rows, rejects and artifacts, or the error that stopped it.

    Attributes:
        rows: Rows in the order in which the generator returned them, not yet filtered.
        rejected: What the generator dropped itself.
        artifacts: Intermediate rows for later rounds.
        error: Why the seed failed, or None.
        exception: The error itself while it is at hand; it is not stored.
        seconds: Wall time of the seed.
    """

    rows: list[Row] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    artifacts: list[Row] = field(default_factory=list)
    error: str | None = None
    exception: Exception | None = None
    seconds: float = 0.0

    def parts(self) -> tuple[tuple[str, Sequence[Any]], ...]:
        """All that it gave, by kind."""
        return ("row", self.rows), ("rejected", self.rejected), ("artifact", self.artifacts)


def pack_outcome(outcome: Outcome) -> tuple[Any, ...]:
    """An outcome as data that another process can read without knowing the classes of its rows."""
    try:
        exception = cloudpickle.dumps(outcome.exception)
    except Exception:  # an exception may hold anything
        exception = cloudpickle.dumps(None)
    bodies = {kind: [body_of(item) for item in items] for kind, items in outcome.parts()}
    return bodies, outcome.error, exception, outcome.seconds


def unpack_outcome(bodies: dict[str, list[str]], error: str | None, exception: bytes, seconds: float) -> Outcome:
    """Read back what `pack_outcome` gave."""
    rejected = [Rejected.model_validate(json.loads(body)) for body in bodies["rejected"]]
    rows, artifacts = [load_row(body) for body in bodies["row"]], [load_row(body) for body in bodies["artifact"]]
    return Outcome(rows, rejected, artifacts, error, cloudpickle.loads(exception), seconds)
