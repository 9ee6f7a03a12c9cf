"""Metrics of Persona Hub: personas that are particular and grounded, items that only this persona brings about.

No LM is called. What a seed asks for decides how its draws are scored; weights and limits are ours.
"""

import random
import re
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import dspy

from synthwright.filters.duplicates import rouge_l, rouge_tokens
from synthwright.filters.minhash import jaccard
from synthwright.optimizers.metrics.blocks import STOP_WORDS, capped, distinct, words
from synthwright.programs.base import read_jsonl
from synthwright.runs.demonstrations import shipped
from synthwright.signatures.persona_hub import Persona, PersonaRow

__all__ = ["HELD_OUT", "METRIC", "particular", "recognisable", "vague_words"]

LINES = 6
SPREAD = 0.2
"""Share of the score that hangs on the draws of one seed being different from each other."""

GROUNDED = 0.25
"""Share of the content words of a persona (of an item: of its persona) that must occur in the other for full marks."""

PARTICULAR = 7
"""Content words of a persona for full marks."""

COPIED = 0.7
"""ROUGE-L with a worked example from which a draw is a copy of it and scores 0."""

VAGUE = frozenset(
    "person people individual someone somebody anyone man woman passionate dedicated experienced enthusiastic avid "
    "various different many several diverse general certain interested interest interests love loves enjoy enjoys "
    "things thing stuff something topic topics subject field aspects importance important significance world life "
    "knowledge knowledgeable skills understanding professional expert enthusiast lover".split()
)
"""Words that fit any persona."""

FULL = {"math": 30, "logic": 30, "instruction": 22, "knowledge": 110, "npc": 45, "tool": 3}
"""Words (numbers for maths in addition, parameters for tools) of an item that is hard or rich enough for full marks."""

_NUMBER = re.compile(r"\d+(?:[.,]\d+)?")


def particular(example, pred, trace=None, pred_name=None, pred_trace=None) -> dspy.Prediction:
    """Mean over the draws of a seed; lost ones and copies of a worked example score 0.

    A persona of a text: specificity (content words, less the vague ones) times groundedness (words shared with the
    text). A related persona: specificity, times novelty to its parent and to the other draws, times whether both have
    a word in common. An item: a third each for passing all checks, for words of the persona in it, and for how much it
    asks or holds. Draws that repeat each other cost up to 20 %. Feedback quotes vague words and what was lost.
    """
    lost = [_complaint(reject) for reject in pred.get("rejected") or []]
    made = [each for each in pred.get("artifacts") or [] if isinstance(each, Persona)]
    texts = [each.persona for each in made] + [_whole(row) for row in pred.rows]
    if not texts:
        return dspy.Prediction(score=0.0, feedback="\n".join(lost[:LINES]) or "Nothing came back.")
    scores: list[float] = []
    feedback = list(lost)
    for index, persona in enumerate(made):
        others = texts[:index] + texts[index + 1 :]
        score, remark = _persona_score(persona, example, others)
        scores.append(score)
        feedback += [remark] if remark else []
    for row in pred.rows:
        score, remark = _item_score(row)
        scores.append(score)
        feedback += [remark] if remark else []
    for place, text in enumerate(texts):
        if _copies_example(text):
            scores[place] = 0.0
            feedback.append(f"This copies a worked example: {text[:100]!r}")
    mean = sum(scores) / (len(scores) + len(lost))
    spread = distinct(texts)
    if len(texts) > 1 and spread < 0.4:
        feedback.append(f"The draws repeat each other, such as {texts[0][:100]!r}.")
    total = mean * (1 - SPREAD + SPREAD * spread)
    return dspy.Prediction(score=capped(total), feedback="\n".join(feedback[:LINES]) or "All are particular.")


def recognisable(example, pred, trace=None, pred_name=None, pred_trace=None) -> dspy.Prediction:
    """Share of the draws that show which of four texts or personas they come from; lost ones and repeats count 0.

    The three others are drawn from the shipped seeds of the same kind. A source is recognised by the words that it
    shares with what was made of it, rare ones counting more; ties share the point.
    """
    source = getattr(example, "text", "") or getattr(example, "persona", "")
    sources = [source, *_others(source, bool(getattr(example, "text", "")))]
    made = [each.persona for each in pred.get("artifacts") or [] if isinstance(each, Persona)]
    made += [_whole(row) for row in pred.rows]
    lost = len(pred.get("rejected") or [])
    score, seen, feedback = 0.0, set[str](), []
    for text in made:
        key = " ".join(words(text))
        weights = _shared(text, sources)
        best = max(weights)
        if key in seen or best == 0 or weights[0] < best:
            feedback.append(f"Does not show that it comes from {source[:60]!r}: {text[:100]!r}")
        else:
            score += 1 / weights.count(best)
        seen.add(key)
    total = score / (len(made) + lost) if made else 0.0
    return dspy.Prediction(
        score=capped(total), feedback="\n".join(feedback[:LINES]) or "All show where they come from."
    )


