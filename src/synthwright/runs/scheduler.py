"""The scheduler: asks seeds concurrently, and settles what they gave in the order of the seeds."""

import asyncio
import json
import time
from collections import deque
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from synthwright.errors import BudgetExhaustedError, ConfigError, ParseError, SynthwrightError
from synthwright.lms.scopes import Scope, draw_scope
from synthwright.pool import Seed
from synthwright.programs.base import Generator, unparsable
from synthwright.runs.outcome import Outcome
from synthwright.runs.store import dump
from synthwright.signatures.rows import Rejected, Row

if TYPE_CHECKING:
    from synthwright.runs.session import Session

__all__ = ["IN_MEMORY", "STORED", "Scheduler", "Waiting", "ask", "written"]


AHEAD = 64
"""Seeds that may be taken for each one in flight while the first of them is not finished: it holds nobody up."""

IN_MEMORY = 4
"""Outcomes held in memory for each seed in flight; those beyond it that wait for an earlier seed are read back."""

MOST_SHOWN = 200
"""Characters of an error that are shown."""

STORED = Outcome()
"""Stands for an outcome that is in the store and not in memory."""


class Scheduler:
    """Works through seeds of one run on an event loop, at most `limit` at a time, with no barrier between them.

    Seeds finish in any order. What they gave is filtered and stored in the order of the seeds, everything that is
    ready at once in one transaction; what has to wait for an earlier seed is stored as it is meanwhile.

    Args:
        session: The run that the seeds belong to.
    """

    def __init__(self, session: "Session[Any]") -> None:
        self.session, self.limit = session, session.limit
        self.running: dict[asyncio.Task[Outcome], int] = {}
        self._done: deque[asyncio.Task[Outcome]] = deque()
        self._wake = asyncio.Event()

    async def work(self, seeds: Iterator[tuple[int, Seed]], number: int = 0, *, again: bool = False) -> int:
        """Ask seeds and settle them; returns how many there were.

        Args:
            seeds: (index, seed) pairs, possibly without end.
            number: The round.
            again: The seeds are left over from earlier sessions: ask those that failed although they were passed over.
        """
        session, store = self.session, self.session.store
        waiting = Waiting(number)
        count, exhausted = 0, False
        try:
            while True:
                await asyncio.sleep(0)  # a resumed run may read many seeds before it asks one: let signals in
                self._collect(waiting, again)
                session.settle(waiting)
                while not (exhausted or session.finished()) and self._has_room(waiting):
                    if (item := next(seeds, None)) is None:
                        exhausted = True
                        break
                    index, seed = item
                    count += 1
                    inputs = written(session.generator, index, seed)
                    waiting.order.append(index)
                    waiting.inputs[index] = inputs
                    stored = store.seed(index)
                    if stored is not None and stored[0] != inputs:
                        raise ConfigError(
                            f"Seed {index} of this run was {stored[0][:200]} and is now {inputs[:200]}: the plan of "
                            f"{type(session.generator).__name__} is not a function of the pool and the arguments "
                            "alone, so the run cannot go on. Use another output directory, or mend the plan."
                        )
                    if stored is None or (stored[1] == "failed" and (again or not stored[2])):
                        self._start(index, inputs)
                    else:
                        waiting.finished[index] = None if stored[2] else STORED
                        waiting.stored.add(index)
                        waiting.read_back.add(index)
                if self.running:
                    await self._wake.wait()
                elif (exhausted or session.finished()) and (not waiting.ready() or session.have_enough()):
                    return count
        finally:
            for task in self.running:
                task.cancel()
            await asyncio.gather(*self.running, return_exceptions=True)
            self.running.clear()
            self._done.clear()

    def _has_room(self, waiting: "Waiting") -> bool:
        """Whether to take one more seed: not if what is finished would do, nor too far ahead of a slow one."""
        n, taken = self.session.n, len(waiting.order)
        enough = n is not None and self.session.state.rows + waiting.rows >= n
        return len(self.running) < self.limit and not enough and taken < AHEAD * self.limit + 1000

    def give_up(self) -> None:
        """Cancel the seeds in flight."""
        for task in self.running:
            task.cancel()

    def stir(self) -> None:
        """Look at the state of the run again, although no seed finished."""
        self._wake.set()

    def _start(self, index: int, inputs: str) -> None:
        task = asyncio.create_task(self.session.ask(index, inputs))
        self.running[task] = index
        task.add_done_callback(self._finished)

    def _finished(self, task: "asyncio.Task[Outcome]") -> None:
        self._done.append(task)
        self._wake.set()

    def _collect(self, waiting: "Waiting", again: bool) -> None:
        """Take over the outcomes of the seeds that finished since the last time."""
        self._wake.clear()
        failure: BaseException | None = None
        while self._done:
            task = self._done.popleft()
            index = self.running.pop(task)
            if task.cancelled():
                continue
            error = task.exception()
            if isinstance(error, BudgetExhaustedError):
                self.session.watch.stop = self.session.watch.stop or self._why(error)
            elif error is not None:
                failure = failure or error
            else:
                waiting.finished[index] = outcome = task.result()
                waiting.fresh.append(index)
                waiting.rows += len(outcome.rows)
                self.session.watch.asked(index, outcome, again)
        if failure is not None:
            self.session.settle(waiting)
            raise failure

    def _why(self, error: BudgetExhaustedError) -> str:
        """The limit that was reached, and what the last call failed with: failed calls use up a budget too."""
        failed = self.session.meter.last_error
        return str(error) if failed is None else f"{error}, and the last call failed: {str(failed)[:MOST_SHOWN]}"


