"""Signatures and rows of SAND-Math (Manem et al., 2025, arXiv:2507.20527).

New mathematics problems from nothing but branches: written, solved several times, compared, measured on a weaker
solver, rated, and made harder with a theorem and a concept of another branch.
"""

import math
from typing import Annotated, Any, Literal

import dspy
from pydantic import Field

from synthwright.signatures.rows import Message, Preference, Row

__all__ = [
    "LEVELS",
    "Asked",
    "AttemptProblem",
    "CompareAnswers",
    "Draft",
    "Examined",
    "GenerateEasyProblem",
    "GenerateProblem",
    "HikeProblem",
    "JudgeCopy",
    "Level",
    "RateDifficulty",
    "SandMathRow",
    "SolveProblem",
    "boxed_text",
    "half_points",
    "whole",
]

Level = Literal["easy", "school", "contest", "olympiad"]
"""How hard problems are meant to be; the paper's are `contest`."""

Short = Annotated[str, Field(max_length=40)]
"""An answer: engines that constrain decoding stop a small LM that would go on; others are not bound by it."""

_SUM = r"[0-9]{1,3} [-+*/] [0-9]{1,3} = [0-9]{1,4}\."
_WORDS = r"([a-zA-Z']{1,12} )"
_PART = rf"[A-Z][a-z]{{0,9}} {_WORDS}{{1,7}}[0-9]{{1,2}} {_WORDS}{{0,6}}[a-z]{{1,12}}\."

Sums = Annotated[str, Field(pattern=rf"^{_SUM}( {_SUM}){{0,2}}$")]
"""A solution of one to three sums; bound like `Short`."""

Story = Annotated[str, Field(pattern=rf"^{_PART} {_PART}$")]
"""Two sentences with a number each; bound like `Short`."""

_HOW_MANY = rf"How many {_WORDS}{{1,9}}[a-z]{{1,12}}\?"

HowMany = Annotated[str, Field(pattern=rf"^{_HOW_MANY}$")]
"""A question for a number; bound like `Short`."""

LongerStory = Annotated[str, Field(pattern=rf"^{_PART}( {_PART}){{1,2}} {_HOW_MANY}$")]
"""Two or three sentences with a number each, and a question for a number; bound like `Short`."""

LEVELS: dict[str, str] = {
    "easy": "easy: one or two steps of arithmetic with small whole numbers, for a child of ten",
    "school": "school: three or four steps with whole numbers or fractions, for a student of sixteen",
    "contest": "contest: like the later problems of AIME; several ideas must meet, no standard method is enough",
    "olympiad": "olympiad: like a shortlisted problem of an international olympiad, with a number as its answer",
}
"""What prompts say of a level."""

HARDER: dict[str, str] = {
    "easy": "one step of arithmetic more than before, still for a child",
    "school": "two steps more than before, for a good student of sixteen",
    "contest": "two or three steps that are not obvious, as in a shortlisted olympiad problem",
    "olympiad": "three or more steps that are not obvious, as in the last problem of an olympiad",
}
"""What the prompt that makes a problem harder says of a level."""


class GenerateProblem(dspy.Signature):
    """Write one new mathematics problem with its solution.

    The problem is from the branch, about the concept if one is given, and uses an idea of the other branch if there is
    one. It is as hard as the level says. It says all that is needed, needs no figure, asks for one thing
    only, and its one answer is a single number. The solution goes step by step; the answer is the number alone.
    """

    branch: str = dspy.InputField()
    other_branch: str = dspy.InputField()
    concept: str = dspy.InputField()
    level: str = dspy.InputField()
    question: str = dspy.OutputField()
    solution: str = dspy.OutputField()
    answer: Short = dspy.OutputField()


class GenerateEasyProblem(dspy.Signature):
    """Write one short word problem of arithmetic about the concept, with small whole numbers.

    First the story, two sentences with one number each, then the question, which begins with How many. Then solve it by
    one or two sums with the numbers of the story. The answer is a whole number.
    """

    concept: str = dspy.InputField()
    story: Story = dspy.OutputField()
    question: HowMany = dspy.OutputField()
    solution: Sums = dspy.OutputField()
    answer: int = dspy.OutputField()


