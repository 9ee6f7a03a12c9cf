"""DSPy's optimizers on a generator: GEPA, MIPROv2, SIMBA, COPRO, or any other, sized to a budget and watched.

Their prompts are only proposals here: what an optimizer returns, and the best that it tried on the way, are scored on
the validation seeds beside the prompts as given, so that a lucky minibatch decides nothing.
"""

import importlib.util
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import dspy
from dspy.teleprompt import Teleprompter
from dspy.utils.callback import BaseCallback
from dspy.utils.exceptions import AdapterParseError

from synthwright.errors import (
    BudgetExhaustedError,
    ConfigError,
    MissingExtraError,
    TruncatedResponseError,
    UnusableLMError,
)
from synthwright.lms.metered import MeteredLM
from synthwright.lms.scopes import Scope, draw_scope
from synthwright.optimizers.candidates import Candidate
from synthwright.optimizers.quiet import quiet
from synthwright.optimizers.scoring import Metric
from synthwright.optimizers.search import Search
from synthwright.optimizers.set_valued import Record, SearchOver, SetValued
from synthwright.programs.prompts import signature_of

__all__ = ["NAMES", "check", "propose"]

FINALISTS = 2
"""Proposals that are scored on the validation seeds at the end."""

PATIENCE = 5
"""Replies of a reflection LM without one new instruction among them, after which GEPA is ended."""


@dataclass(frozen=True)
class Sizing:
    """What an optimizer is built with.

    Attributes:
        metric: The metric, recorded.
        rollouts: Calls of the set-valued program that the budget allows.
        trainset: Seeds to learn from.
        valset: Seeds to compare on.
        prompt_lm: The LM that writes prompts; its calls count towards the budget.
        max_demos: Most demonstrations of one predictor.
        threshold: Least score of a draw whose calls may become demonstrations.
        predictors: Number of predictors to tune.
        threads: Seeds in flight.
        seed: Random seed.
    """

    metric: Metric
    rollouts: int
    trainset: list[dspy.Example]
    valset: list[dspy.Example]
    prompt_lm: dspy.LM
    max_demos: int
    threshold: float
    predictors: int
    threads: int
    seed: int


Built = tuple[Teleprompter, dict[str, Any]]  # the optimizer, and the arguments of its `compile` beside the student


def _gepa(size: Sizing) -> Built:
    optimizer = dspy.GEPA(
        metric=cast(Any, size.metric),
        max_metric_calls=size.rollouts,
        reflection_minibatch_size=min(3, len(size.trainset)),
        reflection_lm=size.prompt_lm,
        num_threads=size.threads,
        warn_on_score_mismatch=False,
        seed=size.seed,
    )
    return optimizer, {"trainset": size.trainset, "valset": size.valset}


