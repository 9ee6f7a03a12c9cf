"""The forms in which an instruction and its input become one prompt (Self-Instruct, section 2.3).

The paper trains on several, so that the tuned model depends on none: 7 with an input and 6 without in the released
code. These are our own.
"""

import random
import re

__all__ = ["WITHOUT_INPUT", "WITH_INPUT", "encode", "strip_field_name"]

WITH_INPUT = (
    "{instruction}\n\n{input}",
    "{instruction}\n{input}",
    "{instruction}\n\nInput: {input}",
    "{instruction}\n\nInput:\n{input}\n\nOutput:",
    "{instruction}\n\n{input}\n\nAnswer:",
    "Task: {instruction}\n\n{input}",
    "Task: {instruction}\nInput: {input}\nOutput:",
)

WITHOUT_INPUT = (
    "{instruction}",
    "{instruction}\n\nOutput:",
    "{instruction}\n\nAnswer:",
    "Task: {instruction}",
    "Task: {instruction}\nOutput:",
    "Task: {instruction}\n\nAnswer:",
)

_FIELD = re.compile(r"^[ \t]*[A-Za-z]\w*(?: \w+){0,2}:(?=\s)", re.MULTILINE)
_BLANK_LINES = re.compile(r"\n\s*\n")


def encode(instruction: str, input: str) -> str:
    """One prompt of an instruction and its input, in a form drawn by the two alone, so that it never changes.

    Half of the inputs lose a lone field name at their start and their blank lines, as in the released code.

    Args:
        instruction: The task.
        input: What it is done on; blank for none.
    """
    rng = random.Random(f"{instruction}\n{input}")
    if not input.strip():
        return rng.choice(WITHOUT_INPUT).format(instruction=instruction)
    if rng.random() < 0.5:
        input = _BLANK_LINES.sub("\n", strip_field_name(input))
    return rng.choice(WITH_INPUT).format(instruction=instruction, input=input)


def strip_field_name(text: str) -> str:
    """The text without a field name such as `Sentence:` at its start, if it names no second field."""
    found = _FIELD.findall(text)
    first = _FIELD.match(text)
    if first is None or len(found) != 1 or not text[first.end() :].strip():
        return text
    return text[first.end() :].strip()
