"""What becomes of an item before it is a row: labels are taken off, and our checks by type of data.

The released code keeps the fixed prefixes that its prompts ask for, and replies that were cut; neither happens here.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import dspy

from synthwright.filters.words import ngrams, words
from synthwright.programs.persona_hub_personas import repeats, stutter
from synthwright.signatures.persona_hub import DataType, PersonaRow

__all__ = ["ITEM_CHECKS", "clean_item", "item_fields", "item_problem", "repeats_example"]

FEWEST_WORDS = {"math": 8, "logic": 8, "instruction": 4, "knowledge": 40, "npc": 8, "tool": 3}
"""Words of an item of each type, at least. Ours."""

MOST_QUESTIONS = 2
"""Questions of one maths problem, as in the released prompt."""

QUOTED = 7
"""Words in a row that an item may not share with its persona. Ours."""

_LABEL = re.compile(
    r"^\W*(?:(?:hard|new|challenging)\s+)?(?:math(?:ematic)?s?\s+problem|problem|logic(?:al)?\s+(?:puzzle|problem)"
    r"|puzzle|riddle|user\s+prompt|prompt|title|article|name|character(?:\s+name)?|background|interaction|instruction"
    r"|question)\s*+(?:\d+\s*+)?[^\w:\uff1a]*+[:\uff1a]\W*(?=\w|[\"'(\[$\\])",
    re.IGNORECASE,
)
_ASKS = re.compile(
    r"\?|\b(?:find|compute|calculate|determine|solve|prove|show that|evaluate|express|estimate|name|say|tell) \w",
    re.IGNORECASE,
)
_ANSWER = re.compile(
    r"(?:^|(?<!\n)\n|[.?!]\s)\W*+(?:solution|answer|final answer|explanation|hint)\W*[:\uff1a]|\\boxed"
    r"|\bthe (?:final )?answer is\b",
    re.IGNORECASE,
)
_CONCLUDES = re.compile(r"\b(?:so|therefore|thus|hence),? (?:the|there|he|she|it|they)\b", re.IGNORECASE)
_STATES = re.compile(r"\b(?:is|are|must be|needs?)\b", re.IGNORECASE)
_PART = re.compile(r"(?:^|\s)\(?(?:[a-d]|[1-4]|i{1,3})[).]\s", re.MULTILINE)
_SAYS_WHO = re.compile(
    r"^\W*(?:as (?:an?|the)\b|(?:(?:hi|hello|hey|dear)\W*)?(?:I am|I'm|my name is|you are) (?:an?|the)\b)",
    re.IGNORECASE,
)
_NUMBER = re.compile(
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozen|twenty|thirty|forty|fifty|hundred"
    r"|thousand|half|third|quarter|twice|double|triple)\b|[\u03c0\u221a\u222b\u2211]|\\(?:frac|sqrt|int|sum)",
    re.IGNORECASE,
)


def clean_item(text: str) -> str:
    """A field without the labels before it, however often one stands there, and without the quotes around it."""
    text = text.strip()
    while (shorter := _LABEL.sub("", text, count=1).strip()) != text:
        text = shorter
    if len(text) > 1 and text[0] + text[-1] in ('""', "\u201c\u201d", "''") and text.count(text[0]) <= 2:
        text = text[1:-1].strip()
    return text


def item_problem(row: PersonaRow, checks: Iterable[str]) -> str | None:
    """The first fault of an item, as `reason` or `reason: detail`; None if it has none.

    Args:
        row: The row, not answered yet.
        checks: Names of checks, see `ITEM_CHECKS`.
    """
    for name in checks:
        if (found := ITEM_CHECKS[name](row)) is not None:
            return f"{name}: {found}" if found else name
    return None


def too_short(row: PersonaRow) -> str | None:
    """Fewer words than an item of its type can have."""
    size = len(words(row.text))
    return f"{size} words" if size < FEWEST_WORDS[row.data_type] else None


def asks_nothing(row: PersonaRow) -> str | None:
    """A problem or puzzle that ends without having asked."""
    return "" if row.data_type in ("math", "logic") and not _ASKS.search(row.text) else None


def without_numbers(row: PersonaRow) -> str | None:
    """A maths problem in which nothing can be reckoned."""
    return "" if row.data_type == "math" and not _NUMBER.search(row.text) else None


def too_many_questions(row: PersonaRow) -> str | None:
    """A maths problem with more than two questions."""
    if row.data_type != "math":
        return None
    count = max(row.text.count("?"), len(_PART.findall(row.text)))
    return f"{count} questions" if count > MOST_QUESTIONS else None


def gives_the_answer(row: PersonaRow) -> str | None:
    """A problem or puzzle that is solved in its own text."""
    if row.data_type not in ("math", "logic"):
        return None
    found = _ANSWER.search(row.text)
    ends = _conclusion(row.text)
    said = row.text[ends:] if ends is not None and (found is None or ends < found.start()) else found and found.group()
    return repr(" ".join(said.split())[:80]) if said else None


def _conclusion(text: str) -> int | None:
    """Where a conclusion begins that is drawn after the last question, such as "so there are 5"; None if none is."""
    found = _CONCLUDES.search(text, text.rfind("?") + 1)
    return found.start() if found and _STATES.search(text, found.end()) else None


def quotes_the_persona(row: PersonaRow) -> str | None:
    """An item that begins by saying who speaks ("As a nurse, ..."), or that repeats its persona word for word.

    A character may: it is the persona.
    """
    if row.data_type == "npc" or not row.persona:
        return None
    if row.data_type != "tool" and (found := _SAYS_WHO.search(row.text)):
        return repr(found.group().strip())
    said = set(ngrams(words(row.text), QUOTED))
    shared = next((gram for gram in ngrams(words(row.persona), QUOTED) if gram in said), None)
    return repr(" ".join(shared)) if shared else None


def without_title(row: PersonaRow) -> str | None:
    """An article without a title, a character without a name, or either with a sentence in its place."""
    if row.data_type not in ("knowledge", "npc"):
        return None
    most = 20 if row.data_type == "knowledge" else 8
    size = len(row.title.split())
    return f"{size} words" if not 1 <= size <= most else None


def without_interaction(row: PersonaRow) -> str | None:
    """A character of which players learn nothing."""
    return "" if row.data_type == "npc" and len(words(row.interaction)) < 4 else None


def stutters(row: PersonaRow) -> str | None:
    """An item that says the same over and over, as weak LMs do; `Repetition` looks at longer texts only."""
    return stutter(row.text)


def idle_tool(row: PersonaRow) -> str | None:
    """A tool that takes nothing and gives nothing back."""
    tool = row.tool
    return "" if tool is not None and not tool.parameters and not tool.returns.strip() else None


ITEM_CHECKS: Mapping[str, Callable[[PersonaRow], str | None]] = {
    check.__name__: check
    for check in (
        too_short,
        asks_nothing,
        without_numbers,
        too_many_questions,
        gives_the_answer,
        quotes_the_persona,
        without_title,
        without_interaction,
        stutters,
        idle_tool,
    )
}
"""Our checks of an item by name; each looks at the types that it is about."""


def item_fields(data_type: DataType, reply: dspy.Prediction) -> dict[str, Any]:
    """The fields of a row that a reply gives."""
    if data_type == "knowledge":
        return {"text": clean_item(reply.article), "title": clean_item(reply.title)}
    if data_type == "npc":
        names = {"text": reply.background, "title": reply.name, "interaction": reply.interaction}
        return {name: clean_item(text) for name, text in names.items()}
    if data_type == "tool":
        return {"text": reply.tool.description.strip(), "title": reply.tool.name.strip(), "tool": reply.tool}
    return {"text": clean_item(reply[{"math": "problem", "logic": "puzzle", "instruction": "prompt"}[data_type]])}


def repeats_example(text: str, demos: Sequence[Any]) -> str | None:
    """An answer that is the one of a worked example that the LM was shown: weak LMs copy."""
    values = [value for demo in demos for name, value in demo.items() if name != "text"]
    shown = (value.get("description", "") if isinstance(value, Mapping) else value for value in values)
    long = (value for value in shown if isinstance(value, str) and len(value.split()) > 3)
    found = next((value for value in long if repeats(text, value)), None)
    return f"repeats_example: {found[:80]!r}" if found else None
