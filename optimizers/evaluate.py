"""evaluate() and compare(): what a generator scores on seeds, and whether another one scores better on the same."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import dspy

from synthwright.errors import BudgetExhaustedError, ConfigError, StoreError, UnusableLMError
from synthwright.lms.budgets import Price, Retry, Usage
from synthwright.optimizers.arguments import check_generator, check_metric_call, check_whole
from synthwright.optimizers.progress import OptimizeProgress, Watch
from synthwright.optimizers.scoring import Metric, Scored, judge, metric_name
from synthwright.optimizers.seeds import examples, shipped_metrics, shipped_seeds
from synthwright.optimizers.session import open_session
from synthwright.optimizers.stats import Difference, Mean, mean_interval, paired_difference
from synthwright.programs.base import Generator

__all__ = ["Comparison", "Evaluation", "compare", "evaluate", "evaluation_of", "spent"]

GOOD = 0.9
"""Score from which a report does not quote a seed."""

FEEDBACK_CHARS = 2000
"""Characters of a seed's feedback that an evaluation keeps."""


@dataclass(frozen=True)
class Evaluation:
    """Scores of a generator on seeds, each over a list of draws.

    Attributes:
        method: Name of the method.
        metric: Mean of the metric over the seeds with its interval.
        held_out: The same of the held-out check; None without one.
        scores: Scores of the metric, one a seed.
        held_out_scores: Scores of the held-out check; empty without one.
        feedback: What the metric says of each seed.
        seeds: Inputs of each seed.
        draws: Draws a seed.
        seed: Random seed of the draws.
        prompts: First 12 hex digits of the hash of the prompts.
        lms: Model name by role.
        calls: LM calls spent.
        tokens: Input plus output tokens of those calls.
        seconds: Wall time.
        names: Names of the `metric` and of the `held_out` check.
        notes: What was noticed on the way.
        usd: US dollars that the calls cost; 0 where no price is known.
    """

    method: str
    metric: Mean
    held_out: Mean | None
    scores: list[float]
    held_out_scores: list[float]
    feedback: list[str]
    seeds: list[dict[str, Any]]
    draws: int
    seed: int
    prompts: str
    lms: dict[str, str]
    calls: int
    tokens: int
    seconds: float
    names: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    usd: float = 0.0

    def first(self, seeds: int) -> "Evaluation":
        """The evaluation of the first seeds alone."""
        scores, others = self.scores[:seeds], self.held_out_scores[:seeds]
        return replace(
            self,
            metric=mean_interval(scores, seed=self.seed),
            held_out=mean_interval(others, seed=self.seed) if others else None,
            scores=scores,
            held_out_scores=others,
            feedback=self.feedback[:seeds],
            seeds=self.seeds[:seeds],
        )

    def report(self) -> str:
        """The outcome in words and numbers, and what the metric says of the worst seeds."""
        lines = [
            f"{self.method} on {self.lms['generator']}: {len(self.seeds)} seeds, {self.draws} draws each, "
            + spent(self.calls, self.tokens, self.usd, self.seconds),
            f"  {self.names['metric']}: {self.metric}",
        ]
        if self.held_out is not None:
            lines.append(f"  {self.names['held_out']} (held out): {self.held_out}")
        lines += [f"  note: {note}" for note in self.notes]
        worst = sorted(range(len(self.scores)), key=self.scores.__getitem__)[:3]
        for index in (i for i in worst if self.scores[i] < GOOD):
            said = " | ".join(self.feedback[index].splitlines()[:2])
            lines.append(f"  worst: {self.scores[index]:.2f} for {_brief(self.seeds[index])}: {said[:240]}")
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """The outcome as JSON-ready data."""
        data = asdict(self)
        return json.loads(json.dumps({**data, "seconds": round(self.seconds, 1)}, default=repr))

    def save(self, directory: str | Path) -> None:
        """Write `evaluation.json` and `evaluation.txt`.

        Raises:
            StoreError: The directory cannot be written.
        """
        _save(Path(directory), "evaluation", self)


@dataclass(frozen=True)
class Comparison:
    """Two evaluations on the same seeds.

    Attributes:
        a: The first.
        b: The second.
        metric: Difference of the metric, b minus a, paired by seed.
        held_out: The same of the held-out check; None without one.
    """

    a: Evaluation
    b: Evaluation
    metric: Difference
    held_out: Difference | None

    def report(self) -> str:
        """The outcome in words and numbers."""
        lines = [f"a: {_subject(self.a)}", f"b: {_subject(self.b)}"]
        lines.append(f"  {self.a.names['metric']}, a -> b: {self.metric.describe('difference')}")
        if self.held_out is not None:
            held_out = self.held_out.describe("difference")
            lines.append(f"  {self.a.names['held_out']} (held out), a -> b: {held_out}")
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """The outcome as JSON-ready data."""
        return {
            "a": self.a.as_dict(),
            "b": self.b.as_dict(),
            "metric": asdict(self.metric),
            "held_out": None if self.held_out is None else asdict(self.held_out),
            "measurable": self.metric.measurable,
        }

    def save(self, directory: str | Path) -> None:
        """Write `comparison.json` and `comparison.txt`.

        Raises:
            StoreError: The directory cannot be written.
        """
        _save(Path(directory), "comparison", self)


