"""What to keep: the filters of a run, and what they say about the rows and artifacts of a seed."""

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from synthwright.errors import ConfigError
from synthwright.filters.base import Filter, RowCheck, as_filter
from synthwright.runs.outcome import Outcome
from synthwright.runs.record import without_addresses
from synthwright.runs.store import Store
from synthwright.signatures.rows import Provenance, Rejected, Row

__all__ = ["Admission"]


class Admission:
    """The filters of one run, with what they have seen. Seeds are admitted in their order.

    Args:
        filters: Filters of rows; copies are used, for they may hold an index.
        artifact_filters: Filters of artifacts by type.
        provenance: Of the rows that are kept, but for the seed.
    """

    def __init__(
        self,
        filters: Iterable[Filter | RowCheck],
        artifact_filters: Mapping[type[Row], Iterable[Filter | RowCheck]],
        provenance: Provenance,
    ) -> None:
        self.filters = _own(filters)
        self.artifact_filters = {kind: _own(tests) for kind, tests in artifact_filters.items()}
        self.provenance = provenance

    def config(self) -> dict[str, Any]:
        """The filters, as a run records them."""
        rows = {"filters": _names(self.filters)}
        artifacts = {kind.__name__: _names(tests) for kind, tests in self.artifact_filters.items()}
        return {**rows, "artifact_filters": artifacts} if artifacts else rows

    def restore(self, store: Store) -> None:
        """Rebuild the indexes of the filters from what was kept in earlier sessions."""
        for row in store.log("rows"):
            for test in self.filters:
                test.add(row)
        for artifact in store.log("artifacts") if self.artifact_filters else ():
            for test in self._tests_of(artifact):
                test.add(artifact)

    def of(self, index: int, outcome: Outcome) -> tuple[list[tuple[int, Row]], list[Rejected]]:
        """The rows of a seed that every filter keeps, by position, and all that was dropped.

        Artifacts that a filter drops are taken out of the outcome.

        Raises:
            ConfigError: A filter returned neither None nor a reason.
        """
        kept: list[tuple[int, Row]] = []
        rejected = list(outcome.rejected)
        if self.artifact_filters:
            outcome.artifacts = [
                each for each in outcome.artifacts if self._admit(each, self._tests_of(each), rejected)
            ]
        provenance = self.provenance.model_copy(update={"seed": index})
        for position, row in enumerate(outcome.rows):
            if self._admit(row, self.filters, rejected):
                kept.append((position, row.model_copy(update={"provenance": provenance})))
        return kept, rejected

    def _admit(self, row: Row, tests: Sequence[Filter], rejected: list[Rejected]) -> bool:
        """Whether every filter keeps a row (or an artifact), which they then take notice of; if not, it is a reject."""
        verdicts = ((test, test.check(row)) for test in tests)
        test, verdict = next(((t, v) for t, v in verdicts if v is not None), (None, None))
        if test is not None and verdict is not None:
            if not isinstance(verdict, str):
                raise ConfigError(
                    f"The filter {test.name} returned {verdict!r}; it must return None to keep a row, or a reason."
                )
            reason, _, detail = verdict.partition(":")
            rejected.append(
                Rejected(stage=test.name, reason=reason.strip(), detail=detail.strip(), content=row.record())
            )
            return False
        for test in tests:
            test.add(row)
        return True

    def _tests_of(self, artifact: Row) -> list[Filter]:
        """The filters of an artifact's type."""
        found = (tests for kind, tests in self.artifact_filters.items() if isinstance(artifact, kind))
        return [test for tests in found for test in tests]


def _own(filters: Iterable[Filter | RowCheck]) -> list[Filter]:
    """Copies of filters for one run: they may hold an index."""
    return [copy.deepcopy(f) if isinstance(f, Filter) else as_filter(f) for f in filters]


def _names(filters: Iterable[Filter]) -> list[str]:
    return [without_addresses(repr(f)) for f in filters]
