"""Metrics of CodecLM: are the instructions requests about their metadata, sound, unlike each other? No LM is called."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import dspy

from synthwright.optimizers.metrics.blocks import capped, content_words, distinct, overlap, words
from synthwright.programs.base import data_path, read_jsonl
from synthwright.programs.codeclm_checks import CHECKS
from synthwright.programs.evol_instruct_checks import asks, opens_with_request

__all__ = ["HELD_OUT", "METRIC", "own_requests", "skills_f1", "summary", "tailoring"]

DIVERSITY = 0.4
"""Share of the score that is lost if all instructions are the same."""

BAND = (6, 60, 120)
"""Words of an instruction: fewest, most, and where nothing is left of the score."""

GROWTH = (3, 40, 80)
"""Words that one improvement should add: fewest, most, and where nothing is left of the score."""

STEM = 5
"""Letters by which two words count as forms of one: an instruction need not use the words of its metadata."""

UNRELATED = 0.4
"""What is left of the score if nothing of the metadata can be found in the instruction."""

THRESHOLD = 3.0
"""Gap at which the paper keeps an instruction."""

KEPT_WORDS = 0.5
NEW_WORDS = 4
GOOD = 0.9
"""A term from which feedback is silent."""

FEEDBACK_LINES = 6

BEHIND = {"gap_too_small", "low_score", "refused", "both_refuse", "both_empty", "empty_response"}
"""Reasons that say something about the answers; the instruction is scored like that of a row."""


@dataclass(frozen=True)
class Attempt:
    """One instruction of the draws, kept or not; it is empty if a reply could not be read."""

    instruction: str
    use_case: str
    skills: tuple[str, ...]
    parent: str = ""
    action: str = ""
    gap: float | None = None
    failure: str = ""  # why it was dropped

    @property
    def predictor(self) -> str:
        """The predictor that wrote it."""
        return "improve" if self.parent else "decode"


def tailoring(example, pred, trace=None, pred_name=None, pred_trace=None) -> dspy.Prediction:
    """Mean over all instructions, dropped ones included, of the product of the terms below, times diversity.

    Terms in [0, 1]: not dropped; it asks; it needs nothing that is not there; its words are in a band and not repeated;
    something of each part of its metadata can be found in it, which it does not recite; it copies no demonstration. If
    it was improved: words were added in a band, the subject was kept, and the action is not quoted. If its answers were
    scored: how near the gap comes to the paper's threshold. If the example has `gold_skills` (and the encoder ran): the
    F1 of the encoded skills.
    Feedback quotes the instructions that failed; `pred_name` limits it to those of `decode` or `improve`.
    """
    attempts = _attempts(pred)
    lost = _lost(pred)
    if not attempts and not lost:
        return dspy.Prediction(score=0.0, feedback="No instruction was made.")
    judged = [(attempt, _terms(attempt, example)) for attempt in attempts]
    quality = sum(_product(terms) for _, terms in judged) / (len(judged) + len(lost))
    spread = distinct([attempt.instruction for attempt in attempts if not attempt.parent])
    focus = pred_name if pred_name in ("decode", "improve") else None
    lines = [line for stage, line in lost if focus in (None, stage)]
    for attempt, terms in judged:
        failed = [name for name, value in terms.items() if value < GOOD]
        if failed and focus in (None, attempt.predictor):
            lines.append(f"{attempt.predictor} for {attempt.use_case!r}: {'; '.join(failed)}: {_quoted(attempt)}")
    if spread < 0.5:
        lines.append("The instructions are nearly the same: let each be about something else.")
    feedback = "\n".join(lines[:FEEDBACK_LINES]) or "Every instruction is a request about its use case and skills."
    return dspy.Prediction(score=capped(quality * (1 - DIVERSITY + DIVERSITY * spread)), feedback=feedback)


def own_requests(example, pred, trace=None, pred_name=None, pred_trace=None) -> dspy.Prediction:
    """Share of all instructions that open like a request or question and bring content of their own.

    Content words count that stand neither in the metadata, nor in the action, nor in a shipped demonstration, nor in
    another instruction of the draws; `NEW_WORDS` of them are enough. Dropped instructions count by their text, so that
    leniency of the checks does not show as a gain.
    """
    attempts = _attempts(pred)
    lost = _lost(pred)
    scores, lines = [0.0] * len(lost), [line for _, line in lost]
    for index, attempt in enumerate(attempts):
        known = content_words(" ".join((attempt.use_case, *attempt.skills, attempt.action))) | _demonstrated_words()
        others = content_words(" ".join(a.instruction for i, a in enumerate(attempts) if i != index and not a.parent))
        fresh = content_words(attempt.instruction) - known - (set() if attempt.parent else others)
        request = opens_with_request(attempt.instruction) or "?" in attempt.instruction
        scores.append(min(1.0, len(fresh) / NEW_WORDS) if request else 0.0)
        if scores[-1] < 1:
            why = f"only {len(fresh)} words of its own" if request else "does not open like a request"
            lines.append(f"{attempt.predictor}: {why}: {_quoted(attempt)}")
    score = capped(sum(scores) / len(scores)) if scores else 0.0
    return dspy.Prediction(score=score, feedback="\n".join(lines[:FEEDBACK_LINES]) or "Every request is its own.")


def skills_f1(found: Iterable[str], gold: Iterable[str]) -> float:
    """F1 of two sets of skills, in [0, 1]; skills match if they share a content word up to its ending.

    Source: the metadata fidelity of our specification, which the paper does not measure.
    """
    ours, theirs = [_stems(skill) for skill in found], [_stems(skill) for skill in gold]
    if not ours or not theirs:
        return float(not ours and not theirs)
    precision = sum(any(skill & other for other in theirs) for skill in ours) / len(ours)
    recall = sum(any(skill & other for other in ours) for skill in theirs) / len(theirs)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def summary(rows: Sequence[Any], rejected: Sequence[Any] = ()) -> dict[str, float]:
    """The paper's figures of a run with contrast; a figure that cannot be taken is left out.

    Args:
        rows: Rows of CodecLM.
        rejected: What the run dropped, as `Rejected` or as records of `rejected.jsonl`.

    Returns:
        `mean_gap` of the rows in points; `accepted_N`, the share of the instructions scored in iteration N that were
        kept then; `first_share`, the share of the rows from iteration 1 (over 0.7 in the paper, section 5.5);
        `orders_agree` and `ties`, shares of all scored instructions; `target_kept`, share of rows with the target's
        answer; `near_duplicates`, share of rows with a ROUGE-L of 0.7 or more to another of the same metadata.
    """
    kept = [row for row in rows if row.accepted]
    ends = [(row.iteration, row.gap, row.orders_agree) for row in kept]
    contents = [reject["content"] if isinstance(reject, Mapping) else reject.content for reject in rejected]
    dropped = [content for content in contents if "gap" in content and "strong_score" in content]
    tried = [(t["iteration"], t["strong_score"] - t["target_score"], t["orders_agree"]) for t in _trials(rows, dropped)]
    scored = [*ends, *((c["iteration"], c["gap"], c["orders_agree"]) for c in dropped), *tried]
    figures: dict[str, float] = {}
    if scored:
        for number in sorted({iteration for iteration, _, _ in scored}):
            there = sum(iteration == number for iteration, _, _ in scored)
            figures[f"accepted_{number}"] = sum(iteration == number for iteration, _, _ in ends) / there
        figures["orders_agree"] = sum(bool(agree) for _, _, agree in scored) / len(scored)
        figures["ties"] = sum(gap == 0 for _, gap, _ in scored) / len(scored)
    if kept:
        figures["mean_gap"] = sum(row.gap for row in kept) / len(kept)
        figures["first_share"] = sum(row.iteration == 1 for row in kept) / len(kept)
        figures["target_kept"] = sum(row.response_by == "target" for row in kept) / len(kept)
    if rows:
        figures["near_duplicates"] = sum(_has_twin(row, rows) for row in rows) / len(rows)
    return figures


def _trials(rows: Sequence[Any], dropped: Sequence[Any]) -> list[dict[str, Any]]:
    of_rows = [trial.model_dump() for row in rows for trial in row.trace]
    return of_rows + [trial for content in dropped for trial in content.get("trace", [])]


def _has_twin(row: Any, rows: Sequence[Any]) -> bool:
    same = [r for r in rows if r is not row and (r.use_case, r.skills) == (row.use_case, row.skills)]
    return any(distinct([row.instruction, other.instruction]) <= 0.3 for other in same)


def _attempts(pred: Any) -> list[Attempt]:
    found = [
        Attempt(row.instruction, row.use_case, row.skills, row.parent, row.action, row.gap if row.accepted else None)
        for row in pred.rows
    ]
    for reject in pred.get("rejected") or []:
        content = reject.content
        if not content.get("instruction") or not content.get("use_case"):
            continue
        behind = reject.reason in BEHIND or (reject.reason in ("unparsable", "truncated") and "answer" in reject.stage)
        reason = f"{reject.reason}: {reject.detail}" if reject.detail else reject.reason
        texts = (content["instruction"], content["use_case"], tuple(content.get("skills", ())))
        lineage = (content.get("parent", ""), content.get("action", ""))
        found.append(Attempt(*texts, *lineage, content.get("gap"), "" if behind else f"dropped ({reason})"))
    return found


def _lost(pred: Any) -> list[tuple[str, str]]:
    """(predictor, complaint) for replies without an instruction in them."""
    without = [
        r for r in pred.get("rejected") or [] if not (r.content.get("instruction") and r.content.get("use_case"))
    ]
    return [(r.stage, f"{r.stage}: {r.reason}: {str(r.content.get('reply') or r.detail)[:160]!r}") for r in without]


def _terms(attempt: Attempt, example: Any) -> dict[str, float]:
    """Score of each test by what a person would call its failure."""
    text, count = attempt.instruction, len(attempt.instruction.split())
    parts = [attempt.use_case, *attempt.skills]
    present = [part for part in parts if _stems(part) & _stems(text)]
    absent = [part for part in parts if part not in present]
    recited = [part for part in parts if len(words(part)) > 1 and f" {' '.join(words(part))} " in _spaced(text)]
    missing = CHECKS["material_missing"](text, attempt.parent, attempt.action)
    copied = _copied(attempt)
    terms = {
        attempt.failure: float(not attempt.failure),
        "asks for nothing": float(asks(text)),
        f"needs what is not there: {missing}": 0.2 if missing else 1.0,
        f"{count} words, {BAND[0]} to {BAND[1]} wanted": _in_band(count, *BAND),
        f"nothing of {absent} can be found in it": UNRELATED
        + (1 - UNRELATED) * min(1.0, 2 * len(present) / len(parts)),
        f"recites its metadata: {recited}": 1 - 0.5 * max(0, len(recited) - 1) / len(parts),
        f"copies a demonstration: {copied!r}": 0.3 if copied else 1.0,
        "repeats itself": min(1.0, _distinct_pairs(text) / 0.8),
    }
    if attempt.parent:
        added = count - len(attempt.parent.split())
        kept = overlap(attempt.parent, text)
        quoted = CHECKS["quotes_action"](text, attempt.parent, attempt.action)
        terms[f"{added} words added, {GROWTH[0]} to {GROWTH[1]} wanted"] = _in_band(added, *GROWTH)
        terms[f"keeps {kept:.0%} of the words that say what it is about"] = min(1.0, kept / KEPT_WORDS)
        terms[f"quotes the action: {quoted}"] = 0.4 if quoted else 1.0
    if attempt.gap is not None:
        terms[f"the answers differ by {attempt.gap:+g} points only"] = 0.5 + min(0.5, abs(attempt.gap) / THRESHOLD / 2)
    if gold := example.get("gold_skills"):
        terms[f"encoded as {list(attempt.skills)}, not as {list(gold)}"] = skills_f1(attempt.skills, gold)
    return terms


def _quoted(attempt: Attempt) -> str:
    return repr(attempt.instruction[:160])


def _stems(text: str) -> set[str]:
    return {word[:STEM] for word in content_words(text)}


def _spaced(text: str) -> str:
    return f" {' '.join(words(text))} "


def _copied(attempt: Attempt) -> str:
    """Five words in a row that stand in a shipped demonstration and not in the parent; empty if there are none."""
    copied = (_runs(attempt.instruction) - _runs(attempt.parent)) & _demonstrated_runs()
    return " ".join(min(copied)) if copied else ""


@cache
def _demonstrations() -> tuple[str, ...]:
    """The instructions of all shipped demonstrations and examples."""
    shipped = json.loads(data_path("demonstrations/codeclm.json").read_text(encoding="utf-8"))
    texts = [text for demo in shipped["decode"] for text in demo["new_instructions"]]
    texts += [demo["improved_instruction"] for demo in shipped["improve"]]
    return (*texts, *(example["instruction"] for example in read_jsonl(data_path("codeclm_encode.jsonl"))))


@cache
def _demonstrated_words() -> frozenset[str]:
    return frozenset(word for text in _demonstrations() for word in content_words(text))


@cache
def _demonstrated_runs() -> frozenset[tuple[str, ...]]:
    return frozenset(run for text in _demonstrations() for run in _runs(text))


def _runs(text: str) -> set[tuple[str, ...]]:
    tokens = words(text)
    return {tuple(tokens[i : i + 5]) for i in range(len(tokens) - 4)}


def _in_band(value: float, low: float, high: float, end: float) -> float:
    if value < low:
        return max(0.0, value / low)
    return 1.0 if value <= high else max(0.0, (end - value) / (end - high))


def _distinct_pairs(text: str) -> float:
    pairs = list(pairwise(words(text)))
    return len(set(pairs)) / len(pairs) if pairs else 1.0


def _product(terms: dict[str, float]) -> float:
    product = 1.0
    for value in terms.values():
        product *= value
    return product


METRIC = tailoring
HELD_OUT = own_requests
