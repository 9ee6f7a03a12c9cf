"""Signatures and rows of Evol-Instruct (WizardLM; Xu et al., 2024, arXiv:2304.12244, section 3 and appendices A-G).

Five operators evolve in depth and one in breadth, each with a prompt of its own, so that an optimizer can tune each.
The paper's appendix G is the judge of equality; the ten-point rating is its analysis of difficulty.
"""

from typing import Literal, get_args

import dspy

from synthwright.signatures.rows import InstructionRow

__all__ = [
    "DATA_FORMATS",
    "OPERATORS",
    "AddConstraints",
    "AddReasoning",
    "AnswerInstruction",
    "Broaden",
    "ComplicateInput",
    "Concretize",
    "DataFormat",
    "Deepen",
    "EvolvedRow",
    "JudgeEquality",
    "Operator",
    "RateDifficulty",
]

Operator = Literal["add_constraints", "deepen", "concretize", "add_reasoning", "complicate_input", "broaden"]
"""Five operators that evolve in depth, and `broaden`, which evolves in breadth."""

OPERATORS: tuple[Operator, ...] = get_args(Operator)

DataFormat = Literal["SQL", "Python", "HTML", "shell", "JSON", "XML"]
"""What `complicate_input` attaches; one worked example of each stands in `programs/data`."""

DATA_FORMATS: tuple[DataFormat, ...] = get_args(DataFormat)


class AddConstraints(dspy.Signature):
    """Rewrite the instruction so that it sets one more requirement, such as a limit or a condition.

    Keep everything it asks, with its tables, code and data. Add 10 to 20 words; a person must still be able to answer
    it. Write only the new instruction: no answer, and no word about rewriting.
    """

    instruction: str = dspy.InputField()
    evolved_instruction: str = dspy.OutputField()


class Deepen(dspy.Signature):
    """Rewrite the instruction so that it asks deeper and wider about its subject: causes, effects, overlooked cases.

    Keep its subject, with its tables, code and data. Add 10 to 20 words; a person must still be able to answer it.
    Write only the new instruction: no answer, and no word about rewriting.
    """

    instruction: str = dspy.InputField()
    evolved_instruction: str = dspy.OutputField()


class Concretize(dspy.Signature):
    """Rewrite the instruction with specific things that really exist in place of general ones.

    Keep its task, with its tables, code and data. Add 10 to 20 words; a person must still be able to answer it. Write
    only the new instruction: no answer, and no word about rewriting.
    """

    instruction: str = dspy.InputField()
    evolved_instruction: str = dspy.OutputField()


class AddReasoning(dspy.Signature):
    """Rewrite the instruction so that one quick thought cannot answer it: ask for several steps of reasoning.

    Keep its subject, with its tables, code and data. Add 10 to 20 words; a person must still be able to answer it.
    Write only the new instruction: no answer, and no word about rewriting.
    """

    instruction: str = dspy.InputField()
    evolved_instruction: str = dspy.OutputField()


class ComplicateInput(dspy.Signature):
    """Rewrite the instruction as a question about a short piece of data, and put the data after it in a fenced block.

    The data is in the given format and is what the answer needs. Keep the subject, with the data that is there. Add
    10 to 20 words beside the data. Write only the new instruction: no answer, and no word about rewriting.
    """

    instruction: str = dspy.InputField()
    data_format: DataFormat = dspy.InputField()
    evolved_instruction: str = dspy.OutputField()


class Broaden(dspy.Signature):
    """Write a new instruction from the same field as the given one, about something that is asked more rarely.

    It is about as long and as difficult, and a person can answer it. Write only the new instruction: no answer, and
    no word about the given one.
    """

    instruction: str = dspy.InputField()
    evolved_instruction: str = dspy.OutputField()


class AnswerInstruction(dspy.Signature):
    """Answer the instruction fully and correctly."""

    instruction: str = dspy.InputField()
    response: str = dspy.OutputField()


class JudgeEquality(dspy.Signature):
    """Compare two instructions. They are equal if both set the same requirements and ask with equal depth and breadth.

    If the second demands anything that the first does not, or goes deeper or wider, they are not equal.
    """

    first_instruction: str = dspy.InputField()
    second_instruction: str = dspy.InputField()
    equal: bool = dspy.OutputField()


class RateDifficulty(dspy.Signature):
    """Rate how difficult and complex the instruction is, from 1 (a child could do it) to 10 (only an expert can)."""

    instruction: str = dspy.InputField()
    difficulty: Literal[1, 2, 3, 4, 5, 6, 7, 8, 9, 10] = dspy.OutputField()


class EvolvedRow(InstructionRow):
    """An evolved instruction with its response and its lineage.

    `parent_ids` holds the id of the row that it was evolved from, and is empty if that was the root.

    Attributes:
        operator: What was done to the parent.
        round: Round of evolution in which it was made, from 1.
        root_id: Hash of the root instruction: equal for a whole lineage, so that it can be kept in one split.
        parent: The instruction that it was evolved from.
        judged: True if the judge compared it with its parent and found it to be more; False if there was no judge or
            its reply could not be read.
        difficulty: The judge's rating from 1 to 10, or None if it was not asked for or could not be read.
        parent_difficulty: The same of the parent, which for the first round is the root.
    """

    operator: Operator
    round: int
    root_id: str
    parent: str
    judged: bool
    difficulty: int | None = None
    parent_difficulty: int | None = None
