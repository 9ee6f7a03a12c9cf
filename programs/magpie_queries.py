"""What Magpie does to sampled queries without an LM: find the user turn, sanitize, keep or drop."""

import re
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from synthwright.errors import ConfigError
from synthwright.filters import Filter, SpecialTokens
from synthwright.filters.duplicates import rouge_tokens
from synthwright.signatures.magpie import Difficulty, MagpieRow, Quality
from synthwright.signatures.rows import Message

__all__ = [
    "SENTINEL",
    "LevelAtLeast",
    "RewardAbove",
    "Safe",
    "SeekingShare",
    "UsableQuery",
    "sanitize",
    "split_at_user_turn",
    "stop_strings",
    "without_thinking",
]

SENTINEL = "SYNTHWRIGHT-USER-TURN"
"""Stands for the user's words while a chat template is rendered; templates leave plain ASCII as it is."""

_BOS = re.compile(r"\A\s*(?:<s>|<bos>|<\|(?:begin_of_text|startoftext|endoftext)\|>|<｜begin▁of▁sentence｜>)")
_MARKER = re.compile(r"<(?!/?think)[^<>\s]{2,40}>|\[/?[A-Z_]{2,20}\]")
_THINK = re.compile(r"</?think(?:ing)?>")


def split_at_user_turn(rendered: str) -> tuple[str, str]:
    """The text before and after the user's words in a rendered chat template that holds `SENTINEL` as those words.

    Raises:
        ConfigError: The template drops or repeats the user's words, or marks no user turn, as with a base model.
    """
    count = rendered.count(SENTINEL)
    if count != 1:
        raise ConfigError(
            f"The LM's chat template shows the user's words {count} times, Magpie needs them once: {rendered[:300]!r}. "
            "Give the text that stands before a user turn yourself, as `prefix`."
        )
    before, _, after = rendered.partition(SENTINEL)
    if not _BOS.sub("", before).strip():
        raise ConfigError(
            f"The LM's chat template has nothing that opens a user turn ({rendered[:300]!r}), as with a base model. "
            "Magpie reads queries out of an aligned (instruction-tuned) LM: use one, or give its header as `prefix`."
        )
    return before, after


def stop_strings(template: str) -> tuple[str, ...]:
    """The special tokens in a piece of chat template, or its first line if it has none (`ASSISTANT:`)."""
    found = tuple(dict.fromkeys(_MARKER.findall(template)))
    return found or tuple(template.strip().splitlines()[:1])


def without_thinking(text: str) -> str:
    """An answer without the thinking before it; empty if the thinking never ended."""
    answer = text.rpartition("</think>")[2].strip()
    return "" if answer.startswith("<think>") else answer


_LABELS = (
    "user(?: query| question| message)?|human|query|request|question|q|instructions?|prompt|task|problem|exercise"
    "|challenge|scenario|step|part"
)
_ANSWERS = "correct answer|the answer is|answers?|solution|explanation|response|assistant"
_RULES = (
    ("heading", re.compile(r"\A#{1,6}\s+"), ""),
    ("numbering", re.compile(r"\A\(?\d{1,3}[.)]\s+(?!.*^\(?\d{1,3}[.)]\s)", re.M | re.S), ""),  # but no list
    ("label", re.compile(rf"\A[#>*\s]*(?:{_LABELS})\s*(?:\d+\s*\**\s*[.:)]|\**\s*:)\**\s*", re.I), ""),
    ("answer", re.compile(rf"(?:\n|(?<=[?.!])\s)\s*[#>*\s]*(?:{_ANSWERS})\s*\**\s*:.*\Z", re.I | re.S), ""),
    ("bold", re.compile(r"(?<![\w*])\*\*([^\s*](?:[^*\n]*[^\s*])?)\*\*(?![\w*])"), r"\1"),
    ("quotes", re.compile(r"\A[\"“]([^\"“”]+)[\"”]\Z"), r"\1"),
)


def sanitize(query: str) -> tuple[str, tuple[str, ...]]:
    """Strip what is not the user's: leading labels and numbering, markdown, an answer that follows the query.

    Magpie cleans the queries of Gemma 2 and Llama 3 so (the authors' `str_utils.py`); the rules are ours.

    Returns:
        The query, and the names of the rules that changed it.
    """
    changed = []
    query = query.strip()
    for name, pattern, replacement in _RULES:
        shorter = pattern.sub(replacement, query).strip()
        if shorter != query:
            changed.append(name)
            query = shorter
    return query, tuple(changed)


