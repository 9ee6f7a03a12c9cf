"""A generator made ready to be scored: LMs assigned; calls counted, limited, recorded and drawn independently."""

import functools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import dspy

from synthwright.errors import StoreError
from synthwright.lms.adapters import default_adapter
from synthwright.lms.budgets import Budget, Meter, Price, Retry, Usage
from synthwright.lms.calls import EngineLM
from synthwright.lms.journal import Journal, new_journal
from synthwright.lms.metered import MeteredLM, metered
from synthwright.lms.scopes import Scope, draw_scope
from synthwright.optimizers.arguments import check_lm, check_whole
from synthwright.optimizers.outside import OutsideCalls
from synthwright.optimizers.progress import Watch
from synthwright.optimizers.scoring import Draw, Metric, Scored, metric_name, score_seeds
from synthwright.programs.base import Generator
from synthwright.runs.demonstrations import apply_shipped
from synthwright.runs.roles import assign_lms, resolve_lms

__all__ = ["Session", "open_session"]


@dataclass
class Session:
    """A copy of a generator with all that its calls go through.

    Attributes:
        program: The copy; its predictors have metered LMs.
        lms: The LMs by role, as given.
        adapter: Adapter of all calls.
        limit: Draws in flight.
        meter: What was used.
        journal: Answered calls; equal calls are not made again.
        retry: How failed calls are repeated.
        seed: Random seed of the draws.
        drawn: Called with each draw.
        judge: The LM that metrics find in their context.
        outside: LM calls of metrics that went past it.
    """

    program: Generator[Any]
    lms: dict[str, dspy.BaseLM]
    adapter: dspy.Adapter
    limit: int
    meter: Meter
    journal: Journal
    retry: Retry | None
    seed: int
    drawn: Callable[[Draw], None]
    judge: dspy.BaseLM
    outside: OutsideCalls = field(default_factory=OutsideCalls)

    @property
    def spent(self) -> int:
        """LM calls so far, those answered from the journal included."""
        return self.meter.used.calls

    @property
    def used(self) -> Usage:
        """What those calls used."""
        return replace(self.meter.used)

    @property
    def models(self) -> dict[str, str]:
        """Model name by role."""
        return {role: lm.model for role, lm in self.lms.items()}

    def score(self, seeds: Sequence[dspy.Example], metric: Metric, *, draws: int, seed: int) -> list[Scored]:
        """Draw each seed `draws` times and score the lists; `seed` is that of the draws."""
        return score_seeds(self.program, seeds, metric, draws=draws, seed=seed, limit=self.limit, drawn=self.drawn)

    def prove(self, seeds: Sequence[dspy.Example], metric: Metric, draws: int) -> list[Scored]:
        """Score seeds on the draws that proofs, evaluations and comparisons share, which searches never see."""
        return self.score(seeds, metric, draws=draws, seed=self.seed + 1)

    def asking(self, metric: Metric) -> Metric:
        """A metric whose LM calls go through the session: counted, recorded, equal ones of one call drawn apart."""

        @functools.wraps(metric)
        def asked(*arguments: Any) -> Any:
            callbacks = [*dspy.settings.get("callbacks", []), self.outside]
            scope = Scope(self.seed, "metric", {})
            with dspy.context(lm=self.judge, callbacks=callbacks), draw_scope(scope):
                return metric(*arguments)

        asked.__name__ = metric_name(metric)
        return asked

    def uncounted(self) -> list[str]:
        """What to say of LM calls that metrics made past the session."""
        if not self.outside.count:
            return []
        models = ", ".join(sorted(self.outside.models))
        return [
            f"Metrics made {self.outside.count} calls of an LM of their own ({models}), neither in the budget nor on "
            "record: pass it as `judge_lm=`, and let the metric ask the LM of its context."
        ]

    def also_metered(self, lm: dspy.BaseLM, role: str) -> MeteredLM:
        """Another LM whose calls count towards the same budget."""
        return metered(lm, role=role, meter=self.meter, retry=self.retry, journal=self.journal)


@contextmanager
def open_session(
    generator: Generator[Any],
    lms: dspy.LM | Mapping[str, dspy.LM] | None,
    *,
    budget: int | None = None,
    retry: Retry | None = None,
    concurrency: int | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    judge_lm: dspy.LM | None = None,
    demonstrations: bool = True,
    bare: Collection[str] = (),
    prices: Mapping[str, Price] | None = None,
    watch: Watch | None = None,
) -> Iterator[Session]:
    """Make a generator ready, and close its journal afterwards.

    Args:
        generator: The generator; a copy is used.
        lms: An LM for all roles, or LMs by role, as in `generate`.
        budget: Most LM calls; None for no limit.
        retry: How failed calls are repeated.
        concurrency: Draws in flight; None for what the LMs serve well.
        seed: Random seed of the draws.
        out: Directory of the journal; None keeps it in memory.
        judge_lm: The LM that metrics find in their context; None for the generator's.
        demonstrations: Give predictors on weak LMs the shipped demonstrations where they have none.
        bare: Names of predictors that get none.
        prices: US dollars by model name.
        watch: Hears of each call and draw, possibly from another thread.

    Raises:
        ConfigError: A role, an LM or the concurrency is wrong.
        StoreError: The directory cannot be written.
    """
    check_whole(concurrency=concurrency)
    check_lm("judge_lm", judge_lm)
    program = generator.deepcopy()
    role_lms = resolve_lms(program, lms)
    limit = concurrency or min(lm.concurrency if isinstance(lm, EngineLM) else 16 for lm in role_lms.values())
    if demonstrations:
        apply_shipped(program, role_lms, skip=bare)
    journal = new_journal(_journal_file(out))

    def booked() -> None:
        journal.write()
        if watch is not None:
            watch.called(meter)

    meter = Meter(Budget(calls=budget), prices=prices, changed=booked, count_recalled=True)
    wrapped = assign_lms(program, role_lms, meter, retry, limit, journal)
    judge = wrapped["generator"]
    if judge_lm is not None:
        judge = metered(judge_lm, role="metric", meter=meter, retry=retry, limit=limit, journal=journal)
    adapter, drawn = default_adapter(), watch.drawn if watch else lambda draw: None
    try:
        with dspy.context(lm=wrapped["generator"], adapter=adapter, disable_history=True):
            yield Session(program, role_lms, adapter, limit, meter, journal, retry, seed, drawn, judge)
    finally:
        journal.write()  # the last call, if an error ended the session right after it
        journal.close()


def _journal_file(out: str | Path | None) -> Path | None:
    if out is None:
        return None
    try:
        Path(out).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"Cannot write to {str(out)!r}: {error.strerror or error}.") from error
    return Path(out) / "journal.sqlite"
