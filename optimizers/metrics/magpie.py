"""Metrics of Magpie: do its tags agree with a person's labels, and would a user send its queries?

The tags are what a prompt can improve: sampling the queries has none. A seed carries `expected`, the levels and the
category that a careful person gave its query.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import get_args

import dspy

from synthwright.optimizers.metrics.blocks import balanced_accuracy, capped, content_words, distinct, overlap
from synthwright.programs.magpie_queries import UsableQuery
from synthwright.runs.demonstrations import shipped
from synthwright.signatures.magpie import Difficulty, MagpieRow, Quality

__all__ = [
    "HELD_OUT",
    "METRIC",
    "exact_tags",
    "on_domain",
    "tag_accuracy",
    "tag_agreement",
    "usable_queries",
    "weighted_kappa",
]

WEIGHTS = {"difficulty": 0.3, "quality": 0.3, "category": 0.25, "notes": 0.15}
"""Shares of the score. The levels decide what filters drop; the notes keep a tagger from guessing without reading."""

_LEVELS = {"difficulty": get_args(Difficulty), "quality": get_args(Quality)}
_NEAR = 0.5  # credit for the level next to the label, and for the label among the other categories


def tag_agreement(example, pred, trace=None, pred_name=None, pred_trace=None) -> dspy.Prediction:
    """Agreement of the tags with `example.expected`, with half the credit for the next level, and notes on the query.

    A reply that could not be read counts as no agreement.
    """
    made = len(pred.rows) + len(pred.rejected)
    if not made:
        return dspy.Prediction(score=0.0, feedback="Nothing came back.")
    problems = Counter(f"{r.stage}: {r.reason}, the query has no tags" for r in pred.rejected)
    total = 0.0
    for row in pred.rows:
        credits, notes = _judged(row, example.expected)
        total += sum(WEIGHTS[name] * credit for name, credit in credits.items())
        problems.update(notes)
    feedback = [f"Query: {example.instruction[:200]!r}", *(problem for problem, _ in problems.most_common(5))]
    return dspy.Prediction(
        score=capped(total / made),
        feedback="\n".join(feedback) if problems else "All tags agree with the labels.",
    )


def exact_tags(example, pred, trace=None, pred_name=None, pred_trace=None) -> dspy.Prediction:
    """Share of the three tags that equal the labels exactly; always choosing the middle earns a fifth, as any level."""
    made = len(pred.rows) + len(pred.rejected)
    right = sum(getattr(row, tag) == label for row in pred.rows for tag, label in example.expected.items())
    score = right / (made * len(example.expected)) if made else 0.0
    return dspy.Prediction(score=capped(score), feedback=f"{score:.0%} of the tags equal the labels.")


def usable_queries(example, pred, trace=None, pred_name=None, pred_trace=None) -> dspy.Prediction:
    """Share of sampled queries that a user could send, times how different they are.

    For choosing what steers the sampling: temperature, top_p and the system message of the domain.
    """
    test, good, problems = UsableQuery(), [], [f"{r.stage}: {r.reason}" for r in pred.rejected]
    for row in pred.rows:
        if problem := test.check(row):
            problems.append(problem)
        else:
            good.append(row.instruction)
    made = len(pred.rows) + len(pred.rejected)
    score = len(good) / made * distinct(good) if made else 0.0
    return dspy.Prediction(score=capped(score), feedback="\n".join(problems[:6]) or "All queries are usable.")


def on_domain(example, pred, trace=None, pred_name=None, pred_trace=None) -> dspy.Prediction:
    """Share of draws that are usable, of `example.category` and of average quality or better, times their distinctness.

    For choosing the system message of a domain.
    """
    test, good, problems = UsableQuery(), [], [f"{r.stage}: {r.reason}" for r in pred.rejected]
    for row in pred.rows:
        if problem := test.check(row):
            problems.append(problem)
        elif row.category != example.category:
            problems.append(f"{row.category!r} instead of {example.category!r}: {row.instruction[:80]!r}")
        elif row.quality in ("very poor", "poor"):
            problems.append(f"of {row.quality} quality: {row.instruction[:80]!r}")
        else:
            good.append(row.instruction)
    made = len(pred.rows) + len(pred.rejected)
    score = len(good) / made * distinct(good) if made else 0.0
    return dspy.Prediction(score=capped(score), feedback="\n".join(problems[:6]) or "All queries are on the domain.")


def tag_accuracy(expected: Sequence[Mapping[str, str]], rows: Iterable[MagpieRow | None]) -> dict[str, float]:
    """Balanced accuracy of each tag on a labelled set: 0.2 is what a tagger earns that always says the same level.

    Args:
        expected: Labels of each query: `difficulty`, `quality`, `category`.
        rows: The row of each query, None for one that was lost, which is wrong.
    """
    tagged = list(rows)
    return {
        tag: balanced_accuracy([labels[tag] for labels in expected], [getattr(row, tag, None) for row in tagged])
        for tag in ("difficulty", "quality", "category")
    }


def weighted_kappa(labels: Sequence[str], verdicts: Sequence[str], levels: Sequence[str]) -> float:
    """Cohen's kappa of two raters on ordered levels, with quadratic weights.

    Source: Cohen, 1968.

    Args:
        labels: Levels by one rater.
        verdicts: Levels by the other, as many.
        levels: All levels in order.

    Returns:
        1 for agreement, about 0 for chance, below for less; 1 as well if both always say the same one level.
    """
    place = {level: index for index, level in enumerate(levels)}
    ours, theirs = [place[label] for label in labels], [place[verdict] for verdict in verdicts]
    observed = sum((a - b) ** 2 for a, b in zip(ours, theirs, strict=True)) / max(1, len(ours))
    chance = sum((a - b) ** 2 for a in ours for b in theirs) / max(1, len(ours) * len(theirs))
    return 1 - observed / chance if chance else 1.0


def _judged(row: MagpieRow, expected: dict[str, str]) -> tuple[dict[str, float], list[str]]:
    credits, problems = {}, []
    for tag, levels in _LEVELS.items():
        given, label = getattr(row, tag), expected[tag]
        steps = abs(levels.index(given) - levels.index(label)) if given in levels else len(levels)
        credits[tag] = {0: 1.0, 1: _NEAR}.get(steps, 0.0)
        if steps:
            problems.append(f"{tag} is {given!r}, the label is {label!r} ({steps} levels apart)")
    label = expected["category"]
    credits["category"] = 1.0 if row.category == label else _NEAR if label in row.other_categories[:2] else 0.0
    if row.category != label:
        problems.append(f"category is {row.category!r}, the label is {label!r}")
    notes = f"{row.intent or ''} {row.quality_assessment or ''}".strip()
    credits["notes"] = _about(row.instruction, notes)
    if credits["notes"] < 1:
        problems.append(f"the intent and the assessment hardly mention the query: {notes[:160]!r}")
    if copied := next((text for text in _demonstrated() if text in notes), None):
        credits["notes"] = 0.0
        problems.append(f"copied from a demonstration: {copied[:120]!r}")
    return credits, problems


def _about(query: str, notes: str) -> float:
    """1 if the notes mention a third of the query's content words and are words of their own, less otherwise."""
    mentioned = min(1.0, 3 * overlap(query, notes))
    own = content_words(notes) - content_words(query)
    return mentioned if len(own) >= 3 else mentioned / 2


def _demonstrated() -> list[str]:
    """The notes of the shipped demonstrations, which a weak LM likes to repeat."""
    demos = shipped("magpie")
    intents = [demo["intent"] for demo in demos["rate_difficulty"]]
    return intents + [demo["quality_assessment"] for demo in demos["rate_quality"]]


METRIC = tag_agreement
HELD_OUT = exact_tags
