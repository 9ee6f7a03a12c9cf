"""Metrics of Instruction Backtranslation: is the instruction one that the text answers, and is the judge right?

`asks_for_text` is tuned on and `recovers_text` is held out, both for the predictor `write`; `agreement` is for tuning
the judge with `Backtranslation(tune_judge=True, iterations=1)` and `judge_seeds()`. `judge_quality` and `curation`
report on a finished run. No LM is called here.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from statistics import fmean
from typing import Any

import dspy

from synthwright.optimizers.metrics.blocks import balanced_accuracy, capped, content_words, distinct, overlap
from synthwright.programs.backtranslation_checks import copied_share, points_at_text
from synthwright.programs.backtranslation_pairs import LabelledPair, labelled_pairs
from synthwright.programs.base import read_jsonl
from synthwright.programs.evol_instruct_checks import opens_with_request
from synthwright.retrieval import BM25, Passage, PassageList, Tokenizer
from synthwright.signatures.backtranslation import BacktranslatedRow
from synthwright.signatures.rows import Rejected

__all__ = [
    "HELD_OUT",
    "METRIC",
    "Curation",
    "JudgeQuality",
    "agreement",
    "asks_for_text",
    "curation",
    "judge_quality",
    "judge_seeds",
    "recovers_text",
]

SHORTEST, LONGEST, END = 20, 240, 500
"""Characters of an instruction: below and above these the score falls, to nothing at the end. In the paper's data the
kept ones have 115 on average (standard deviation 175), all candidates 352 (table 2)."""

COPIED = 0.5
"""Share of copied words up to which nothing is lost."""

ABOUT = 0.4
"""Share of the instruction's content words that should occur in the text."""

VARIETY = 0.1
"""Share of the score that is lost if all draws are equal."""

GOOD = 0.9
FEEDBACK_LINES = 6


@dataclass(frozen=True)
class Attempt:
    """One instruction of the draws, kept or not; empty if the reply could not be read."""

    instruction: str
    text: str
    score: float | None = None
    failure: str = ""
    reasoning: str = ""


@dataclass(frozen=True)
class JudgeQuality:
    """How well a judge separates the labelled pairs, as in the paper's table 9.

    Attributes:
        precision: Share of the good among the pairs it kept; None if it kept none.
        recall: Share of the good pairs that it kept; None if there is no good pair among those it saw.
        f1: Harmonic mean of both, 0 if either is missing.
        balanced_accuracy: Mean of the shares of good pairs kept and of bad pairs dropped, in [0, 1]; a rating that
            could not be read is wrong, and a judge that always says the same has 0.5.
        validity: Share of the pairs that have a rating that could be read.
        pairs: Labelled pairs that the run rated.
        let_through: Planted errors of the bad pairs that it kept, with their number.
    """

    precision: float | None
    recall: float | None
    f1: float
    balanced_accuracy: float
    validity: float
    pairs: int
    let_through: dict[str, int]


@dataclass(frozen=True)
class Curation:
    """What curation did to the candidates of a run.

    Attributes:
        candidates: Candidates that were decided on.
        kept_share: Share of them that was kept.
        kept_chars: Mean characters of the kept instructions; in the paper shorter than those of all candidates.
        all_chars: Mean characters of all instructions.
        validity: Share of the candidates with a rating that could be read.
        pointing_share: Share of all written instructions, dropped ones included, that point at a text.
        copied: Mean share of the instructions that is copied from their texts.
    """

    candidates: int
    kept_share: float
    kept_chars: float
    all_chars: float
    validity: float
    pointing_share: float
    copied: float


def asks_for_text(example, pred, trace=None, pred_name=None, pred_trace=None) -> dspy.Prediction:
    """Mean over all instructions, dropped ones included, of the product of the terms below, times variety.

    Terms in [0, 1]: not dropped by a rule; the frozen judge's rating, where there is one; needs no text to be seen; not
    copied from it; about it; as short as what the paper's curation keeps; opens like a request. Feedback quotes what
    failed, and the judge's reasoning.
    """
    attempts = _attempts(pred)
    if not attempts:
        return dspy.Prediction(score=0.0, feedback="No instruction was written.")
    judged = [(attempt, _terms(attempt)) for attempt in attempts]
    quality = fmean(_product(terms) for _, terms in judged)
    variety = (
        1.0
        if len(set(each.instruction for each in attempts)) == len(attempts)
        else distinct([each.instruction for each in attempts])
    )
    lines = [_complaint(attempt, terms) for attempt, terms in judged if _product(terms) < GOOD]
    feedback = "\n".join(lines[:FEEDBACK_LINES]) or "Every instruction is one that its text answers."
    return dspy.Prediction(score=capped(quality * (1 - VARIETY + VARIETY * variety)), feedback=feedback)


