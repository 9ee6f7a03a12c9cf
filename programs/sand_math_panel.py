"""Who looks at a problem of SAND-Math: solvers whose answers are compared, a weaker solver, and a rater."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any, Literal, Protocol

import dspy

from synthwright.errors import ParseError
from synthwright.programs.base import Frozen, unparsable
from synthwright.programs.blocks.chat import without_thinking
from synthwright.programs.sand_math_checks import VERIFIER
from synthwright.programs.voting import solve_rate, vote
from synthwright.signatures.rows import Rejected
from synthwright.signatures.sand_math import boxed_text, half_points
from synthwright.verify import Unread
from synthwright.verify.places import boxes

__all__ = ["Agreement", "Equality", "Panel", "Solved", "solved"]

Equality = Literal["verifier", "unsure", "judge"]
"""Who says whether two answers are equal: the symbolic verifier, the judge where it is unsure, or the judge always."""

COMPARED_CHARS = 4_000
"""Characters at the end of a solution that the judge of answers sees; the final answer stands there. Ours."""

RATED_CHARS = 128_000
"""Longest solution that is rated: the released code cuts prompts at 32,000 tokens."""


@dataclass(frozen=True)
class Solved:
    """A solution.

    Attributes:
        text: The solution, which ends in the boxed answer if it has one.
        answer: Its final answer; empty if it has none, or two that differ.
    """

    text: str
    answer: str


@dataclass(frozen=True)
class Agreement:
    """Solutions of one problem that have the same answer.

    Attributes:
        solutions: The solutions that were compared, fresh ones first.
        distinct: Different answers among them as far as the verifier can say.
        identical: All fresh solutions, two or more, are one text: they were not independent.
    """

    solutions: tuple[Solved, ...]
    distinct: int
    identical: bool


class Settings(Protocol):
    """What a panel needs of its program; `SandMath` says what it means."""

    equality: Equality
    attempts: int
    ratings: int
    solve: Frozen
    compare: Frozen
    attempt: Frozen
    rate: Frozen


def solved(solution: str, answer: str) -> Solved:
    r"""A solution with its final answer, read after any thinking.

    The answer is the given one, or else the last closed `\boxed{}`. If there are both and they differ, it has none.
    """
    solution, answer = without_thinking(solution), without_thinking(answer)
    box = next((content for _, content in reversed(boxes(solution)) if content), "")
    inner = boxes(answer)
    if inner:
        answer = inner[-1][1] or ""
    answer = answer.strip() or box
    if box and answer != box and VERIFIER(rf"\boxed{{{answer}}}", rf"\boxed{{{box}}}").reason == "different":
        return Solved(solution, "")
    return Solved(boxed_text(solution, answer), answer)


class Panel:
    """Has a program's problems solved, compared, attempted and rated.

    Args:
        program: Its predictors and arguments are used.
    """

    def __init__(self, program: Settings) -> None:
        self.program = program

    async def agreement(self, question: str, fresh: int, reference: Solved | None) -> Agreement | Rejected:
        """Step 2: all final answers are equal, or why they are not.

        Args:
            question: The problem.
            fresh: Independent solutions to ask for.
            reference: A solution that must agree too, or None.
        """
        drawn = await self._draws(self.program.solve, question, fresh)
        compared = [*drawn, *([reference] if reference else [])]
        answers = [each.answer for each in compared]
        content = {"question": question, "final_answers": answers, "solutions": [each.text for each in compared]}
        boxed = [rf"\boxed{{{answer}}}" if answer else None for answer in answers]
        found = await asyncio.to_thread(vote, boxed, VERIFIER)  # comparing formulas blocks
        content |= {"votes": found.votes, "n": found.n, "distinct": found.distinct}
        detail = f"{found.votes} of {found.n} answers agree, {found.distinct} different: {', '.join(answers)}"[:300]
        if not all(answers):
            return Rejected(stage="consistency", reason="no_answer", detail=detail, content=content)
        verdicts = await asyncio.gather(*(self._equal(compared[0], other) for other in compared[1:]))
        if not all(verdicts):
            reason = "inconsistent" if False in verdicts else "no_verdict"
            return Rejected(stage="consistency", reason=reason, detail=detail, content=content)
        texts = [each.text for each in drawn]
        return Agreement(tuple(compared), found.distinct, len(texts) > 1 and len(set(texts)) == 1)

    async def _equal(self, first: Solved, second: Solved) -> bool | None:
        """Whether two solutions have the same answer; None if the judge's reply is no verdict."""
        if self.program.equality != "judge":
            verdict = await asyncio.to_thread(VERIFIER, rf"\boxed{{{second.answer}}}", rf"\boxed{{{first.answer}}}")
            numbers = [VERIFIER.read(each.answer) for each in (first, second)]
            plain = all(not isinstance(number, Unread) and number.number is not None for number in numbers)
            if verdict.ok or plain or self.program.equality == "verifier":
                return verdict.ok
        texts = {"first_solution": first.text[-COMPARED_CHARS:], "second_solution": second.text[-COMPARED_CHARS:]}
        try:
            return bool((await self.program.compare.acall(**texts)).equal)
        except ParseError:
            return None

    async def pass_rate(self, question: str, answer: str, draws: int | None = None) -> dict[str, Any]:
        """Step 5: how often the weaker solver is right, as fields of a row.

        Args:
            question: The problem.
            answer: Its answer.
            draws: Independent draws; None for the program's `attempts`.
        """
        drawn = await self._draws(self.program.attempt, question, draws or self.program.attempts)
        replies = [rf"\boxed{{{each.answer}}}" if each.answer else None for each in drawn]
        known = rf"\boxed{{{answer}}}"
        rate = await asyncio.to_thread(solve_rate, replies, known, VERIFIER)
        right = await asyncio.to_thread(lambda: [reply is not None and VERIFIER(reply, known).ok for reply in replies])
        texts = [each.text for each in drawn]
        flags = ["identical_attempts"] if len(texts) > 1 and len(set(texts)) == 1 else []
        flags += ["one_attempt"] if len(texts) == 1 else []
        flags += ["unreadable_attempts"] if not any(replies) else []
        return {
            "solver_pass_rate": rate.rate,
            "attempts_n": rate.n,
            "attempts_distinct": rate.distinct,
            "attempts": tuple(texts),
            "attempts_right": tuple(right),
            "flags": tuple(flags),
        }

    async def rating(self, question: str, solution: str) -> dict[str, Any]:
        """Step 7: the mean of the ratings that can be read, as fields of a row; others do not count as 0."""
        drawn = await asyncio.gather(*(self._rating(question, solution) for _ in range(self.program.ratings)))
        ratings = tuple(rating for rating in drawn if rating is not None)
        return {"ratings": ratings, "difficulty_rating": round(mean(ratings), 4) if ratings else None}

    async def _rating(self, question: str, solution: str) -> float | None:
        try:
            reply = await self.program.rate.acall(question=question, solution=solution[:RATED_CHARS])
        except ParseError:
            return None
        return half_points(reply.rating)

    async def _draws(self, predictor: dspy.Module, question: str, count: int) -> Sequence[Solved]:
        """So many solutions at once, each a sample of its own."""
        return await asyncio.gather(*(self._solution(predictor, question) for _ in range(count)))

    async def _solution(self, predictor: dspy.Module, question: str) -> Solved:
        try:
            reply = await predictor.acall(question=question)
        except ParseError as error:
            return Solved(str(unparsable("", error).content["reply"]), "")
        return await asyncio.to_thread(solved, reply.solution, str(reply.answer))