class SolveProblem(dspy.Signature):
    """Solve the problem step by step. Then give its answer, a single number, and nothing else."""

    question: str = dspy.InputField()
    solution: str = dspy.OutputField()
    answer: Short = dspy.OutputField()


class AttemptProblem(dspy.Signature):
    """Answer the problem. Give short reasoning, then the final number alone."""

    question: str = dspy.InputField()
    solution: str = dspy.OutputField()
    answer: Short = dspy.OutputField()


class CompareAnswers(dspy.Signature):
    """Find the final answer of each solution and say whether both are the same value. Nothing else counts.

    Forms do not matter: 1/2 is 0.5. If one of the solutions has no final answer, they are not equal. Give the verdict
    first, then the reason in a few words.
    """

    first_solution: str = dspy.InputField()
    second_solution: str = dspy.InputField()
    equal: bool = dspy.OutputField()
    reason: str = dspy.OutputField()


class JudgeCopy(dspy.Signature):
    """Say whether the question is the same problem as the test item: identical, or the same in other words.

    Problems of one kind with other numbers, or with another thing asked for, are not the same.
    """

    question: str = dspy.InputField()
    test_item: str = dspy.InputField()
    same_problem: bool = dspy.OutputField()


class RateDifficulty(dspy.Signature):
    """Rate how hard the problem is, from 1 to 10 in steps of a half, by comparing it with the contests of this scale.

    1: early problems of AMC 8, elementary. 2: last problems of AMC 8, middle of AMC 10. 3: AIME 4 to 6, last of AMC 10.
    4: AIME 7 to 10. 5: AIME 11 to 13. 6: AIME 14 and 15. 7: USAJMO 3 and 6. 8: USAMO or IMO 2 and 5. 9: IMO 3 and 6.
    10: among the hardest ever set. Exercises of primary school are 1. Judge what a solver must find, not how long the
    text is. First sum up what a solution takes, then rate, then name the contest whose level it resembles.
    """

    question: str = dspy.InputField()
    solution: str = dspy.InputField()
    summary: str = dspy.OutputField()
    rating: float = dspy.OutputField()
    resembles: str = dspy.OutputField()


class HikeProblem(dspy.Signature):
    """Write a harder version of the problem, with its solution.

    A solver must need the theorem, in a way that is not plain to see: never name it. Work the concept in, and
    generalise where that fits. The new problem is as hard as the target says, clear and free of contradictions, says
    all that is needed, and its one answer is a single number. The solution goes step by step; the answer is the number
    alone.
    """

    question: str = dspy.InputField()
    rating: str = dspy.InputField()
    theorem: str = dspy.InputField()
    concept: str = dspy.InputField()
    target: str = dspy.InputField()
    harder_question: str = dspy.OutputField()
    solution: str = dspy.OutputField()
    answer: Short = dspy.OutputField()


def whole(signature: type[dspy.Signature]) -> type[dspy.Signature]:
    """The signature for the level `easy`: sums as solution, a whole number as answer, for LMs that wander off."""
    types: dict[str, Any] = {"answer": int, "solution": Sums, "harder_question": LongerStory}
    for name, annotation in types.items():
        if name in signature.output_fields:
            signature = signature.with_updated_fields(name, type_=annotation)
    return signature


def boxed_text(solution: str, answer: str) -> str:
    """A solution that ends in its boxed answer."""
    box = rf"\boxed{{{answer.strip()}}}"
    text = solution.strip()
    return (
        text if not answer.strip() or text.endswith((box, box + ".")) else f"{text}\n\nThe answer is ${box}$.".strip()
    )


def half_points(rating: float) -> float | None:
    """A rating on the grid of the scale, 1 to 10 in steps of 0.5; None if it is out of range or no number."""
    if not math.isfinite(rating) or not 1 <= rating <= 10:
        return None
    return math.floor(2 * rating + 0.5) / 2


class Asked(Row):
    """A note for later rounds that a problem was asked for.

    Attributes:
        draw: Number of the problem in the run, from 0.
        round: Round of the run in which it was asked for.
        draft: Id of the draft that came of it, or empty.
    """

    draw: int
    round: int
    draft: str = ""


