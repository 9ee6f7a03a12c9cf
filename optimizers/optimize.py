"""optimize(): tune the prompts of a generator for your LM and your metric, and prove it on seeds never seen."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import dspy
from dspy.teleprompt import Teleprompter

from synthwright.errors import BudgetExhaustedError, ConfigError, UnusableLMError
from synthwright.lms.budgets import Price, Retry, Usage
from synthwright.optimizers import arguments, dspy_optimizers
from synthwright.optimizers.arguments import Optimizer
from synthwright.optimizers.bootstrap import bootstrap
from synthwright.optimizers.evaluate import Evaluation, compare, evaluation_of
from synthwright.optimizers.health import check_metric, examine
from synthwright.optimizers.progress import OptimizeProgress, Watch
from synthwright.optimizers.scoring import Metric, Scored
from synthwright.optimizers.search import Search
from synthwright.optimizers.seeds import shipped_metrics
from synthwright.optimizers.session import open_session
from synthwright.optimizers.tuned import Tuned
from synthwright.programs.base import Generator
from synthwright.runs.demonstrations import shipped_gold
from synthwright.signatures.rows import Row

__all__ = ["optimize"]

RowT = TypeVar("RowT", bound=Row)

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
    budget: int | None = None,
    lms: dspy.LM | Mapping[str, dspy.LM] | None = None,
    reflection_lm: dspy.LM | None = None,
    judge_lm: dspy.LM | None = None,
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
        budget: LM calls in all, kept strictly; None for the generator's `tuning_budget`, 400 for most.
        lms: An LM for all roles, or LMs by role, as in `generate`.
        reflection_lm: The LM that rewrites instructions; its calls count towards the budget. `miprov2`, `simba` and
            `copro` take the generator's own LM without one.
        judge_lm: The LM of the surrounding context while a metric is called, for metrics that ask one; None for the
            generator's. Its calls count towards the budget and are on record. Those of an LM that a metric brings
            itself are neither, and the report says so.
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
    arguments.check_generator(generator)
    budget = generator.tuning_budget if budget is None else budget
    arguments.check_whole(budget=budget, draws=draws, max_demos=max_demos, rounds=rounds)
    if not isinstance(threshold, int | float) or not 0 < threshold <= 1:
        raise ConfigError(f"`threshold` must be in (0, 1], got {threshold!r}.")
    arguments.check_lm("reflection_lm", reflection_lm)
    arguments.check_metric_call("metric", metric)
    arguments.check_metric_call("held_out", held_out)
    chosen = arguments.chosen_optimizer(optimizer, reflection_lm)
    own, own_held_out = shipped_metrics(generator)
    metric, held_out = metric or own, held_out or own_held_out
    if metric is None:
        raise ConfigError(
            f"{type(generator).__name__} ships no metric: pass `metric=`, a function of (example, pred, ...)."
        )
    train, val, test = arguments.split_seeds(generator, trainset, valset, testset)
    names = arguments.target_names(generator, targets)
    arguments.check_gold(generator, gold, names)
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
        judge_lm=judge_lm,
        bare=names,
        prices=prices,
        watch=watch,
    ) as session:
        metric, held_out = session.asking(metric), session.asking(held_out) if held_out else None

        def report(phase: str | None = None) -> None:
            validated = [candidate.mean for candidate in search.history if candidate.validated] if search else []
            state.phase, state.calls, state.candidates = phase or state.phase, session.spent, len(validated)
            state.first, state.best = (validated[0], max(validated)) if validated else (None, None)
            watch.tell()

        def proof(scored: list[Scored]) -> Evaluation:
            return evaluation_of(
                scored,
                session.program,
                metric,
                held_out,
                draws=draws,
                seed=seed,
                lms=session.models,
                usage=usage,
            )

        def usage() -> tuple[Usage, float]:
            return session.used, time.monotonic() - started

        search: Search | None = None
        report()
        try:
            first = session.prove(test[:PROBED], metric, draws)
            cost = max(1, math.ceil(session.spent / len(first)))  # LM calls for one seed with all its draws
            if budget < LEAST_SEEDS * cost:
                raise ConfigError(
                    f"A budget of {budget} LM calls is too small: one seed takes {cost} calls ({draws} draws), and "
                    f"anything below {LEAST_SEEDS * cost} calls cannot find and prove a gain. Raise `budget`, or "
                    "take a smaller setting of the generator, or `draws=1`."
                )
            nothing = check_metric(metric, first)
            test, val = test[: max(PROBED, budget // (6 * cost))], val[: budget // (12 * cost)]
            scored = first + session.prove(test[PROBED:], metric, draws)
            cost_of_draws = session.spent / len(test)
            before = proof(scored)
            search = Search(
                session=session,
                targets={name: session.program.all_predictors()[name] for name in names},
                metric=metric,
                trainset=train,
                valset=val,
                cost=cost_of_draws,
                checking=session.spent / len(test) - cost_of_draws,
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
            (searched, until), after = usage(), before
            if best is not search.given:
                payable = max(PROBED, int((budget - session.spent) / ((best.cost or 1) + search.checking)))
                if payable < len(test):
                    before = before.first(payable)
                    search.warnings.append(f"The tuned prompts take {best.cost:.1f} calls a seed: {payable} were paid.")
                after = proof(session.prove(test[:payable], metric, draws))
            used, seconds = usage()
            after = replace(
                after,
                calls=used.calls - searched.calls,
                tokens=used.tokens - searched.tokens,
                seconds=seconds - until,
                usd=used.usd - searched.usd,
            )
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
        result.warnings += session.uncounted()
    if result.metric.high < 0:
        result.warnings.append("The tuned prompts are worse on the test seeds: keep those that you had.")
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
