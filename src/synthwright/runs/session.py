"""One session of a run: from a generator and its arguments to a dataset in the run store."""

import asyncio
import itertools
import json
import logging
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

import dspy

from synthwright.errors import ConfigError, StoreError
from synthwright.filters.base import Filter, RowCheck
from synthwright.lms.adapters import default_adapter
from synthwright.lms.budgets import Budget, Meter, Price, Retry, SharedLedger, Usage
from synthwright.lms.calls import EngineLM
from synthwright.lms.journal import Journal, open_journal
from synthwright.lms.scopes import Scope, names_of
from synthwright.lms.tracing import run_span, seed_span, tracer
from synthwright.pool import Seed
from synthwright.programs import prompts
from synthwright.programs.base import Generator
from synthwright.runs.admission import Admission
from synthwright.runs.arguments import check_arguments, checked_seeds
from synthwright.runs.demonstrations import apply_shipped
from synthwright.runs.files import write_lines
from synthwright.runs.forecast import Forecast, SeedCost, extrapolate
from synthwright.runs.funnel import Funnel
from synthwright.runs.outcome import Outcome
from synthwright.runs.record import digest, jsonable, package_version
from synthwright.runs.roles import assign_lms, close_engines, describe, resolve_lms, used_roles
from synthwright.runs.rounds import Rounds
from synthwright.runs.run import Progress, Run
from synthwright.runs.scheduler import IN_MEMORY, STORED, Scheduler, Waiting, ask, written
from synthwright.runs.store import Store
from synthwright.runs.watch import Watch
from synthwright.runs.workers import Job, Workers
from synthwright.signatures.rows import Provenance, Rejected, Row

__all__ = ["Session"]

RowT = TypeVar("RowT", bound=Row)

MOST_COUNTED = 100_000
"""Seeds that a forecast counts at most in a plan that may be endless."""

REPORT_EVERY = 1.0
"""Seconds without a finished seed after which progress is reported, as long as calls are answered."""