def recovers_text(example, pred, trace=None, pred_name=None, pred_trace=None) -> dspy.Prediction:
    """Mean over all instructions of 1 / rank of the own text, when BM25 searches for the instruction among all texts.

    The texts are the shipped ones and the own one. A copy of the text or words about "the text" find nothing here.
    Dropped instructions count by their wording, so that leniency of the rules does not show as a gain.
    """
    scores, lines = [], []
    for attempt in _attempts(pred):
        rank = _rank(attempt)
        scores.append(1 / rank if rank else 0.0)
        if rank != 1:
            found = f"its text comes at place {rank}" if rank else "its text is not found"
            lines.append(f"{found} among {len(_texts())}: {attempt.instruction[:160]!r}")
    score = capped(fmean(scores)) if scores else 0.0
    return dspy.Prediction(
        score=score, feedback="\n".join(lines[:FEEDBACK_LINES]) or "Every instruction finds its text."
    )


def agreement(example, pred, trace=None, pred_name=None, pred_trace=None) -> dspy.Prediction:
    """How well the verdicts on one labelled pair agree with its label.

    A bad pair that is kept scores 0, a good one that is dropped up to 0.5: false positives weigh more. A bad pair that
    is dropped scores 0.6, and the rest for a rating near its level. Unreadable ratings score 0.
    """
    label = _label(example.get("instruction"), example.get("text"))
    if label is None:
        return dspy.Prediction(score=0.0, feedback="This pair has no label: take the seeds from judge_seeds().")
    scores, lines = [], []
    for rating, kept in _verdicts(pred):
        if rating is None:
            scores.append(0.0)
            lines.append("The rating could not be read.")
            continue
        near = 1 - abs(rating - label.level) / 4
        scores.append((1.0 if kept else 0.1 + 0.4 * near) if label.good else (0.0 if kept else 0.6 + 0.4 * near))
        if kept != label.good:
            should = "deserves to be kept" if label.good else f"must be dropped: {label.violation.replace('_', ' ')}"
            lines.append(f"Rated {rating:g}, but the pair is of level {label.level} and {should}.")
    feedback = "\n".join(dict.fromkeys(lines)) or f"Right: the pair is of level {label.level}."
    return dspy.Prediction(score=capped(fmean(scores)) if scores else 0.0, feedback=feedback)


def judge_seeds(split: str = "test") -> list[dict[str, str]]:
    """The labelled pairs as seeds, for `generate` and `optimize`.

    Args:
        split: `dev` to tune a judge on, `test` to report on, of other subjects; `all` for both.
    """
    chosen = (pair for pair in labelled_pairs() if split in ("all", pair.split))
    return [{"text": pair.response, "instruction": pair.instruction} for pair in chosen]


def judge_quality(rows: Iterable[BacktranslatedRow], rejected: Iterable[Rejected]) -> JudgeQuality:
    """Precision and recall of the judge of a run over labelled pairs, the paper's table 9.

    Args:
        rows: Rows of the run. Pairs without a label are left out.
        rejected: Its rejects.

    Example:
        >>> run = generate(Backtranslation(iterations=1), seeds=judge_seeds(), lms=lm, out="runs/judge")
        >>> judge_quality(run, run.rejects())
    """
    kept = [label for row in rows if (label := _label(row.instruction, row.response))]
    dropped, verdicts = [], list[bool | None]([True] * len(kept))
    for reject in rejected:
        label = _label(reject.content.get("instruction"), reject.content.get("text"))
        if label is not None and reject.stage == "score":
            dropped.append(label)
            verdicts.append(False if reject.reason == "low_score" else None)
    right = sum(label.good for label in kept)
    good = right + sum(label.good for label in dropped)
    precision = right / len(kept) if kept else None
    recall = right / good if good else None
    f1 = 2 * precision * recall / (precision + recall) if precision and recall else 0.0
    pairs = len(kept) + len(dropped)
    return JudgeQuality(
        precision=precision,
        recall=recall,
        f1=f1,
        balanced_accuracy=balanced_accuracy([label.good for label in (*kept, *dropped)], verdicts),
        validity=1 - verdicts.count(None) / pairs if pairs else 0.0,
        pairs=pairs,
        let_through=dict(Counter(label.violation for label in kept if not label.good)),
    )


