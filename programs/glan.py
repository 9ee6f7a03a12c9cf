"""GLAN: a taxonomy, its subjects, their syllabi; questions about combinations of key concepts, and answers."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

import dspy

from synthwright.errors import ConfigError, did_you_mean
from synthwright.filters import Decontamination, ExactDuplicate, Filter, MinHashNovelty, Refusal, Repetition
from synthwright.pool import Pool, Seed
from synthwright.programs.base import Frozen, Generator, as_is
from synthwright.programs.glan_arguments import check_arguments
from synthwright.programs.glan_checks import CHECKS
from synthwright.programs.glan_combinations import Combinations
from synthwright.programs.glan_growth import PANEL, grow_subjects, grow_syllabus, propose, review
from synthwright.programs.glan_homework import Topic, homework
from synthwright.programs.glan_plan import Grow, Until, curriculum, planned, taxonomy
from synthwright.programs.glan_tree import Tree, load_tree
from synthwright.programs.glan_votes import read_votes
from synthwright.signatures import glan as prompts
from synthwright.signatures.glan import HomeworkRow, Strategy, Turn, at_most
from synthwright.signatures.rows import Row

__all__ = ["GLAN", "Grow", "Until"]

Step = Literal["course", "propose", "review", "subjects", "syllabus", "turn", "question"]


class GLAN(Generator[HomeworkRow]):
    """Builds a curriculum from a taxonomy of disciplines, and asks and answers homework questions about it.

    Each discipline is asked for its subjects, each subject for a syllabus of class sessions with key concepts. One to
    five concepts of one session, or of two, are drawn without replacement; one LM writes a question about them from
    the whole syllabus, and another call answers it.

    The tree lives in the run's artifacts. `tree(artifacts)` gives it for `save_tree`, a person edits the file, and
    `GLAN(taxonomy="my.yaml")` goes on from there. Seeds are disciplines (`discipline`, and `field`, `sub_field` if you
    like) that replace the taxonomy, or dictionaries with a `step` that are asked as they are.

    Source: Li et al., 2024, arXiv:2402.13064; steps and what is ours: `docs/methods/glan.md`.

    Args:
        taxonomy: `disciplines`, the 126 that are shipped; `propose` asks the LM for one; the path of a tree in YAML or
            JSON; a `Tree`; or a list of disciplines.
        wordings: Requests for a taxonomy, each in other words, 1 to 4. Only for `propose`.
        breadth: Most branches of a node of a proposed taxonomy, 1 or more.
        panel: Whether a panel of judges votes on each node.
        reviewers: Votes on a node, 1 or more. The roles `judge`, `second_judge` and `third_judge` take turns.
        votes: The votes of people instead: a CSV file as `write_ballot` makes it, or votes by node.
        two_turns: Whether subjects and syllabi are written as free text and structured by a second call (the paper's
            finding); otherwise one call gives the structure.
        read_outlines: Whether free text that is a plain outline is structured by code, without the second call. Ours.
        subject_queries: Independent queries for the subjects of a discipline, 1 or more. The paper makes 10.
        max_subjects: Subjects asked for in one query; None leaves it to the LM.
        sessions: Fewest and most class sessions of a syllabus, as asked for. The paper has 10 to 30.
        concepts: Key concepts of a session, as asked for. The paper has about 5.
        max_chars: Longest list of subjects or syllabus in characters, for LMs that go on to their token limit; None
            for no limit.
        drop_copies: Whether subjects, syllabi and questions that repeat the demonstrations of their prompt are dropped.
            Ours, for weak LMs.
        as_written: Whether extracted sessions and concepts that do not stand in the syllabus are dropped. Ours.
        double_share: Share of questions about two sessions, 0 to 1. Not reported.
        questions_per_subject: Combinations drawn from a syllabus before the next subject gets one; None draws all.
        quotas: Most rows by node (its name, or its path joined by " > "), beside the quotas of a tree file.
        grow: `needed` asks for subjects and syllabi as rows are wanted; `all` grows the whole tree first.
        until: Where the run ends; anything but `questions` makes no rows.
        checks: Names of checks of a question, see `synthwright.programs.glan_checks.CHECKS`. Ours.
        max_words: Most words of a question; None for no limit.
        safety: Whether a judge drops questions whose answer could do harm, before they are answered. Ours.
        answers: Answers drawn for a question: 1; 2 for preference pairs, if a judge prefers one in both orders; 0 for
            rows without a response, to tune prompts.
        near_duplicates: Jaccard similarity of words from which a question is a copy of a kept one; None keeps copies.
        check_answers: Whether refusals and answers caught in a loop are dropped. Ours.
        decontaminate: Files of evaluation sets, training sets included; rows that share 13 words in a row are dropped.
        decontaminate_field: Field or column of these files that holds the item.
        language: Language of the curriculum, such as `German`; empty for that of the discipline's name.
        temperature: Of all calls that write, but for answers, 0 to 2. The paper has 1.0; not reported for questions.
        top_p: Of all calls that write, in (0, 1]. The paper has 0.95.
        presence_penalty: Of lists and syllabi, -2 to 2, against loops; None does not set it. Ours.
        answer_temperature: Of answers, 0 to 2. The paper has 0.7.
        seed: Fixes the order of disciplines and of combinations.
    """

    roles = {
        "answerer": ("answer",),
        "judge": ("review", "screen", "compare"),
        "second_judge": ("review_second",),
        "third_judge": ("review_third",),
    }
    targets = ("list_subjects", "design", "write")
    presets: ClassVar = {
        "practical": {
            "taxonomy": "disciplines",
            "wordings": 4,
            "breadth": 12,
            "panel": False,
            "reviewers": 3,
            "votes": None,
            "two_turns": True,
            "read_outlines": True,
            "subject_queries": 10,
            "max_subjects": 4,
            "sessions": (3, 4),
            "concepts": 3,
            "max_chars": 500,
            "as_written": True,
            "drop_copies": True,
            "double_share": 0.5,
            "questions_per_subject": 20,
            "quotas": {},
            "grow": "needed",
            "until": "questions",
            "checks": tuple(CHECKS),
            "max_words": 120,
            "safety": True,
            "answers": 1,
            "near_duplicates": 0.8,
            "check_answers": True,
            "decontaminate": (),
            "decontaminate_field": "question",
            "language": "",
            "temperature": 0.7,
            "top_p": 0.95,
            "presence_penalty": 0.5,
            "answer_temperature": 0.7,
            "seed": 0,
        },
        "faithful": {
            "taxonomy": "propose",
            "panel": True,
            "two_turns": True,
            "read_outlines": False,
            "subject_queries": 10,
            "max_subjects": None,
            "sessions": (10, 30),
            "concepts": 5,
            "max_chars": None,
            "as_written": False,
            "drop_copies": False,
            "questions_per_subject": None,
            "grow": "all",
            "checks": (),
            "max_words": None,
            "safety": False,
            "answers": 1,
            "near_duplicates": None,
            "check_answers": False,
            "temperature": 1.0,
            "top_p": 0.95,
            "presence_penalty": None,
            "answer_temperature": 0.7,
        },
    }

    def __init__(
        self,
        taxonomy: str | Path | Tree | Sequence[str] = "disciplines",
        *,
        wordings: int = 4,
        breadth: int = 12,
        panel: bool = False,
        reviewers: int = 3,
        votes: str | Path | Mapping[str, Sequence[str]] | None = None,
        two_turns: bool = True,
        read_outlines: bool = True,
        subject_queries: int = 10,
        max_subjects: int | None = 4,
        sessions: Sequence[int] = (3, 4),
        concepts: int = 3,
        max_chars: int | None = 500,
        as_written: bool = True,
        drop_copies: bool = True,
        double_share: float = 0.5,
        questions_per_subject: int | None = 20,
        quotas: Mapping[str, int] | None = None,
        grow: Grow = "needed",
        until: Until = "questions",
        checks: Sequence[str] = tuple(CHECKS),
        max_words: int | None = 120,
        safety: bool = True,
        answers: int = 1,
        near_duplicates: float | None = 0.8,
        check_answers: bool = True,
        decontaminate: Sequence[str | Path] = (),
        decontaminate_field: str = "question",
        language: str = "",
        temperature: float = 0.7,
        top_p: float = 0.95,
        presence_penalty: float | None = 0.5,
        answer_temperature: float = 0.7,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.taxonomy = taxonomy if taxonomy == "propose" else load_tree(taxonomy)
        self.wordings, self.breadth = wordings, breadth
        self.panel, self.reviewers, self.votes = panel, reviewers, read_votes(votes)
        self.two_turns, self.read_outlines = two_turns, read_outlines
        self.as_written, self.drop_copies = as_written, drop_copies
        self.subject_queries, self.max_subjects = subject_queries, max_subjects
        self.sessions, self.concepts, self.max_chars = tuple(sessions), concepts, max_chars
        self.double_share, self.questions_per_subject = double_share, questions_per_subject
        self.quotas, self.grow, self.until = dict(quotas or {}), grow, until
        self.checks, self.max_words, self.safety = tuple(checks), max_words, safety
        self.answers, self.near_duplicates, self.check_answers = answers, near_duplicates, check_answers
        self.decontaminate = tuple(map(str, decontaminate))
        self.decontaminate_field, self.language = decontaminate_field, language
        self.temperature, self.top_p, self.presence_penalty = temperature, top_p, presence_penalty
        self.answer_temperature, self.seed = answer_temperature, seed
        check_arguments(as_is(self))

        listing: dict[str, Any] = {"temperature": temperature, "top_p": top_p}
        if presence_penalty is not None:
            listing["presence_penalty"] = presence_penalty
        if self.taxonomy == "propose":
            proposed = prompts.ProposeTaxonomy.with_updated_fields(
                "taxonomy", at_most(prompts.ProposedTaxonomy, breadth)
            )
            self.propose = dspy.Predict(proposed, temperature=temperature, top_p=top_p)
        if self.votes_by_panel():
            for name in PANEL[:reviewers]:
                setattr(self, name, Frozen(prompts.ReviewNode, temperature=temperature, top_p=top_p))
        subjects, courses = at_most(prompts.Subjects, max_subjects), at_most(prompts.Sessions, self.sessions[1])
        if two_turns:
            self.list_subjects = dspy.Predict(self._asked(prompts.ListSubjects, "subject_list"), **listing)
            self.structure = Frozen(
                prompts.StructureSubjects.with_updated_fields("subjects", subjects), temperature=0.0
            )
            self.design = dspy.Predict(self._asked(prompts.DesignSyllabus, "syllabus"), **listing)
            self.extract = Frozen(prompts.ExtractSessions.with_updated_fields("sessions", courses), temperature=0.0)
        else:
            one_call = prompts.ListStructuredSubjects.with_updated_fields("subjects", subjects)
            self.list_subjects = dspy.Predict(self._asked(one_call), **listing)
            one_call = prompts.DesignStructuredSyllabus.with_updated_fields("sessions", courses)
            self.design = dspy.Predict(self._asked(one_call), **listing)
        self.write = dspy.Predict(self._asked(prompts.WriteQuestion), temperature=temperature, top_p=top_p)
        if safety:
            self.screen = Frozen(prompts.ScreenQuestion, temperature=0.0)
        if answers:
            self.answer = dspy.Predict(prompts.AnswerQuestion, temperature=answer_temperature, top_p=top_p)
        if answers == 2:
            self.compare = Frozen(prompts.CompareAnswers, temperature=0.0)
        self.filters = tuple(self._filters())

    # What to ask next

    def plan(self, pool: Pool[HomeworkRow]) -> Iterable[Seed]:
        """The taxonomy first, if it is proposed; then each discipline's next step: subjects, syllabi, questions.

        Raises:
            ConfigError: A seed is no discipline, or a quota names no node.
        """
        if any("step" in seed for seed in pool.seeds or ()):
            return super().plan(pool)
        return planned(as_is(self), pool)

    def tree(self, artifacts: Iterable[Row]) -> Tree:
        """What a run has grown, as a tree that can be saved, edited and started from.

        Args:
            artifacts: Those of the run: `run.artifacts(Row)`.

        Raises:
            ConfigError: The run has no taxonomy yet.
        """
        artifacts = list(artifacts)
        tree, _ = taxonomy(as_is(self), Pool(), artifacts)
        if tree is None:
            raise ConfigError("The run has no taxonomy yet: no proposal is among its artifacts.")
        return curriculum(as_is(self), tree, artifacts).tree()

    # How to ask

    async def aforward(
        self,
        discipline: str = "",
        *,
        step: Step = "course",
        field: str = "",
        sub_field: str = "",
        subject: str = "",
        level: str = "",
        subtopics: Sequence[str] = (),
        syllabus: str = "",
        sessions: Sequence[str] = (),
        key_concepts: Sequence[str] = (),
        strategy: Strategy = "single",
        sources: Sequence[str] = (),
        query: int = 0,
        wording: int = 0,
        path: Sequence[str] = (),
        beside: Sequence[str] = (),
        asked: Mapping[str, int] | None = None,
        round: int = 0,
    ) -> dspy.Prediction:
        """One unit of work of one of the steps.

        Args:
            discipline: The discipline (all steps but `propose`, `review`, `turn`).
            step: Which step. `course` goes the whole way from a discipline to a few rows.
            field: Its field.
            sub_field: The part of the field.
            subject: A subject of it (`syllabus`, `question`).
            level: How far the students are.
            subtopics: What belongs to the subject (`syllabus`).
            syllabus: The whole syllabus (`question`).
            sessions: The one or two sessions drawn (`question`).
            key_concepts: The concepts drawn (`question`).
            strategy: How they were drawn (`question`).
            sources: Ids of what the row is made from (`question`).
            query: Number of the query (`subjects`).
            wording: Which request (`propose`).
            path: The node (`review`).
            beside: Names beside it (`review`).
            asked: Where the courses have got to (`turn`).
            round: Round of the run (`propose`, `turn`).

        Raises:
            ConfigError: There is no such step, or a discipline is missing.
        """
        if step not in get_args(Step):
            raise ConfigError(f"GLAN has no step {step!r}. {did_you_mean(step, get_args(Step))}")
        program = as_is(self)
        if step == "turn":
            return dspy.Prediction(rows=[], artifacts=[Turn(asked=dict(asked or {}), round=round)])
        if step == "propose":
            return await propose(program, wording)
        if step == "review":
            return await review(program, tuple(path), beside)
        if not discipline.strip():
            raise ConfigError(f"The step {step!r} of GLAN needs a `discipline`, got {discipline!r}.")
        place: dict[str, Any] = {"field": field, "sub_field": sub_field, "discipline": discipline}
        if step == "subjects":
            return await grow_subjects(program, place, query)
        if step == "syllabus":
            return await grow_syllabus(program, place, subject, level, subtopics)
        if step == "question":
            topic = Topic(place, subject, level, syllabus, tuple(sessions), tuple(key_concepts), strategy)
            return await homework(program, topic, tuple(sources))
        return await self._course(place)

    async def _course(self, place: dict[str, Any]) -> dspy.Prediction:
        """The whole way: subjects, the syllabus of the first, and two questions about it."""
        program = as_is(self)
        made = [await grow_subjects(program, place, 0)]
        subjects = made[0].artifacts[0].subjects
        if subjects:
            first = subjects[0]
            made.append(await grow_syllabus(program, place, first.name, first.level, first.subtopics))
            syllabus = made[1].artifacts[0]
            drawn = Combinations(syllabus.sessions, self.double_share, f"{self.seed}:{first.name}")
            for number in range(min(2, drawn.total)):
                combination = drawn[number]
                names = tuple(syllabus.sessions[n].name for n in combination.sessions)
                about = (place, first.name, syllabus.level, syllabus.text)
                topic = Topic(*about, names, combination.concepts, combination.strategy)
                made.append(await homework(program, topic, (syllabus.id,)))
        return dspy.Prediction(
            rows=[row for part in made for row in part.rows],
            rejected=[reject for part in made for reject in part.get("rejected") or ()],
            artifacts=[artifact for part in made for artifact in part.get("artifacts") or ()],
        )

    # How it is made

    def votes_by_panel(self) -> bool:
        """Whether a panel of judges votes on the nodes: the votes of people take its place."""
        return self.panel and self.votes is None

    def _asked(self, signature: type[dspy.Signature], text: str = "") -> type[dspy.Signature]:
        """A signature with the demands of this generator: language, number of subjects, length of its free text."""
        if self.language:
            signature = signature.append("language", dspy.InputField(desc="write in it"), str)
        if self.max_subjects is not None and "size" not in signature.fields and "question" not in signature.fields:
            signature = signature.append("how_many", dspy.InputField(), int)
        if text and self.max_chars is not None:
            limited: Any = dspy.OutputField(max_length=self.max_chars)
            signature = signature.delete(text).append(text, limited, str)
        return signature

    def _filters(self) -> Iterator[Filter]:
        if self.near_duplicates is not None:
            yield ExactDuplicate(("instruction",))
            yield MinHashNovelty("instruction", self.near_duplicates)  # subjects return in other disciplines
        if self.check_answers:
            yield Refusal("response")
            yield Repetition("response")
        if self.decontaminate:
            yield Decontamination(("instruction", "response"), self.decontaminate, self.decontaminate_field)