_log = logging.getLogger("synthwright.runs")


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
        journal: bool | str | Path = True,
        workers: int = 1,
        progress: Callable[[Progress], None] | None = None,
        dry_run: int | None = None,
    ) -> None:
        check_arguments(generator, n=n, concurrency=concurrency, budget=budget, workers=workers, dry_run=dry_run)
        self.n, self.seed, self.retry, self.callback = n, seed, retry, progress
        self.seeds = checked_seeds(generator, seeds)
        resolved = resolve_lms(generator, lms)
        self.lms = {role: resolved[role] for role in used_roles(generator)}
        self.limit = concurrency or min(lm.concurrency if isinstance(lm, EngineLM) else 64 for lm in self.lms.values())
        self.generator: Generator[RowT] = generator.deepcopy()
        self.shipped = apply_shipped(self.generator, self.lms) if demonstrations else []
        self.method = generator.stem()
        self.out = Path(out) if out is not None else Path("runs") / self.method.replace("_", "-")
        self.budget, self.prices, self.journal = budget, prices, journal
        self.provenance = Provenance(
            method=self.method,
            version=package_version(),
            prompts=self.generator.prompts_hash(),
            lms={role: lm.model for role, lm in self.lms.items()},
            seed=0,
        )
        wanted = generator.filters if filters is None else filters
        self.admission = Admission(wanted, generator.artifact_filters, self.provenance)
        self.state = Progress(self.method, n)
        self.scheduler = Scheduler(self)
        self.watch = Watch(self.out, [lm.model for lm in self.lms.values()])
        self.count, self.dry_run = workers, dry_run
        self.workers: Workers | None = None
        self.loop: asyncio.AbstractEventLoop | None = None
        self.interrupted = False
        self._write_due = False
        self._reported = time.monotonic()
        self._arrived: tuple[list[Any], list[Any]] = [], []

    def config(self) -> dict[str, Any]:
        """What makes a run this run. `n`, `concurrency` and `budget` may change from session to session."""
        return {
            "method": self.method,
            "generator": f"{type(self.generator).__module__}:{type(self.generator).__qualname__}",
            "arguments": {name: jsonable(value) for name, value in self.generator.params().items()},
            "prompts": self.provenance.prompts,
            "lms": {role: describe(lm) for role, lm in self.lms.items()},
            **self.admission.config(),
            "seed": self.seed,
            "seeds": digest(self.seeds),
        }

    def settings(self) -> dict[str, Any]:
        """What may change from session to session."""
        return {
            "n": self.n,
            "concurrency": self.limit,
            "budget": {name: limit for name, limit in asdict(self.budget or Budget()).items() if limit is not None},
            "prices": {model: asdict(price) for model, price in (self.prices or {}).items()},
            "workers": self.count,
            "journal": self.journal if isinstance(self.journal, bool) else str(self.journal),
            "shipped_demonstrations": list(self.shipped),
            "version": self.provenance.version,
        }

    async def run(self) -> Run[RowT]:
        """Do what is left to do, and write the files."""
        facts = {"synthwright.method": self.method, "synthwright.out": str(self.out), "synthwright.target": self.n}
        with run_span(self.method, facts, self._facts), Store(self.out) as self.store:
            self.store.claim(self.config())
            rows = self.store.count("rows")
            _log.info("%s begins in %s: %d rows there, %s wanted", self.method, self.out, rows, self.n or "one pass")
            self.store.set_meta("settings", self.settings())
            self.store.set_meta("prompts", prompts.dump(self.method, self.generator.all_predictors()))
            self.store.set_meta("ended", False)  # until then, readers take the rows from the store
            worked = False
            try:
                async with self._prepared():
                    if not self.have_enough():
                        await self._start()
                        await self._work()
                worked = True
            finally:
                try:
                    self._write_files()
                except StoreError:
                    if worked:  # else the error that is under way is the one to show
                        raise
                self._report(done=True)
            if self.watch.fatal:
                _log.info("%s stopped in %s: %s", self.method, self.out, self.watch.fatal)
                raise self.watch.fatal
            run = self._result_of_run()
            used = run.total_usage
            _log.info(
                "%s ended in %s: %d rows, %d calls, %d tokens, %.1f s; %s",
                *(self.method, self.out, len(run), used.calls, used.tokens, run.seconds, run.stopped),
            )
            return run

    async def forecast(self, count: int) -> Forecast:
        """Ask the next few seeds without storing anything but their calls, which the run then need not make."""
        with Store(self.out) as self.store:
            if self.store.meta("config") is not None:
                self.store.claim(self.config())
            async with self._prepared():
                await self._start()
                number, first, _ = self.rounds.where_it_stopped()
                plan = itertools.islice(self.rounds.plan(number, first), MOST_COUNTED)
                seeds = [(index, seed) for index, seed in plan if self.store.seed(index) is None]
                asked = await asyncio.gather(*(self._try(index, seed) for index, seed in seeds[:count]))
        if not asked:
            raise ConfigError("There is nothing to forecast: the plan has no seed that was not asked.")
        outcomes = [outcome for outcome, _ in asked]
        if all(outcome.error is not None for outcome in outcomes):
            self.watch.last_failure = outcomes[-1]
            self.watch.give_up("Not one seed of the dry run succeeded")
            raise cast(Exception, self.watch.fatal)
        costs = []
        for (index, _), (outcome, used) in zip(seeds, asked, strict=False):
            kept, rejected = self.admission.of(index, outcome)
            costs.append(
                SeedCost(used, outcome.seconds, len(kept) + len(rejected), len(kept), outcome.error is not None)
            )
        return extrapolate(costs, self.n, passes=len(seeds), limit=self.limit, seed=self.seed)

    async def _try(self, index: int, seed: Seed) -> tuple[Outcome, Usage]:
        scope, total = Scope(self.seed, str(index), self.names), Usage()
        outcome = await ask(self.generator, scope, written(self.generator, index, seed))
        for used in scope.used.values():
            total.add(used)
        return outcome, total

    @asynccontextmanager
    async def _prepared(self) -> AsyncIterator[None]:
        """The meter, the journal, the LMs, the filters and DSPy's settings of this session."""
        self.loop = asyncio.get_running_loop()
        ledger = self._shared_ledger() if self.count > 1 else None
        self.meter = Meter(self.budget, self._used(), self.prices, self._call_answered, ledger)
        self.calls_before = self.meter.used.calls
        self.calls = self._open_journal()
        if self.count > 1:
            self.workers = Workers(self, self.count, self._job())
            if deaf := [type(callback).__name__ for callback in dspy.settings.callbacks]:
                _log.warning(
                    "DSPy's callbacks (%s) hear nothing of calls in workers; use `workers=1`.", ", ".join(deaf)
                )
        wrapped = assign_lms(self.generator, self.lms, self.meter, self.retry, self.limit, self.calls)
        self.names = names_of(self.generator)
        self.rounds = Rounds(self.generator, self.store, self.seeds, self.n)
        self.admission.restore(self.store)
        self._count()
        settings = {"adapter": default_adapter(), "disable_history": True, "max_trace_size": 0}
        try:
            with dspy.context(lm=next(iter(wrapped.values())), **settings), self._signals():
                yield
        finally:
            self._write_soon()
            await close_engines(self.lms)
            if self.workers is not None:
                await self.workers.close()
                (self.out / ".ledger").unlink(missing_ok=True)

    async def _start(self) -> None:
        await self._preflight()
        if self.workers is not None:
            await self.workers.start()

    def _facts(self) -> dict[str, Any]:
        """What a trace tells of the run when it ends."""
        return {"synthwright.rows": self.state.rows, "synthwright.made": self.state.made}

    def interrupt(self) -> None:
        """Take no more seeds and let those in flight finish; a second call gives those up. Thread-safe."""
        if self.loop is None:
            self._interrupt()
        else:
            self.loop.call_soon_threadsafe(self._interrupt)

    def _result_of_run(self) -> Run[RowT]:
        enough, failed = self.have_enough(), self.store.count("seeds", "status = 'failed'")
        if enough:
            stopped = "all rows asked for are there"
        elif self.watch.stop:
            stopped = self.watch.stop
        elif failed:
            stopped = f"{self.rounds.exhausted}; {failed} seeds failed, and the same command tries them again"
        else:
            stopped = self.rounds.exhausted
        return Run(
            out=self.out,
            method=self.method,
            funnel=self._funnel(),
            usage=self.store.usage(),
            seconds=self.state.seconds,
            stopped=stopped,
            complete=enough or not (self.watch.stop or failed),
            row_type=cast(type[RowT], self.generator.row_type()),
            interrupted=self.interrupted and not enough,
            shipped=tuple(self.shipped),
        )

    # Rounds and seeds

    async def _work(self) -> None:
        await self.scheduler.work(self._left_over(), again=True)
        self._count()
        number, first, planned = self.rounds.where_it_stopped()
        while not (self.watch.stop or self.have_enough()):
            planned = planned or self.rounds.begin(number, first)
            asked = await self.scheduler.work(self.rounds.plan(number, first, planned), number)
            if self.watch.stop or self.have_enough():
                return
            self.store.finish_round(number)
            if not asked:
                break
            number, first, planned = number + 1, first + asked, None
        if self.watch.last_failure.error and not self.watch.stop and not self.store.count("seeds", "status = 'done'"):
            self.watch.give_up("Not one seed succeeded")

    def _left_over(self) -> Iterator[tuple[int, Seed]]:
        return iter([(index, json.loads(inputs)) for index, inputs in self.store.left_over()])

    def ask(self, index: int, inputs: str) -> Any:
        """A coroutine that gives the outcome of one seed."""
        if self.workers is not None:
            return seed_span(index, self.workers.ask(index, inputs))
        return seed_span(index, ask(self.generator, Scope(self.seed, str(index), self.names), inputs))

    def settle(self, waiting: Waiting) -> None:
        """Filter and store, in order, what is ready, and store what has to wait, all in one transaction."""
        admitted: list[tuple[int, Outcome, list[tuple[int, Row]], list[Rejected]]] = []
        try:
            while waiting.ready() and not (waiting.finished[waiting.order[0]] and self.have_enough()):
                index = waiting.order[0]
                outcome = waiting.finished[index]
                if outcome is STORED:
                    outcome = self.store.outcome(index)
                if outcome is not None:
                    kept, rejected = self.admission.of(index, outcome)
                    admitted.append((index, outcome, kept, rejected))
                    self._count_in(outcome, kept, rejected)
                waiting.settled(outcome)
        finally:
            self._store(waiting, admitted)
        if admitted:
            self._report()

    def _store(self, waiting: Waiting, admitted: list[Any]) -> None:
        with self.store.transaction():
            self._write_calls()
            for index, outcome, kept, rejected in admitted:
                fresh = index not in waiting.stored
                inputs = waiting.inputs.pop(index)
                if fresh:
                    self.store.add_seed(index, waiting.round, inputs, outcome, admitted=True)
                self.store.admit(index, kept, rejected, outcome.artifacts, stored=not fresh)
            crowded = len(waiting.finished) > IN_MEMORY * self.limit
            for index in waiting.fresh:
                if (outcome := waiting.finished.get(index)) is not None:
                    self.store.add_seed(index, waiting.round, waiting.inputs[index], outcome, admitted=False)
                    waiting.stored.add(index)
                    if crowded:
                        waiting.finished[index] = STORED
        waiting.fresh.clear()

    def _count_in(self, outcome: Outcome, kept: list[tuple[int, Row]], rejected: list[Rejected]) -> None:
        state = self.state
        state.rows += len(kept)
        state.made += len(kept) + len(rejected)
        state.seeds += 1
        state.failed += outcome.error is not None
        state.last_row = kept[-1][1] if kept else state.last_row
        state.last_reject = rejected[-1] if rejected else state.last_reject
        if outcome.error is not None:
            _log.info("A seed of %s failed: %s", self.method, outcome.error)
        self.watch.admitted(outcome, len(kept))

    # Calls

    def _open_journal(self) -> Journal | None:
        """The journal of this run, which looks into that of another run if the user named one."""
        if self.journal is False:
            return None
        earlier = () if isinstance(self.journal, bool) else (open_journal(self.journal),)
        return self.store.journal(earlier=earlier)

    def _call_answered(self) -> None:
        """A call was paid for: write it before anything else happens, with all others that arrived at once."""
        if not self._write_due and self.loop is not None:
            self._write_due = True
            self.loop.call_soon_threadsafe(self._write_soon)

    def calls_arrived(self, records: list[Any], texts: list[Any], usage: Mapping[Any, Usage], recalled: int) -> None:
        """Take over what a worker process was answered."""
        self._arrived[0].extend(records)
        self._arrived[1].extend(texts)
        self.meter.recalled += recalled
        self.meter.book(usage)

    def _shared_ledger(self) -> SharedLedger:
        path = self.out / ".ledger"
        path.unlink(missing_ok=True)  # of a run that was killed
        return SharedLedger(path)

    def _job(self) -> Job:
        journals = ()
        if self.calls is not None:
            journals = (self.out, *(() if isinstance(self.journal, bool) else (Path(self.journal),)))
        return Job(
            generator=self.generator,
            lms=self.lms,
            adapter=default_adapter(),
            seed=self.seed,
            limit=-(-self.limit // self.count),
            budget=self.budget,
            ledger=self.out / ".ledger",
            prices=self.prices,
            retry=self.retry,
            journals=journals,
            traced=tracer() is not None,
        )

    def _write_soon(self) -> None:
        try:
            with self.store.transaction():
                self._write_calls()
        except StoreError as error:
            self.watch.stop, self.watch.fatal = "the run store cannot be written", error
            self.scheduler.stir()
        if time.monotonic() - self._reported >= REPORT_EVERY:
            self._report()

    def _write_calls(self) -> None:
        self._write_due = False
        if self.calls is not None:
            self.calls.write()
            self.calls.store(*self._arrived)
            self._arrived = [], []
        self.store.add_usage(self.meter.take())

    # Beginning and end

    def _used(self) -> Usage:
        total = Usage()
        for usage in self.store.usage().values():
            total.add(usage)
        return total

    def _count(self) -> None:
        self.state.rows = self.store.count("rows")
        self.state.made = self.state.rows + self.store.count("rejected")
        self.state.seeds = self.store.count("seeds", "admitted")
        self.state.failed = self.store.count("seeds", "status = 'failed'")

    def have_enough(self) -> bool:
        """Whether all rows asked for are there."""
        return self.n is not None and self.state.rows >= self.n

    def finished(self) -> bool:
        """Whether no more seeds are taken."""
        return bool(self.watch.stop) or self.have_enough()

    async def _preflight(self) -> None:
        """Ask engines that can tell whether they are alive, so that a wrong address fails at once."""
        for lm in {id(lm): lm for lm in self.lms.values()}.values():
            check = getattr(getattr(lm, "engine", None), "check", None)
            if callable(check):
                await asyncio.to_thread(check)

    def _interrupt(self) -> None:
        if self.interrupted:
            self.scheduler.give_up()
        self.watch.stop, self.interrupted = "interrupted", True
        self.scheduler.stir()

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
        self._reported = time.monotonic()
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
        self.store.set_meta("ended", True)