class Waiting:
    """Seeds that were taken and are not settled: their order, inputs and outcomes."""

    def __init__(self, number: int) -> None:
        self.round = number
        self.order: deque[int] = deque()
        self.inputs: dict[int, str] = {}
        self.finished: dict[int, Outcome | None] = {}  # None: admitted in an earlier session
        self.fresh: list[int] = []  # finished since the last settlement
        self.rows = 0  # that are finished and wait for an earlier seed
        self.stored: set[int] = set()  # finished and in the store
        self.read_back: set[int] = set()  # of these, the ones that were finished in an earlier session

    def ready(self) -> bool:
        """Whether the first seed in order is finished."""
        return bool(self.order) and self.order[0] in self.finished

    def settled(self, outcome: Outcome | None) -> None:
        """Take the first seed in order off; `outcome` is what it gave."""
        index = self.order.popleft()
        del self.finished[index]
        if outcome is None:
            del self.inputs[index]
        elif index not in self.read_back:
            self.rows -= len(outcome.rows)
        self.read_back.discard(index)


def written(generator: Generator[Any], index: int, seed: Seed) -> str:
    """A seed as it is stored.

    Raises:
        ConfigError: It does not fit the generator, or cannot be stored.
    """
    name, arguments = type(generator).__name__, generator.seed_signature()
    if not isinstance(seed, Mapping):
        raise ConfigError(f"Seed {index} is {seed!r}; a seed is a dictionary with the arguments {arguments}.")
    try:
        arguments.bind(**seed)
    except TypeError as error:
        raise ConfigError(
            f"Seed {index} does not fit {name}, which takes {arguments}: {error}. It is {dict(seed)!r}."
        ) from error
    try:
        return dump(dict(seed))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"Seed {index} of {name} cannot be stored as JSON: {seed!r} ({error}).") from error


async def ask(generator: Generator[Any], scope: Scope, inputs: str) -> Outcome:
    """Run a generator on one seed.

    Args:
        generator: The generator, with its LMs.
        scope: The draw.
        inputs: The seed as JSON: read back from it, a seed is the same now and when it is asked again.

    Raises:
        SynthwrightError: Something of ours is wrong, such as the configuration; any other error is in the outcome.
    """
    started = time.monotonic()
    try:
        with draw_scope(scope):
            prediction = await generator.acall(**json.loads(inputs))
        outcome = _outcome(prediction, generator)
    except ParseError as error:
        outcome = Outcome(rejected=[unparsable(generator.stem(), error)])
    except SynthwrightError:
        raise
    except Exception as error:
        if isinstance(error.__cause__, SynthwrightError):  # of an engine; DSPy took it for a failed call
            raise error.__cause__ from error
        outcome = Outcome(error=f"{type(error).__name__}: {error}", exception=error)
    outcome.seconds = time.monotonic() - started
    return outcome


def _outcome(prediction: Any, generator: Generator[Any]) -> Outcome:
    name, row_type = type(generator).__name__, generator.row_type()
    rows = getattr(prediction, "rows", None)
    if rows is None:
        raise ConfigError(f"{name} must return dspy.Prediction(rows=[...]), got {prediction!r}.")
    rejected, artifacts = getattr(prediction, "rejected", None) or [], getattr(prediction, "artifacts", None) or []
    for kind, values, what in ((row_type, rows, "row"), (Row, artifacts, "artifact"), (Rejected, rejected, "reject")):
        for value in values:
            if not isinstance(value, kind):
                raise ConfigError(f"{name} returned {value!r} as a {what}; it must be a {kind.__name__}.")
    return Outcome(rows=list(rows), rejected=list(rejected), artifacts=list(artifacts))