_ASSISTANT = re.compile(
    r"\W*(?:(?:sure(?: thing)?|certainly|absolutely|of course)\b\s*[,.!:]"
    r"|as an? (?:\w+ )?(?:ai|assistant|language model)\b"
    r"|(?:i'm|i am) (?:just )?an? (?:\w+ )?(?:ai|assistant|language model)\b"
    r"|(?:i'd|i would|i'm|i am|i'll) (?:be )?(?:happy|glad|delighted) to (?:help|assist)"
    r"|(?:i'm sorry|i am sorry|i apologize)\b.{0,12}\bi (?:can't|cannot|can not|am unable to) (?:assist|help|provide)"
    r"|(?:hello|hi)\b.{0,40}\bhow (?:can|may) i (?:help|assist)"
    r"|how (?:can|may) i (?:help|assist) you"
    r"|here (?:is|are) (?:your|the answer|some (?:tips|steps|ideas|suggestions|ways|examples))\b"
    r"|(?:that's|that is|what) a (?:great|good|excellent) question)",
    re.I,
)
_LISTED = re.compile(r"\A\W*(\d{1,3})[.)]\s")


@dataclass(frozen=True)
class UsableQuery(Filter):
    """Drops rows in which a user turn is not what a user would send.

    It has no letters, opens like an assistant, holds a template's or thinking tokens as text, ends with a colon and
    nothing after it, or goes on with the answer before it. Ours: the paper leaves all but the colon to its quality tag.

    Args:
        copied: Share of a turn's four-word runs that stand in the answer before it, from which it counts as its
            continuation, in (0, 1].
    """

    copied: float = 0.5

    def check(self, row: MagpieRow) -> str | None:
        for index, message in enumerate(row.messages):
            if found := SpecialTokens(("content",)).check(message):
                return f"template_token:{found.partition(':')[2]}"
            if message.role == "user" and (reason := self._turn(message.content, row.messages[:index])):
                return f"{reason}: {message.content[:80]!r}"
        return None

    def _turn(self, text: str, before: tuple[Message, ...]) -> str | None:
        if not any(character.isalpha() for character in text):
            return "no_words"
        if _THINK.search(text):
            return "template_token"
        if _ASSISTANT.match(text.replace("’", "'")):
            return "assistant_voiced"
        if text.rstrip().endswith((":", "：")):
            return "ends_with_colon"
        if any(text == message.content for message in before):
            return "repeats_a_turn"
        return "continues_the_answer" if before and self._continues(text, before[-1].content) else None

    def _continues(self, text: str, answer: str) -> bool:
        listed = _LISTED.match(text)
        if listed and re.search(rf"^\W*{int(listed[1]) - 1}[.)]\s", answer, re.M):
            return True
        runs = _runs(text)
        return bool(runs) and len(runs & _runs(answer)) / len(runs) >= self.copied


def _runs(text: str) -> set[tuple[str, ...]]:
    words = rouge_tokens(text)
    return {tuple(words[i : i + 4]) for i in range(len(words) - 3)}


_LEVELS = {"difficulty": get_args(Difficulty), "quality": get_args(Quality)}


@dataclass(frozen=True)
class LevelAtLeast(Filter):
    """Drops rows whose tag lies below a level.

    Args:
        tag: `quality` or `difficulty`.
        least: The lowest level kept.
    """

    tag: Literal["quality", "difficulty"]
    least: str

    def __post_init__(self) -> None:
        if self.least not in _LEVELS[self.tag]:
            levels = ", ".join(map(repr, _LEVELS[self.tag]))
            raise ConfigError(f"`min_{self.tag}` must be one of {levels} or None, got {self.least!r}.")

    @property
    def name(self) -> str:
        return f"min_{self.tag}"

    def check(self, row: MagpieRow) -> str | None:
        levels, level = _LEVELS[self.tag], getattr(row, self.tag)
        if level is None:
            return "untagged"
        return level.replace(" ", "_") if levels.index(level) < levels.index(self.least) else None


@dataclass(frozen=True)
class Safe(Filter):
    """Drops rows that the `safety` callable called anything but `safe`."""

    def check(self, row: MagpieRow) -> str | None:
        return None if row.safety == "safe" else f"unsafe: {row.safety}"


@dataclass(frozen=True)
class RewardAbove(Filter):
    """Drops rows whose reward is not above a threshold, in the units of the reward model."""

    threshold: float = -10.0

    @property
    def name(self) -> str:
        return "min_reward"

    def check(self, row: MagpieRow) -> str | None:
        if row.reward is None:
            return "no_reward"
        return None if row.reward > self.threshold else f"low_reward: {row.reward:.2f}"


@dataclass
class SeekingShare(Filter):
    """Drops rows that seek information or advice where they would exceed their share of the dataset.

    Raw Magpie data holds too many of them; the authors cap them in their preference set.

    Args:
        most: Largest share, in (0, 1].
    """

    most: float
    _rows: int = field(default=0, init=False, repr=False)
    _seeking: int = field(default=0, init=False, repr=False)

    def _seeks(self, row: MagpieRow) -> bool:
        return row.category in ("information seeking", "advice seeking")

    def check(self, row: MagpieRow) -> str | None:
        allowed = max(1.0, self.most * (self._rows + 1))
        return f"too_many: {row.category}" if self._seeks(row) and self._seeking + 1 > allowed else None

    def add(self, row: Any) -> None:
        self._rows += 1
        self._seeking += self._seeks(row)
