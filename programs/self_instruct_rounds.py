"""The two kinds of rounds of Self-Instruct, as seeds: requests for new instructions, and the settling of proposals."""

import random
from collections.abc import Iterator, Sequence
from typing import TypeVar

from synthwright.filters import RougeNovelty
from synthwright.pool import Seed
from synthwright.programs.self_instruct_seeds import SeedTask
from synthwright.signatures.self_instruct import Proposed, Settled

__all__ = ["barren_rounds", "requests", "to_settle"]

ItemT = TypeVar("ItemT")


def requests(
    people: Sequence[SeedTask],
    machine: Sequence[Settled],
    *,
    count: int,
    shown: int,
    machine_shown: int,
    round: int,
    seed: int,
) -> Iterator[Seed]:
    """The requests of a round, each with tasks by people and by the machine, shuffled.

    Args:
        people: Tasks that people wrote.
        machine: Machine-made tasks in the pool.
        count: Requests.
        shown: Tasks that each shows; fewer if there are fewer.
        machine_shown: How many of them are machine-made; as many as there are if there are fewer, and people's tasks
            take their places.
        round: Number of the round.
        seed: Fixes what is drawn, with the round and the number of the request.
    """
    for request in range(count):
        rng = random.Random(f"{seed}:{round}:{request}")
        drawn = [(each.instruction, each.row_ids[:1]) for each in _sample(rng, machine, machine_shown)]
        others = _sample(rng, people, shown - len(drawn))
        drawn += [(each.instruction, (each.id,) if each.id else ()) for each in others]
        rng.shuffle(drawn)
        yield {
            "existing_instructions": [text for text, _ in drawn],
            "round": round,
            "request": request,
            "parent_ids": [name for _, ids in drawn for name in ids],
        }


def to_settle(proposed: Sequence[Proposed], first: int, novelty: RougeNovelty, neighbours: int) -> Iterator[Seed]:
    """One seed for each waiting proposal, with its nearest neighbours in the pool and among the proposals before it.

    Args:
        proposed: All proposals of the run.
        first: Number of the first that waits.
        novelty: Knows the pool; proposals that are new are added to it.
        neighbours: How many of the nearest each seed names.
    """
    for number, proposal in enumerate(proposed[first:], first):
        refused = novelty.check(proposal)
        nearest = novelty.nearest(proposal.instruction, neighbours) if neighbours else []
        if refused is None:
            novelty.add(proposal)
        yield {
            "instruction": proposal.instruction,
            "round": proposal.round,
            "request": proposal.request,
            "number": number,
            "parent_ids": list(proposal.parent_ids),
            "most_similar": [[round(score, 4), text] for score, text in nearest],
            "not_novel": None if refused is None else refused.partition(":")[2].strip(),
        }


def barren_rounds(now: int, settled: Sequence[Settled]) -> int:
    """Rounds of requests since the last one that brought a task into the pool.

    Every round in which proposals were settled is the one after their request; all others are rounds of requests,
    also those that left no trace because no reply could be used.

    Args:
        now: Number of the round that is planned.
        settled: What became of all proposals so far.
    """
    last = max((each.round for each in settled if each.accepted), default=-1)
    settling = {each.round + 1 for each in settled}
    return sum(number not in settling for number in range(last + 1, now))


def _sample(rng: random.Random, population: Sequence[ItemT], size: int) -> list[ItemT]:
    return rng.sample(population, min(size, len(population)))
