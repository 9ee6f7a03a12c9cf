"""Condor: a tag tree times tasks makes questions of three difficulties; answers are criticised and written anew."""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

import dspy

from synthwright.errors import ConfigError, ParseError, did_you_mean
from synthwright.filters import ExactDuplicate, MinHashNovelty
from synthwright.pool import Pool, Seed
from synthwright.programs import evol_instruct_checks as evolution
from synthwright.programs.base import Frozen, Generator, as_is, reject, unparsable
from synthwright.programs.blocks.arguments import check_names, check_ranges
from synthwright.programs.condor_checks import (
    CHECKS,
    REFINED_CHECKS,
    foreign,
    refuses,
    tidy_question,
    whole_questions,
)
from synthwright.programs.condor_growing import Grow, grow_tree
from synthwright.programs.condor_plan import given_seeds, planned
from synthwright.programs.condor_refining import refine
from synthwright.programs.condor_tasks import TASKS, Task, load_tasks, load_topics
from synthwright.programs.condor_tree import ARROW, Tree, load_tree
from synthwright.signatures import condor as prompts
from synthwright.signatures.codeclm import sized
from synthwright.signatures.condor import LEVELS, CondorRow
from synthwright.signatures.listing import Listing
from synthwright.signatures.rows import Rejected

__all__ = ["Condor", "Until"]

Until = Literal["tree", "questions", "void", "refine"]
"""Where a run ends: with the tag tree, the questions, their answers (Condor Void), or better ones (Condor Refine)."""


