"""From a question to a row of Synthetic Data RL: the vote on its answer, and what the base model makes of it."""

import asyncio
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import dspy

from synthwright.errors import ParseError
from synthwright.lms.raw import RawCompletion
from synthwright.programs.base import Frozen, unparsable
from synthwright.programs.blocks.arguments import given
from synthwright.programs.synthetic_data_rl_checks import bare_options, verifier_from
from synthwright.programs.synthetic_data_rl_tasks import Task
from synthwright.programs.voting import Ties, solve_rate, vote
from synthwright.signatures.rows import Rejected
from synthwright.signatures.synthetic_data_rl import (
    Origin,
    PassageText,
    SolveForVote,
    SolveOnce,
    SyntheticRow,
    lettered,
    reply_text,
    training_prompt,
)
from synthwright.verify import Verifier, options_of

__all__ = ["Bench", "Draft", "read_draft"]


@dataclass(frozen=True)
class Draft:
    """A question before its vote.

    Attributes:
        question: The question without options.
        options: Its options, without letters.
        answer: The answer that came with it, or empty.
    """

    question: str
    options: tuple[str, ...]
    answer: str


def read_draft(task: Task, question: str, options: Sequence[str], answer: str) -> Draft:
    """A draft; for a choice, options that stand in the question as lettered lines are taken out of it."""
    question, answer = question.strip(), str(answer).strip()
    if task.answer.kind != "choice":
        return Draft(question, (), answer)
    if found := options_of(question):
        stem = question.splitlines()
        first = next(i for i, line in enumerate(stem) if found["A"] in line and line.lstrip(" \t([").startswith("A"))
        options = tuple(found.values())  # the question's own lines win: they are what its words refer to
        question = "\n".join(stem[:first]).strip()
    return Draft(question, bare_options(options), answer)


class Settings(Protocol):
    """What a bench needs of its program; `SyntheticDataRL` says what they mean."""

    task: Task
    seed: int
    temperature: float
    votes: int
    draft_votes: bool
    ties: Ties
    min_agreement: float
    min_margin: int
    attempts: int
    base: Literal["typed", "completion"]
    base_temperature: float
    base_top_p: float | None
    base_tokens: int | None
    solve: dspy.Module
    try_once: dspy.Module
    attempt: dspy.Module


