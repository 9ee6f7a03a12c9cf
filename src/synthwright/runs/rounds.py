"""The rounds of a run: what to ask next, planned from what was kept so far."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from synthwright.errors import ConfigError
from synthwright.pool import Pool, Seed
from synthwright.programs.base import Generator
from synthwright.runs.store import Store
from synthwright.signatures.rows import Row

__all__ = ["Planned", "Rounds"]

RowT = TypeVar("RowT", bound=Row)

NOTHING_MORE = "there is nothing more to ask"

Planned = tuple[int, int, int | None]
"""Rows, artifacts and target of a run when a round was planned first."""


@dataclass
class Rounds(Generic[RowT]):
    """Plans the rounds of one run.

    Attributes:
        generator: Whose plan it is.
        store: The store of the run.
        seeds: The user's seeds, or None.
        target: Rows wanted, or None.
        exhausted: Why there is nothing more to ask, in words: the reason that the last plan returned, if it did.
    """

    generator: Generator[RowT]
    store: Store
    seeds: list[Seed] | None
    target: int | None
    exhausted: str = NOTHING_MORE

    def where_it_stopped(self) -> tuple[int, int, Planned | None]:
        """The round to go on with, its first seed, and what there was if it was planned before.

        A round that had nothing to ask is planned anew: since then `n` may have grown, or failed seeds succeeded.
        """
        rounds = self.store.rounds()
        if not rounds:
            return 0, 0, None
        number, first, rows, artifacts, target, done = rounds[-1]
        if not done:
            return number, first, (rows, artifacts, target)
        asked = self.store.count("seeds", f"round = {number}")
        return (number + 1, first + asked, None) if asked else (number, first, None)

    def begin(self, number: int, first: int) -> Planned:
        """Record that a round is planned from what there is now."""
        planned = self.store.count("rows"), self.store.count("artifacts"), self.target
        self.store.start_round(number, first, *planned)
        return planned

    def plan(self, number: int, first: int, planned: Planned | None = None) -> Iterator[tuple[int, Seed]]:
        """The seeds of a round with their indexes, taken one by one.

        Args:
            number: The round.
            first: Index of its first seed.
            planned: What there was when it was planned first; None for what there is now.

        Raises:
            ConfigError: The generator's plan is no iterable.
        """
        rows, artifacts, target = planned or (None, None, self.target)
        pool: Pool[Any] = Pool(
            self.store.log("rows", rows),
            artifacts=self.store.log("artifacts", artifacts),
            seeds=self.seeds,
            target=target,
            round=number,
        )
        seeds = self.generator.plan(pool)
        if not isinstance(seeds, Iterable):
            raise ConfigError(f"The plan of {type(self.generator).__name__} must return or yield seeds, not {seeds!r}.")
        return enumerate(self._in_turn(seeds), first)

    def _in_turn(self, seeds: Iterable[Seed]) -> Iterator[Seed]:
        self.exhausted = (yield from seeds) or NOTHING_MORE
