"""optimize(): tune the prompts of a generator for your LM and your metric, and prove it on seeds never seen."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import dspy

from synthwright.errors import BudgetExhaustedError, ConfigError, StoreError, UnusableLMError, did_you_mean
from synthwright.lms.adapters import default_adapter
from synthwright.lms.budgets import Budget, Meter, Retry
from synthwright.lms.calls import EngineLM
from synthwright.lms.journal import new_journal
from synthwright.lms.metered import metered
from synthwright.optimizers import bootstrap, gepa
from synthwright.optimizers.candidates import Candidate, PromptState
from synthwright.optimizers.scoring import Metric, Scored, judge, score_seeds
from synthwright.optimizers.seeds import examples, no_overlap, shipped_metrics, shipped_seeds
from synthwright.optimizers.stats import paired_difference
from synthwright.optimizers.tuned import Tuned
from synthwright.programs.base import Generator
from synthwright.runs.demonstrations import apply_shipped, shipped_gold
from synthwright.runs.roles import assign_lms, resolve_lms
from synthwright.signatures.rows import Row

__all__ = ["OptimizeProgress", "optimize"]

RowT = TypeVar("RowT", bound=Row)
OPTIMIZERS = ("auto", "bootstrap", "gepa")

LEAST_SEEDS = 36
"""Seeds that the smallest budget can score: 6 to test on, twice, 3 to compare on, and some to learn from."""


@dataclass
class OptimizeProgress:
    """Where an optimizer run stands.

    Attributes:
        phase: `before`, `search` or `after`.
        calls: LM calls made so far.
        budget: LM calls allowed.
        candidates: Candidates scored so far.
        first: Mean validation score of the prompts as given; None until it is known.
        best: Best mean validation score so far; None until one is known.
    """

    phase: str
    calls: int
    budget: int
    candidates: int = 0
    first: float | None = None
    best: float | None = None


def optimize(
    generator: Generator[RowT],
    *,
    metric: Metric | None = None,
    held_out: Metric | None = None,
    trainset: Sequence[Any] | None = None,
    valset: Sequence[Any] | None = None,
    testset: Sequence[Any] | None = None,
    optimizer: Literal["auto", "bootstrap", "gepa"] = "auto",
    budget: int = 400,
    lms: dspy.LM | Mapping[str, dspy.LM] | None = None,
    reflection_lm: dspy.LM | None = None,
    gold: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    targets: Sequence[str] | None = None,
    draws: int = 2,
    max_demos: int = 3,
    threshold: float = 0.6,
    rounds: int = 2,
    seed: int = 0,
    concurrency: int | None = None,
    retry: Retry | None = None,
    out: str | Path | None = None,
    progress: Callable[[OptimizeProgress], None] | None = None,
) -> Tuned[RowT]:
    """Tune a generator's prompts against a metric.

    The test seeds are scored before the search and after it, on the same draws, with the metric and with a check that
    was not optimized. A third of the budget at most goes there, and a twelfth into scoring one candidate: seeds are
    left out from the end until that holds.

    Args:
        generator: What to tune. A copy is tuned; the object is not changed.
        metric: `(example, pred, trace, pred_name, pred_trace)` to a score in [0, 1] or a `dspy.Prediction` with
            `score` and `feedback`; `pred.rows`, `pred.rejected` and `pred.artifacts` hold all draws of the seed. None
            takes the one that the method ships.
        held_out: Another metric, scored before and after and never optimized. None takes the method's.
        trainset: Seeds to draw demonstrations from or to reflect on: dictionaries of inputs, or DSPy examples. None
            takes those that the method ships.
        valset: Seeds that candidates are compared on; None takes the method's, or the second half of `trainset`.
        testset: Seeds of the proof, never used in the search; None takes the method's, or the last third of `trainset`.
        optimizer: `bootstrap` searches demonstrations, `gepa` rewrites instructions and needs a reflection LM, `auto`
            is `gepa` if there is one and `bootstrap` otherwise.
        budget: LM calls in all, kept strictly.
        lms: An LM for all roles, or LMs by role, as in `generate`.
        reflection_lm: The LM that rewrites instructions; its calls count towards the budget.
        gold: Your own demonstrations by predictor: a candidate of its own, and the first teacher if it is better than
            the prompts as given. None takes those that the method ships if the LM is a weak one (the embedded LM),
            which without any gives nothing to learn from; {} takes none.
        targets: Names of the predictors to tune; None for the generator's own targets.
        draws: Draws a seed when scores are taken, 1 or more.
        max_demos: Most demonstrations of one predictor.
        threshold: Least score of a draw whose calls may become demonstrations, in (0, 1].
        rounds: Rounds of the demonstration search.
        seed: Random seed.
        concurrency: Draws in flight; None for what the LM serves well.
        retry: How failed calls are repeated.
        out: Directory to save the result in; None saves nothing. Its record of LM calls (`journal.sqlite`) makes the
            same command, interrupted, go on where it stopped without paying again.
        progress: Called after each scored candidate and phase.

    Raises:
        ConfigError: An argument is wrong, seeds overlap, there is nothing to tune, or the budget is too small.
        UnusableLMError: The LM fails.
    """
    started = time.monotonic()
    chosen = _choose(optimizer, reflection_lm)
    own, own_held_out = shipped_metrics(generator)
    metric, held_out = metric or own, held_out or own_held_out
    if metric is None:
        raise ConfigError(
            f"{type(generator).__name__} ships no metric: pass `metric=`, a function of (example, pred, ...)."
        )
    if draws < 1 or budget < 1 or not 0 < threshold <= 1:
        raise ConfigError(
            f"Need draws >= 1, budget >= 1 and 0 < threshold <= 1; got {draws!r}, {budget!r}, {threshold!r}."
        )
    train, val, test = _split(generator, trainset, valset, testset)
    program: Generator[RowT] = generator.deepcopy()
    predictors = _targets(program, targets)
    role_lms = resolve_lms(program, lms)
    limit = concurrency or min(lm.concurrency if isinstance(lm, EngineLM) else 16 for lm in role_lms.values())
    apply_shipped(program, role_lms, skip=predictors)  # a weak judge or answerer is no use without, before or after
    calls = new_journal(_journal_file(out))
    meter = Meter(Budget(calls=budget), changed=calls.write, count_recalled=True)
    wrapped = assign_lms(program, role_lms, meter, retry, limit, calls)
    state = OptimizeProgress("before", 0, budget)
    history: list[Candidate] = []

    def report(phase: str | None = None) -> None:
        state.phase, state.calls = phase or state.phase, meter.used.calls
        if progress is not None:
            progress(state)

    def note(candidate: Candidate) -> None:
        history.append(candidate)
        state.candidates, state.first = len(history), history[0].mean
        state.best = max(c.mean for c in history)
        report("search")

    def score(seeds: Sequence[dspy.Example]) -> list[Scored]:
        return score_seeds(program, seeds, metric, draws=draws, seed=seed + 1, limit=limit)

    adapter = default_adapter()
    given = Candidate({name: PromptState.of(p) for name, p in predictors.items()}, "as given")
    with dspy.context(lm=wrapped["generator"], adapter=adapter, disable_history=True):
        report("before")
        try:
            first = score(test[:1])
            cost = max(1, meter.used.calls)  # LM calls for one seed with all its draws
            if budget < LEAST_SEEDS * cost:
                raise ConfigError(
                    f"A budget of {budget} LM calls is too small: one seed takes {cost} calls ({draws} draws), and "
                    f"anything below {LEAST_SEEDS * cost} calls cannot find and prove a gain."
                )
            test, val = test[: budget // (6 * cost)], val[: budget // (12 * cost)]
            before = first + score(test[1:])
            stop_at = budget - round(1.15 * len(test) * cost)
            report("search")
            if chosen == "bootstrap":
                best = bootstrap.search(
                    program,
                    predictors,
                    metric,
                    train,
                    val,
                    spent=lambda: meter.used.calls,
                    budget=stop_at,
                    gold=shipped_gold(program, role_lms) if gold is None else gold,
                    draws=draws,
                    max_demos=max_demos,
                    threshold=threshold,
                    rounds=rounds,
                    seed=seed,
                    limit=limit,
                    note=note,
                )
            else:
                assert reflection_lm is not None
                best = gepa.search(
                    program,
                    predictors,
                    metric,
                    train,
                    val,
                    reflection_lm=metered(reflection_lm, role="reflection", meter=meter, retry=retry, journal=calls),
                    rollouts=max(1, int(0.85 * (stop_at - meter.used.calls) / cost)),
                    draws=draws,
                    seed=seed,
                    limit=limit,
                    adapter=adapter,
                    note=note,
                )
            best.apply(predictors)
            report("after")
            after = before if best.prompts == given.prompts else score(test)
        except BudgetExhaustedError as error:
            raise ConfigError(f"The budget of {budget} LM calls ended before the proof was done: raise it.") from error
        except dspy.LMError as error:
            raise UnusableLMError(f"The LM failed while prompts were tuned: {error}") from error
        finally:
            calls.close()
    tuned = generator.deepcopy()
    best.apply(tuned.all_predictors())
    result = Tuned(
        generator=tuned,
        metric=paired_difference([s.score for s in before], [s.score for s in after], seed=seed),
        held_out=_held_out(held_out, before, after, seed),
        best=best,
        before=given,
        history=history,
        optimizer=chosen,
        calls=meter.used.calls,
        tokens=meter.used.tokens,
        seconds=time.monotonic() - started,
        lms={role: lm.model for role, lm in role_lms.items()},
        draws=draws,
        names={"metric": _name(metric), **({"held_out": _name(held_out)} if held_out else {})},
    )
    if out is not None:
        result.save(out)
    return result


def _choose(optimizer: str, reflection_lm: dspy.LM | None) -> str:
    if optimizer not in OPTIMIZERS:
        raise ConfigError(f"No optimizer {optimizer!r}. {did_you_mean(str(optimizer), OPTIMIZERS)}")
    if optimizer == "gepa" and reflection_lm is None:
        raise ConfigError("GEPA needs `reflection_lm=`, a strong LM that rewrites instructions.")
    return optimizer if optimizer != "auto" else "gepa" if reflection_lm is not None else "bootstrap"


def _split(
    generator: Generator[Any], trainset: Any, valset: Any, testset: Any
) -> tuple[list[dspy.Example], list[dspy.Example], list[dspy.Example]]:
    if trainset is None:
        shipped = shipped_seeds(generator)
        train, val, test = shipped["train"], shipped["val"], shipped["test"]
    else:
        train, val, test = examples(trainset, []), [], []
        if testset is None:
            train, test = train[: -(len(train) // 3)], train[-(len(train) // 3) :]
        if valset is None:
            train, val = train[: (len(train) + 1) // 2], train[(len(train) + 1) // 2 :]
    val, test = examples(valset, val), examples(testset, test)
    if len(train) < 1 or len(val) < 1 or len(test) < 2:
        raise ConfigError(
            f"Too few seeds: {len(train)} to train on, {len(val)} to compare on, {len(test)} to test on; need at least "
            "1, 1 and 2. Pass `trainset=[{...}, ...]` with a dictionary of inputs for each seed."
        )
    no_overlap({"train": train, "val": val, "test": test})
    return train, val, test


def _targets(program: Generator[Any], names: Sequence[str] | None) -> dict[str, dspy.Predict]:
    found = program.target_predictors()
    if names is not None:
        for name in names:
            if name not in found:
                raise ConfigError(f"{name!r} is not a predictor that can be tuned. {did_you_mean(name, found)}")
        found = {name: found[name] for name in names}
    if not found:
        raise ConfigError(
            f"{type(program).__name__} has nothing to tune: all its predictors are frozen, or there are none."
        )
    return found


def _held_out(metric: Metric | None, before: list[Scored], after: list[Scored], seed: int) -> Any:
    if metric is None:
        return None
    scores = [[judge(metric, scored.example, scored.draws)[0] for scored in scoreds] for scoreds in (before, after)]
    return paired_difference(scores[0], scores[1], seed=seed)


def _name(metric: Metric) -> str:
    return getattr(metric, "__name__", type(metric).__name__)


def _journal_file(out: str | Path | None) -> Path | None:
    if out is None:
        return None
    try:
        Path(out).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"Cannot write to {str(out)!r}: {error.strerror or error}.") from error
    return Path(out) / "journal.sqlite"