class Bench:
    """Votes on the questions of one sample and measures them.

    Args:
        program: Its predictors and arguments are used.
        subject: Subject of the task.
        source: Where the questions come from.
    """

    def __init__(self, program: Settings, subject: str, source: PassageText) -> None:
        self.program, self.task = program, program.task
        self.about: dict[str, Any] = {
            "task": program.task.name,
            "subject": subject,
            "kind": program.task.answer.kind,
            "answer_format": program.task.answer_format,
            "passage_id": source.passage_id,
            "passage_title": source.title,
            "passage_url": source.url,
            "passage_licence": source.licence,
        }

    @staticmethod
    def predictors(program: Settings) -> tuple[dspy.Module, dspy.Module, dspy.Module]:
        """The predictors that answer: the instructor's vote, the base model's greedy answer, and its draws.

        All are hidden from optimizers: an optimized vote would agree, not be right, and the base model's prompt is what
        defines difficulty.
        """
        sampling = given(top_p=program.base_top_p, max_tokens=program.base_tokens)
        greedy: dict[str, Any] = {**sampling, "temperature": 0.0}
        drawn: dict[str, Any] = {**sampling, "temperature": program.base_temperature}
        solve = Frozen(SolveForVote, temperature=program.temperature)
        if program.base == "completion":
            return solve, RawCompletion(**greedy), RawCompletion(**drawn)
        return solve, Frozen(SolveOnce, **greedy), Frozen(SolveOnce, **drawn)

    @staticmethod
    def settings(task: Task, options: Sequence[str]) -> str:
        """What `SyntheticRow.verifier` holds for a question with these options."""
        return json.dumps(task.answer.settings(tuple(options)), ensure_ascii=False, sort_keys=True)

    async def row(self, draft: Draft, origin: Origin, parents: tuple[str, ...]) -> SyntheticRow | Rejected:
        """The question with its voted answer and its pass rate, or why there is none. Free text is taken as it is."""
        question = lettered(draft.question, draft.options)
        settings = self.settings(self.task, draft.options)
        verifier = verifier_from(settings)
        known = {"question": question, "asked": question, "options": draft.options, "draft": draft.answer}
        row = {**self.about, **known, "verifier": settings, "origin": origin, "parent_ids": parents}
        if verifier is None:
            if not draft.answer:
                return Rejected(stage="vote", reason="no_answer", content={"question": question})
            return SyntheticRow(**row, answer=draft.answer, asked_answer=draft.answer, response=draft.answer)
        voted = await self._voted(question, draft.answer, verifier)
        if isinstance(voted, Rejected):
            return voted
        measured = await self._measured(question, voted["answer"], verifier)
        flags = (*voted.pop("flags"), *measured.pop("flags"))
        return SyntheticRow(**row, **voted, **measured, flags=flags)

    async def _voted(self, question: str, draft: str, verifier: Verifier[Any]) -> dict[str, Any] | Rejected:
        """The instructor's majority answer, with one of the replies that agree, drawn by the seed (section 4.1)."""
        program = self.program
        drawn = await self._draws(program.solve, question, program.votes)
        texts = [text for text, _ in drawn]
        replies: list[str | None] = [text if usable else None for text, usable in drawn]
        independent = list(replies)
        if program.draft_votes and draft:
            texts, replies = [*texts, draft], [*replies, draft]
        policy = {"ties": program.ties, "min_agreement": program.min_agreement, "min_margin": program.min_margin}
        # comparing formulas blocks, so this does not run on the event loop
        result = await asyncio.to_thread(vote, replies, verifier, **policy, seed=f"{program.seed}:{question}")
        if result.winner is None:
            detail = f"{result.votes} of {result.n} votes, {result.distinct} answers, margin {result.margin}"
            content = {"question": question, "draft": draft, "replies": texts}
            return Rejected(stage="vote", reason=result.reason, detail=detail, content=content)
        members = [i for i in result.members if i < len(independent)] or list(result.members)
        response = texts[random.Random(f"{program.seed}:{question}").choice(members)]
        # a canonical formula is for comparing; the dataset has it as it was written
        answer = result.winner if self.task.answer.kind != "math" else verifier.extract(response) or result.winner
        return {
            "answer": answer,
            "asked_answer": answer,
            "response": response,
            "replies": tuple(texts),
            "votes": result.votes,
            "votes_n": result.n,
            "votes_distinct": result.distinct,
            "votes_margin": result.margin,
            "flags": ("identical_votes",) if len(drawn) > 1 and len(set(independent)) == 1 else (),
        }

    async def _measured(self, question: str, answer: str, verifier: Verifier[Any]) -> dict[str, Any]:
        """Whether the base model solves the question greedily, and how often in independent draws (section 4.2)."""
        program = self.program
        ((once, usable),) = await self._draws(program.try_once, question, 1)
        solved = usable and (await asyncio.to_thread(verifier, once, answer)).ok
        drawn = await self._draws(program.attempt, question, program.attempts)
        replies = [text if usable else None for text, usable in drawn]
        rate = await asyncio.to_thread(solve_rate, replies, answer, verifier)
        right = await asyncio.to_thread(lambda: [reply is not None and verifier(reply, answer).ok for reply in replies])
        flags = ("identical_attempts",) if rate.identical else () if rate.reliable else ("one_attempt",)
        return {
            "solved": solved,
            "score": rate.rate,
            "attempts_n": rate.n,
            "attempts_distinct": rate.distinct,
            "attempts": tuple(text for text, _ in drawn),
            "attempts_right": tuple(right),
            "flags": flags,
        }

    async def _draws(self, predictor: dspy.Module, question: str, count: int) -> list[tuple[str, bool]]:
        """So many replies at once, each a sample of its own: its text, and whether it could be read."""
        return list(await asyncio.gather(*(self._reply(predictor, question) for _ in range(count))))

    async def _reply(self, predictor: dspy.Module, question: str) -> tuple[str, bool]:
        if isinstance(predictor, RawCompletion):
            prompt = training_prompt(question, self.task.answer_format)
            return (await predictor.acall(prefix=f"{prompt}\n\n")).text, True
        try:
            reply = await predictor.acall(question=question, answer_format=self.task.answer_format)
        except ParseError as error:
            return str(unparsable("", error).content["reply"]), False
        return reply_text(reply.reasoning, reply.answer), True