class Condor(Generator[CondorRow]):
    """Asks questions of three difficulties about the tags of a tree, answers them, and refines the answers.

    Tags are asked by their path (names repeat), with each of seven tasks; one call gives an easy, a medium and a hard
    question. Each is answered; the LM then names strengths, weaknesses and suggestions, and writes the answer anew. The
    draft is kept, and a judge that reads both orders decides whether the two are a preference pair.

    Source: Cao et al., 2025, arXiv:2501.12273; steps and what is ours: `docs/methods/condor.md`. Seeds are optional:
    tag paths (`path`) replace the tree; instructions or rows of other runs (`instruction`, `response`) are refined.

    Args:
        tree: `everyday` (45 areas, 270 branches, 810 leaves of ours), `none`, a YAML file, or a `Tree`.
        roots: Root tags wanted, 0 or more; the LM is asked for those that the tree lacks. 0 takes what is there.
        depth: Level from which tags are asked, 1 or more; what lies above is expanded.
        max_depth: Level down to which leaves are expanded when each was asked with each task and rows are missing.
        branches: Sub-tags that one expansion asks for, 1 or more.
        expand_all: Whether every tag above the depth is expanded. Otherwise as many as the rows wanted call for.
        trends: A file of trending topics, which are put into the tree; None for none.
        tasks: Names of tasks, `Task` objects, or a YAML file of tasks.
        examples: Examples of its task that one question call shows, 0 or more.
        until: Where to stop: `tree`, `questions`, `void` or `refine`.
        check_tags: Whether new tags that are prose or catch-alls are dropped.
        checks: Names of checks of questions, see `synthwright.programs.condor_checks.CHECKS`.
        max_words: Most words of a question; None for no limit.
        check_answers: Whether rows are dropped if the draft declines, or is in another language than its question.
        check_critiques: Whether points that quote what is not there are dropped, and a critique that leaves nothing to
            mend keeps the draft.
        refined_checks: Names of checks of refined answers, see `condor_checks.REFINED_CHECKS`; what fails keeps the
            draft.
        judge: Whether a judge compares refined answer and draft in both orders. Without, there are no preferences.
        points: Most strengths, weaknesses and suggestions of a critique, 1 or more each.
        near_duplicates: Jaccard similarity of the words from which a question is dropped as a copy, in (0, 1]; None
            for none.
        temperature: Of tags and questions, 0 to 2.
        answer_temperature: Of answers, 0 to 2.
        refine_temperature: Of critiques and refined answers, 0 to 2.
        judge_temperature: Of the judge, 0 to 2.
        seed: Fixes the order of the combinations, the examples shown and the tags expanded.
    """

    roles = {"judge": ("prefer",)}
    targets = ("expand", "ask", "critique", "refine")
    filters = ()
    presets: ClassVar = {
        "practical": {
            "tree": "everyday",
            "roots": 0,
            "depth": 3,
            "max_depth": 5,
            "branches": 6,
            "expand_all": False,
            "trends": None,
            "tasks": TASKS,
            "examples": 3,
            "until": "refine",
            "check_tags": True,
            "checks": tuple(CHECKS),
            "max_words": 300,
            "check_answers": True,
            "check_critiques": True,
            "refined_checks": tuple(REFINED_CHECKS),
            "judge": True,
            "points": 3,
            "near_duplicates": 0.8,
            "temperature": 0.7,
            "answer_temperature": 0.7,
            "refine_temperature": 0.5,
            "judge_temperature": 0.0,
            "seed": 0,
        },
        "faithful": {
            "roots": 45,
            "expand_all": True,
            "examples": 5,
            "check_tags": False,
            "checks": (),
            "max_words": None,
            "check_answers": False,
            "check_critiques": False,
            "refined_checks": (),
            "judge": False,
            "points": 10,
            "near_duplicates": None,
            "temperature": 1.0,
        },
    }

    def __init__(
        self,
        tree: str | Path | Tree = "everyday",
        roots: int = 0,
        depth: int = 3,
        max_depth: int = 5,
        branches: int = 6,
        expand_all: bool = False,
        trends: str | Path | None = None,
        tasks: Sequence[str | Task] | str | Path = TASKS,
        examples: int = 3,
        until: Until = "refine",
        check_tags: bool = True,
        checks: Sequence[str] = tuple(CHECKS),
        max_words: int | None = 300,
        check_answers: bool = True,
        check_critiques: bool = True,
        refined_checks: Sequence[str] = tuple(REFINED_CHECKS),
        judge: bool = True,
        points: int = 3,
        near_duplicates: float | None = 0.8,
        temperature: float = 0.7,
        answer_temperature: float = 0.7,
        refine_temperature: float = 0.5,
        judge_temperature: float = 0.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.roots, self.depth, self.max_depth, self.branches = roots, depth, max_depth, branches
        self.until: Until = until
        self.expand_all, self.trends, self.examples = expand_all, trends, examples
        self.check_tags, self.checks, self.max_words = check_tags, tuple(checks), max_words
        self.check_answers, self.check_critiques = check_answers, check_critiques
        self.refined_checks, self.judge, self.points = tuple(refined_checks), judge, points
        self.near_duplicates, self.seed = near_duplicates, seed
        self.temperature, self.answer_temperature = temperature, answer_temperature
        self.refine_temperature, self.judge_temperature = refine_temperature, judge_temperature
        self._validate()
        self.task_list = load_tasks(tasks)
        self.tasks = tuple(task.name for task in self.task_list) if _named(tasks) else self.task_list
        self.topics = load_topics(trends) if trends is not None else ()
        self.tree = load_tree(tree)
        if rooted := [topic for topic in self.topics if topic.path]:
            self.tree = self.tree.grown(())
            for topic in rooted:
                self.tree.add_path((*topic.path, topic.topic), trend=True)
        if near_duplicates is not None:
            self.filters = (ExactDuplicate(("instruction",)), MinHashNovelty("instruction", near_duplicates))

        if not len(self.tree) and not roots:
            raise ConfigError("The tag tree is empty: set `roots`, the number of root tags that the LM is asked for.")

        warm: dict[str, Any] = {"temperature": temperature}
        cool: dict[str, Any] = {"temperature": refine_temperature}
        tags, few = sized(Listing, branches, branches), sized(Listing, 1, points)
        self.list_roots = dspy.Predict(prompts.ListRootTags, **warm)
        self.expand = dspy.Predict(prompts.ExpandTag.with_updated_fields("sub_topics", tags), **warm)
        self.place = dspy.Predict(prompts.PlaceTopic, **cool)
        self.ask = dspy.Predict(prompts.WriteQuestions, **warm)
        self.answer = dspy.Predict(prompts.AnswerQuestion, temperature=answer_temperature)
        review = prompts.CritiqueAnswer
        for name in ("strengths", "weaknesses", "suggestions"):
            review = review.with_updated_fields(name, few)
        self.critique = dspy.Predict(review, **cool)
        self.refine = dspy.Predict(prompts.RefineAnswer, **cool)
        if judge:
            self.prefer = Frozen(prompts.PreferAnswer, temperature=judge_temperature)

    # What to ask next

    def plan(self, pool: Pool[CondorRow]) -> Iterator[Seed]:
        """Rounds grow the tree, then each combination of a leaf and a task is asked, balanced in both.

        Raises:
            ConfigError: A seed is neither a tag path nor an instruction.
        """
        return (yield from (planned if pool.seeds is None else given_seeds)(as_is(self), pool))

    # How to ask

    async def aforward(
        self,
        path: Sequence[str] = (),
        task: str = "",
        draw: int = 0,
        source: Literal["tree", "trend"] = "tree",
        instruction: str = "",
        response: str = "",
        parent_ids: Sequence[str] = (),
        grow: Grow | None = None,
        known: Sequence[str] = (),
        topic: str = "",
        round: int = 0,
        until: Until | None = None,
    ) -> dspy.Prediction:
        """Make rows of a tag path and a task, refine a given instruction, or take one step of growing the tree.

        Args:
            path: Tags from the root down.
            task: Name of the task.
            draw: Number of the pass over the tags, which changes the examples shown.
            source: Whether the tag came from the tree or from trending topics.
            instruction: A given question.
            response: Its answer; empty to ask for one.
            parent_ids: Ids of the rows that it comes from.
            grow: Which step of growing the tree, if it is one.
            known: The tags that are there: all roots, or those below the path of a topic.
            topic: The topic to be placed.
            round: Round of the run, for steps of growing the tree.
            until: Where to stop with this seed, if not where the generator does.
        """
        last: Until = until or self.until
        if grow:
            step, rejected = await grow_tree(as_is(self), grow, tuple(path), list(known), topic, round)
            return dspy.Prediction(rows=[], rejected=rejected, artifacts=[step])
        if instruction:
            given: dict[str, Any] = {"instruction": instruction, "parent_ids": tuple(parent_ids)}
            rows, rejected = await self._answered([given], last, response)
            return dspy.Prediction(rows=rows, rejected=rejected)
        asked, rejected = await self._asked(tuple(path), task, draw, source)
        rows, dropped = await self._answered(asked, last)
        return dspy.Prediction(rows=rows, rejected=[*rejected, *dropped])

    async def _asked(
        self, path: tuple[str, ...], task: str, draw: int, source: str
    ) -> tuple[list[dict[str, Any]], list[Rejected]]:
        """The questions of one tag path and task, without answers; the fields of rows."""
        kind = next((known for known in self.task_list if known.name == task), None)
        if kind is None:
            names = [known.name for known in self.task_list]
            raise ConfigError(f"Condor was made without the task {task!r}. {did_you_mean(task, names)}")
        rng = random.Random(f"{self.seed}:{draw}:{task}:{ARROW.join(path)}")
        shown = rng.sample(kind.examples, min(self.examples, len(kind.examples)))
        about: dict[str, Any] = {"tag_path": list(path), "task": task}
        try:
            reply = await self.ask.acall(theme=ARROW.join(path), task=kind.description, examples=shown)
            written: dict[str, str] = {level: reply[f"{level}_question"] for level in LEVELS}
        except ParseError as error:
            if not (written := whole_questions(error)):
                return [], [unparsable("ask", error, **about)]
        asked: list[dict[str, Any]] = []
        rejected: list[Rejected] = []
        seen: set[str] = set()
        for level in LEVELS:
            question = tidy_question(written.get(level, ""))
            key = " ".join(evolution.words_of(question)) or question
            fault = "missing_level" if not question else "repeated_level" if key in seen else None
            fault = fault or self.question_fault(question, task, shown)
            seen.add(key)
            if fault:
                rejected.append(reject("ask", fault, **about, difficulty=level, instruction=question))
                continue
            fields: dict[str, Any] = {"instruction": question, "difficulty": level, "task": task, "tag_path": path}
            asked.append({**fields, "language": self.tree.language, "source": source})
        return asked, rejected

    def question_fault(self, question: str, task: str, examples: Sequence[str]) -> str | None:
        """Why a question is dropped, as `reason: detail`, or None.

        Args:
            question: The question.
            task: Name of its task.
            examples: The examples that its prompt showed.
        """
        for name in self.checks:
            if found := CHECKS[name](question, task, examples):
                return f"{name}: {found}"
        words = len(question.split())
        return f"too_long: {words} words" if self.max_words is not None and words > self.max_words else None

    async def _answered(
        self, asked: list[dict[str, Any]], until: Until, response: str = ""
    ) -> tuple[list[CondorRow], list[Rejected]]:
        """Rows of questions: answered and refined as far as is wanted."""
        rows, rejected = [], []
        for fields in asked:
            if until == "questions":
                rows.append(CondorRow(**fields, response=""))
                continue
            draft = response.strip() or await self._draft(fields)
            if isinstance(draft, Rejected):
                rejected.append(draft)
            elif until == "refine":
                made, dropped = await refine(as_is(self), fields["instruction"], draft)
                rows.append(CondorRow(**fields, **made))
                rejected += dropped
            else:
                rows.append(CondorRow(**fields, draft=draft, response=draft))
        return rows, rejected

    async def _draft(self, fields: dict[str, Any]) -> str | Rejected:
        question, about = fields["instruction"], {**fields}
        try:
            draft = (await self.answer.acall(question=question)).answer.strip()
        except ParseError as error:
            return unparsable("answer", error, **about)
        fault = None if draft else "empty_answer"
        if self.check_answers and not fault:
            fault = f"refused: {found}" if (found := refuses(draft)) else None
            fault = fault or (f"other_language: {found}" if (found := foreign(question, draft)) else None)
        return reject("answer", fault, **about, draft=draft) if fault else draft

    def _validate(self) -> None:
        if self.until not in get_args(Until):
            raise ConfigError(f"No `until` {self.until!r}. {did_you_mean(self.until, get_args(Until))}")
        check_names("Condor", "check", self.checks, CHECKS)
        check_names("Condor", "check", self.refined_checks, REFINED_CHECKS)
        ranges = {
            "roots": (0, None),
            "depth": (1, None),
            "max_depth": (self.depth, None),
            "branches": (1, None),
            "examples": (0, None),
            "points": (1, None),
            "max_words": (1, None),
            "near_duplicates": (0.01, 1),
            "temperature": (0, 2),
            "answer_temperature": (0, 2),
            "refine_temperature": (0, 2),
            "judge_temperature": (0, 2),
        }
        check_ranges(self, ranges)


def _named(tasks: Any) -> bool:
    return not isinstance(tasks, str | Path) and all(isinstance(task, str) for task in tasks)
