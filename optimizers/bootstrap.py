"""Demonstration search: random search over demonstrations that pass the metric, with better and better teachers.

After BootstrapFewShot with random search (Khattab et al., 2024, DSPy), with three changes that a weak LM needs: many
draws instead of one a seed, because it seldom passes; a demonstration counts by the score of its own draw; and later
rounds draw from the best candidate so far, not from the program as it was given.
"""

import random
from collections.abc import Mapping, Sequence
from typing import Any

from synthwright.optimizers.candidates import Candidate, PromptState
from synthwright.optimizers.scoring import Draw, judge
from synthwright.optimizers.search import Search

__all__ = ["bootstrap"]

Demo = tuple[float, str, dict[str, Any]]  # score of its draw, key of its seed, inputs and outputs

CANDIDATES = 4
"""Most sets of demonstrations that a round scores."""


def bootstrap(
    search: Search, gold: Mapping[str, Sequence[Mapping[str, Any]]], max_demos: int, threshold: float, rounds: int
) -> None:
    """Look for demonstrations with which the program scores best.

    Each round draws training seeds from the best candidate so far and keeps the calls of the draws that reach the
    threshold, then scores a few random sets of them on validation seeds. Where no draw scores anything and the user
    gave no demonstrations, it ends early.

    Args:
        search: What is tuned, and with what; the first teacher is its best candidate so far.
        gold: Demonstrations of the user by predictor.
        max_demos: Most demonstrations of one predictor, 1 or more.
        threshold: Least score of a draw whose calls may become demonstrations, in (0, 1].
        rounds: Rounds of drawing and scoring, 1 or more.
    """
    rng = random.Random(f"bootstrap:{search.seed}")
    found: dict[str, list[Demo]] = {name: [] for name in search.targets}
    states = search.given.prompts
    cost = max(1, round(search.best.cost * len(search.valset)))  # LM calls of scoring one candidate
    if search.best is not search.given:  # the user's demonstrations help: they may stand beside drawn ones
        for name, demos in gold.items():
            found.get(name, []).extend((1.0, f"gold {index}", dict(demo)) for index, demo in enumerate(demos))
    rounds = max(1, min(rounds, search.left // (4 * cost)))  # a round needs draws to learn from and some candidates
    for number in range(1, rounds + 1):
        share = search.left // (rounds - number + 1)
        if share < 2 * cost:
            return
        search.best.apply(search.targets)
        _draw_demos(search, found, search.session.spent + share * 2 // 5, rng)
        if not any(found.values()):
            search.warnings.append(
                f"No draw of the training seeds scored above 0, so that there was nothing to learn from after "
                f"{search.session.spent} calls. Give demonstrations of your own (`gold=`), or a metric with a slope."
            )
            return
        tried = 0
        while search.left >= cost and tried < CANDIDATES:
            chosen = {n: _with_demos(state, found[n], max_demos, threshold, rng) for n, state in states.items()}
            tried += 1
            if any(chosen == known.prompts for known in search.history):
                continue
            search.validate(Candidate(chosen, f"demonstrations of round {number}"))
            if search.left <= (rounds - number) * 2 * cost:
                break


def _draw_demos(search: Search, found: dict[str, list[Demo]], until: int, rng: random.Random) -> None:
    """Draw training seeds over and over until the calls are used, and keep the calls of draws that gave something."""
    limit = search.session.limit
    while search.session.spent < until:
        before = search.session.spent
        seeds, sampling = rng.sample(list(search.trainset), len(search.trainset)), rng.getrandbits(31)
        for start in range(0, len(seeds), limit):
            if search.session.spent >= until:
                return
            batch = seeds[start : start + limit]
            for result in search.session.score(batch, _unscored, draws=1, seed=sampling):
                value, _ = judge(search.metric, result.example, result.draws)
                draw = result.draws[0]
                if value > 0 and (draw.rows or draw.artifacts):
                    _keep(found, draw, value, repr(dict(result.example.inputs())))
        if search.session.spent == before:  # seeds that make no call would go round for ever
            return


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