class Examined(Row):
    """A note for later rounds that a draft went through the rest of the funnel.

    Attributes:
        draft: Id of the draft.
        unique: Whether no earlier draft means the same.
    """

    draft: str
    unique: bool


class SandMathRow(Row):
    """A problem whose solutions agree.

    Attributes:
        branch: Branch of mathematics.
        secondary_branch: Another branch that was to be mixed in; of a hiked problem the branch of its concept.
        concept: Concept that the problem was to be about, or empty.
        level: How hard it was meant to be.
        question: The problem.
        answer: Its answer, as the first solution has it.
        response: A solution that ends in the boxed answer.
        reference_solution: The solution that was written with the problem, or empty.
        solutions: All solutions that were compared: the fresh ones, then the reference if it was compared.
        final_answers: Their final answers; empty for one without.
        solutions_n: How many solutions were compared.
        solutions_distinct: Different answers among them; 1, unless a judge called forms equal that no verifier reads.
        decontaminated: Whether test items were looked for and not found; None if there were none to look for.
        solver_pass_rate: Share of the weaker solver's draws that are right, in [0, 1]; None if it was not asked.
        attempts_n: Draws behind the pass rate.
        attempts_distinct: Different answers among them.
        attempts: The draws.
        attempts_right: Which of them are right.
        novelty_max_sim: Largest cosine with a text found in the search, in [-1, 1]; None if nothing was found.
        difficulty_rating: Mean of the ratings that could be read, in [1, 10]; None without any.
        ratings: These ratings, each in steps of 0.5.
        hiked_from: Id of the problem that this is a harder version of, or empty.
        hiked_rating: Rating of that problem; None if it has none.
        supporting_theorem: Name of the theorem that a hiked problem was to need, or empty.
        supporting_concept: Concept that was worked in, or empty.
        flags: What makes a figure doubtful: `identical_solutions` or `identical_attempts` if all draws are one text;
            `one_attempt` if one draw stands for a rate; `unreadable_attempts` if none had an answer; `one_lm` if the
            solver would have been the generator, and was not asked; `novelty_unknown`, `unrated`.
    """

    branch: str
    secondary_branch: str = ""
    concept: str = ""
    level: str = ""
    question: str
    answer: str
    response: str
    reference_solution: str = ""
    solutions: tuple[str, ...] = ()
    final_answers: tuple[str, ...] = ()
    solutions_n: int = 0
    solutions_distinct: int = 0
    decontaminated: bool | None = None
    solver_pass_rate: float | None = None
    attempts_n: int = 0
    attempts_distinct: int = 0
    attempts: tuple[str, ...] = ()
    attempts_right: tuple[bool, ...] = ()
    novelty_max_sim: float | None = None
    difficulty_rating: float | None = None
    ratings: tuple[float, ...] = ()
    hiked_from: str = ""
    hiked_rating: float | None = None
    supporting_theorem: str = ""
    supporting_concept: str = ""
    flags: tuple[str, ...] = ()

    @property
    def difficulty_bucket(self) -> float | None:
        """The rating in steps of 0.5, as the released data has it; None without a rating."""
        return None if self.difficulty_rating is None else half_points(self.difficulty_rating)

    def to_messages(self) -> list[Message] | None:
        """The problem and a solution that ends in the boxed answer."""
        return [Message(role="user", content=self.question), Message(role="assistant", content=self.response)]

    def to_preference(self) -> Preference | None:
        """The solution over a wrong one of the weaker solver, or None if there is no wrong one (ours)."""
        wrong = [text for text, ok in zip(self.attempts, self.attempts_right, strict=True) if not ok and text.strip()]
        if not wrong:
            return None
        return Preference(
            prompt=(Message(role="user", content=self.question),),
            chosen=(Message(role="assistant", content=self.response),),
            rejected=(Message(role="assistant", content=wrong[0]),),
        )


class Draft(SandMathRow):
    """A problem whose solutions agree, before the rest of the funnel; its id is that of the row with its content."""
