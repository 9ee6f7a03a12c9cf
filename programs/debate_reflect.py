"""DebateReflect: agents answer, reflect, criticise and answer again; right and wrong answers become training pairs."""

import itertools
import re
from collections.abc import Iterable, Sequence
from typing import ClassVar, Literal

import dspy

from synthwright.errors import ConfigError
from synthwright.filters import ExactDuplicate, SpecialTokens
from synthwright.pool import Pool, Seed
from synthwright.programs.base import Generator, data_path, read_jsonl
from synthwright.programs.blocks.arguments import check_choices, check_ranges, given
from synthwright.programs.debate_reflect_floor import Floor
from synthwright.programs.debate_reflect_questions import answer_format, question_seed, verifier_for
from synthwright.programs.debate_reflect_trees import Limits, about, pair_rows, trees
from synthwright.signatures.debate_reflect import (
    AnswerInDebate,
    CritiqueAnswer,
    Debate,
    DebateRow,
    ReflectOnAnswer,
    SolveQuestion,
    answer_text,
)
from synthwright.signatures.rows import Rejected

__all__ = ["DebateReflect", "Voice"]

_TAKEN = ("solve", "answer_again", "reflect", "critique", "agents")
_MENTIONS = re.compile(
    r"\banswers? \d|\b(?:other|another|previous|earlier) (?:answers?|agents?|participants?)\b"
    r"|\bthe (?:discussion|feedback|critique|reflections?)\b|\bself-reflection",
    re.IGNORECASE,
)


class Voice(dspy.Module):
    """The LM of a role. The four prompts are shared by all agents, so it is the agent that brings the LM."""

    def __init__(self) -> None:
        super().__init__()
        self.lm: dspy.BaseLM | None = None


