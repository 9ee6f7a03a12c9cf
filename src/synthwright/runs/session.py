"""One session of a run: the asyncio scheduler between a generator's plan and the run store."""

import asyncio
import copy
import hashlib
import inspect
import json
import re
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

import dspy
from dspy.utils.exceptions import (
    LMAuthError,
    LMBillingError,
    LMRateLimitError,
    LMServerError,
    LMTimeoutError,
    LMTransportError,
)
from pydantic import BaseModel

from synthwright.errors import (
    BudgetExhaustedError,
    ConfigError,
    ParseError,
    ProgramError,
    StoreError,
    SynthwrightError,
    UnusableLMError,
)
from synthwright.filters.base import Filter, RowCheck, as_filter
from synthwright.lms.adapters import default_adapter
from synthwright.lms.calls import EngineLM
from synthwright.lms.metered import Budget, Meter, Price, Retry, Scope, Usage, draw_scope, names_of
from synthwright.pool import Pool, Seed
from synthwright.programs.base import Generator, unparsable
from synthwright.runs.demonstrations import apply_shipped
from synthwright.runs.files import write_lines
from synthwright.runs.funnel import Funnel
from synthwright.runs.roles import assign_lms, describe, resolve_lms, used_roles
from synthwright.runs.run import Progress, Run
from synthwright.runs.store import Outcome, Store, dump
from synthwright.signatures.rows import Provenance, Rejected, Row

__all__ = ["Session"]

RowT = TypeVar("RowT", bound=Row)

FAILURES_IN_A_ROW = 8
"""Seeds that may fail one after another, with no success between, before the run gives up."""

BARREN_SEEDS = 20
"""Seeds at the start of a session of which not one reply could be read, before the LM counts as unusable."""

NOTHING_MORE = "there is nothing more to ask"

PATIENCE = 300
"""Seeds in a row without a kept row before a run stops by itself."""

_OUTAGE = (LMAuthError, LMBillingError, LMRateLimitError, LMServerError, LMTimeoutError, LMTransportError)
"""Errors that say something about the LM and nothing about the seed."""