def _miprov2(size: Sizing) -> Built:
    count = len(size.valset)
    candidates = min(6, max(2, size.rollouts // (3 * count)))
    trials = max(1, size.rollouts // 2 // count)
    shown = max(size.max_demos, size.rollouts // (3 * candidates))  # each set of demonstrations goes through these once
    optimizer = dspy.MIPROv2(
        metric=size.metric,
        prompt_model=size.prompt_lm,
        max_bootstrapped_demos=size.max_demos,
        max_labeled_demos=0,  # seeds have no outputs to show
        metric_threshold=size.threshold,
        auto=None,
        num_candidates=candidates,
        num_threads=size.threads,
        seed=size.seed,
    )
    settings = {"num_trials": trials, "minibatch": False, "program_aware_proposer": False}
    return optimizer, {"trainset": size.trainset[:shown], "valset": size.valset, **settings}


def _simba(size: Sizing) -> Built:
    candidates = 3
    trainset = size.trainset[: max(1, size.rollouts // (2 * (candidates + 1)))]  # all of it is scored at the end
    batch = min(4, len(trainset))
    step = batch * (2 * candidates + 1)
    optimizer = dspy.SIMBA(
        metric=cast(Any, size.metric),
        bsize=batch,
        num_candidates=candidates,
        max_steps=max(1, (size.rollouts - len(trainset) * (candidates + 1)) // step),
        max_demos=size.max_demos,
        prompt_model=size.prompt_lm,
        num_threads=size.threads,
    )
    return optimizer, {"trainset": trainset, "seed": size.seed}


def _copro(size: Sizing) -> Built:
    each = size.predictors * len(size.valset)  # a candidate is scored for each predictor
    tries = max(2, size.rollouts // each)
    depth = 1 if tries < 4 else 2 if tries < 12 else 3
    optimizer = dspy.COPRO(prompt_model=size.prompt_lm, metric=size.metric, breadth=max(2, tries // depth), depth=depth)
    evaluation = {"num_threads": size.threads, "display_progress": False}
    return optimizer, {"trainset": size.valset, "eval_kwargs": evaluation}


BUILDERS: Mapping[str, Callable[[Sizing], Built]] = {
    "copro": _copro,
    "gepa": _gepa,
    "miprov2": _miprov2,
    "simba": _simba,
}
NAMES = tuple(BUILDERS)
WITH_FEEDBACK = ("gepa", "simba")


def check(optimizer: str, targets: Mapping[str, dspy.Predict]) -> None:
    """See that an optimizer can work on these predictors, before anything is paid for.

    Raises:
        ConfigError: Two targets have equal signatures, which GEPA's traces cannot tell apart.
        MissingExtraError: MIPROv2 without Optuna.
    """
    if optimizer == "miprov2" and importlib.util.find_spec("optuna") is None:
        raise MissingExtraError("optuna", "mipro", "The optimizer miprov2")
    if optimizer == "gepa":
        _distinct(targets)


def propose(
    search: Search, optimizer: str | Teleprompter, prompt_lm: dspy.LM, max_demos: int, threshold: float
) -> None:
    """Let one of DSPy's optimizers look for better prompts, and score its best proposals on the validation seeds.

    Args:
        search: What is tuned, and with what; it starts from the best candidate so far.
        optimizer: One of `NAMES`, or an optimizer of DSPy; without a metric of its own it gets ours.
        prompt_lm: The LM that writes prompts; its calls count towards the budget.
        max_demos: Most demonstrations of one predictor, for those that search demonstrations.
        threshold: Least score of a draw whose calls may become demonstrations, for MIPROv2.

    Raises:
        ConfigError: The metric failed, or the optimizer returned something else than the program.
        UnusableLMError: The prompt LM never gave a new prompt.
        Exception: What the program raised.
    """
    replies = _Replies()
    prompt_lm.callbacks = [*(prompt_lm.callbacks or []), replies]
    reserve = round(FINALISTS * len(search.valset) * search.best.cost)
    record = Record(
        lambda: search.session.spent,
        search.budget - reserve,
        on_call=_no_new_prompt(replies) if optimizer == "gepa" else lambda record: None,
        drawn=search.session.drawn,
    )
    size = Sizing(
        metric=record.metric(search.metric, feedback=optimizer in WITH_FEEDBACK),
        rollouts=max(1, int((record.budget - search.session.spent) / max(1.0, search.best.cost))),
        trainset=list(search.trainset),
        valset=list(search.valset),
        prompt_lm=prompt_lm,
        max_demos=max_demos,
        threshold=threshold,
        predictors=len(search.targets),
        threads=max(1, search.session.limit // search.draws),
        seed=search.seed,
    )
    teleprompter, arguments = BUILDERS[optimizer](size) if isinstance(optimizer, str) else _foreign(optimizer, size)
    search.best.apply(search.targets)
    student = SetValued(search.session.program, list(search.targets), search.draws, search.seed, record)
    found, problem = _compiled(search, teleprompter, student, arguments, size.threads)
    record.budget = 0  # what still runs in the optimizer's threads makes no more calls
    if record.fault is not None:
        raise record.fault
    known = [candidate.prompts for candidate in search.history]
    tried = [candidate for candidate in record.tried.values() if candidate.prompts not in known]
    if not tried and found is None and (problem or replies.count >= PATIENCE):
        raise UnusableLMError(
            f"The prompt LM {prompt_lm.model!r} was asked {replies.count} times and never gave a new prompt in the "
            f"form that {_name(optimizer)} expects. Its last reply: {replies.last[:300]!r}. Use a stronger "
            "reflection LM."
        ) from problem
    if problem is not None:
        search.warnings.append(
            f"{_name(optimizer)} ended early: a reply of the prompt LM {prompt_lm.model!r} could not be read: "
            f"{replies.last[:160]!r}. This is the best until then."
        )
    for candidate in tried:
        candidate.origin = f"tried by {_name(optimizer)}"
    search.history.extend(tried)
    for candidate in _finalists(tried, found, optimizer, search):
        if search.left < len(search.valset) * search.best.cost:
            search.warnings.append("The budget ended before all proposals were scored on the validation seeds.")
            break
        search.validate(candidate)


def _compiled(
    search: Search, teleprompter: Teleprompter, student: SetValued, arguments: dict[str, Any], threads: int
) -> tuple[Candidate | None, Exception | None]:
    """What the optimizer returns, None if it was ended from within; and what went wrong with the prompt LM."""
    limits = {"num_threads": threads, "max_errors": 10**9}
    # within a scope, equal requests for proposals are different draws; without one they would be one recorded answer
    scope = draw_scope(Scope(search.seed, "search", {}))
    with quiet(), dspy.context(**limits), scope, _counted(teleprompter, search):
        try:
            best = teleprompter.compile(student, **arguments)
        except (SearchOver, BudgetExhaustedError):
            return None, None
        except (AdapterParseError, TruncatedResponseError) as error:
            return None, error
        except KeyboardInterrupt:
            search.interrupted = True
            search.warnings.append("The search was interrupted: this is the best until then.")
            return None, None
    if not isinstance(best, SetValued):
        raise ConfigError(
            f"{_name(teleprompter)} returned {type(best).__name__}, not the program that it was given: only optimizers "
            "of prompts can be used."
        )
    return Candidate(best.prompts(), f"{_name(teleprompter)}"), None


@contextmanager
def _counted(teleprompter: Teleprompter, search: Search) -> Iterator[None]:
    """Let the calls of LMs that an optimizer brought along count towards the budget."""
    own = {name: lm for name, lm in vars(teleprompter).items() if isinstance(lm, dspy.BaseLM)}
    for name, lm in own.items():
        if not isinstance(lm, MeteredLM):
            setattr(teleprompter, name, search.session.also_metered(lm, "reflection"))
    try:
        yield
    finally:
        for name, lm in own.items():
            setattr(teleprompter, name, lm)


def _finalists(
    tried: list[Candidate], found: Candidate | None, optimizer: str | Teleprompter, search: Search
) -> list[Candidate]:
    """The proposal of the optimizer first, then the best of what it tried, each set of prompts once."""
    enough = min(3, len(search.valset))
    ranked = sorted((c for c in tried if len(c.scores) >= enough), key=lambda c: c.mean, reverse=True)
    wanted = [*([found] if found else []), *ranked]
    known = [candidate for candidate in search.history if candidate.validated]
    finalists: list[Candidate] = []
    for candidate in wanted:
        if candidate.prompts not in [c.prompts for c in (*known, *finalists)]:
            finalists.append(Candidate(candidate.prompts, _name(optimizer)))
    return finalists[:FINALISTS]


def _foreign(optimizer: Teleprompter, size: Sizing) -> Built:
    """An optimizer that the user built: it gets our metric if it has none, and the seeds that its `compile` takes."""
    if getattr(optimizer, "metric", size.metric) is None:
        cast(Any, optimizer).metric = size.metric
    accepted = inspect.signature(optimizer.compile).parameters
    arguments = {"trainset": size.trainset, "valset": size.valset}
    return optimizer, {name: value for name, value in arguments.items() if name in accepted}


def _name(optimizer: str | Teleprompter) -> str:
    return optimizer if isinstance(optimizer, str) else type(optimizer).__name__.lower()


def _distinct(targets: Mapping[str, dspy.Predict]) -> None:
    seen: dict[str, str] = {}
    for name, predictor in targets.items():
        signature = signature_of(predictor)
        key = repr((signature.instructions, list(signature.fields)))
        if key in seen:
            raise ConfigError(
                f"The predictors {seen[key]!r} and {name!r} have equal signatures, and GEPA "
                "cannot tell their traces apart: give them different instructions."
            )
        seen[key] = name


class _Replies(BaseCallback):
    """Counts the replies of the prompt LM and keeps the last."""

    def __init__(self) -> None:
        self.count, self.last = 0, ""

    def on_lm_end(self, call_id: str, outputs: Any, exception: BaseException | None = None) -> None:
        self.count += 1
        self.last = str(outputs[0] if isinstance(outputs, list) and outputs else outputs or exception)


def _no_new_prompt(replies: _Replies) -> Callable[[Record], None]:
    """Ends GEPA when its reflection LM replies again and again without one new instruction: it would never stop."""

    def check(record: Record) -> None:
        if replies.count >= PATIENCE and len(record.tried) == 1:
            raise SearchOver

    return check