class DebateReflect(Generator[DebateRow]):
    """Agents answer questions, reflect on errors and criticise each other; right over wrong becomes training pairs.

    Each seed is one question with its known answer. Round 0: every agent answers alone. After a round, each wrong agent
    reflects on its error knowing the right answer, and each right agent criticises each wrong one; then all answer
    again, given all answers of the round in shuffled order, without names, with what was said about them. Each round is
    a preference tree whose pairs are all right answers over all wrong ones; right answers of teachers are solutions.
    The whole debate is an artifact (`Debate`), a graph of answers and of what was said.

    Source: Debate, Reflect and Distill (Zhou et al., 2025, arXiv:2506.03541) and its released code.

    Args:
        students: LM role of each student, one name an agent; agents with one name share an LM.
        teachers: LM role of each teacher; may be empty. The paper has three, of three vendors.
        rounds: Rounds after round 0 at most, 0 or more. The paper has 3.
        stop: When a debate ends before that: `all_right` (the paper), `students_right`, or `never`.
        reflections: Let wrong agents reflect. The paper's ablation without scores lower.
        critiques: Let right agents criticise wrong ones.
        leaks: What becomes of a reflection that states the known answer: `keep`, `redact`, or `drop` (strict).
        solutions: Whose right answers become solutions, of any round: `teachers` (the paper), `all` or `none`.
        contexts: `all` repeats each pair with each chunk of context (the paper); `rotate` gives each pair one.
        drop_mentions: Drop solutions that speak of the discussion, which their prompt does not hold.
        student_tries: Replies of a student at most until one can be read, 1 or more. The paper draws 5 at once.
        teacher_tries: The same for a teacher. The paper asks once.
        discussion_tokens: Longest discussion that agents read; each answer is shortened to its share. None for any.
        limits: Tokens of a block, a part and a chunk in training contexts, see `Limits`; the defaults are the paper's.
        temperature: Of all agents, 0 to 2. The paper has 0.3.
        max_tokens: Longest reply in tokens; None for the LM's own limit.
        seed: Fixes the order of answers in discussions.
    """

    tuning_budget: ClassVar[int] = 1000  # a debate takes up to 12 calls
    presets: ClassVar = {
        "practical": {
            "students": ("student",),
            "teachers": ("teacher", "teacher"),
            "rounds": 1,
            "stop": "all_right",
            "reflections": True,
            "critiques": True,
            "leaks": "redact",
            "solutions": "teachers",
            "contexts": "rotate",
            "drop_mentions": True,
            "student_tries": 2,
            "teacher_tries": 2,
            "discussion_tokens": 1200,
            "limits": (950, 470, 1000),
            "temperature": 0.7,
            "max_tokens": None,
            "seed": 0,
        },
        "faithful": {
            "students": ("student",),
            "teachers": ("teacher", "teacher_2", "teacher_3"),
            "rounds": 3,
            "stop": "all_right",
            "leaks": "keep",
            "solutions": "teachers",
            "contexts": "all",
            "drop_mentions": False,
            "student_tries": 5,
            "teacher_tries": 1,
            "discussion_tokens": None,
            "limits": (950, 470, 1000),
            "temperature": 0.3,
            "max_tokens": 1000,
        },
    }
    filters = (
        SpecialTokens(("context", "chosen", "rejected")),
        ExactDuplicate(("kind", "question", "context", "chosen", "rejected")),
    )

    def __init__(
        self,
        students: Sequence[str] = ("student",),
        teachers: Sequence[str] = ("teacher", "teacher"),
        rounds: int = 1,
        stop: Literal["all_right", "students_right", "never"] = "all_right",
        reflections: bool = True,
        critiques: bool = True,
        leaks: Literal["keep", "redact", "drop"] = "redact",
        solutions: Literal["teachers", "all", "none"] = "teachers",
        contexts: Literal["all", "rotate"] = "rotate",
        drop_mentions: bool = True,
        student_tries: int = 2,
        teacher_tries: int = 2,
        discussion_tokens: int | None = 1200,
        limits: Sequence[int] = (950, 470, 1000),
        temperature: float = 0.7,
        max_tokens: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.students, self.teachers = tuple(students), tuple(teachers)
        self.rounds, self.reflections, self.critiques, self.drop_mentions = (
            rounds,
            reflections,
            critiques,
            drop_mentions,
        )
        self.stop: Literal["all_right", "students_right", "never"] = stop
        self.leaks: Literal["keep", "redact", "drop"] = leaks
        self.solutions: Literal["teachers", "all", "none"] = solutions
        self.contexts: Literal["all", "rotate"] = contexts
        self.student_tries, self.teacher_tries = student_tries, teacher_tries
        self.discussion_tokens, self.limits = discussion_tokens, tuple(limits)
        self.temperature, self.max_tokens, self.seed = temperature, max_tokens, seed
        self._validate()
        sampling = given(temperature=temperature, max_tokens=max_tokens)
        self.solve = dspy.Predict(SolveQuestion, **sampling)
        if rounds:
            self.answer_again = dspy.Predict(AnswerInDebate, **sampling)
        if rounds and reflections:
            self.reflect = dspy.Predict(ReflectOnAnswer, **sampling)
        if rounds and critiques and len(self.students) + len(self.teachers) > 1:
            self.critique = dspy.Predict(CritiqueAnswer, **sampling)
        for role in dict.fromkeys((*self.students, *self.teachers)):
            setattr(self, role, Voice())
        self.agents = _agents((*self.students, *self.teachers))

    def all_roles(self) -> tuple[str, ...]:
        """The roles that this instance's agents have; `generator` serves those that are left out."""
        return ("generator", *dict.fromkeys((*self.students, *self.teachers)))

    def role_of(self, predictor: str) -> str:
        """The role of a voice is its name. The four prompts serve all agents and are counted to the first teacher."""
        return predictor if predictor in self.all_roles() else (*self.teachers, *self.students)[0]

    def voice_of(self, agent: str) -> Voice:
        """The LM of an agent."""
        return getattr(self, self.agents[agent])

    def is_student(self, agent: str) -> bool:
        """Students come first among the agents."""
        return list(self.agents).index(agent) < len(self.students)

    def tries_of(self, agent: str) -> int:
        """Replies that an agent has in a round, at most."""
        return self.student_tries if self.is_student(agent) else self.teacher_tries

    def set_lm(self, lm: dspy.BaseLM) -> None:
        """One LM for all agents."""
        super().set_lm(lm)
        for agent in self.agents:
            self.voice_of(agent).lm = lm

    def count_tokens(self, text: str) -> int:
        """Tokens of a text for the limits: a quarter of its characters, rounded up. Override it for a tokenizer."""
        return -(-len(text) // 4)

    def plan(self, pool: Pool[DebateRow]) -> Iterable[Seed]:
        """Every question once, or pass after pass with a new `draw` if there is a target.

        User seeds have a `question` and an `answer`, see `question_seed`.
        """
        given = read_jsonl(data_path("debate_reflect.jsonl")) if pool.seeds is None else pool.seeds
        questions = [question_seed(seed, index) for index, seed in enumerate(given)]
        if pool.target is None or not questions:
            return questions if pool.round == 0 else ()
        return ({**each, "draw": each["draw"] + number} for number in itertools.count() for each in questions)

    async def aforward(
        self,
        question: str,
        answer: str,
        kind: str = "auto",
        labels: Sequence[str] = (),
        draw: int = 0,
        parent_ids: Sequence[str] = (),
    ) -> dspy.Prediction:
        """Debate one question.

        Args:
            question: The question, with its options as lines such as `A) Paris` if it has some.
            answer: The known answer.
            kind: How answers are compared: `number`, `math`, `choice`, `label`, `value`, or `auto`.
            labels: The labels, for the kind `label`.
            draw: Number of the pass over the questions; another one shuffles otherwise.
            parent_ids: Ids of the rows that the question comes from.
        """
        found = verifier_for(question, answer, kind, labels) if question.strip() else None
        if found is None:
            seed = {"question": question, "answer": answer, "kind": kind}
            reason = "unreadable_answer" if question.strip() else "empty_question"
            return dspy.Prediction(rows=[], rejected=[Rejected(stage="seed", reason=reason, content=seed)])
        topic = {"question": question, "gold": answer, "kind": found[0]}
        topic["answer_format"] = answer_format(found[0], labels)
        floor = Floor(self, topic, found[1], draw)  # pyright: ignore[reportArgumentType]: one class under two paths
        debate, rejected = await floor.hold(), floor.rejected
        rows, more = self.rows_of(debate, parent_ids)
        return dspy.Prediction(rows=rows, rejected=[*rejected, *more], artifacts=[debate])

    def rows_of(self, debate: Debate, parent_ids: Sequence[str] = ()) -> tuple[list[DebateRow], list[Rejected]]:
        """The rows of a debate: its pairs by round, then its solutions; and what was dropped of them.

        A debate without any row is a reject that says why.
        """
        made = trees(debate, self.count_tokens, Limits(*self.limits))
        rows = [row for tree in made for row in pair_rows(tree, self.contexts, parent_ids)]
        rejected: list[Rejected] = []
        authors = {"teachers": debate.teachers, "all": (*debate.students, *debate.teachers), "none": ()}
        for tree in made:
            for node in tree.right:
                if node.agent not in authors[self.solutions]:
                    continue
                if self.drop_mentions and (said := mentions_others(node.reasoning, debate.question)):
                    content = {**node.model_dump(mode="json"), **about(debate)}
                    rejected.append(
                        Rejected(stage="solution", reason="mentions_others", detail=repr(said), content=content)
                    )
                    continue
                rows.append(
                    DebateRow(
                        kind="solution",
                        chosen=answer_text(node),
                        chosen_agent=node.agent,
                        round=tree.round,
                        root_id=tree.root_id,
                        parent_ids=tuple(parent_ids),
                        **about(debate),
                    )
                )
        if not rows and not rejected:
            right = any(node.state == "right" for node in debate.nodes)
            content = {**about(debate), "stop": debate.stop}
            rejected.append(Rejected(stage="debate", reason="no_pair" if right else "nobody_right", content=content))
        return rows, rejected

    def _validate(self) -> None:
        roles = (*self.students, *self.teachers)
        if not roles:
            raise ConfigError("DebateReflect needs an agent: name a role in `students` or `teachers`.")
        for role in roles:
            if (
                not isinstance(role, str)
                or not re.fullmatch(r"[a-z]\w*", role)
                or role in _TAKEN
                or hasattr(self, role)
            ):
                raise ConfigError(f"`students` and `teachers` name LM roles such as 'teacher_2', got {role!r}.")
        choices = {
            "stop": ("all_right", "students_right", "never"),
            "leaks": ("keep", "redact", "drop"),
            "solutions": ("teachers", "all", "none"),
            "contexts": ("all", "rotate"),
        }
        check_choices(self, choices)
        if self.stop == "students_right" and not self.students:
            raise ConfigError("`stop='students_right'` needs a student; there is none.")
        if len(self.limits) != 3 or min(self.limits) < 1:
            raise ConfigError(
                f"`limits` must be three numbers of tokens for block, part and chunk, got {self.limits!r}."
            )
        counts = dict.fromkeys(("student_tries", "teacher_tries", "discussion_tokens", "max_tokens"), (1, None))
        check_ranges(self, {"rounds": (0, None), **counts, "temperature": (0, 2)})


def mentions_others(reasoning: str, question: str) -> str | None:
    """Words by which an answer speaks of a discussion, unless its question does; None if it does not."""
    found = (match.group() for match in _MENTIONS.finditer(reasoning))
    return next((words for words in found if words.lower() not in question.lower()), None)


def _agents(roles: Sequence[str]) -> dict[str, str]:
    """Role by name of the agent: the role's own name, or `teacher_1`, `teacher_2` if several have it."""
    found: dict[str, str] = {}
    for index, role in enumerate(roles):
        name = f"{role}_{roles[: index + 1].count(role)}" if roles.count(role) > 1 else role
        if name in found:
            raise ConfigError(f"Two agents would be called {name!r}: rename one of the roles {', '.join(roles)}.")
        found[name] = role
    return found
