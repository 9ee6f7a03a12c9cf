"""Metrics of Synthetic Data RL (Guo et al., 2025, arXiv:2505.17063): from votes and pass rates; weights are ours."""

import itertools
import re
from typing import Any

import dspy

from synthwright.optimizers.metrics.blocks import capped, content_words, distinct, overlap, words
from synthwright.signatures.synthetic_data_rl import SyntheticRow

__all__ = ["HELD_OUT", "METRIC", "at_the_edge", "well_posed"]

WEIGHTS = {"vote": 0.3, "edge": 0.3, "passage": 0.25, "rewriting": 0.15}
"""What a draw scores for: agreement of the vote, a pass rate between 0 and 1, a question about its passage, a version
whose pass rate moved as intended."""

SPREAD = 0.15
"""Share of the score that hangs on the draws of one seed being different from each other."""

GROUNDED = 0.5
"""Share of a question's content words that must stand in its passage for full marks: the rest asks."""

LINES = 6

_ASKS = re.compile(
    r"\?\s*$|^\s*(?:find|compute|calculate|solve|determine|name|give|state|simplify|premise:)\b|___", re.IGNORECASE
)
_LEANS = re.compile(
    r"\b(?:the|this) (?:passage|text|paragraph|excerpt|context|question)\b|\bgiven above\b", re.IGNORECASE
)


def at_the_edge(example, pred, trace=None, pred_name=None, pred_trace=None) -> dspy.Prediction:
    """Whether questions are answered with one voice, at the edge of what the base model can do, and about the passage.

    Each draw is a question and its rewriting. It scores the mean agreement of their votes; the share of them with a
    pass rate strictly between 0 and 1; faithfulness: the share of the question's content words that the passage has;
    and whether the version is harder (a lower pass rate) or easier as intended, and still answered. A draw without a
    question scores 0. Draws that repeat each other cost up to 15 %. Feedback names the rule that failed.
    """
    passage = getattr(example, "passage", "") or ""
    families, lost = _families(pred)
    scores, feedback = [0.0] * sum(line.startswith("No question") for line in lost), list(lost)
    for first, versions in families:
        parts, remarks = _parts(first, versions, passage)
        scores.append(sum(WEIGHTS[name] * part for name, part in parts.items()))
        feedback += remarks
    spread = distinct([first.asked or first.question for first, _ in families])
    if len(families) > 1 and spread < 0.4:
        feedback.append(f"The draws repeat each other, such as {families[0][0].question[:100]!r}.")
    mean = sum(scores) / len(scores) if scores else 0.0
    total = mean * (1 - SPREAD + SPREAD * spread)
    return dspy.Prediction(score=capped(total), feedback="\n".join(feedback[:LINES]) or "All are at the edge.")


def well_posed(example, pred, trace=None, pred_name=None, pred_trace=None) -> dspy.Prediction:
    """Share of five signs that a question was composed with care; votes and pass rates play no part.

    It asks something, stands alone without its source, has 5 to 60 words, does not stutter, and the instructor's reply
    speaks of what it asks. Draws without a question count 0.
    """
    families, lost = _families(pred)
    scores, feedback = [0.0] * sum(line.startswith("No question") for line in lost), list(lost)
    for row in (row for first, versions in families for row in (first, *versions)):
        stem = row.question.partition("\nA)")[0]
        found = words(stem)
        pairs = list(itertools.pairwise(found))
        reasoning = row.response.rpartition("<answer>")[0]
        signs = {
            "asks nothing": bool(_ASKS.search(stem)),
            "leans on a text that its reader has not": not _LEANS.search(stem),
            "is too short or too long": 5 <= len(found) <= 60,
            "repeats itself": len(set(pairs)) >= 0.9 * len(pairs),
            "is not what the reply speaks of": bool(content_words(reasoning) & content_words(row.question)),
        }
        scores.append(sum(signs.values()) / len(signs))
        feedback += [f"It {sign}: {stem[:100]!r}" for sign, held in signs.items() if not held]
    mean = sum(scores) / len(scores) if scores else 0.0
    return dspy.Prediction(score=capped(mean), feedback="\n".join(feedback[:LINES]) or "All are well posed.")


def _families(pred: Any) -> tuple[list[tuple[SyntheticRow, list[SyntheticRow]]], list[str]]:
    """Each first question with its versions, rows that were not selected included; and what was lost."""
    rows = list(pred.rows)
    lost = []
    for reject in pred.get("rejected") or []:
        if reject.stage == "select":
            rows.append(SyntheticRow.model_validate(reject.content))
            continue
        about = str(reject.content.get("question") or reject.content.get("reply") or "")[:100]
        version = reject.stage.startswith(("harder", "easier"))
        lost.append((version, f"({reject.stage}, {reject.reason}): {reject.detail[:100]} {about!r}"))
    rows = list({row.id: row for row in rows}.values())
    firsts = [row for row in rows if row.origin == "initial"]
    # a vote that fails names no stage of its own: with as many questions as draws it was that of a version
    spare = sum(1 for first in firsts if not any(first.id in row.parent_ids for row in rows))
    spare -= sum(version for version, _ in lost)
    lines = []
    for version, line in lost:
        if not version and "(vote," in line and spare > 0:
            spare, version = spare - 1, True
        lines.append(f"{'No version' if version else 'No question'} {line}")
    families = [(first, _descendants(first, rows)) for first in firsts]
    return families, lines


def _descendants(first: SyntheticRow, rows: list[SyntheticRow]) -> list[SyntheticRow]:
    found, ids = [], {first.id}
    for row in rows * 2:  # a version of a version may come before its parent
        if row.id not in ids and ids & set(row.parent_ids):
            found.append(row)
            ids.add(row.id)
    return found


def _parts(first: SyntheticRow, versions: list[SyntheticRow], passage: str) -> tuple[dict[str, float], list[str]]:
    """Scores of one draw by kind, each in [0, 1], and its faults in words."""
    rows = [first, *versions]
    edge = [row.score is not None and 0 < row.score < 1 for row in rows]
    grounded = min(1.0, overlap(first.question, passage) / GROUNDED) if passage else 1.0
    moved = [_moved(first, row) for row in versions]
    parts = {
        "vote": sum(row.agreement for row in rows) / len(rows),
        "edge": sum(edge) / len(edge),
        "passage": grounded,
        "rewriting": sum(moved) / len(moved) if moved else 0.0,
    }
    remarks = []
    for row, fits in zip(rows, edge, strict=True):
        if not fits and row.score is not None:
            word = "never" if row.score == 0 else "always"
            doubt = " (all draws are one text)" if "identical_attempts" in row.flags else ""
            remarks.append(f"The base model {word} solves{doubt}: {row.question[:100]!r}")
        if row.agreement < 0.75:
            remarks.append(f"Only {row.votes} of {row.votes_n} replies agree on {row.answer!r}: {row.question[:100]!r}")
    if grounded < 1:
        remarks.append(f"Not about its passage: {first.question[:100]!r}")
    for row, good in zip(versions, moved, strict=True):
        if not good:
            remarks.append(
                f"The {row.origin} version has a pass rate of {row.score}, the question {first.score}: "
                f"{row.question[:100]!r}"
            )
    return parts, remarks


def _moved(first: SyntheticRow, row: SyntheticRow) -> bool:
    if row.score is None or first.score is None or row.score == 0:
        return False  # a version that is never solved may have no right answer at all
    return row.score < first.score if row.origin == "harder" else row.score > first.score


METRIC = at_the_edge
HELD_OUT = well_posed
