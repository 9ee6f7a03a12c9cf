"""Statistics of several draws: majority votes over canonical answers, and solve rates. Pure functions, no LM."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from synthwright.errors import ConfigError
from synthwright.verify import Verdict

__all__ = ["Canonical", "Checks", "SolveRate", "Ties", "Vote", "solve_rate", "vote"]

Ties = Literal["none", "first", "random"]
"""What wins if the most votes go to several answers: nothing, the one drawn first, or one drawn by the seed."""


class Canonical(Protocol):
    """What a vote needs of a verifier."""

    def canonical(self, text: str) -> str | None: ...


class Checks(Canonical, Protocol):
    """What a solve rate needs of a verifier."""

    def __call__(self, reply: str, answer: str) -> Verdict: ...


@dataclass(frozen=True)
class Vote:
    """The result of a majority vote.

    Attributes:
        winner: The canonical answer that won, or None if none did.
        votes: Votes of the answer that has the most, won or not; 0 if no answer could be read.
        n: Draws, readable or not.
        readable: Draws with an answer.
        distinct: Different answers among them.
        margin: Votes ahead of the next answer; 0 for a tie.
        members: Indexes of the draws that gave the winner, in order; empty without a winner.
        reason: `majority`, or why there is no winner: `no_answer`, `tie`, `too_few_votes`, `small_margin`.
        identical: All draws are the same text, two or more of them: they were not independent.
    """

    winner: str | None
    votes: int
    n: int
    readable: int
    distinct: int
    margin: int
    members: tuple[int, ...]
    reason: str
    identical: bool

    @property
    def agreement(self) -> float:
        """Share of all draws that gave the answer with the most votes, in [0, 1]."""
        return self.votes / self.n if self.n else 0.0


def vote(
    replies: Sequence[str | None],
    verifier: Canonical,
    *,
    ties: Ties = "none",
    min_agreement: float = 0.0,
    min_margin: int = 0,
    seed: str = "",
) -> Vote:
    r"""The answer that most replies give, counted in canonical form: `1/2`, `0.5` and `\frac12` are one answer.

    Source: self-consistency (Wang et al., 2023, arXiv:2203.11171, section 2) without weights; the policies are ours.

    Args:
        replies: Replies or bare answers; None for a draw that failed, which counts as a draw without an answer.
        verifier: Says what the canonical answer of a reply is.
        ties: What wins if several answers have the most votes.
        min_agreement: Least share of all draws that the winner must have, in [0, 1].
        min_margin: Votes that the winner must be ahead of the next answer; a tie that was broken has a margin of 0.
        seed: Fixes the draw of `ties="random"`.

    Raises:
        ConfigError: A policy does not exist or is out of range.
    """
    if ties not in ("none", "first", "random"):
        raise ConfigError(f"`ties` must be 'none', 'first' or 'random', got {ties!r}.")
    if not 0 <= min_agreement <= 1 or min_margin < 0:
        raise ConfigError(
            f"`min_agreement` must be in [0, 1] and `min_margin` 0 or more, got {min_agreement!r} and {min_margin!r}."
        )
    answers = [None if reply is None else verifier.canonical(reply) for reply in replies]
    counts = Counter(answer for answer in answers if answer is not None)
    votes = max(counts.values(), default=0)
    leaders = [answer for answer, count in counts.items() if count == votes]  # in the order of their first draw
    margin = 0 if len(leaders) != 1 else votes - max((n for a, n in counts.items() if a != leaders[0]), default=0)
    winner, reason = None, "majority"
    if not leaders:
        reason = "no_answer"
    elif len(leaders) > 1 and ties == "none":
        reason = "tie"
    elif votes < min_agreement * len(replies):
        reason = "too_few_votes"
    elif margin < min_margin:
        reason = "small_margin"
    else:
        winner = random.Random(f"{seed}:{sorted(leaders)}").choice(sorted(leaders)) if ties == "random" else leaders[0]
    return Vote(
        winner=winner,
        votes=votes,
        n=len(replies),
        readable=counts.total(),
        distinct=len(counts),
        margin=margin,
        members=tuple(i for i, answer in enumerate(answers) if answer == winner) if winner is not None else (),
        reason=reason,
        identical=_identical(replies),
    )


@dataclass(frozen=True)
class SolveRate:
    """How often draws solve a task.

    Attributes:
        n: Draws that count: all but those whose verdict is undecided, as after a crash of the sandbox.
        correct: Draws whose answer is right.
        distinct: Different answers, in canonical form, among those that could be read.
        identical: All draws are the same text, two or more of them. A cache or a temperature of 0 made one draw of
            them, and the rate says 0 % or 100 % whatever the task is.
    """

    n: int
    correct: int
    distinct: int
    identical: bool

    @property
    def rate(self) -> float:
        """Share of correct draws, in [0, 1]; 0 if no draw counts, which is not `reliable`."""
        return self.correct / self.n if self.n else 0.0

    @property
    def reliable(self) -> bool:
        """False for fewer than two draws and for identical ones."""
        return self.n > 1 and not self.identical


def solve_rate(replies: Sequence[str | None], answer: str, verifier: Checks) -> SolveRate:
    """How many of the draws hold the answer.

    Args:
        replies: Independent draws for one task, one or more; None for one that failed, which is not correct.
        answer: The known answer.
        verifier: Compares a reply with it.

    Raises:
        ConfigError: There are no draws, so there is no rate.
    """
    if not replies:
        raise ConfigError("A solve rate needs one draw or more, got none.")
    given = [reply for reply in replies if reply is not None]
    verdicts = [verifier(reply, answer) for reply in given]
    return SolveRate(
        n=len(replies) - sum(verdict.undecided for verdict in verdicts),
        correct=sum(verdict.ok for verdict in verdicts),
        distinct=len({verifier.canonical(reply) for reply in given} - {None}),
        identical=_identical(replies),
    )


def _identical(replies: Sequence[str | None]) -> bool:
    return len(replies) > 1 and len(set(replies)) == 1
