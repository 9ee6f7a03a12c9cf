"""SyntheticDataRL: from a task definition to checked questions at the edge of what a base model can do."""

from collections.abc import Generator as Iteration
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import dspy

from synthwright.errors import ConfigError, ParseError, did_you_mean
from synthwright.filters import ExactDuplicate, RougeNovelty, SpecialTokens
from synthwright.pool import Pool, Seed
from synthwright.programs.base import Generator, as_is, reject, unparsable
from synthwright.programs.synthetic_data_rl_arguments import check_arguments
from synthwright.programs.synthetic_data_rl_checks import STRUCTURAL, flaw
from synthwright.programs.synthetic_data_rl_ground import ground
from synthwright.programs.synthetic_data_rl_library import Library, retrievers_of
from synthwright.programs.synthetic_data_rl_plan import planned
from synthwright.programs.synthetic_data_rl_rows import Bench, Draft, read_draft
from synthwright.programs.synthetic_data_rl_selection import Selection, rearranged, unfit
from synthwright.programs.synthetic_data_rl_tasks import Task, load_task
from synthwright.programs.voting import Ties
from synthwright.retrieval import neutralise
from synthwright.signatures.retrieval import ExpandQuery, ExtractKeywords
from synthwright.signatures.rows import Rejected
from synthwright.signatures.synthetic_data_rl import (
    NO_PASSAGE,
    Candidate,
    GenerateChoiceSample,
    GenerateSample,
    MakeEasier,
    MakeEasierChoice,
    MakeHarder,
    MakeHarderChoice,
    Offered,
    PassageText,
    Sampled,
    SummarizePattern,
    SyntheticRow,
)

__all__ = ["SyntheticDataRL"]