def curation(rows: Iterable[BacktranslatedRow], rejected: Iterable[Rejected]) -> Curation:
    """What the judge of a run did to its candidates; rows of the seed set are left out."""
    kept = [(row.instruction, row.original or row.response) for row in rows if row.source == "augmented"]
    lost, unread, dropped = [], 0, []
    for reject in rejected:
        pair = str(reject.content.get("instruction") or ""), str(reject.content.get("text") or "")
        if reject.stage == "score":
            lost.append(pair)
            unread += reject.reason != "low_score"
        elif reject.stage == "write" and pair[0]:
            dropped.append(pair)
    decided, written = kept + lost, kept + lost + dropped
    return Curation(
        candidates=len(decided),
        kept_share=len(kept) / len(decided) if decided else 0.0,
        kept_chars=fmean(len(instruction) for instruction, _ in kept) if kept else 0.0,
        all_chars=fmean(len(instruction) for instruction, _ in decided) if decided else 0.0,
        validity=1 - unread / len(decided) if decided else 0.0,
        pointing_share=fmean(points_at_text(*pair) is not None for pair in written) if written else 0.0,
        copied=fmean(copied_share(*pair) for pair in written) if written else 0.0,
    )


def _attempts(pred: Any) -> list[Attempt]:
    made = [
        Attempt(row.instruction, row.original or row.response, row.score, reasoning=row.reasoning)
        for row in pred.rows
        if row.source == "augmented"
    ]
    for reject in pred.get("rejected") or []:
        if reject.stage == "segment":
            continue  # no instruction was asked for
        content = reject.content
        ruled = reject.stage == "write"
        failure = f"{reject.reason}: {reject.detail}" if reject.detail else reject.reason
        made.append(
            Attempt(
                str(content.get("instruction") or ""),
                str(content.get("text") or ""),
                content.get("score"),
                failure if ruled else "",
                str(content.get("reasoning") or ""),
            )
        )
    return made


def _terms(attempt: Attempt) -> dict[str, float]:
    """Score of each test by what a person would call its failure."""
    instruction, text = attempt.instruction, attempt.text
    if not instruction:
        return {attempt.failure or "empty": 0.0}
    share, about = copied_share(instruction, text), overlap(instruction, text)
    pointing = points_at_text(instruction, text)
    rating = attempt.score
    judged = 1.0 if rating is None else 0.4 + 0.6 * (rating - 1) / 4
    return {
        f"dropped ({attempt.failure})": float(not attempt.failure),
        f"the judge gives {rating}: {attempt.reasoning[:160]}": judged,
        f"points at a text: {pointing}": float(pointing is None),
        f"{share:.0%} of it is copied": min(1.0, (1 - share) / (1 - COPIED)),
        f"only {about:.0%} of its words are about the text": min(1.0, about / ABOUT)
        if content_words(instruction)
        else 0.0,
        f"{len(instruction)} characters, {SHORTEST} to {LONGEST} wanted": _in_band(len(instruction)),
        "does not open like a request": 1.0 if opens_with_request(instruction) or "?" in instruction else 0.6,
    }


def _complaint(attempt: Attempt, terms: dict[str, float]) -> str:
    why = "; ".join(name for name, value in terms.items() if value < GOOD)
    return f"{why}: {attempt.instruction[:160]!r} for the text {attempt.text[:80]!r}"


def _in_band(chars: int) -> float:
    if chars < SHORTEST:
        return chars / SHORTEST
    return 1.0 if chars <= LONGEST else max(0.0, (END - chars) / (END - LONGEST))


def _product(terms: dict[str, float]) -> float:
    product = 1.0
    for value in terms.values():
        product *= value
    return product


def _rank(attempt: Attempt) -> int | None:
    """Place of the own text among all, from 1; None if it is not found, or if the instruction shows the text."""
    instruction, text = attempt.instruction, attempt.text
    if not instruction or not text or points_at_text(instruction, text) or copied_share(instruction, text) > COPIED:
        return None
    wanted = Passage(text=text).id
    found = _index(text).search(instruction, k=len(_texts()) + 1)
    return next((place for place, passage in enumerate(found, 1) if passage.id == wanted), None)


@cache
def _texts() -> tuple[str, ...]:
    path = Path(__file__).parents[1] / "data" / "backtranslation.jsonl"
    return tuple(record["inputs"]["text"] for record in read_jsonl(path))


@lru_cache(maxsize=128)
def _index(text: str) -> BM25:
    tokenizer = Tokenizer(stop_words="english")
    return BM25(PassageList([Passage(text=each) for each in dict.fromkeys((*_texts(), text))]), tokenizer=tokenizer)


def _label(instruction: Any, text: Any) -> LabelledPair | None:
    return _labels().get((instruction, text))


@cache
def _labels() -> dict[tuple[str, str], LabelledPair]:
    return {(pair.instruction, pair.response): pair for pair in labelled_pairs()}


def _verdicts(pred: Any) -> list[tuple[float | None, bool]]:
    """(rating, kept) of each draw; no rating if it could not be read."""
    kept: list[tuple[float | None, bool]] = [(row.score, True) for row in pred.rows]
    return kept + [(reject.content.get("score"), False) for reject in pred.get("rejected") or []]


METRIC = asks_for_text
HELD_OUT = recovers_text
