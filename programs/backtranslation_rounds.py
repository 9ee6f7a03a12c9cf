"""What the rounds of Instruction Backtranslation know of each other, read from the artifacts of a run.

A batch of segments is written in one round; each following round rates all of its candidates once more, with the
judge that the round before made better. Candidates are never written again.
"""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from synthwright.signatures.backtranslation import Candidate, Passed, Scored
from synthwright.signatures.rows import Row

__all__ = ["Progress", "confident", "others", "progress"]

MOST_OF_A_BAD_PAIR = 2
"""Ratings up to this one, in every draw, make a confident bad example."""


@dataclass
class Progress:
    """How far a run is.

    Attributes:
        taken: Segments that were taken from the source.
        waiting: Candidates that must be rated next; empty if the next batch is due.
        iteration: Iteration in which to rate them, from 1.
        candidates: All candidates by id.
        scored: The last ratings of each iteration by candidate id.
    """

    taken: int = 0
    waiting: list[Candidate] = field(default_factory=list)
    iteration: int = 1
    candidates: dict[str, Candidate] = field(default_factory=dict)
    scored: dict[int, dict[str, Scored]] = field(default_factory=dict)


def progress(artifacts: Sequence[Row], iterations: int) -> Progress:
    """How far a run is, from its artifacts in order.

    A candidate that comes late, because its seed failed in an earlier session, is rated with the next batch. A rating
    that failed is not waited for: the next iteration rates the whole batch again anyway.
    """
    found = Progress()
    fresh: dict[str, Candidate] = {}
    batch: dict[str, Candidate] = {}
    done, started = 0, -1
    for artifact in artifacts:
        if isinstance(artifact, Candidate | Passed):
            found.taken = max(found.taken, artifact.number + 1)
        if isinstance(artifact, Candidate):
            found.candidates[artifact.id] = fresh[artifact.id] = artifact
        elif isinstance(artifact, Scored):
            found.scored.setdefault(artifact.iteration, {})[artifact.candidate_id] = artifact
            if artifact.iteration == 1 and artifact.round > started:
                batch, fresh, done, started = fresh, {}, 1, artifact.round
            elif artifact.round > started:
                done = max(done, artifact.iteration)
    if batch and done < iterations:
        found.waiting, found.iteration = list(batch.values()), done + 1
    else:
        found.waiting = list(fresh.values())
    return found


def confident(found: Progress, pairs: Iterable[dict[str, Any]], *, samples: int, count: int) -> list[dict[str, Any]]:
    """Worked examples for the judge of the next iteration, good and bad in turn, short ones first.

    Good are the seed pairs and the candidates whose every draw gave 5 in the iteration before, bad those whose every
    draw gave 1 or 2. Without both there are none: a judge that has seen one verdict only gives that one.

    Args:
        found: How far the run is.
        pairs: Seed pairs in the form of demonstrations.
        samples: Draws of a rating; those that could not all be read are not confident.
        count: Examples wanted.

    Returns:
        Demonstrations of `JudgePair`, each with the `id` of its candidate if it has one.
    """
    good, bad = list(pairs), []
    ratings = [each for each in found.scored.get(found.iteration - 1, {}).values() if len(each.scores) == samples]
    rated = [(found.candidates[each.candidate_id], each) for each in ratings if each.candidate_id in found.candidates]
    for candidate, each in sorted(rated, key=lambda pair: (len(pair[0].text), pair[0].id)):
        kind = good if min(each.scores) == 5 else bad if max(each.scores) <= MOST_OF_A_BAD_PAIR else None
        if kind is not None:
            kind.append(
                {
                    "id": candidate.id,
                    "instruction": candidate.instruction,
                    "response": candidate.text,
                    "reasoning": each.reasoning,
                    "score": min(each.scores),
                }
            )
    return [example for both in zip(good, bad, strict=False) for example in both][:count]


def others(examples: Sequence[dict[str, Any]], candidate_id: str, count: int) -> list[dict[str, Any]]:
    """The first `count` examples that are not the candidate itself, without ids; none if one verdict is left only.

    Their order is drawn for each candidate: a weak judge repeats the verdict that it sees last.
    """
    shown = [example for example in examples if example.get("id") != candidate_id][:count]
    if len({example["score"] > MOST_OF_A_BAD_PAIR for example in shown}) < 2:
        return []
    random.Random(candidate_id).shuffle(shown)
    return [{name: value for name, value in example.items() if name != "id"} for example in shown]