class SyntheticDataRL(Generator[SyntheticRow]):
    """Makes questions with checked answers for a task that is only defined, matched to what a base model can solve.

    A run names keywords for the task, searches passages, and writes one question from each. The instructor's majority
    vote answers it. What the base model solves greedily is made harder, the rest easier, and the vote is held again.
    The base model then tries every question several times; questions that it solves sometimes become rows, those that
    it solves least often first. Candidates, also those that were not selected, are artifacts of the run.

    Seeds of your own replace keywords and search: dictionaries with a `passage`, or with a `question` (or
    `instruction`, so that rows of other methods fit), whose answer is then voted on.

    Source: Guo et al., 2025, arXiv:2505.17063; steps and what is ours: `docs/methods/synthetic-data-rl.md`.

    Args:
        task: Name of a shipped task (`list_tasks()`), path of a task file in YAML, or a `Task`.
        library: Where passages come from: retrievers, corpora, files or folders; None for Python's own documentation.
        grounding: `required` ends a run that finds no passage, `preferred` goes on without, `none` searches for none.
        synonyms: Whether other words for the keywords are asked for and searched too. The released code does.
        passages: Passages searched for, 1 or more for each subject. The released code takes 10,000.
        passage_chars: Longest passage in characters. The released code cuts at 2,048.
        reuse_passages: Whether passages have another turn once all were used.
        samples: Questions of one cycle; None for as many as rows are missing. The paper makes 500.
        examples_share: Share of the prompts that show the pattern and up to 3 examples, if the task has examples. The
            released code has (number of examples) / (number of samples).
        temperature: Of writing and rewriting, 0 to 2.
        votes: Instructor's replies to each question, 1 or more. The paper has 16.
        draft_votes: Whether the answer that came with the question is one more vote, as in the paper.
        ties: What wins a tie: `none`, `first` or `random`. The released code takes the first.
        min_agreement: Least share of the votes for the winner, in [0, 1]. The paper has none. Ours.
        min_margin: Least votes ahead of the next answer. Ours.
        rewrite: Whether a harder or easier version of each question is made. The paper's ablation without is worse.
        harden_easier: Whether easier versions that are solved are made harder again, as in the released code.
        attempts: Draws of the base model behind each pass rate, 1 or more. The paper has 64.
        base: How the base model is asked: `typed` like any LM, `completion` as a bare text (the paper), which needs
            an LM with raw completions.
        base_temperature: Of these draws, above 0 to 2. The paper has 0.7, the released code 1.2.
        base_top_p: Of these draws; None for the LM's own. The released code has 0.95.
        base_tokens: Longest reply of the base model; None for the LM's own. The released code has 1,500.
        selection: Which candidates become rows, see `synthetic_data_rl_selection.Selection`.
        cycles: Cycles of sampling and selection at most, 1 or more; the paper has one. More are used only if rows are
            missing.
        checks: Whether objective checks apply to questions before the vote. Ours.
        max_similarity: ROUGE-L to a kept question from which a row is a copy; None for exact copies only. Ours.
        shuffle_options: Whether right options are spread evenly over the letters. Ours.
        seed: Fixes everything that is drawn.
    """

    roles = {"base": ("try_once", "attempt")}
    targets = ("generate", "generate_choice", "harder", "harder_choice", "easier", "easier_choice")
    presets: ClassVar = {
        "practical": {
            "grounding": "preferred",
            "synonyms": False,
            "passages": 60,
            "passage_chars": 600,
            "reuse_passages": True,
            "samples": None,
            "examples_share": 1.0,
            "votes": 5,
            "draft_votes": False,
            "ties": "none",
            "min_agreement": 0.5,
            "min_margin": 2,
            "attempts": 6,
            "base": "typed",
            "base_temperature": 1.0,
            "base_top_p": None,
            "base_tokens": None,
            "selection": "hardest",
            "cycles": 10,
            "checks": True,
            "max_similarity": 0.8,
            "shuffle_options": True,
        },
        "faithful": {
            "grounding": "required",
            "synonyms": False,
            "passages": 10_000,
            "passage_chars": 2048,
            "reuse_passages": False,
            "samples": 500,
            "examples_share": 1.0,
            "temperature": 0.7,
            "votes": 16,
            "draft_votes": True,
            "ties": "first",
            "min_agreement": 0.0,
            "min_margin": 0,
            "rewrite": True,
            "harden_easier": False,
            "attempts": 64,
            "base": "completion",
            "base_temperature": 0.7,
            "base_top_p": None,
            "base_tokens": 1500,
            "selection": "hardest",
            "cycles": 1,
            "checks": False,
            "max_similarity": None,
            "shuffle_options": False,
        },
    }

    def __init__(
        self,
        task: str | Path | Task = "python_yes_no",
        *,
        library: Library = None,
        grounding: Literal["required", "preferred", "none"] = "preferred",
        synonyms: bool = False,
        passages: int = 60,
        passage_chars: int = 600,
        reuse_passages: bool = True,
        samples: int | None = None,
        examples_share: float = 1.0,
        temperature: float = 0.7,
        votes: int = 5,
        draft_votes: bool = False,
        ties: Ties = "none",
        min_agreement: float = 0.5,
        min_margin: int = 2,
        rewrite: bool = True,
        harden_easier: bool = False,
        attempts: int = 6,
        base: Literal["typed", "completion"] = "typed",
        base_temperature: float = 1.0,
        base_top_p: float | None = None,
        base_tokens: int | None = None,
        selection: Selection = "hardest",
        cycles: int = 10,
        checks: bool = True,
        max_similarity: float | None = 0.8,
        shuffle_options: bool = True,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.task = load_task(task)
        self.library, self.synonyms = library, synonyms
        self.grounding: Literal["required", "preferred", "none"] = grounding
        self.passages, self.passage_chars, self.reuse_passages = passages, passage_chars, reuse_passages
        self.samples, self.examples_share, self.temperature = samples, examples_share, temperature
        self.votes, self.draft_votes = votes, draft_votes
        self.ties: Ties = ties
        self.min_agreement, self.min_margin = min_agreement, min_margin
        self.rewrite, self.harden_easier, self.attempts = rewrite, harden_easier, attempts
        self.base: Literal["typed", "completion"] = base
        self.base_temperature, self.base_top_p, self.base_tokens = base_temperature, base_top_p, base_tokens
        self.selection: Selection = selection
        self.cycles, self.checks, self.max_similarity = cycles, checks, max_similarity
        self.shuffle_options, self.seed = shuffle_options, seed
        check_arguments(as_is(self))
        self.sources = retrievers_of(library)  # made once: subjects share their indexes

        choice = self.task.answer.kind == "choice"
        self.name_keywords = dspy.Predict(ExtractKeywords)
        if synonyms:
            self.write_queries = dspy.Predict(ExpandQuery)
        writer: type[dspy.Signature] = GenerateChoiceSample if choice else GenerateSample
        if self.task.examples:
            self.summarize = dspy.Predict(SummarizePattern)
            writer = writer.append("pattern", dspy.InputField(), str)
            writer = writer.append("samples", dspy.InputField(), list[str])
        self.ends = "_choice" if choice else ""  # of the names of predictors, which differ where their fields do
        setattr(self, f"generate{self.ends}", dspy.Predict(writer, temperature=temperature))
        if rewrite:
            harder, easier = (MakeHarderChoice, MakeEasierChoice) if choice else (MakeHarder, MakeEasier)
            setattr(self, f"harder{self.ends}", dspy.Predict(harder, temperature=temperature))
            setattr(self, f"easier{self.ends}", dspy.Predict(easier, temperature=temperature))
        self.solve, self.try_once, self.attempt = Bench.predictors(self)
        novelty = () if max_similarity is None else (RougeNovelty("question", max_similarity),)
        self.filters = (SpecialTokens(("question", "response")), ExactDuplicate(("question",)), *novelty)

    # What to ask next

    def plan(self, pool: Pool[SyntheticRow]) -> Iteration[Seed, None, str | None]:
        """Keywords and passages, then cycles of samples and of selected candidates, the best first.

        Seeds with a `step` are asked as they are.
        """
        if any("step" in seed for seed in pool.seeds or ()):
            yield from super().plan(pool)
            return None
        return (yield from planned(as_is(self), pool))

    # How to ask

    async def aforward(
        self,
        step: Literal["ground", "sample", "select"] = "sample",
        *,
        passage: str = "",
        passage_id: str = "",
        title: str = "",
        url: str = "",
        licence: str = "",
        question: str = "",
        options: Sequence[str] = (),
        answer: str = "",
        subject: str = "",
        pattern: str = "",
        shown: Sequence[int] = (),
        draw: int = 0,
        cycle: int = 0,
        parent_ids: Sequence[str] = (),
        emit: bool = False,
        retrieve: bool = True,
        candidate: Mapping[str, Any] | None = None,
        place: int | None = None,
    ) -> dspy.Prediction:
        """One unit of work of one of the steps.

        Args:
            step: `ground`: keywords, passages and pattern. `sample`: one question, its vote, its rewriting, and both
                pass rates. `select`: a candidate becomes a row; no LM is asked.
            passage: What the question is written from; empty for none (`sample`).
            passage_id: Id of the passage.
            title: Title of its document.
            url: Address of its document.
            licence: Licence of its text.
            question: A question that is there already, so that none is written (`sample`).
            options: Its options, if they do not stand in it as lettered lines.
            answer: The answer that came with it, if any.
            subject: Subject of the task.
            pattern: General pattern of the examples.
            shown: Indexes of the examples that the prompt shows.
            draw: Number of the sample.
            cycle: Number of the cycle.
            parent_ids: Ids of the rows that the question comes from.
            emit: Give candidates that can be selected as rows at once, without comparing them with others.
            retrieve: Whether to search for passages (`ground`).
            candidate: The candidate's record (`select`).
            place: Where its right option shall stand, from 0 (`select`).
        """
        if step == "ground":
            return await ground(self, subject, retrieve)
        if step == "select":
            return self._selected(candidate or {}, place)
        if step != "sample":
            raise ConfigError(
                f"SyntheticDataRL has no step {step!r}. {did_you_mean(step, ('ground', 'sample', 'select'))}"
            )
        source = PassageText(passage=passage, passage_id=passage_id, title=title, url=url, licence=licence)
        bench = Bench(self, subject, source)
        rejected: list[Rejected] = []
        rows: list[SyntheticRow] = []
        if question:
            draft = read_draft(self.task, neutralise(question), options, answer)
            draft = self._usable(draft, "seed")
        else:
            draft = await self._written(source, subject, pattern, shown)
        if isinstance(draft, Rejected):
            rejected.append(draft)
        else:
            rows, rejected = await self._family(bench, draft, tuple(parent_ids))
        note = Sampled(draw=draw, cycle=cycle)
        for row in rows:
            if found := unfit(row, self.selection):
                rejected.append(reject("select", found, **row.record()))
        if emit:
            return dspy.Prediction(rows=[r for r in rows if not unfit(r, self.selection)], rejected=rejected)
        candidates = [Candidate.model_validate(row.record()) for row in rows]
        return dspy.Prediction(rows=[], rejected=rejected, artifacts=[note, *candidates])

    async def _written(self, source: PassageText, subject: str, pattern: str, shown: Sequence[int]) -> Draft | Rejected:
        """One question from a passage, checked."""
        name = f"generate{self.ends}"
        predictor = getattr(self, name)
        about = f"{self.task.description} Subject: {subject}." if subject else self.task.description
        ask: dict[str, Any] = {
            "task": about,
            "question_format": self.task.question_format or "any",
            "answer_format": self.task.answer_format,
            "passage": neutralise(source.passage)[: self.passage_chars] or NO_PASSAGE,
        }
        examples = [self.task.examples[index] for index in shown if index < len(self.task.examples)]
        if self.task.examples:
            ask |= {"pattern": pattern, "samples": [example.text for example in examples]}
        try:
            reply = await predictor.acall(**ask)
        except ParseError as error:
            return unparsable(name, error, passage=source.passage)
        options = reply.options if self.ends else ()
        draft = read_draft(self.task, neutralise(reply.question), options, neutralise(reply.answer))
        known = [example.question for example in examples]
        known += [demo["question"] for demo in predictor.demos if demo.get("question")]
        return self._usable(draft, name, passage=source.passage, shown=known)

    def _usable(self, draft: Draft, stage: str, **about: Any) -> Draft | Rejected:
        """The draft, or the reject that says what is wrong with it."""
        choices = self.task.answer.options if self.task.answer.kind == "choice" else 0
        found = flaw(draft.question, draft.options, choices=choices, **about)
        if found and (self.checks or found.startswith(STRUCTURAL)):
            content = {"question": draft.question, "options": list(draft.options), "answer": draft.answer}
            return reject(stage, found, **content, passage=about.get("passage", ""))
        return draft

    async def _family(
        self, bench: Bench, draft: Draft, parents: tuple[str, ...]
    ) -> tuple[list[SyntheticRow], list[Rejected]]:
        """A question and its harder or easier version, both voted on and measured."""
        first = await bench.row(draft, "initial", parents)
        if isinstance(first, Rejected):
            return [], [first]
        rows, rejected = [first], []
        level: Literal["harder", "easier"] | None = None
        if self.rewrite and first.solved is not None:
            level = "harder" if first.solved else "easier"
        while level is not None:
            parent = rows[-1]
            made = await self._rewritten(parent, level)
            if not isinstance(made, Rejected):
                made = await bench.row(made, level, (parent.id,))
            if isinstance(made, Rejected):
                rejected.append(made)
                break
            rows.append(made)
            # the released code hands easier versions that are solved on to the harder branch
            level = "harder" if self.harden_easier and level == "easier" and made.solved else None
        return rows, rejected

    async def _rewritten(self, row: SyntheticRow, level: Literal["harder", "easier"]) -> Draft | Rejected:
        name = f"{level}{self.ends}"
        try:
            reply = await getattr(self, name).acall(question=row.asked, answer=row.asked_answer)
        except ParseError as error:
            return unparsable(name, error, question=row.asked, parent=row.id)
        options = reply[f"{level}_options"] if self.ends else ()
        question, answer = neutralise(reply[f"{level}_question"]), neutralise(reply[f"{level}_answer"])
        shown = [d[f"{level}_question"] for d in getattr(self, name).demos if d.get(f"{level}_question")]
        parent = read_draft(self.task, row.asked, row.options, "").question
        return self._usable(read_draft(self.task, question, options, answer), name, shown=shown, parent=parent)

    def _selected(self, candidate: Mapping[str, Any], place: int | None) -> dspy.Prediction:
        row = SyntheticRow.model_validate(candidate)
        note = Offered(candidate=row.id)
        if place is not None:
            moved = rearranged(row, place, str(self.seed))
            # the candidate stays among the parents, so that a version of it still belongs to its lineage
            settings = Bench.settings(self.task, moved.options)
            changes = {"parent_ids": (row.id, *row.parent_ids), "verifier": settings}
            row = moved.model_copy(update=changes)
        return dspy.Prediction(rows=[row], artifacts=[note])
