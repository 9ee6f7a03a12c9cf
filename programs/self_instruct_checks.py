"""What Self-Instruct drops by rule: instructions by their text, instances by theirs. No LM is asked.

Source: section 2.2 of the paper and its released code, `bootstrap_instructions.py` and `prepare_for_finetuning.py`;
`CHECKS` are ours.
"""

import json
import random
import re
import string
from collections.abc import Iterable, Sequence

from synthwright.programs.evol_instruct_checks import asks
from synthwright.signatures.self_instruct import MAX_INSTANCES, LabelledInput, TaskInstance

__all__ = [
    "BLACKLIST",
    "CHECKS",
    "Dropped",
    "asks_nothing",
    "complete_objects",
    "complete_texts",
    "filter_instances",
    "instruction_failure",
    "label_failure",
    "only_label",
    "says_yes",
    "split_proposals",
    "tidy_input",
]

BLACKLIST = (
    *"image images graph graphs picture pictures file files map maps draw plot".split(),
    "go to",
)
"""Words and phrases that an instruction must not hold: a language model cannot do what they ask."""

CHECKS = ("asks_nothing", "echo", "placeholder", "copied_example", "label_not_listed", "label_not_named", "one_label")
"""Names of our own checks; see `asks_nothing`, `filter_instances`, `label_failure` and `only_label`."""

Dropped = tuple[TaskInstance, str, str]
"""An instance, the reason why it is dropped, and a detail."""

_NUMBER = re.compile(r"^\s*(?:(?:task|instruction)\s+)?(?:\(?\d{1,3}\s*[.):](?=\s)|[-*\u2022](?=\s))\s*", re.IGNORECASE)
_NO_INPUT = re.compile(
    r"[<\[(]?\s*(?:no[ _]?input|none|n/?a|nil|null|empty|not applicable)\s*[>\])]?\.?", re.IGNORECASE
)
_PLACEHOLDER = re.compile(
    r"<[a-z][a-z_ ]*>|\[(?:your|insert|add|the|an?|input|output|answer|name|text)\b[^\]]*\]|\.\.\.|lorem ipsum\b.*",
    re.IGNORECASE | re.DOTALL,
)


_STATEMENT = frozenset(  # words that open an English sentence and hardly ever a request
    "a an all and as at but he her his i in it its many most my no one our people she some that the their there these "
    "they this those we you your".split()
)


def asks_nothing(instruction: str) -> bool:
    """Whether an English text opens like a statement, and holds no question and no clause with a verb of a request."""
    return instruction.partition(" ")[0].casefold() in _STATEMENT and not asks(instruction)


def split_proposals(texts: Iterable[str]) -> list[str]:
    """Proposed instructions as clean single lines: numbers at their start go, and white space is collapsed.

    A text whose lines all bear a number is a list that came as one text. Case is left alone: the released code
    lower-cases all but the first letter, which destroys names and acronyms.
    """
    found = []
    for text in texts:
        lines = [line for line in text.splitlines() if line.strip()]
        numbered = len(lines) > 1 and all(_NUMBER.match(line) for line in lines)
        found += [" ".join(_NUMBER.sub("", part, count=1).split()) for part in (lines if numbered else [text])]
    return found


def instruction_failure(
    instruction: str,
    *,
    min_words: int,
    max_words: int,
    blacklist: Sequence[str],
    banned_openings: Sequence[str],
    ascii_first: bool,
) -> tuple[str, str] | None:
    """(reason, detail) of the first rule that a clean instruction breaks, in the order of the released code.

    Args:
        instruction: One line.
        min_words: Fewest words kept.
        max_words: Most words kept.
        blacklist: Words and phrases, matched whole and in any case.
        banned_openings: Openings, in any case.
        ascii_first: Whether the first character must be ASCII; it must never be punctuation.
    """
    if not instruction:
        return "empty", ""
    count = len(instruction.split())
    if count < min_words:
        return "too_short", f"{count} words"
    if count > max_words:
        return "too_long", f"{count} words"
    folded = instruction.casefold()
    for phrase in blacklist:
        if re.search(rf"\b{re.escape(phrase.casefold())}\b", folded):
            return "blacklist", repr(phrase)
    for opening in banned_openings:
        if re.match(rf"{re.escape(opening.casefold())}\b", folded):
            return "banned_opening", repr(opening)
    first = instruction[0]
    if first in string.punctuation or not (first.isalnum() or ascii_first):
        return "odd_first_character", repr(first)
    if ascii_first and not first.isascii():
        return "odd_first_character", repr(first)
    return None


def tidy_input(instruction: str, input: str) -> str:
    """The input, or nothing if it says that there is none, or is some words that stand in the instruction as well."""
    text = input.strip()
    if not text or _NO_INPUT.fullmatch(text):
        return ""
    repeated = " " in text and _folded(text).rstrip(".") in _folded(instruction)
    return "" if repeated else text


