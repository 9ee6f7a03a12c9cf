"""What Magpie does to sampled queries without an LM: sanitize them, and tell those that a user would not send."""

import re
from dataclasses import dataclass

from synthwright.filters import Filter, SpecialTokens
from synthwright.filters.duplicates import rouge_tokens
from synthwright.filters.words import ngrams
from synthwright.signatures.magpie import MagpieRow
from synthwright.signatures.rows import Message

__all__ = ["UsableQuery", "sanitize"]

_THINK = re.compile(r"</?think(?:ing)?>")

_LABELS = (
    "user(?: query| question| message)?|human|query|request|question|q|instructions?|prompt|task|problem|exercise"
    "|challenge|scenario|step|part"
)
_ANSWERS = "correct answer|the answer is|answers?|solution|explanation|response|assistant"
# `*+` gives nothing back, so that a query of thousands of blank lines takes no longer than another
_RULES = (
    ("heading", re.compile(r"\A#{1,6}\s+"), ""),
    ("numbering", re.compile(r"\A\(?\d{1,3}[.)]\s++(?!.*^\(?\d{1,3}[.)]\s)", re.M | re.S), ""),  # but no list
    ("label", re.compile(rf"\A[#>*\s]*(?:{_LABELS})\s*+(?:\d+\s*+\**+\s*+[.:)]|\**+\s*+:)\**\s*", re.I), ""),
    ("answer", re.compile(rf"(?:(?<!\n)\n|(?<=[?.!])\s)[#>*\s]*+(?:{_ANSWERS})\s*+\**+\s*+:.*\Z", re.I | re.S), ""),
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
    return set(ngrams(rouge_tokens(text), 4))
