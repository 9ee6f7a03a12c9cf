"""Metrics of SAND-Math (Manem et al., 2025, arXiv:2507.20527): from agreement, pass rates and ratings; weights ours."""

import re
from typing import Any

import dspy

from synthwright.optimizers.metrics.blocks import capped, content_words, distinct, words
from synthwright.programs.sand_math_checks import false_sums, single_number
from synthwright.signatures.sand_math import SandMathRow

__all__ = ["HELD_OUT", "METRIC", "hard_and_sound", "well_posed"]

HIKE = 0.3
"""Share of a problem's score that hangs on its harder version. A harder version saves no problem without agreement."""

SPREAD = 0.2
"""Share of the score that hangs on the draws of one seed being different from each other."""

LINES = 6

_REFERS = re.compile(r"\b(?:the|this) (?:problem|question|passage|text|figure|diagram)\b|\babove\b", re.IGNORECASE)


def hard_and_sound(example, pred, trace=None, pred_name=None, pred_trace=None) -> dspy.Prediction:
    """Agreement of solutions times difficulty for the weaker solver, with a part for the harder version.

    A product, so that a problem nobody can solve earns nothing for being hard. Problems that were dropped count with
    what they had: agreement for those whose solutions differ, difficulty for those that were too easy.
    """
    firsts, harder, lost = _split(pred)
    scores, feedback = [], [line for _, line in lost]
    scores += [score for score, _ in lost]
    for row in firsts:
        versions = [each for each in harder if each.hiked_from == row.id]
        risen = any((each.difficulty_rating or 0) > (row.difficulty_rating or 0) for each in versions)
        base = _hardness(row) * (0.0 if "identical_solutions" in row.flags else 1.0)
        scores.append(base * (1 - HIKE + HIKE * risen))
        if "identical_solutions" in row.flags:
            feedback.append(f"All solutions are one text, which says nothing: {row.question[:100]!r}")
        if base < 0.75 and row.attempts_n:
            right = f"{row.solver_pass_rate:.2f} of {row.attempts_n} draws"
            feedback.append(f"The weaker solver is right in {right}: {row.question[:100]!r}")
        if versions and not risen:
            feedback.append(f"The harder version is not rated higher: {versions[0].question[:100]!r}")
    feedback += [f"No harder version ({r.stage}, {r.reason}): {_about(r)!r}" for r in _hike_rejects(pred)]
    spread = distinct([row.question for row in firsts])
    if len(firsts) > 1 and spread < 0.4:
        feedback.append(f"The draws repeat each other, such as {firsts[0].question[:100]!r}.")
    total = (sum(scores) / len(scores) if scores else 0.0) * (1 - SPREAD + SPREAD * spread)
    return dspy.Prediction(score=capped(total), feedback="\n".join(feedback[:LINES]) or "All are hard and sound.")


def well_posed(example, pred, trace=None, pred_name=None, pred_trace=None) -> dspy.Prediction:
    """Share of six signs, found in the text alone, that a problem is posed and solved with care.

    It asks something, stands alone, has 6 to 150 words, its answer is a single number, its solution speaks of it, and
    no sum in its solution is false. Draws without a problem count 0. No agreement, pass rate or rating plays a part.
    """
    firsts, harder, lost = _split(pred)
    scores, feedback = [0.0] * len(lost), [line for _, line in lost]
    for row in (*firsts, *harder):
        wrong = false_sums(row.reference_solution or row.response)
        signs = {
            "asks nothing": bool(
                re.search(r"\?|\b(?:find|compute|determine|calculate|evaluate)\b", row.question, re.I)
            ),
            "leans on something that its reader has not": not _REFERS.search(row.question),
            "is too short or too long": 6 <= len(words(row.question)) <= 150,
            "has no single number as answer": single_number(row.answer),
            "is not what its solution speaks of": bool(content_words(row.response) & content_words(row.question)),
            f"has a false sum in its solution ({', '.join(wrong[:2])})": not wrong,
        }
        scores.append(sum(signs.values()) / len(signs))
        feedback += [f"It {sign}: {row.question[:100]!r}" for sign, held in signs.items() if not held]
    mean = sum(scores) / len(scores) if scores else 0.0
    return dspy.Prediction(score=capped(mean), feedback="\n".join(feedback[:LINES]) or "All are well posed.")


def _hardness(row: SandMathRow) -> float:
    """One minus the pass rate; where no solver was asked, nothing is taken off."""
    return 1 - row.solver_pass_rate if row.attempts_n and row.solver_pass_rate is not None else 1.0


def _split(pred: Any) -> tuple[list[SandMathRow], list[SandMathRow], list[tuple[float, str]]]:
    """Problems, their harder versions, and what was lost before, each with what it still earns and a line of words."""
    harder = [row for row in pred.rows if row.hiked_from]
    firsts = [row for row in pred.rows if not row.hiked_from]
    lost = []
    for reject in pred.get("rejected") or []:
        if reject.stage.startswith(("hike", "hiked")):
            continue
        credit = 0.0
        if reject.stage == "consistency" and reject.content.get("n", 0) > 1:
            credit = 0.3 * max(0, reject.content["votes"] - 1) / (reject.content["n"] - 1)
        elif reject.reason == "too_easy":
            credit = 0.5 * _hardness(SandMathRow.model_validate(reject.content))
        line = f"No problem ({reject.stage}, {reject.reason}): {reject.detail[:100]} {_about(reject)!r}"
        lost.append((credit, line))
    return firsts, harder, lost


def _hike_rejects(pred: Any) -> list[Any]:
    return [reject for reject in pred.get("rejected") or [] if reject.stage.startswith(("hike", "hiked"))]


def _about(reject: Any) -> str:
    return str(reject.content.get("question") or reject.content.get("reply") or "")[:100]


METRIC = hard_and_sound
HELD_OUT = well_posed
