"""Signatures and rows of Condor (Cao et al., 2025, arXiv:2501.12273, sections 3.1-3.3 and appendix).

Void makes questions of three difficulties from a tag path and a task, and answers them; Refine criticises each answer
and writes it anew. The prompts are ours. Difficulties, points of a critique and the verdict are typed, where the paper
asks for markers that have to be found in a text.
"""

from typing import Any, Literal

import dspy
from pydantic import BaseModel, ConfigDict, model_validator

from synthwright.signatures.listing import Listing
from synthwright.signatures.rows import InstructionRow, Message, Preference, Row

__all__ = [
    "LEVELS",
    "AnswerQuestion",
    "CondorRow",
    "Critique",
    "CritiqueAnswer",
    "Difficulty",
    "ExpandTag",
    "ListRootTags",
    "PlaceTopic",
    "PreferAnswer",
    "RefineAnswer",
    "TreeStep",
    "WriteQuestions",
]

Difficulty = Literal["easy", "medium", "hard"]

LEVELS: tuple[Difficulty, ...] = ("easy", "medium", "hard")
"""The difficulties of one call, easiest first."""


class ListRootTags(dspy.Signature):
    """List more areas of life, work and knowledge that people ask an assistant about.

    Each is a name of one to three words, as wide as the known areas, unlike all of them, and part of none of them.
    Together they cover what people of every age and trade care about.
    """

    known_areas: list[str] = dspy.InputField()
    how_many: int = dspy.InputField()
    more_areas: Listing = dspy.OutputField()


class ExpandTag(dspy.Signature):
    """List sub-topics of the last topic in the path, each within the whole path.

    Each is a name of one to four words, one step finer than the last topic, and overlaps with no other. Leave out
    catch-alls such as other or general, and repeat no topic of the path.
    """

    topic_path: str = dspy.InputField()
    how_many: int = dspy.InputField()
    sub_topics: Listing = dspy.OutputField()


class PlaceTopic(dspy.Signature):
    """Choose the area that the topic belongs to, word for word from the areas; write none if it fits nowhere."""

    topic: str = dspy.InputField()
    areas: list[str] = dspy.InputField()
    area: str = dspy.OutputField()


class WriteQuestions(dspy.Signature):
    """Write three questions of the task for the theme, as people would type them: easy, medium and hard.

    Harder means more knowledge, more steps or more demands. Each stands alone, tells enough of its situation to be
    answered, and does not come out of the blue. A text, table or code that it is about stands in it. Being loosely
    related to the theme is enough. Learn the manner from the examples, but take over neither their subjects nor their
    words. Use the language of the theme. Write no answers.
    """

    theme: str = dspy.InputField()
    task: str = dspy.InputField()
    examples: list[str] = dspy.InputField()
    easy_question: str = dspy.OutputField()
    medium_question: str = dspy.OutputField()
    hard_question: str = dspy.OutputField()


class AnswerQuestion(dspy.Signature):
    """Answer the question in its language, helpfully and correctly."""

    question: str = dspy.InputField()
    answer: str = dspy.OutputField()


class CritiqueAnswer(dspy.Signature):
    """Review the answer: what is good about it, what is weak, and what should be changed.

    Be concrete in each point and speak of this answer alone; what you put in quotation marks stands in it. A
    suggestion is a change that somebody else can carry out. Do not write the answer anew.
    """

    question: str = dspy.InputField()
    answer: str = dspy.InputField()
    strengths: Listing = dspy.OutputField()
    weaknesses: Listing = dspy.OutputField()
    suggestions: Listing = dspy.OutputField()


class RefineAnswer(dspy.Signature):
    """Write a better answer to the question: keep the strengths, mend the weaknesses, follow the suggestions.

    Write the whole answer in the language of the question, as if it were the first, and nothing else: no opening
    words about it, no mention of the critique or of an earlier answer. It may be shorter.
    """

    question: str = dspy.InputField()
    answer: str = dspy.InputField()
    strengths: list[str] = dspy.InputField()
    weaknesses: list[str] = dspy.InputField()
    suggestions: list[str] = dspy.InputField()
    improved_answer: str = dspy.OutputField()


