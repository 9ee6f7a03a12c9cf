"""SandMath: new mathematics problems with checked answers, from branches alone, then harder ones from these."""

import asyncio
import logging
from collections.abc import Generator as Iteration
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import dspy

from synthwright.errors import ConfigError, ParseError, did_you_mean
from synthwright.filters import EmbeddingNovelty, ExactDuplicate, Length
from synthwright.filters.embedding import Neighbours
from synthwright.pool import Pool, Seed
from synthwright.programs.base import Frozen, Generator, as_is, reject, unparsable
from synthwright.programs.blocks.models import one_lm
from synthwright.programs.sand_math_arguments import check_arguments
from synthwright.programs.sand_math_checks import STRUCTURAL, flaw
from synthwright.programs.sand_math_hiking import Hiking, draw_ideas, hike_flaw
from synthwright.programs.sand_math_panel import Equality, Panel, Solved, solved
from synthwright.programs.sand_math_plan import planned
from synthwright.programs.sand_math_screens import Screens
from synthwright.programs.sand_math_similarity import (
    Embed,
    Known,
    Remembered,
    benchmark_items,
    embedder_of,
    searcher,
)
from synthwright.programs.sand_math_taxonomy import load_taxonomy
from synthwright.signatures import sand_math as prompts
from synthwright.signatures.rows import Rejected
from synthwright.signatures.sand_math import Asked, Draft, Examined, Level, SandMathRow

__all__ = ["BRANCHES", "SandMath"]

BRANCHES = ("algebra", "geometry", "trigonometry", "number theory", "probability", "combinatorics")
"""The branches of the released code."""

_log = logging.getLogger("synthwright")