def evaluate(
    generator: Generator[Any],
    metric: Metric | None = None,
    seeds: Sequence[Any] | None = None,
    k: int = 2,
    *,
    held_out: Metric | None = None,
    lms: dspy.LM | Mapping[str, dspy.LM] | None = None,
    judge_lm: dspy.LM | None = None,
    demonstrations: bool = True,
    budget: int | None = None,
    seed: int = 0,
    concurrency: int | None = None,
    retry: Retry | None = None,
    prices: Mapping[str, Price] | None = None,
    out: str | Path | None = None,
    progress: Callable[[OptimizeProgress], None] | None = None,
) -> Evaluation:
    """Score a generator on seeds, without tuning anything.

    The draws are those of the proof of `optimize` with the same `seed`, so that both can be compared.

    Args:
        generator: What to score, with its prompts.
        metric: As in `optimize`. None takes the one that the method ships.
        seeds: Dictionaries of inputs, or DSPy examples. None takes the test seeds that the method ships.
        k: Draws a seed, 1 or more.
        held_out: Another metric. None takes the method's.
        lms: An LM for all roles, or LMs by role, as in `generate`.
        judge_lm: As in `optimize`.
        demonstrations: Give predictors on weak LMs the shipped demonstrations where they have none, as `generate` does.
        budget: Most LM calls; None for no limit.
        seed: Random seed of the draws.
        concurrency: Draws in flight; None for what the LM serves well.
        retry: How failed calls are repeated.
        prices: US dollars by model name, as in `generate`.
        out: Directory to save the result in. Its record of LM calls makes the same command, interrupted, go on where
            it stopped without paying again.
        progress: Called now and then, and at the end, with the phase `evaluate`.

    Raises:
        ConfigError: An argument is wrong, there are no seeds or no metric, or the budget is too small.
        UnusableLMError: The LM fails.
    """
    started = time.monotonic()
    check_generator(generator)
    check_whole(k=k, budget=budget)
    check_metric_call("metric", metric)
    check_metric_call("held_out", held_out)
    own, own_held_out = shipped_metrics(generator)
    metric, held_out = metric or own, held_out or own_held_out
    if metric is None:
        raise ConfigError(
            f"{type(generator).__name__} ships no metric: pass `metric=`, a function of (example, pred, ...)."
        )
    test = examples(generator, seeds, shipped_seeds(generator)["test"])
    if not test:
        raise ConfigError(f"{type(generator).__name__} ships no test seeds: pass `seeds=[{{...}}, ...]`.")
    state = OptimizeProgress("evaluate", 0, budget or 0, method=generator.stem(), planned=len(test) * k)
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
        demonstrations=demonstrations,
        prices=prices,
        watch=watch,
    ) as session:
        metric, held_out = session.asking(metric), session.asking(held_out) if held_out else None
        watch.tell()
        try:
            scored = session.prove(test, metric, k)
            result = evaluation_of(
                scored,
                session.program,
                metric,
                held_out,
                draws=k,
                seed=seed,
                lms=session.models,
                usage=lambda: (session.used, time.monotonic() - started),
            )
        except BudgetExhaustedError as error:
            raise ConfigError(
                f"The budget of {budget} LM calls ended before all seeds were scored: raise it."
            ) from error
        except dspy.LMError as error:
            raise UnusableLMError(f"The LM failed while seeds were scored: {error}") from error
        result = replace(result, notes=session.uncounted())
    if out is not None:
        result.save(out)
    state.done = True
    watch.tell()
    return result


def evaluation_of(
    scored: Sequence[Scored],
    program: Generator[Any],
    metric: Metric,
    held_out: Metric | None,
    *,
    draws: int,
    seed: int,
    lms: dict[str, str],
    usage: Callable[[], tuple[Usage, float]],
) -> Evaluation:
    """The evaluation that scored seeds make up; the held-out check is taken on the same draws.

    Args:
        scored: The seeds with their draws.
        program: What made them.
        metric: What scored them.
        held_out: Another metric, or None.
        draws: Draws a seed.
        seed: Random seed of the draws.
        lms: Model name by role.
        usage: Gives what its LM calls used, and seconds, once the check was asked.
    """
    scores = [each.score for each in scored]
    others = [judge(held_out, each.example, each.draws)[0] for each in scored] if held_out else []
    used, seconds = usage()
    names = {"metric": metric_name(metric), **({"held_out": metric_name(held_out)} if held_out else {})}
    return Evaluation(
        method=program.stem(),
        metric=mean_interval(scores, seed=seed),
        held_out=mean_interval(others, seed=seed) if held_out else None,
        scores=scores,
        held_out_scores=others,
        feedback=[each.feedback[:FEEDBACK_CHARS] for each in scored],
        seeds=[dict(each.example.inputs()) for each in scored],
        draws=draws,
        seed=seed,
        prompts=program.prompts_hash(),
        lms=lms,
        calls=used.calls,
        tokens=used.tokens,
        seconds=seconds,
        names=names,
        usd=used.usd,
    )


