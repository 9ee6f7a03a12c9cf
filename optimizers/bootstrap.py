"""Demonstration search: random search over demonstrations that pass the metric, with better and better teachers.

After BootstrapFewShot with random search (Khattab et al., 2024, DSPy), with three changes that a weak LM needs: many
draws instead of one a seed, because it seldom passes; a demonstration counts by the score of its own draw; and later
rounds draw from the best candidate so far, not from the program as it was given.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import dspy

from synthwright.errors import BudgetExhaustedError
from synthwright.optimizers.candidates import Candidate, PromptState
from synthwright.optimizers.scoring import Draw, Metric, judge, score_seeds
from synthwright.programs.base import Generator

__all__ = ["search"]

Demo = tuple[float, str, dict[str, Any]]  # score of its draw, key of its seed, inputs and outputs


def search(
    program: Generator[Any],
    targets: Mapping[str, dspy.Predict],
    metric: Metric,
    trainset: Sequence[dspy.Example],
    valset: Sequence[dspy.Example],
    *,
    spent: Callable[[], int],
    budget: int,
    gold: Mapping[str, Sequence[Mapping[str, Any]]],
    draws: int,
    max_demos: int,
    threshold: float,
    rounds: int,
    seed: int,
    limit: int,
    note: Callable[[Candidate], None],
) -> Candidate:
    """The best candidate found within a budget of LM calls; at worst the program as it was given.

    Each round draws training seeds from the best candidate so far and keeps the calls of the draws that reach the
    threshold, then scores a few random sets of them on validation seeds.

    Args:
        program: The generator, its LMs assigned; its prompts are left at the last candidate tried.
        targets: Predictors to find demonstrations for, by name.
        metric: What is optimized.
        trainset: Seeds that demonstrations are drawn from.
        valset: Seeds that candidates are compared on.
        spent: LM calls made so far.
        budget: Value of `spent` at which to stop.
        gold: Demonstrations of the user by predictor; a candidate of their own and the first teacher.
        draws: Draws a seed when a candidate is scored.
        max_demos: Most demonstrations of one predictor, 1 or more.
        threshold: Least score of a draw whose calls may become demonstrations, in (0, 1].
        rounds: Rounds of drawing and scoring, 1 or more.
        seed: Random seed.
        limit: Draws in flight.
        note: Called with each scored candidate.
    """
    rng = random.Random(f"bootstrap:{seed}")
    given = {name: PromptState.of(predictor) for name, predictor in targets.items()}
    scored: list[Candidate] = []
    found: dict[str, list[Demo]] = {name: [] for name in targets}

    def score(candidate: Candidate) -> None:
        candidate.apply(targets)
        results = score_seeds(program, valset, metric, draws=draws, seed=seed, limit=limit)
        candidate.scores = [result.score for result in results]
        scored.append(candidate)
        note(candidate)

    def left() -> int:
        return budget - spent()

    try:
        before = spent()
        score(Candidate(given, "as given"))
        cost = max(1, spent() - before)  # of scoring one candidate
        if any(gold.get(name) for name in targets):
            states = {
                name: PromptState(state.instructions, tuple(gold.get(name) or state.demos)[: max_demos + 1])
                for name, state in given.items()
            }
            score(Candidate(states, "gold demonstrations"))
        rounds = max(1, min(rounds, left() // (4 * cost)))  # a round needs draws to learn from and some candidates
        for number in range(1, rounds + 1):
            share = left() // (rounds - number + 1)
            if share < 2 * cost:
                break
            best = max(scored, key=lambda candidate: candidate.mean)
            best.apply(targets)
            _draw_demos(program, found, metric, trainset, spent, spent() + share * 2 // 5, rng, limit)
            tried = 0
            while left() >= cost and tried < 4 and any(found.values()):
                states = {
                    name: _with_demos(state, found[name], max_demos, threshold, rng) for name, state in given.items()
                }
                score(Candidate(states, f"demonstrations of round {number}"))
                tried += 1
                if spent() >= budget - (rounds - number) * 2 * cost:
                    break
    except BudgetExhaustedError:
        pass
    return max(scored, key=lambda candidate: candidate.mean) if scored else Candidate(given, "as given")


def _draw_demos(
    program: Generator[Any],
    found: dict[str, list[Demo]],
    metric: Metric,
    trainset: Sequence[dspy.Example],
    spent: Callable[[], int],
    until: int,
    rng: random.Random,
    limit: int,
) -> None:
    """Draw training seeds over and over until the calls are used, and keep the calls of draws that gave something."""
    while True:
        seeds, sampling = rng.sample(list(trainset), len(trainset)), rng.getrandbits(31)
        for start in range(0, len(seeds), limit):
            if spent() >= until:
                return
            batch = seeds[start : start + limit]
            for result in score_seeds(program, batch, _unscored, draws=1, seed=sampling, limit=limit):
                value, _ = judge(metric, result.example, result.draws)
                draw = result.draws[0]
                if value > 0 and (draw.rows or draw.artifacts):
                    _keep(found, draw, value, repr(dict(result.example.inputs())))


def _unscored(*_: Any) -> float:
    return 0.0


def _keep(found: dict[str, list[Demo]], draw: Draw, value: float, seed: str) -> None:
    for name, inputs, outputs in draw.steps:
        if name in found:
            found[name].append((value, seed, {**inputs, **outputs}))


def _with_demos(state: PromptState, demos: list[Demo], most: int, threshold: float, rng: random.Random) -> PromptState:
    """A state with a random set of demonstrations, each from another seed.

    They come from draws that reach the threshold; while too few do, from the best there are.
    """
    best: dict[str, Demo] = {}
    for demo in sorted(demos, key=lambda demo: demo[0], reverse=True):
        best.setdefault(demo[1], demo)
    passing = [demo for demo in best.values() if demo[0] >= threshold]
    eligible = passing if len(passing) >= most else list(best.values())[: 2 * most]
    chosen = rng.sample(eligible, min(most, len(eligible)))
    return PromptState(state.instructions, tuple(demo for _, _, demo in chosen)) if chosen else state