class PreferAnswer(dspy.Signature):
    """Say which answer is better for the person who asked: more correct, more complete, clearer, in the asked form.

    It does not matter which one comes first or is longer. Say neither if they are equally good.
    """

    question: str = dspy.InputField()
    first_answer: str = dspy.InputField()
    second_answer: str = dspy.InputField()
    better: Literal["first", "second", "neither"] = dspy.OutputField()


class TreeStep(Row):
    """One step of growing the tag tree: an intermediate result.

    Attributes:
        kind: `roots` (root tags were listed), `expand` (a tag was expanded) or `place` (a topic went down one level).
        path: Path of the tag that was expanded, or under which a topic was placed; empty for roots.
        tags: The new tags, or the topic. Empty if there were none, so that nobody asks again.
        settled: Whether a topic stays where it is.
        round: Round of the run in which it was made.
    """

    kind: Literal["roots", "expand", "place"]
    path: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    settled: bool = False
    round: int = 0


class Critique(BaseModel):
    """What an LM thinks of an answer.

    Attributes:
        strengths: What is good.
        weaknesses: What is not.
        suggestions: What to change.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    strengths: tuple[str, ...] = ()
    weaknesses: tuple[str, ...] = ()
    suggestions: tuple[str, ...] = ()


class CondorRow(InstructionRow):
    """A question of one difficulty with its answer, the critique of the first draft, and what became of it.

    `instruction` is the question; `response` is the answer that is kept: the refined one, or the draft.

    Attributes:
        difficulty: Which of the three questions of its call it is; None if the question was given.
        task: Name of the task, such as `creation`; empty if the question was given.
        tag_path: Tags from the root down; empty if the question was given.
        language: Language of the tag tree, as its file says; may be empty.
        source: Whether the tag came from the tree or from a list of trending topics; None if the question was given.
        draft: The first answer; empty for questions that were not answered.
        critique: What was said about the draft, or None.
        refined: The answer written anew; empty if there is none that could be used.
        kept: Which of the two `response` is.
        flag: Why there is no refined answer, such as `only_praise` or `preamble`; empty if there is one.
        judged: The better answer by a judge in both orders; None if it was not asked or did not say.
        length_ratio: Words of the refined answer over words of the draft, or None.
    """

    difficulty: Difficulty | None = None
    task: str = ""
    tag_path: tuple[str, ...] = ()
    language: str = ""
    source: Literal["tree", "trend"] | None = None
    draft: str = ""
    critique: Critique | None = None
    refined: str = ""
    kept: Literal["draft", "refined"] = "draft"
    flag: str = ""
    judged: Literal["draft", "refined", "tie"] | None = None
    length_ratio: float | None = None

    @model_validator(mode="after")
    def _response_is_kept(self) -> "CondorRow":
        if self.response != (self.refined if self.kept == "refined" else self.draft):
            raise ValueError(f"`response` must be the text of `{self.kept}`, which is kept")
        return self

    def void(self) -> "CondorRow":
        """The row as Condor Void has it: the draft is the response, and there is no critique."""
        bare: dict[str, Any] = {
            name: type(self).model_fields[name].default
            for name in ("critique", "refined", "kept", "flag", "judged", "length_ratio")
        }
        return self.model_copy(update={**bare, "response": self.draft})

    def to_preference(self) -> Preference | None:
        """Refined over draft, if the judge preferred the refined answer in both orders; else None."""
        if self.judged != "refined" or not (self.refined and self.draft):
            return None
        return Preference(
            prompt=(Message(role="user", content=self.instruction),),
            chosen=(Message(role="assistant", content=self.refined),),
            rejected=(Message(role="assistant", content=self.draft),),
        )