def compare(
    a: Generator[Any] | Evaluation | str | Path,
    b: Generator[Any] | Evaluation | str | Path,
    *,
    generator: Generator[Any] | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    progress: Callable[[OptimizeProgress], None] | None = None,
    **arguments: Any,
) -> Comparison:
    """Compare two generators, two files of prompts, or two evaluations on the same seeds, with paired statistics.

    Args:
        a: A generator, the path of prompts for `generator`, or an evaluation.
        b: Another one.
        generator: The generator that files of prompts belong to.
        seed: Random seed of the draws and of the interval.
        out: Directory to save the result in, with an evaluation of each side in `a` and `b`. The same command,
            interrupted, goes on where it stopped.
        progress: Called now and then with the phases `a` and `b`.
        **arguments: As for `evaluate`: `metric`, `seeds`, `k`, `lms`, `budget` (of each side) and so on.

    Raises:
        ConfigError: A file is given without `generator`, it does not fit, or two evaluations differ in their seeds,
            draws or metrics.
        UnusableLMError: The LM fails.
        StoreError: The directory cannot be written.

    Example:
        >>> compare("runs/a/prompts.json", "runs/b/prompts.json", generator=TarGEN()).metric.measurable
    """
    ready = [_loaded(side, generator) for side in (a, b)]  # a file that does not fit is found before calls are paid

    def evaluated(side: Generator[Any] | Evaluation, name: str) -> Evaluation:
        if isinstance(side, Evaluation):
            return side
        told = None if progress is None else partial(_tell_side, progress, name)
        return evaluate(side, seed=seed, out=out and Path(out) / name, progress=told, **arguments)

    first, second = evaluated(ready[0], "a"), evaluated(ready[1], "b")
    keys, others = _keys(first), _keys(second)
    if set(keys) != set(others) or (first.names, first.draws) != (second.names, second.draws):
        raise ConfigError(
            f"The two sides cannot be paired: a has {len(keys)} seeds with {first.draws} draws each and {first.names}, "
            f"b has {len(others)} seeds with {second.draws} draws each and {second.names}. Evaluate both with the same "
            "`seeds`, `k` and `metric`."
        )
    metric, held_out = dict(zip(others, second.scores, strict=True)), None
    if first.held_out is not None:
        checked = dict(zip(others, second.held_out_scores, strict=True))
        held_out = paired_difference(first.held_out_scores, [checked[key] for key in keys], seed=seed)
    difference = paired_difference(first.scores, [metric[key] for key in keys], seed=seed)
    result = Comparison(first, second, difference, held_out)
    if out is not None:
        result.save(out)
    return result


def _keys(evaluation: Evaluation) -> list[str]:
    """Identity of each seed."""
    return [repr(sorted(inputs.items())) for inputs in evaluation.seeds]


def _tell_side(progress: Callable[[OptimizeProgress], None], name: str, state: OptimizeProgress) -> None:
    progress(replace(state, phase=name))


def _loaded(side: Any, generator: Generator[Any] | None) -> Generator[Any] | Evaluation:
    if isinstance(side, Evaluation | Generator):
        return side
    if not isinstance(side, str | Path):
        raise ConfigError(f"Compare generators, evaluations or files of prompts, got {side!r}.")
    if generator is None:
        raise ConfigError(f"Pass `generator=`, which the prompts in {str(side)!r} belong to.")
    loaded = generator.deepcopy()
    loaded.load_prompts(side)
    return loaded


def spent(calls: int, tokens: int, usd: float, seconds: float) -> str:
    """What a result took, in words; dollars only where a price is known."""
    dollars = f"${usd:.4f}, " if usd else ""
    return f"{calls} LM calls, {tokens:,} tokens, {dollars}{seconds:.0f} s"


def _save(out: Path, name: str, result: Evaluation | Comparison) -> None:
    text = json.dumps(result.as_dict(), ensure_ascii=False, indent=2)
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / f"{name}.json").write_text(text + "\n", encoding="utf-8", errors="replace")
        (out / f"{name}.txt").write_text(result.report() + "\n", encoding="utf-8", errors="replace")
    except OSError as error:
        raise StoreError(f"Cannot write to {str(out)!r}: {error.strerror or error}.") from error


def _subject(evaluation: Evaluation) -> str:
    return (
        f"{evaluation.method} with prompts {evaluation.prompts} on {evaluation.lms['generator']}, "
        f"{evaluation.calls} LM calls"
    )


def _brief(inputs: Mapping[str, Any]) -> str:
    text = " ".join(repr(dict(inputs)).split())
    return text if len(text) <= 100 else text[:97] + "..."
