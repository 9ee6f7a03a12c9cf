"""A judge that compares two texts, asked in both orders: place must not decide."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, get_args

__all__ = ["Preference", "Side", "Verdict", "both_orders", "win_rate"]

Side = Literal["first", "second", "tie"]


@dataclass(frozen=True)
class Verdict:
    """What two askings of one pair say together.

    Attributes:
        score: Of the text that was ours: 1 if it won in both orders, 0 if it lost in both, 0.5 otherwise.
        consistent: Whether both orders gave the same text, or both a tie.
        answers: What was said with ours as the first text, and with ours as the second.
    """

    score: float
    consistent: bool
    answers: tuple[Side, Side]

    @classmethod
    def of(cls, ours_first: Side, ours_second: Side) -> "Verdict":
        """The verdict of two answers.

        Args:
            ours_first: What was said with ours as the first text.
            ours_second: What was said with ours as the second text.

        Raises:
            ValueError: An answer is none of `first`, `second` and `tie`.
        """
        answers = (_valid(ours_first), _valid(ours_second))
        scores = {("first", "second"): 1.0, ("second", "first"): 0.0}
        return cls(scores.get(answers, 0.5), answers in (*scores, ("tie", "tie")), answers)


@dataclass(frozen=True)
class Preference:
    """How often one kind of text is preferred to another.

    Attributes:
        rate: Mean score, in [0, 1]; half of it is what a judge without an opinion gives.
        consistent: Share of the pairs on which both orders agree.
        first: Share of all answers that name the first text, ties left out: 0.5 for a judge that place does not move;
            None if all were ties.
        pairs: Number of pairs.
    """

    rate: float
    consistent: float
    first: float | None
    pairs: int


def both_orders(ask: Callable[[str, str], Side], ours: str, theirs: str) -> Verdict:
    """Ask which of two texts is better, in both orders.

    A judge that always names the first text earns 0.5 and is not consistent.

    Args:
        ask: Says which of its two texts is better, such as a call of a frozen predictor with a typed answer.
        ours: A text.
        theirs: The text that it is compared with.

    Raises:
        ValueError: `ask` answers something else. What it raises is passed on: a judge that fails is no verdict.
    """
    return Verdict.of(ask(ours, theirs), ask(theirs, ours))


def win_rate(verdicts: Iterable[Verdict]) -> Preference:
    """How often ours is preferred, over many pairs, and how far the judge can be trusted.

    Raises:
        ValueError: There are no verdicts.
    """
    found = list(verdicts)
    if not found:
        raise ValueError("There are no verdicts to count.")
    decided = [answer for verdict in found for answer in verdict.answers if answer != "tie"]
    return Preference(
        rate=sum(verdict.score for verdict in found) / len(found),
        consistent=sum(verdict.consistent for verdict in found) / len(found),
        first=decided.count("first") / len(decided) if decided else None,
        pairs=len(found),
    )


def _valid(answer: Side) -> Side:
    if answer not in get_args(Side):
        raise ValueError(f"A pairwise judge must answer one of {get_args(Side)}, got {answer!r}.")
    return answer