class Session(Generic[RowT]):
    """What `generate` does; it has the same arguments."""

    def __init__(
        self,
        generator: Generator[RowT],
        *,
        n: int | None = None,
        seeds: Iterable[Seed] | None = None,
        out: str | Path | None = None,
        lms: dspy.BaseLM | Mapping[str, dspy.BaseLM] | None = None,
        seed: int = 0,
        filters: Sequence[Filter | RowCheck] | None = None,
        demonstrations: bool = True,
        concurrency: int | None = None,
        budget: Budget | None = None,
        prices: Mapping[str, Price] | None = None,
        retry: Retry | None = None,
        progress: Callable[[Progress], None] | None = None,
    ) -> None:
        if not isinstance(generator, Generator):
            raise ConfigError(
                f"generate() needs a Generator object, got {generator!r}. Example: generate(EvolInstruct(), n=10)."
            )
        if n is not None and (isinstance(n, bool) or not isinstance(n, int) or n < 1):
            raise ConfigError(f"`n` must be at least 1 row, got {n!r}; leave it out for one pass over the material.")
        if concurrency is not None and (not isinstance(concurrency, int) or concurrency < 1):
            raise ConfigError(f"`concurrency` must be a whole number of at least 1, got {concurrency!r}.")
        if budget is not None and not isinstance(budget, Budget):
            raise ConfigError(f"`budget` must be a Budget such as Budget(calls=1000), got {budget!r}.")
        self.n, self.seed, self.retry, self.callback = n, seed, retry, progress
        self.seeds = _checked_seeds(generator, seeds)
        resolved = resolve_lms(generator, lms)
        self.lms = {role: resolved[role] for role in used_roles(generator)}
        self.limit = concurrency or min(lm.concurrency if isinstance(lm, EngineLM) else 64 for lm in self.lms.values())
        self.generator: Generator[RowT] = generator.deepcopy()
        self.shipped = apply_shipped(self.generator, self.lms) if demonstrations else []
        wanted = generator.filters if filters is None else filters
        self.filters = [copy.deepcopy(f) if isinstance(f, Filter) else as_filter(f) for f in wanted]
        self.method = generator.stem()
        self.out = Path(out) if out is not None else Path("runs") / self.method
        self.budget, self.prices = budget, prices
        self.arguments = _arguments(type(generator))
        self.provenance = Provenance(
            method=self.method,
            version=_version(),
            prompts=self.generator.prompts_hash(),
            lms={role: lm.model for role, lm in self.lms.items()},
            seed=0,
        )
        self.state = Progress(self.method, n)
        self.running: dict[asyncio.Task[Outcome], int] = {}
        self.failures_in_a_row = self.barren = self.fruitless = 0
        self.read_any = self.interrupted = False
        self.last_failure = Outcome()
        self.loop: asyncio.AbstractEventLoop | None = None
        self.sample = ""
        self.stop: str | None = None  # why no more seeds are taken
        self.exhausted = NOTHING_MORE  # or the reason that the last plan returned
        self.fatal: Exception | None = None  # raised when all is stored

    def config(self) -> dict[str, Any]:
        """What makes a run this run. `n`, `concurrency` and `budget` may change from session to session."""
        return {
            "method": self.method,
            "generator": f"{type(self.generator).__module__}:{type(self.generator).__qualname__}",
            "arguments": {name: _jsonable(value) for name, value in self.generator.params().items()},
            "prompts": self.provenance.prompts,
            "lms": {role: describe(lm) for role, lm in self.lms.items()},
            "filters": [_without_addresses(repr(f)) for f in self.filters],
            "seed": self.seed,
            "seeds": _digest(self.seeds),
        }

    async def run(self) -> Run[RowT]:
        """Do what is left to do, and write the files."""
        self.loop = asyncio.get_running_loop()
        with Store(self.out) as self.store:
            self.store.claim(self.config())
            self.meter = Meter(self.budget, self._used(), self.prices)
            self.calls_before = self.meter.used.calls
            wrapped = assign_lms(self.generator, self.lms, self.meter, self.retry, self.limit)
            self.names = names_of(self.generator)
            self._restore()
            settings = {"adapter": default_adapter(), "disable_history": True, "max_trace_size": 0}
            worked = False
            try:
                with dspy.context(lm=next(iter(wrapped.values())), **settings), self._signals():
                    if not self._have_enough():
                        await self._preflight()
                        await self._rounds()
                worked = True
            finally:
                try:
                    self.store.add_usage(self.meter.take())
                    self._write_files()
                except StoreError:
                    if worked:  # else the error that is under way is the one to show
                        raise
                finally:
                    await self._close_engines()
                self._report(done=True)
            if self.fatal:
                raise self.fatal
            return self._result_of_run()

    def interrupt(self) -> None:
        """Take no more seeds and let those in flight finish; a second call gives those up. Thread-safe."""
        if self.loop is None:
            self._interrupt()
        else:
            self.loop.call_soon_threadsafe(self._interrupt)

    def _result_of_run(self) -> Run[RowT]:
        enough, failed = self._have_enough(), self.store.count("seeds", "status = 'failed'")
        if enough:
            stopped = "all rows asked for are there"
        elif self.stop:
            stopped = self.stop
        elif failed:
            stopped = f"{self.exhausted}; {failed} seeds failed, and the same command tries them again"
        else:
            stopped = self.exhausted
        return Run(
            out=self.out,
            method=self.method,
            funnel=self._funnel(),
            usage=self.store.usage(),
            seconds=self.state.seconds,
            stopped=stopped,
            complete=enough or not (self.stop or failed),
            row_type=cast(type[RowT], self.generator.row_type()),
            interrupted=self.interrupted and not enough,
            shipped=tuple(self.shipped),
        )

    # Rounds and seeds

    async def _rounds(self) -> None:
        await self._work(self._left_over(), again=True)
        self._count()
        number, first, planned = self._where_it_stopped()
        while not (self.stop or self._have_enough()):
            if planned is None:
                planned = self.store.count("rows"), self.store.count("artifacts"), self.n
                self.store.start_round(number, first, *planned)
            rows, artifacts, target = planned
            pool: Pool[Any] = Pool(
                self.store.log("rows", rows),
                artifacts=self.store.log("artifacts", artifacts),
                seeds=self.seeds,
                target=target,
                round=number,
            )
            asked = await self._work(enumerate(self._plan(pool), first), number)
            if self.stop or self._have_enough():
                return
            self.store.finish_round(number)
            if not asked:
                break
            number, first, planned = number + 1, first + asked, None
        if self.last_failure.error and not self.stop and not self.store.count("seeds", "status = 'done'"):
            self._give_up("Not one seed succeeded", self.last_failure)

    def _where_it_stopped(self) -> tuple[int, int, tuple[int, int, int | None] | None]:
        """The round to go on with, its first seed, and (rows, artifacts, target) if it was planned before.

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

    def _left_over(self) -> Iterator[tuple[int, Seed]]:
        return iter([(index, json.loads(inputs)) for index, inputs in self.store.left_over()])

    def _plan(self, pool: Pool[Any]) -> Iterable[Seed]:
        seeds = self.generator.plan(pool)
        if not isinstance(seeds, Iterable):
            raise ConfigError(f"The plan of {type(self.generator).__name__} must return or yield seeds, not {seeds!r}.")

        def in_turn() -> Iterator[Seed]:
            self.exhausted = (yield from seeds) or NOTHING_MORE

        return in_turn()

    async def _work(self, seeds: Iterator[tuple[int, Seed]], number: int = 0, *, again: bool = False) -> int:
        """Ask seeds concurrently, store each as it finishes, admit them in their order; returns how many there were.

        Args:
            seeds: (index, seed) pairs, possibly without end.
            number: The round.
            again: The seeds are left over from earlier sessions: ask those that failed although they were passed over.
        """
        order: deque[int] = deque()  # asked and not yet admitted
        finished: dict[int, Outcome | None] = {}  # None: admitted in an earlier session
        inputs: dict[int, str] = {}
        count, exhausted = 0, False
        try:
            while True:
                await asyncio.sleep(0)  # a resumed run may read many seeds before it asks one: let signals in
                while order and order[0] in finished and not (finished[order[0]] and self._have_enough()):
                    outcome = finished.pop(order[0])
                    if outcome is not None:
                        self._admit(order[0], outcome)
                    del inputs[order.popleft()]
                while not (exhausted or self.stop or self._have_enough()) and (
                    len(self.running) < self.limit and len(order) < 4 * self.limit + 16
                ):
                    if (item := next(seeds, None)) is None:
                        exhausted = True
                        break
                    index, seed = item
                    count += 1
                    order.append(index)
                    inputs[index] = self._written(index, seed)
                    stored = self.store.seed(index)
                    if stored is not None and stored[0] != inputs[index]:
                        raise ConfigError(
                            f"Seed {index} of this run was {stored[0][:200]} and is now {inputs[index][:200]}: the "
                            f"plan of {type(self.generator).__name__} is not a function of the pool and the arguments "
                            "alone, so the run cannot go on. Use another output directory, or mend the plan."
                        )
                    if stored is None or (stored[1] == "failed" and (again or not stored[2])):
                        self.running[asyncio.create_task(self._ask(index, inputs[index]))] = index
                    else:
                        finished[index] = None if stored[2] else self.store.outcome(index)
                if self.running:
                    done, _ = await asyncio.wait(self.running, return_when=asyncio.FIRST_COMPLETED)
                    for task in done:
                        index = self.running.pop(task)
                        if (outcome := self._result(task)) is not None:
                            outcome.usage = self.meter.take()
                            self.store.finish_seed(index, number, inputs[index], outcome)
                            finished[index] = outcome
                            self._watch(outcome, again)
                elif exhausted or self.stop or self._have_enough():
                    if not (order and order[0] in finished) or self._have_enough():
                        return count
        finally:
            for task in self.running:
                task.cancel()
            await asyncio.gather(*self.running, return_exceptions=True)
            self.running.clear()

    def _written(self, index: int, seed: Seed) -> str:
        """A seed as it is stored."""
        name = type(self.generator).__name__
        if not isinstance(seed, Mapping):
            raise ConfigError(f"Seed {index} is {seed!r}; a seed is a dictionary with the arguments {self.arguments}.")
        try:
            self.arguments.bind(**seed)
        except TypeError as error:
            raise ConfigError(
                f"Seed {index} does not fit {name}, which takes {self.arguments}: {error}. It is {dict(seed)!r}."
            ) from error
        try:
            return dump(dict(seed))
        except (TypeError, ValueError) as error:
            raise ConfigError(f"Seed {index} of {name} cannot be stored as JSON: {seed!r} ({error}).") from error

    async def _ask(self, index: int, inputs: str) -> Outcome:
        started = time.monotonic()
        scope = Scope(self.seed, str(index), self.names)
        try:
            with draw_scope(scope):  # read back from its JSON, a seed is the same now and when it is asked again
                prediction = await self.generator.acall(**json.loads(inputs))
            outcome = _outcome(prediction, self.generator)
        except ParseError as error:
            outcome = Outcome(rejected=[unparsable(self.method, error)])
        except SynthwrightError:
            raise
        except Exception as error:
            if isinstance(error.__cause__, SynthwrightError):  # of an engine; DSPy took it for a failed call
                raise error.__cause__ from error
            outcome = Outcome(error=f"{type(error).__name__}: {error}", exception=error)
        outcome.seconds = time.monotonic() - started
        return outcome

    def _result(self, task: "asyncio.Task[Outcome]") -> Outcome | None:
        """The outcome of a seed, or None if the run stopped before it could finish."""
        if task.cancelled():
            return None
        error = task.exception()
        if isinstance(error, BudgetExhaustedError):
            self.stop = self.stop or str(error)
            return None
        if error is not None:
            raise error
        return task.result()

    def _admit(self, index: int, outcome: Outcome) -> None:
        """Filter what a seed gave, in order, and store the verdicts. Rows beyond `n` wait for a larger `n`."""
        kept: list[tuple[int, Row]] = []
        rejected = list(outcome.rejected)
        provenance = self.provenance.model_copy(update={"seed": index})
        for position, row in enumerate(outcome.rows):
            verdicts = ((test, test.check(row)) for test in self.filters)
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
                continue
            for test in self.filters:
                test.add(row)
            kept.append((position, row.model_copy(update={"provenance": provenance})))
        self.store.admit(index, kept, rejected, outcome.artifacts)
        state = self.state
        state.rows += len(kept)
        state.made += len(kept) + len(rejected)
        state.seeds += 1
        state.failed += outcome.error is not None
        state.last_row = kept[-1][1] if kept else state.last_row
        state.last_reject = rejected[-1] if rejected else state.last_reject
        self.fruitless = 0 if kept or outcome.artifacts else self.fruitless + (outcome.error is None)
        if self.fruitless >= PATIENCE:
            self.stop = self.stop or f"no row was kept from the last {PATIENCE} seeds"
        self._report()

    def _watch(self, outcome: Outcome, again: bool) -> None:
        """Stop early when every seed fails, or when nothing that comes back can be read.

        A seed that fails again for a reason of its own says nothing about the LM.
        """
        if outcome.error is not None:
            self.last_failure = outcome
            self.failures_in_a_row += isinstance(outcome.exception, _OUTAGE) or not again
            if self.failures_in_a_row >= FAILURES_IN_A_ROW and not self.stop:
                self._give_up(f"{self.failures_in_a_row} seeds in a row failed", outcome)
            return
        self.failures_in_a_row = 0
        unread = [r for r in outcome.rejected if r.reason in ("unparsable", "truncated")]
        if outcome.rows or outcome.artifacts or len(outcome.rejected) > len(unread):
            self.read_any = True
        elif unread and not self.read_any:
            self.barren += 1
            self.sample = self.sample or str(unread[0].content.get("reply", ""))
            if self.barren >= BARREN_SEEDS and not self.stop:
                self.stop = "nothing that the LM returned could be read"
                models = " or ".join(repr(model) for model in dict.fromkeys(self.provenance.lms.values()))
                self.fatal = UnusableLMError(
                    f"Not one reply of the first {self.barren} seeds could be read. The first of them was "
                    f"{self.sample[:300]!r}. Is {models} the right model, and does it "
                    "follow instructions? A weak LM needs demonstrations: see `synthwright optimize --help`."
                )

    def _give_up(self, what: str, outcome: Outcome) -> None:
        self.stop = "every seed fails"
        error = UnusableLMError if isinstance(outcome.exception, dspy.LMError | None) else ProgramError
        self.fatal = error(
            f"{what}, the last with {outcome.error}\n"
            f"What was made is kept in {str(self.out)!r}; run the same command to go on."
        )
        self.fatal.__cause__ = outcome.exception

    # Beginning and end

    def _used(self) -> Usage:
        total = Usage()
        for usage in self.store.usage().values():
            total.add(usage)
        return total

    def _restore(self) -> None:
        """Rebuild the filters' indexes and the counts from the store."""
        for row in self.store.log("rows"):
            for test in self.filters:
                test.add(row)
        self._count()

    def _count(self) -> None:
        self.state.rows = self.store.count("rows")
        self.state.made = self.state.rows + self.store.count("rejected")
        self.state.seeds = self.store.count("seeds", "admitted")
        self.state.failed = self.store.count("seeds", "status = 'failed'")

    def _have_enough(self) -> bool:
        return self.n is not None and self.state.rows >= self.n

    async def _preflight(self) -> None:
        """Ask engines that can tell whether they are alive, so that a wrong address fails at once."""
        for lm in {id(lm): lm for lm in self.lms.values()}.values():
            check = getattr(getattr(lm, "engine", None), "check", None)
            if callable(check):
                await asyncio.to_thread(check)

    async def _close_engines(self) -> None:
        for lm in self.lms.values():
            close = getattr(getattr(lm, "async_engine", None), "aclose", None)
            if callable(close):
                await cast(Any, close())

    def _interrupt(self) -> None:
        if self.interrupted:
            for task in self.running:
                task.cancel()
        self.stop, self.interrupted = "interrupted", True

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """The first Ctrl-C takes no more seeds and waits for those in flight; the second gives those up."""
        loop = asyncio.get_running_loop()
        try:
            loop.add_signal_handler(signal.SIGINT, self._interrupt)
            handled = True
        except (ValueError, RuntimeError, NotImplementedError):
            handled = False  # not the main thread, or a platform without signal handlers
        try:
            yield
        finally:
            if handled:
                loop.remove_signal_handler(signal.SIGINT)

    def _funnel(self) -> Funnel:
        return Funnel(
            asked=self.store.count("seeds", "admitted"),
            failed=self.store.count("seeds", "status = 'failed'"),
            kept=min(self.store.count("rows"), self.n or 2**62),
            lost=tuple(self.store.losses()),
        )

    def _report(self, *, done: bool = False) -> None:
        state = self.state
        state.done, state.usage, state.seconds = done, self.meter.used, time.monotonic() - self.meter.started
        state.calls_per_second = (self.meter.used.calls - self.calls_before) / max(state.seconds, 1e-9)
        if self.callback is not None:
            self.callback(state)

    def _write_files(self) -> None:
        """Write `rows.jsonl` and `rejected.jsonl`, each whole or not at all."""
        count = min(self.store.count("rows"), self.n or 2**62)
        write_lines(self.out / "rows.jsonl", self.store.records("rows", count))
        rejects = ({"seed": seed, **reject.model_dump(mode="json")} for seed, reject in self.store.rejects())
        write_lines(self.out / "rejected.jsonl", rejects)


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