def vague_words(text: str) -> list[str]:
    """The words of a text that would fit any persona, in order."""
    return [word for word in words(text) if word in VAGUE]


def specificity(persona: str) -> float:
    """Content words of a persona against the number that full marks need, less its vague words, in [0, 1]."""
    said = set(words(persona)) - STOP_WORDS - VAGUE
    return max(0.0, min(1.0, len(said) / PARTICULAR) - 0.1 * len(set(vague_words(persona))))


def _persona_score(persona: Persona, example: Any, others: Sequence[str]) -> tuple[float, str]:
    score, remarks = specificity(persona.persona), []
    if vague := vague_words(persona.persona):
        remarks.append(f"vague: {', '.join(dict.fromkeys(vague))}")
    if persona.origin == "text":
        shared = _share(persona.persona, getattr(example, "text", ""))
        score *= min(1.0, shared / GROUNDED)
        if shared < GROUNDED:
            remarks.append("nothing of the text in it" if not shared else "little of the text in it")
    else:
        parent = getattr(example, "persona", "")
        near = max((_likeness(persona.persona, other) for other in [parent, *others] if other), default=0.0)
        related = _share(persona.persona, parent) > 0
        score *= (1 - near) * (1.0 if related else 0.6)
        if near > 0.5:
            remarks.append("much like its parent or another draw")
        if not related:
            remarks.append("no sign of the relation")
    return score, f"{'; '.join(remarks)}: {persona.persona[:120]!r}" if remarks else ""


def _item_score(row: PersonaRow) -> tuple[float, str]:
    text = _whole(row)
    adherence = min(1.0, _share(row.persona, text) / GROUNDED) if row.persona else 1.0
    rich = _richness(row)
    remarks = []
    if adherence < 1:
        remarks.append(f"little of the persona {row.persona[:60]!r} in it")
    if rich < 0.6:
        remarks.append("too simple" if row.data_type in ("math", "logic") else "too thin")
    return (1 + adherence + rich) / 3, f"{row.data_type}: {'; '.join(remarks)}: {text[:100]!r}" if remarks else ""


def _richness(row: PersonaRow) -> float:
    """How much a problem asks for, or an item holds, in [0, 1]."""
    if row.tool is not None:
        return min(1.0, len(row.tool.parameters) / FULL["tool"])
    size = min(1.0, len(set(words(_whole(row)))) / (0.7 * FULL[row.data_type]))
    if row.data_type != "math":
        return size
    return 0.5 * size + 0.5 * min(1.0, len(set(_NUMBER.findall(row.text))) / 3)


def _whole(row: PersonaRow) -> str:
    return " ".join(part for part in (row.title, row.text, row.interaction) if part)


def _complaint(reject: Any) -> str:
    content = reject.content
    about = next((str(content[name]) for name in ("persona", "text", "reply") if content.get(name)), "")
    return f"Lost ({reject.stage}, {reject.reason}): {reject.detail[:80]} {about[:100]!r}"


def _stems(text: str) -> set[str]:
    """Content words cut to five letters, so that `baker` and `bakes` are one."""
    return {word[:5] for word in set(words(text)) - STOP_WORDS if len(word) > 2}


def _share(text: str, other: str) -> float:
    """Share of the stems of a text that occur in the other."""
    stems = _stems(text)
    return len(stems & _stems(other)) / len(stems) if stems else 0.0


def _likeness(text: str, other: str) -> float:
    return jaccard(frozenset(_stems(text)), frozenset(_stems(other)))


def _shared(text: str, sources: Sequence[str]) -> list[float]:
    """For each source the stems that it shares with the text, each weighed by how few sources have it."""
    stems = [_stems(source) for source in sources]
    said = _stems(text)
    return [sum(1 / sum(stem in other for other in stems) for stem in sorted(own & said)) for own in stems]


def _copies_example(text: str) -> bool:
    tokens = rouge_tokens(text)
    return any(rouge_l(tokens, other) >= COPIED for other in _worked())


@cache
def _worked() -> tuple[list[str], ...]:
    """What the shipped demonstrations answer, as tokens."""
    fields = ("persona", "related_persona", "problem", "puzzle", "prompt", "article", "background")
    found: list[str] = []
    for name, demos in shipped("persona_hub").items():
        if name == "describe" or name == "relate" or name.startswith("write_"):
            wanted = fields if name == "describe" else fields[1:]
            found += [demo[field] for demo in demos for field in wanted if field in demo]
    return tuple(rouge_tokens(text) for text in found)


def _others(source: str, texts: bool) -> list[str]:
    """Three other sources of the same kind, drawn by the source."""
    return random.Random(source).sample([each for each in _sources(texts) if each != source], 3)


@cache
def _sources(texts: bool) -> tuple[str, ...]:
    path = Path(__file__).parents[1] / "data" / "persona_hub.jsonl"
    name = "text" if texts else "persona"
    return tuple(_unique(record["inputs"][name] for record in read_jsonl(path) if name in record["inputs"]))


def _unique(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))


METRIC = particular
HELD_OUT = recognisable