class SandMath(Generator[SandMathRow]):
    """Writes problems from nothing but branches, keeps those whose solutions agree, and makes them harder.

    A run writes problems with solutions and has each solved again; only problems whose final answers all agree go on.
    These lose near-duplicates, copies of test items, problems that a weaker solver can do, and problems that are known;
    the rest are rated, made harder with a theorem and a concept of another branch, solved and compared again.

    Give a weaker LM than the generator as the role `solver`: how often it is right is what difficulty means here. The
    default `level` is `easy`, for small LMs; for training data use `level="contest"`, the paper's.

    Seeds of your own replace writing: dictionaries with a `question` (or `problem`, `instruction`), optionally with a
    `solution` and an `answer`, a `branch` and `parent_ids`; rows of other methods fit.

    Source: Manem et al., 2025, arXiv:2507.20527, and its released code; steps and what is ours:
    `docs/methods/sand-math.md`.

    Args:
        level: How hard problems are meant to be: `easy`, `school`, `contest` (the paper) or `olympiad`.
        branches: Branches that take turns as the main one; a second is drawn.
        taxonomy: Folder of YAML files with concepts and theorems; None for ours.
        topics: Whether a problem is asked to be about a concept of its branch, so that problems differ. Ours.
        funnel: Order of the steps: `paper`, or `code`, which looks for test items before near-duplicates, and has
            neither the weaker solver nor the search for known problems.
        solutions: Fresh solutions of each problem, 1 or more. The paper has 2, the released code 1.
        with_reference: Whether the solution written with the problem must agree too, as in the released code.
        equality: Who compares answers: the `verifier`, the judge where it is `unsure`, or the `judge` always.
        embedder: `words` compares wording, without a model; `minilm` meaning, by the extra `embeddings`; or your own.
        max_duplicate: Cosine from which a problem is a near-duplicate, in (0, 1]. The paper has 0.99.
        against: Files of test sets that problems must not be copies of; none to skip the step.
        known: Where known problems are searched: `shipped`, a retriever, corpus, file or folder, your own search
            client as a function from a query to texts, or None to skip the step. The paper searches the web.
        max_known: Cosine with a text found above which a problem is known, in (0, 1]. The paper has 0.85.
        solver_filter: `required` refuses one LM as generator and solver (the paper has two), `if_two` skips the step
            then, `always` asks it all the same, `never` does not.
        attempts: Draws of the solver, 1 or more. The paper reports one answer; the first code had 4.
        max_pass_rate: Largest share of right draws, in [0, 1]. The paper keeps what is wrong, 0; the first code 0.5.
        attempt_temperature: Of these draws, above 0 to 2. The first code has 0.7.
        ratings: Ratings that are averaged, 0 or more; 0 to rate nothing. The released code has 3.
        rating_temperature: Of the ratings, 0 to 2. The released code has 0.5.
        hike: Whether problems are made harder: `add` has both as rows (the paper), `replace` only the harder one if
            there is one, `none` none.
        hike_rounds: Times that a problem is made harder at most, 1 or more. The paper has 1.
        hike_below: Make only problems harder that are rated below this; None for all (the paper). The first code: 6.
        hike_solutions: Fresh solutions of a harder problem, 1 or more; they and its own solution must agree.
        require_harder: Whether a harder problem must be rated higher than before. Ours.
        recheck: Whether harder problems go through test items, solver and search again. Ours.
        checks: Whether problems are checked for several answers, proofs, options, figures and copies, and solutions for
            false sums. Ours.
        min_words: Fewest words of a solution; None for any. The released code drops up to 500.
        temperature: Of writing, above 0 to 2. The released code has 1, at which small LMs wander off.
        solve_temperature: Of solving, above 0 to 2. The released code has 1, at which small LMs miscalculate.
        per_round: Problems of one round of writing; None for as many as rows are missing.
        cycles: Rounds of writing at most, 1 or more.
        seed: Fixes everything that is drawn.
    """

    roles = {"judge": ("compare", "judge_copy", "rate"), "solver": ("attempt",)}
    targets = ("generate", "generate_easy", "hike_problem")
    presets: ClassVar = {
        "practical": {},
        "faithful": {
            "level": "contest",
            "topics": False,
            "solutions": 2,
            "with_reference": False,
            "embedder": "minilm",
            "max_duplicate": 0.99,
            "known": None,
            "solver_filter": "required",
            "attempts": 1,
            "max_pass_rate": 0.0,
            "require_harder": False,
            "recheck": False,
            "checks": False,
            "temperature": 1.0,
            "solve_temperature": 1.0,
        },
    }

    def __init__(
        self,
        level: Level = "easy",
        *,
        branches: Sequence[str] = BRANCHES,
        taxonomy: str | Path | None = None,
        topics: bool = True,
        funnel: Literal["paper", "code"] = "paper",
        solutions: int = 1,
        with_reference: bool = True,
        equality: Equality = "unsure",
        embedder: str | Embed = "words",
        max_duplicate: float = 0.95,
        against: Sequence[str | Path] = (),
        known: Known = "shipped",
        max_known: float = 0.85,
        solver_filter: Literal["required", "if_two", "always", "never"] = "if_two",
        attempts: int = 4,
        max_pass_rate: float = 0.5,
        attempt_temperature: float = 0.7,
        ratings: int = 3,
        rating_temperature: float = 0.5,
        hike: Literal["add", "replace", "none"] = "add",
        hike_rounds: int = 1,
        hike_below: float | None = None,
        hike_solutions: int = 1,
        require_harder: bool = True,
        recheck: bool = True,
        checks: bool = True,
        min_words: int | None = None,
        temperature: float = 0.7,
        solve_temperature: float = 0.3,
        per_round: int | None = None,
        cycles: int = 20,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.level: Level = level
        self.branches, self.taxonomy, self.topics = tuple(branches), taxonomy, topics
        self.funnel: Literal["paper", "code"] = funnel
        self.solutions, self.with_reference = solutions, with_reference
        self.equality: Equality = equality
        self.embedder, self.max_duplicate = embedder, max_duplicate
        self.against, self.known, self.max_known = tuple(against), known, max_known
        self.solver_filter: Literal["required", "if_two", "always", "never"] = solver_filter
        self.attempts, self.max_pass_rate, self.attempt_temperature = attempts, max_pass_rate, attempt_temperature
        self.ratings, self.rating_temperature = ratings, rating_temperature
        self.hike: Literal["add", "replace", "none"] = hike
        self.hike_rounds, self.hike_below, self.hike_solutions = hike_rounds, hike_below, hike_solutions
        self.require_harder, self.recheck, self.checks = require_harder, recheck, checks
        self.min_words, self.temperature, self.solve_temperature = min_words, temperature, solve_temperature
        self.per_round, self.cycles, self.seed = per_round, cycles, seed
        check_arguments(as_is(self))
        self.concepts = load_taxonomy(taxonomy)
        self.embed = embedder_of(embedder)
        self._remembered = Remembered(self.embed)
        self.tests = Neighbours([item.text for item in benchmark_items(self.against)], self.embed)
        self.search = searcher(known)

        easy = level == "easy"
        self.writer = "generate_easy" if easy else "generate"  # names differ where fields do
        setattr(
            self,
            self.writer,
            dspy.Predict(prompts.GenerateEasyProblem if easy else prompts.GenerateProblem, temperature=temperature),
        )
        hike_problem, solve, attempt = (
            prompts.whole(signature) if easy else signature
            for signature in (prompts.HikeProblem, prompts.SolveProblem, prompts.AttemptProblem)
        )
        self.hike_problem = dspy.Predict(hike_problem, temperature=temperature)
        # hidden from optimizers: tuned solvers would agree rather than be right, and tuned judges would please
        self.solve = Frozen(solve, temperature=solve_temperature)
        self.attempt = Frozen(attempt, temperature=attempt_temperature)
        self.compare = Frozen(prompts.CompareAnswers, temperature=0.0)
        self.judge_copy = Frozen(prompts.JudgeCopy, temperature=0.0)
        self.rate = Frozen(prompts.RateDifficulty, temperature=rating_temperature)
        # drafts are compared with each other while the run is planned; these are for the harder versions
        length = () if min_words is None else (Length("response", min_words),)
        self.filters = (*length, ExactDuplicate(("question",)), self.near_duplicates())

    # What to ask next

    def plan(self, pool: Pool[SandMathRow]) -> Iteration[Seed, None, str | None]:
        """A round of writing, then a round in which the drafts of the last one go through the rest of the funnel.

        Seeds with a `step` are asked as they are.

        Raises:
            ConfigError: `solver_filter="required"`, and one LM is both generator and solver; or a wrong seed.
        """
        if pool.round == 0 and self.funnel == "paper" and not self.asks_solver() and self.solver_filter == "if_two":
            _log.warning(
                "SandMath: generator and solver are one LM, so problems that are easy for it are kept. Give a weaker "
                "LM as the role `solver`."
            )
        if any("step" in seed for seed in pool.seeds or ()):
            yield from super().plan(pool)
            return None
        return (yield from planned(as_is(self), pool))

    def near_duplicates(self) -> EmbeddingNovelty:
        """An empty index of problems, which drops near-duplicates."""
        return EmbeddingNovelty("question", self._remembered, self.max_duplicate, "cosine")

    def asks_solver(self) -> bool:
        """Whether the weaker solver is asked, given the LMs that serve it and the generator.

        Raises:
            ConfigError: `solver_filter="required"`, and one LM serves both.
        """
        if self.solver_filter in ("never", "always") or self.funnel == "code":
            return self.solver_filter == "always" and self.funnel == "paper"
        same = one_lm(getattr(self, self.writer), self.attempt.predict)
        if same and self.solver_filter == "required":
            raise ConfigError(
                f"Generator and solver are one LM ({same!r}): what it gets wrong is as likely to be a wrong problem as "
                "a hard one. Give a weaker LM as the role `solver` (lms={'solver': lm}, or --role solver=MODEL); or "
                "pass solver_filter='if_two' to leave the step out."
            )
        return not same

    # How to ask

    async def aforward(
        self,
        step: Literal["write", "examine"] = "write",
        *,
        branch: str = "",
        other_branch: str = "",
        concept: str = "",
        question: str = "",
        solution: str = "",
        answer: str = "",
        draw: int = 0,
        round: int = 0,
        parent_ids: Sequence[str] = (),
        emit: bool = False,
        draft: Mapping[str, Any] | None = None,
        like: str = "",
    ) -> dspy.Prediction:
        """One unit of work of one of the steps.

        Args:
            step: `write`: a problem, its solutions, and whether they agree. `examine`: the rest of the funnel.
            branch: Main branch (`write`).
            other_branch: Branch that is mixed in.
            concept: Concept that the problem is about; empty for any.
            question: A problem that is there already, so that none is written.
            solution: Its solution, if there is one.
            answer: Its answer, if it is known.
            draw: Number of the problem in the run.
            round: Round of the run.
            parent_ids: Ids of the rows that the problem comes from.
            emit: Go through the rest of the funnel at once, without comparing with other problems.
            draft: The draft's record (`examine`).
            like: What it is a near-duplicate of; empty for nothing.
        """
        if step == "examine":
            return await self._examined(Draft.model_validate(draft or {}), like)
        if step != "write":
            raise ConfigError(f"SandMath has no step {step!r}. {did_you_mean(step, ('write', 'examine'))}")
        about = {"branch": branch, "secondary_branch": other_branch, "concept": concept, "level": self.level}
        if question:
            reference = await asyncio.to_thread(solved, solution, answer)
            made = (question.strip(), reference) if reference.answer else (question.strip(), None)
        else:
            made = await self._written(branch, other_branch, concept)
        row = made if isinstance(made, Rejected) else await self._agreed(*made, about, tuple(parent_ids))
        if self.funnel == "code" and not isinstance(row, Rejected):
            row = await Screens(self).decontaminated(row)
        note = Asked(draw=draw, round=round)
        if isinstance(row, Rejected):
            return dspy.Prediction(rows=[], rejected=[row], artifacts=[note])
        if emit:
            return await self._examined(Draft.model_validate(row.record()), "")
        kept = Draft.model_validate(row.record())
        note = note.model_copy(update={"draft": kept.id})
        return dspy.Prediction(rows=[], rejected=[], artifacts=[note, kept])

    async def _written(self, branch: str, other_branch: str, concept: str) -> tuple[str, Solved] | Rejected:
        """Step 1: a problem with its solution, checked."""
        writer = getattr(self, self.writer)
        ask = {"branch": branch, "other_branch": other_branch, "concept": concept or "any"}
        told = {**ask, "level": prompts.LEVELS[self.level]}
        try:
            reply = await writer.acall(**{name: told[name] for name in writer.signature.input_fields})
        except ParseError as error:
            return unparsable(self.writer, error, **ask)
        reference = await asyncio.to_thread(solved, reply.solution, str(reply.answer))
        shown = [f"{demo.get('story') or ''} {demo['question']}" for demo in writer.demos if demo.get("question")]
        question = " ".join(part.strip() for part in (reply.get("story") or "", reply.question) if part.strip())
        return self._usable(self.writer, question, reference, shown)

    def _usable(
        self, stage: str, question: str, reference: Solved, shown: Sequence[str] = ()
    ) -> tuple[str, Solved] | Rejected:
        """The problem, or what is wrong with it."""
        found = flaw(question, reference.answer, reference.text, shown)
        if found and (self.checks or found.startswith(STRUCTURAL)):
            return reject(stage, found, question=question, answer=reference.answer, solution=reference.text)
        return question, reference

    async def _agreed(
        self,
        question: str,
        reference: Solved | None,
        about: Mapping[str, Any],
        parents: tuple[str, ...],
        fresh: int | None = None,
    ) -> SandMathRow | Rejected:
        """Step 2: the problem with solutions that agree. A harder version (`fresh`) always has its own among them."""
        compared = reference if self.with_reference or fresh else None
        count = fresh or self.solutions
        if count + (compared is not None) < 2:
            detail = "one solution agrees with nothing: give a reference, or `solutions=2`"
            return Rejected(
                stage="consistency", reason="nothing_to_compare", detail=detail, content={"question": question}
            )
        found = await Panel(self).agreement(question, count, compared)
        if isinstance(found, Rejected):
            return found
        first = found.solutions[0]
        checked = self._usable("consistency", question, first)
        if isinstance(checked, Rejected):
            return checked
        return SandMathRow(
            **about,
            question=question,
            answer=first.answer,
            response=first.text,
            reference_solution=reference.text if reference else "",
            solutions=tuple(each.text for each in found.solutions),
            final_answers=tuple(each.answer for each in found.solutions),
            solutions_n=len(found.solutions),
            solutions_distinct=found.distinct,
            flags=("identical_solutions",) if found.identical else (),
            parent_ids=parents,
        )

    async def _examined(self, draft: Draft, like: str) -> dspy.Prediction:
        """Steps 3 to 8 for a draft whose nearest earlier problem is known."""
        note = Examined(draft=draft.id, unique=not like)
        row: SandMathRow | Rejected = SandMathRow.model_validate(draft.record())
        if like:
            detail = like.partition(": ")[2]
            row = Rejected(stage="deduplicate", reason="near_duplicate", detail=detail, content=row.record())
        else:
            row = await Screens(self).all(row)
        if isinstance(row, Rejected):
            return dspy.Prediction(rows=[], rejected=[row], artifacts=[note])
        row = await Screens(self).rated(row)
        rows, rejected = [row], []
        for number in range(self.hike_rounds if self.hike != "none" else 0):
            if self.hike_below is not None and (rows[-1].difficulty_rating or 0.0) >= self.hike_below:
                break
            harder = await self._hiked(rows[-1], number)
            if isinstance(harder, Rejected):
                rejected.append(harder)  # and the problem that it was made from stays
                break
            rows.append(harder)
        return dspy.Prediction(rows=rows[-1:] if self.hike == "replace" else rows, rejected=rejected, artifacts=[note])

    async def _hiked(self, row: SandMathRow, number: int) -> SandMathRow | Rejected:
        """Step 8: a harder version, solved, compared, screened and rated again; or why there is none."""
        ideas = draw_ideas(self.concepts, row.branch, self.level, f"{self.seed}:{row.question}:{number}")
        written = await self._rewritten(row, ideas)
        if isinstance(written, Rejected):
            return written
        about = {"branch": row.branch, "secondary_branch": ideas.concept_branch, "level": self.level}
        about |= {"hiked_from": row.id, "hiked_rating": row.difficulty_rating}
        about |= {"supporting_theorem": ideas.theorem.name, "supporting_concept": ideas.concept}
        harder = await self._agreed(*written, about, (row.id,), self.hike_solutions)
        if isinstance(harder, SandMathRow) and self.recheck:
            screens = Screens(self)
            harder = await (screens.all if self.funnel == "paper" else screens.decontaminated)(harder)
        if isinstance(harder, Rejected):
            return harder.model_copy(update={"stage": f"hiked_{harder.stage}"})
        harder = await Screens(self).rated(harder)
        before, after = row.difficulty_rating, harder.difficulty_rating
        if self.require_harder and self.ratings and (before is None or after is None or after <= before):
            detail = f"rated {after}, before {before}"
            return Rejected(stage="hike", reason="not_harder", detail=detail, content=harder.record())
        return harder

    async def _rewritten(self, row: SandMathRow, ideas: Hiking) -> tuple[str, Solved] | Rejected:
        rating = "unknown" if row.difficulty_rating is None else f"{row.difficulty_rating:.1f} of 10"
        ask = {"question": row.question, "rating": rating, "theorem": ideas.theorem_text, "concept": ideas.concept}
        try:
            reply = await self.hike_problem.acall(**ask, target=prompts.HARDER[self.level])
        except ParseError as error:
            return unparsable("hike", error, question=row.question)
        reference = await asyncio.to_thread(solved, reply.solution, str(reply.answer))
        question = reply.harder_question.strip()
        shown = [demo["harder_question"] for demo in self.hike_problem.demos if demo.get("harder_question")]
        made = self._usable("hike", question, reference, shown)
        found = None if isinstance(made, Rejected) else hike_flaw(question, row.question, ideas.theorem, self.checks)
        if found:
            return reject("hike", found, question=question, answer=reference.answer, hiked_from=row.id)
        return made