def _arguments(generator: type[Generator[Any]]) -> inspect.Signature:
    """What one seed gives to a generator."""
    method = generator.forward if generator.aforward is Generator.aforward else generator.aforward
    signature = inspect.signature(method)
    return signature.replace(
        parameters=list(signature.parameters.values())[1:], return_annotation=inspect.Signature.empty
    )


def _checked_seeds(generator: Generator[Any], seeds: Iterable[Seed] | None) -> list[Seed] | None:
    if seeds is None:
        return None
    if not isinstance(seeds, Iterable):
        raise ConfigError(f"`seeds` must be a list of dictionaries, got {seeds!r}.")
    checked = list(seeds)
    if not checked:
        raise ConfigError("`seeds` is empty: there is nothing to ask. Leave it out to use the generator's own seeds.")
    for index, seed in enumerate(checked):
        if not isinstance(seed, Mapping) or not all(isinstance(name, str) for name in seed):
            fields = ", ".join(generator.seed_fields()) or "the arguments of its forward"
            raise ConfigError(f"Seed {index} is {seed!r}; a seed is a dictionary with {fields}.")
    return checked


def _digest(seeds: list[Seed] | None) -> str | None:
    if seeds is None:
        return None
    text = json.dumps([dict(seed) for seed in seeds], sort_keys=True, default=str)
    return f"{len(seeds)} seeds, SHA-256 {hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _jsonable(value: Any) -> Any:
    """An argument as a run records it: equal arguments of two processes look equal."""
    if isinstance(value, set | frozenset):
        return sorted((_jsonable(v) for v in value), key=repr)
    if isinstance(value, Mapping):
        return {str(key): _jsonable(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(v) for v in value]
    if isinstance(value, str | int | float | bool | None):
        return value
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return _without_addresses(repr(value))


def _without_addresses(text: str) -> str:
    return re.sub(r" at 0x[0-9a-fA-F]+", "", text)


def _version() -> str:
    try:
        return version("synthwright")
    except PackageNotFoundError:
        return "unknown"
