"""generate(): run a generator until it has n rows, storing everything as it comes."""

import asyncio
import contextvars
import gc
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar, overload

import dspy

from synthwright.filters.base import Filter, RowCheck
from synthwright.lms.budgets import Budget, Price, Retry
from synthwright.pool import Seed
from synthwright.programs.base import Generator
from synthwright.runs.event_loop import new_event_loop
from synthwright.runs.forecast import Forecast
from synthwright.runs.run import Progress, Run
from synthwright.runs.session import Session
from synthwright.signatures.rows import Row

__all__ = ["agenerate", "generate"]

RowT = TypeVar("RowT", bound=Row)


@overload
def generate(
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
    dry_run: None = None,
) -> Run[RowT]: ...
@overload
def generate(
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
    dry_run: int,
) -> Forecast: ...
def generate(
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
) -> Run[RowT] | Forecast:
    """Run a generator and return its dataset. Call it again with the same arguments to go on where it stopped.

    Rounds are synchronous: the seeds of a round run concurrently, their rows are filtered in the order of the seeds,
    and the next round is planned from what was kept. The dataset is therefore the same at any concurrency and after
    any interruption, as far as the LM answers equal requests with equal seeds equally. Ctrl-C lets the seeds in
    flight finish and stores them; pressed again, it gives them up.

    Args:
        generator: What to run. A copy is used; the object is not changed.
        n: Rows wanted; None for one pass over the generator's material.
        seeds: Seeds for the generator: dictionaries with the arguments of its `aforward`.
        out: Directory of the run; None for `runs/METHOD`, the name with dashes.
        lms: An LM for all roles, or LMs by role. A role left out takes the LM set on its predictors, that of
            `generator`, the LM configured in DSPy, or the embedded one.
        seed: Random seed of the run, from which every call draws its own.
        filters: Filters instead of the generator's own.
        demonstrations: Whether predictors without demonstrations get the shipped ones if their LM is a weak one
            (the embedded LM); it cannot follow a signature without.
        concurrency: Seeds worked on at a time, 1 or more; None for what the LM serves well.
        budget: Hard limits on calls, tokens, money, time.
        prices: US dollars by model name, for a budget in money.
        retry: How failed calls are repeated.
        journal: Whether every LM call is recorded in the run, so that a seed cut off in the middle goes on there; or
            the directory of another run, in whose record calls are looked up too, so that a run with other filters
            does not pay for equal calls again.
        workers: Processes that make the calls; 1 for this one. The rows are the same. More than one pays off when the
            calls come faster than one processor core can handle them, from about a thousand a second.
        progress: Called after each finished seed, and about once a second while calls are answered.
        dry_run: Ask only so many seeds, 1 or more, and return a `Forecast` of what `n` rows cost. Nothing is stored but
            their calls, which the run itself then need not make.

    Raises:
        ConfigError: An argument is wrong; nothing was run.
        RunMismatchError: `out` holds a run made with another configuration.
        StoreError: `out` cannot be written, or is in use.
        UnusableLMError: The LM cannot be reached or returns nothing usable. What was made is kept.
    """
    session = Session(
        generator,
        n=n,
        seeds=seeds,
        out=out,
        lms=lms,
        seed=seed,
        filters=filters,
        demonstrations=demonstrations,
        concurrency=concurrency,
        budget=budget,
        prices=prices,
        retry=retry,
        journal=journal,
        workers=workers,
        progress=progress,
        dry_run=dry_run,
    )
    if asyncio._get_running_loop() is None:
        return _run(session)
    # A loop runs in this thread already, as in a notebook: work on another thread, and wait for it here.
    with ThreadPoolExecutor(1, thread_name_prefix="synthwright-run") as thread:
        future = thread.submit(contextvars.copy_context().run, _run, session)
        while True:
            try:
                return future.result()
            except KeyboardInterrupt:
                if future.done():
                    raise
                session.interrupt()


async def agenerate(generator: Generator[RowT], **arguments: Any) -> Run[RowT]:
    """`generate` for asyncio programs; takes the same arguments and runs on a loop of its own.

    Cancelled, it lets the seeds in flight finish and stores them; cancelled again, it gives them up.
    """
    session = Session(generator, **arguments)
    working = asyncio.ensure_future(asyncio.to_thread(_run, session))
    cancelled: asyncio.CancelledError | None = None
    while not working.done():
        try:
            await asyncio.wait([working])
        except asyncio.CancelledError as error:
            cancelled = error
            session.interrupt()
    if cancelled:
        raise cancelled
    return working.result()


def _run(session: Session[RowT]) -> Any:
    async def main() -> Run[RowT] | Forecast:
        threads = ThreadPoolExecutor(min(session.limit, 256) + 8, thread_name_prefix="synthwright")
        asyncio.get_running_loop().set_default_executor(threads)
        return await (session.run() if session.dry_run is None else session.forecast(session.dry_run))

    gc.freeze()  # what imports left: looked through again and again, it costs a quarter of the time of a call
    try:
        with asyncio.Runner(loop_factory=new_event_loop()) as runner:
            return runner.run(main())
    finally:
        gc.unfreeze()