def filter_instances(
    instruction: str,
    instances: Sequence[TaskInstance],
    checks: Sequence[str] = (),
    key: str = "",
    examples: Sequence[TaskInstance] = (),
) -> tuple[list[TaskInstance], list[Dropped]]:
    """The instances of one task that may be kept, and the others with their reasons.

    In order: output empty, input equal to output, input or output ends with a colon; our checks `echo` (the output
    is the instruction), `placeholder` and `copied_example`, if named; exact copies; one non-empty input with different
    outputs drops the whole task; at most five, drawn at random.

    Args:
        instruction: The task.
        instances: Its instances with texts stripped.
        checks: Which of our `CHECKS` to apply.
        key: What the draw depends on.
        examples: Instances that the LM was shown.
    """
    kept: list[TaskInstance] = []
    dropped: list[Dropped] = []
    for instance in instances:
        failure = _instance_failure(instruction, instance, checks)
        if not failure and "copied_example" in checks and _copies(instance, examples):
            failure = "copied_example", ""
        if failure:
            dropped.append((instance, failure[0], failure[1]))
        elif instance in kept:
            dropped.append((instance, "repeated_instance", ""))
        else:
            kept.append(instance)
    outputs: dict[str, str] = {}
    for instance in kept:
        if instance.input and outputs.setdefault(instance.input, instance.output) != instance.output:
            return [], dropped + [(each, "conflicting_outputs", f"input {instance.input[:80]!r}") for each in kept]
    if len(kept) > MAX_INSTANCES:
        chosen = set(random.Random(key).sample(range(len(kept)), MAX_INSTANCES))
        dropped += [(each, "too_many_instances", "") for i, each in enumerate(kept) if i not in chosen]
        kept = [each for i, each in enumerate(kept) if i in chosen]
    return kept, dropped


def label_failure(
    instruction: str, class_labels: Sequence[str], label: str, checks: Sequence[str]
) -> tuple[str, str] | None:
    """(reason, detail) if a label may not stand: it is not in the list, or the instruction names others; else None."""
    listed = {_label(each) for each in class_labels}
    if "label_not_listed" in checks and listed and _label(label) not in listed:
        return "label_not_listed", f"{label[:40]!r}, listed: {', '.join(class_labels)[:120]}"
    named = {each for each in listed if re.search(rf"(?<!\w){re.escape(each)}(?!\w)", instruction.casefold())}
    if "label_not_named" in checks and len(named) > 1 and _label(label) not in named:
        return "label_not_named", f"{label[:40]!r}, the instruction names: {', '.join(sorted(named))[:120]}"
    return None


def only_label(class_labels: Sequence[str], instances: Sequence[LabelledInput]) -> str | None:
    """The one label of a classification that has no other, listed or used; None if there are several or none."""
    found = {_label(each) for each in (*class_labels, *(instance.class_label for instance in instances))} - {""}
    return found.pop() if len(found) == 1 else None


def says_yes(reply: str) -> bool:
    """Whether a reply that is no typed verdict still says yes and not no, such as "Yes." with its full stop.

    The released code takes only "Yes", "yes" and "YES" for a yes, so that a full stop makes another task of it.
    """
    found = set(re.findall(r"\b(?:yes|true|no|false)\b", reply.casefold()))
    return bool(found) and found <= {"yes", "true"}


def complete_objects(text: str) -> list[dict[str, str]]:
    """The complete JSON objects at the start of the first list of objects in a cut reply.

    JSON repair would close the last one in the middle of a sentence; here it is left out.
    """
    start = re.search(r"\[\s*(?=\{)", text)
    decoder, found, position = json.JSONDecoder(), [], start.end() if start else len(text)
    while position < len(text) and text[position] == "{":
        try:
            value, position = decoder.raw_decode(text, position)
        except (ValueError, RecursionError):
            break
        found.append(value)
        position += len(text[position:]) - len(text[position:].lstrip(", \t\r\n"))
    return found


def complete_texts(text: str) -> tuple[str, ...]:
    """The first list in a cut reply if it is whole and holds texts only, such as the labels; else nothing."""
    try:
        value, _ = json.JSONDecoder().raw_decode(text, text.index("["))
    except (ValueError, RecursionError):
        return ()
    return tuple(value) if all(isinstance(each, str) for each in value) else ()


def _instance_failure(instruction: str, instance: TaskInstance, checks: Sequence[str]) -> tuple[str, str] | None:
    input, output = instance.input, instance.output
    if not output:
        return "empty_output", ""
    if input == output:
        return "input_is_output", ""
    if input.endswith(":") or output.endswith(":"):
        return "ends_with_colon", "output" if output.endswith(":") else "input"
    if "echo" in checks and _folded(output) == _folded(instruction):
        return "echo", ""
    if "placeholder" in checks:
        for name, text in (("input", input), ("output", output)):
            if _PLACEHOLDER.fullmatch(text):
                return "placeholder", f"{name} {text[:60]!r}"
    return None


def _copies(instance: TaskInstance, examples: Sequence[TaskInstance]) -> bool:
    """Whether an instance is one that was shown, or has the output of one if that is more than a label."""
    input, output = _label(instance.input), _label(instance.output)
    long = len(output.split()) > 3
    return any(output == _label(shown.output) and (long or input == _label(shown.input)) for shown in examples)


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def _label(text: str) -> str:
    return _folded(text).strip(" .\"'")
