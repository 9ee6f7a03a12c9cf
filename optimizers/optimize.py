"""optimize(): tune the prompts of a generator for your LM and your metric, and prove it on seeds never seen."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import dspy
from dspy.teleprompt import Teleprompter

from synthwright.errors import BudgetExhaustedError, ConfigError, UnusableLMError, did_you_mean
from synthwright.lms.budgets import Price, Retry
from synthwright.optimizers import dspy_optimizers
from synthwright.optimizers.bootstrap import bootstrap
from synthwright.optimizers.evaluate import Evaluation, compare, evaluation_of
from synthwright.optimizers.health import check_metric, examine
from synthwright.optimizers.progress import OptimizeProgress, Watch
from synthwright.optimizers.scoring import Metric, Scored
from synthwright.optimizers.search import Search
from synthwright.optimizers.seeds import examples, no_overlap, shipped_metrics, shipped_seeds
from synthwright.optimizers.session import open_session
from synthwright.optimizers.tuned import Tuned
from synthwright.programs.base import Generator
from synthwright.runs.demonstrations import shipped_gold
from synthwright.signatures.rows import Row

__all__ = ["optimize"]

RowT = TypeVar("RowT", bound=Row)
Optimizer = Literal["auto", "bootstrap", "copro", "gepa", "miprov2", "simba"]
OPTIMIZERS = ("auto", "bootstrap", *dspy_optimizers.NAMES)

LEAST_SEEDS = 36
"""Seeds that the smallest budget can score: 6 to test on, twice, 3 to compare on, and some to learn from."""

PROBED = 3
"""Test seeds that tell what a seed costs and whether metric and LM work, before anything else is paid for."""


def optimize(
    generator: Generator[RowT],
    *,
    metric: Metric | None = None,
    held_out: Metric | None = None,
    trainset: Sequence[Any] | None = None,
    valset: Sequence[Any] | None = None,
    testset: Sequence[Any] | None = None,
    optimizer: Optimizer | Teleprompter = "auto",
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
    prices: Mapping[str, Price] | None = None,
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
        optimizer: `bootstrap` searches demonstrations; `gepa` rewrites instructions and needs a reflection LM;
            `miprov2` (extra `mipro`) does both; `simba` adds demonstrations or rules; `copro` rewrites instructions by
            their scores alone; or an optimizer object of DSPy, with a metric of its own or None for ours. `auto` is
            `gepa` if there is a reflection LM and `bootstrap` otherwise.
        budget: LM calls in all, kept strictly.
        lms: An LM for all roles, or LMs by role, as in `generate`.
        reflection_lm: The LM that rewrites instructions; its calls count towards the budget. `miprov2`, `simba` and
            `copro` take the generator's own LM without one.
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
        prices: US dollars by model name, as in `generate`.
        out: Directory to save the result in; None saves nothing. Its record of LM calls (`journal.sqlite`) makes the
            same command, interrupted, go on where it stopped without paying again. Ctrl-C ends the search and proves
            the best until then; a second one leaves at once, and keeps its prompts.
        progress: Called after each scored candidate and phase, at the end, and while calls are made; from any thread.

    Raises:
        ConfigError: An argument is wrong, seeds overlap, there is nothing to tune, the budget is too small, or the
            metric raises, is constant, or returns something that is not a score.
        MissingExtraError: `miprov2` without Optuna.
        UnusableLMError: The LM fails, or the reflection LM never gives a prompt.
    """
    started = time.monotonic()
    chosen = _choose(optimizer, reflection_lm)
    own, own_held_out = shipped_metrics(generator)
    metric, held_out = metric or own, held_out or own_held_out
    if metric is None:
        raise ConfigError(
            f"{type(generator).__name__} ships no metric: pass `metric=`, a function of (example, pred, ...)."
        )
    if draws < 1 or budget < 1 or max_demos < 1 or rounds < 1 or not 0 < threshold <= 1:
        raise ConfigError(
            "`draws`, `budget`, `max_demos` and `rounds` must be at least 1, and `threshold` in (0, 1]; got "
            f"{draws!r}, {budget!r}, {max_demos!r}, {rounds!r}, {threshold!r}."
        )
    train, val, test = _split(generator, trainset, valset, testset)
    names = _targets(generator, targets)
    if isinstance(chosen, str):
        dspy_optimizers.check(chosen, {name: generator.all_predictors()[name] for name in names})
    state = OptimizeProgress("before", 0, budget, method=generator.stem())
    watch = Watch(state, progress)
    with open_session(
        generator,
        lms,
        budget=budget,
        retry=retry,
        concurrency=concurrency,
        seed=seed,
        out=out,
        bare=names,
        prices=prices,
        watch=watch,
    ) as session:

        def report(phase: str | None = None) -> None:
            validated = [candidate.mean for candidate in search.history if candidate.validated] if search else []
            state.phase, state.calls, state.candidates = phase or state.phase, session.spent, len(validated)
            state.first, state.best = (validated[0], max(validated)) if validated else (None, None)
            watch.tell()

        def proof(scored: list[Scored], calls: int) -> Evaluation:
            return evaluation_of(
                scored,
                session.program,
                metric,
                held_out,
                draws=draws,
                seed=seed,
                lms=session.models,
                usage=replace(session.meter.used, calls=calls),
                seconds=time.monotonic() - started,
            )

        search: Search | None = None
        report()
        try:
            first = session.prove(test[:PROBED], metric, draws)
            cost = max(1, math.ceil(session.spent / len(first)))  # LM calls for one seed with all its draws
            if budget < LEAST_SEEDS * cost:
                raise ConfigError(
                    f"A budget of {budget} LM calls is too small: one seed takes {cost} calls ({draws} draws), and "
                    f"anything below {LEAST_SEEDS * cost} calls cannot find and prove a gain."
                )
            nothing = check_metric(metric, first)
            test, val = test[: max(PROBED, budget // (6 * cost))], val[: budget // (12 * cost)]
            scored = first + session.prove(test[PROBED:], metric, draws)
            before = proof(scored, session.spent)
            search = Search(
                session=session,
                targets={name: session.program.all_predictors()[name] for name in names},
                metric=metric,
                trainset=train,
                valset=val,
                cost=session.spent / len(test),
                total=budget,
                tests=len(test),
                draws=draws,
                seed=seed,
                note=lambda: report("search"),
                warnings=examine(metric, scored, nothing),
            )
            report("search")
            if gold is None:
                gold = shipped_gold(session.program, session.lms)
            best = search.run(_strategy(chosen, gold, reflection_lm, max_demos, threshold, rounds))
            report("after")
            best.apply(search.targets)
            searched, after = session.spent, before
            if best is not search.given:
                payable = max(PROBED, int((budget - searched) / (best.cost or 1)))
                if payable < len(test):
                    before = before.first(payable)
                    search.warnings.append(f"The tuned prompts take {best.cost:.1f} calls a seed: {payable} were paid.")
                after = proof(session.prove(test[:payable], metric, draws), 0)
            after = replace(after, calls=session.spent - searched)
        except BudgetExhaustedError as error:
            what = "before the proof was done" if search else "while the first seeds were scored: it is too small"
            raise ConfigError(f"The budget of {budget} LM calls ended {what}.") from error
        except dspy.LMError as error:
            raise UnusableLMError(f"The LM failed while prompts were tuned: {error}") from error
        except KeyboardInterrupt:
            if search is not None and out is not None:  # no proof, but what was paid for is not lost
                search.best.apply(search.targets)
                session.program.save_prompts(Path(out) / "prompts.json")
            raise
        tuned = generator.deepcopy()
        best.apply(tuned.all_predictors())
        result = Tuned(
            generator=tuned,
            proof=compare(before, after, seed=seed),
            best=best,
            before=search.given,
            history=search.history,
            optimizer=chosen if isinstance(chosen, str) else type(chosen).__name__,
            calls=session.spent,
            tokens=session.meter.used.tokens,
            seconds=time.monotonic() - started,
            lms=session.models,
            draws=draws,
            warnings=search.warnings,
            interrupted=search.interrupted,
            usd=session.meter.used.usd,
        )
    if out is not None:
        result.save(out)
    state.done = True
    watch.tell()
    return result


def _strategy(
    optimizer: str | Teleprompter,
    gold: Mapping[str, Sequence[Mapping[str, Any]]],
    reflection_lm: dspy.LM | None,
    max_demos: int,
    threshold: float,
    rounds: int,
) -> Callable[[Search], None]:
    """What the search does."""

    def strategy(search: Search) -> None:
        search.start(gold, max_demos)
        if optimizer == "bootstrap":
            bootstrap(search, gold, max_demos, threshold, rounds)
        else:
            prompt_lm = search.session.also_metered(reflection_lm or search.session.lms["generator"], "reflection")
            dspy_optimizers.propose(search, optimizer, prompt_lm, max_demos, threshold)

    return strategy


def _choose(optimizer: str | Teleprompter, reflection_lm: dspy.LM | None) -> str | Teleprompter:
    if isinstance(optimizer, Teleprompter):
        return optimizer
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
        train, val, test = examples(generator, trainset, []), [], []
        if testset is None:
            train, test = train[: -(len(train) // 3)], train[-(len(train) // 3) :]
        if valset is None:
            train, val = train[: (len(train) + 1) // 2], train[(len(train) + 1) // 2 :]
    val, test = examples(generator, valset, val), examples(generator, testset, test)
    if len(train) < 1 or len(val) < 1 or len(test) < 2:
        raise ConfigError(
            f"Too few seeds: {len(train)} to train on, {len(val)} to compare on, {len(test)} to test on; need at least "
            "1, 1 and 2. Pass `trainset=[{...}, ...]` with a dictionary of inputs for each seed."
        )
    no_overlap({"train": train, "val": val, "test": test})
    return train, val, test


def _targets(generator: Generator[Any], names: Sequence[str] | None) -> list[str]:
    found = generator.target_predictors()
    if not found:
        raise ConfigError(
            f"{type(generator).__name__} has nothing to tune: all its predictors are frozen, or there are none."
        )
    for name in names or ():
        if name not in found:
            raise ConfigError(f"{name!r} is not a predictor that can be tuned. {did_you_mean(name, found)}")
    return list(found if names is None else names)
