"""Metrics of Evol-Instruct: does each evolution ask for more, in bounds, of the same thing? No LM is called."""

import json
import re
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import dspy

from synthwright.filters.duplicates import rouge_l, rouge_tokens
from synthwright.optimizers.metrics.blocks import capped, content_words, distinct, overlap, words
from synthwright.optimizers.metrics.demands import demand_share
from synthwright.programs.base import data_path, read_jsonl
from synthwright.programs.evol_instruct_checks import (
    CHECKS,
    asks,
    data_blocks,
    lost_blocks,
    opens_with_request,
    scaffold_words,
    word_growth,
)
from synthwright.signatures.evol_instruct import OPERATORS

__all__ = ["HELD_OUT", "METRIC", "evolution", "fresh_demand"]

DIVERSITY = 0.2
"""Share of the score that is lost if all draws add the same words."""

BANDS = {"complicate_input": (10, 100, 140), "broaden": (-5, 5, 15)}
"""Words that an operator should add: fewest, most, and where nothing is left of the score."""

USUAL_BAND = (10, 20, 40)
"""WizardLM asks its depth operators for 10 to 20 words; at 40 our `practical` preset drops them."""

KEPT_WORDS = {"concretize": 0.4, "complicate_input": 0.4}
"""Share of the parent's content words that an evolution in depth should keep, where it is not `USUAL_KEPT`."""

USUAL_KEPT = 0.7
ENOUGH_DEMAND = 0.5
"""Share of the added words that must demand something for the full score: the rest may be background."""

NO_DEMAND = 0.2
"""What is left of the score if all that is added are plain statements."""

NEW_WORDS = 3
GOOD = 0.9
"""A term, or a product of terms, from which feedback is silent."""

FEEDBACK_LINES = 6


@dataclass(frozen=True)
class Attempt:
    """One evolution of the draws, kept or not; `evolved` is empty if the reply could not be read."""

    operator: str
    parent: str
    evolved: str
    failure: str = ""  # why it was eliminated


def evolution(example, pred, trace=None, pred_name=None, pred_trace=None) -> dspy.Prediction:
    """Mean over all evolutions, eliminated ones included, of the product of the terms below, times diversity.

    Terms in [0, 1]: not eliminated; the words added are in the operator's band; it is about the same thing (depth) or
    about another (breadth); it asks instead of answering; the parent's data is all there, and new data where the
    operator attaches some; it does not repeat itself, copy a demonstration or speak of the prompt.
    Feedback quotes the evolutions that failed; `pred_name` limits it to those of one operator.
    """
    attempts = _attempts(pred)
    if not attempts:
        return dspy.Prediction(score=0.0, feedback="Nothing was evolved.")
    judged = [(attempt, _terms(attempt)) for attempt in attempts]
    quality = sum(_product(terms) for _, terms in judged) / len(judged)
    spread = distinct([_added(attempt) for attempt in attempts if attempt.evolved])
    focus = pred_name if pred_name in OPERATORS else None
    failed = [(a, terms) for a, terms in judged if _product(terms) < GOOD and focus in (None, a.operator)]
    lines = [_complaint(attempt, terms) for attempt, terms in failed]
    if spread < 0.5:
        lines.append("The draws add nearly the same words each time: vary what is demanded.")
    feedback = "\n".join(lines[:FEEDBACK_LINES]) or "Every evolution asks for more of the same thing, in bounds."
    return dspy.Prediction(score=capped(quality * (1 - DIVERSITY + DIVERSITY * spread)), feedback=feedback)


def fresh_demand(example, pred, trace=None, pred_name=None, pred_trace=None) -> dspy.Prediction:
    """Share of all evolutions that open like a request, stay one request, copy no demonstration and bring new words.

    New words are content words that neither the parent nor any shipped demonstration has; `NEW_WORDS` of them are
    enough, and a sentence that does not open like a request brings one at most. Eliminated evolutions count by their
    text, so that leniency of the rules does not show as a gain.
    """
    attempts = _attempts(pred)
    scores, lines = [], []
    for attempt in attempts:
        failures = _form_failures(attempt)
        new = _new_words(attempt)
        scores.append(0.0 if failures else min(1.0, new / NEW_WORDS))
        if scores[-1] < 1:
            why = "; ".join(failures) or f"only {new} new content words"
            lines.append(f"{attempt.operator}: {why}: {attempt.evolved[:160]!r}")
    score = capped(sum(scores) / len(scores)) if scores else 0.0
    return dspy.Prediction(score=score, feedback="\n".join(lines[:FEEDBACK_LINES]) or "Every demand is new.")


def _attempts(pred: Any) -> list[Attempt]:
    kept = [Attempt(row.operator, row.parent, row.instruction) for row in pred.rows]
    lost = []
    for reject in pred.get("rejected") or []:
        text = str(reject.content.get("instruction") or "")
        failure = f"{reject.reason}: {reject.detail}" if reject.detail else reject.reason
        lost.append(Attempt(reject.content.get("operator", ""), reject.content.get("parent", ""), text, failure))
    return kept + lost


def _terms(attempt: Attempt) -> dict[str, float]:
    """Score of each test by what a person would call its failure."""
    parent, evolved = attempt.parent, attempt.evolved
    if not evolved:
        return {attempt.failure or "empty": 0.0}
    added = word_growth(parent, evolved)
    low, high, end = BANDS.get(attempt.operator, USUAL_BAND)
    answer = CHECKS["answered"](parent, evolved)
    scaffold, copied = scaffold_words(evolved, parent), _copied(attempt)
    terms = {
        f"eliminated ({attempt.failure})": float(not attempt.failure),
        f"{added} words added, {low} to {high} wanted": _in_band(added, low, high, end),
        answer or "asks for nothing": float(answer is None and (asks(evolved) or not asks(parent))),
        f"speaks of the prompt: {scaffold}": float(scaffold is None),
        f"copies a demonstration: {copied!r}": 0.5 if copied else 1.0,
        "repeats itself": min(1.0, _distinct_pairs(evolved) / (0.4 if attempt.operator == "complicate_input" else 0.8)),
    }
    if attempt.operator == "broaden":
        likeness = rouge_l(rouge_tokens(parent), rouge_tokens(evolved))
        terms["is still the same instruction"] = min(1.0, 2 * (1 - likeness))
        terms["has nothing in common with the given one"] = 1.0 if _shared(parent, evolved) else 0.7
    else:
        wanted = KEPT_WORDS.get(attempt.operator, USUAL_KEPT)
        kept = overlap(parent, evolved)
        terms[f"keeps {kept:.0%} of the words that say what it is about"] = min(1.0, kept / wanted)
        lost = lost_blocks(parent, evolved)
        terms[f"loses the data {lost[:1]}"] = 1 - len(lost) / max(1, len(data_blocks(parent)))
    attached = bool(set(data_blocks(evolved)) - set(data_blocks(parent)))
    if attempt.operator == "complicate_input":
        terms["attaches no data"] = 1.0 if attached else 0.5
    if attempt.operator != "broaden" and not attached:
        share, plain = demand_share(parent, evolved)
        terms[f"adds a statement that asks for nothing: {plain[:100]!r}"] = max(
            NO_DEMAND, min(1.0, share / ENOUGH_DEMAND)
        )
    return terms


def _complaint(attempt: Attempt, terms: dict[str, float]) -> str:
    failed = [name for name, value in terms.items() if value < GOOD]
    why = f"eliminated ({attempt.failure})" if attempt.failure else "; ".join(failed)
    return f"{attempt.operator} of {attempt.parent[:100]!r}: {why}: {attempt.evolved[:160]!r}"


def _form_failures(attempt: Attempt) -> list[str]:
    parent, evolved = attempt.parent, attempt.evolved
    if not evolved:
        return ["unreadable"]
    failures = []
    same_opening = words(evolved)[:1] == words(parent)[:1]
    if not (same_opening or opens_with_request(evolved)):
        failures.append("does not open like a request")
    sentences = evolved.count(". ") + evolved.count("? ") + evolved.count("\n")
    if attempt.operator != "complicate_input" and sentences > parent.count(". ") + parent.count("\n") + 2:
        failures.append("is no longer one request")
    if copied := _copied(attempt):
        failures.append(f"copies a demonstration: {copied!r}")
    return failures


def _new_words(attempt: Attempt) -> int:
    """New content words of the sentences; of one that does not open like a request, one word at most."""
    known = content_words(attempt.parent) | _demonstrated_words()
    if attempt.operator == "complicate_input":  # data is not written in requests
        return len(content_words(attempt.evolved) - known)
    count = 0
    for sentence in re.split(r"(?<=[.!?])\s+|\n", attempt.evolved):
        new = content_words(sentence) - known
        count += len(new) if opens_with_request(sentence) else min(1, len(new))
        known |= new
    return count


def _copied(attempt: Attempt) -> str:
    """Four words in a row that stand in a shipped demonstration and not in the parent; empty if there are none."""
    copied = (_runs(attempt.evolved) - _runs(attempt.parent)) & _demonstrated_runs()
    return " ".join(min(copied)) if copied else ""


@cache
def _demonstrations() -> tuple[str, ...]:
    """The evolved instructions of all shipped demonstrations."""
    shipped = json.loads(data_path("demonstrations/evol_instruct.json").read_text(encoding="utf-8"))
    demos = [demo for operator in OPERATORS for demo in shipped.get(operator, [])]
    demos += read_jsonl(data_path("evol_instruct_complicate_input.jsonl"))
    return tuple(demo["evolved_instruction"] for demo in demos)


@cache
def _demonstrated_words() -> frozenset[str]:
    return frozenset(word for text in _demonstrations() for word in content_words(text))


@cache
def _demonstrated_runs() -> frozenset[tuple[str, ...]]:
    return frozenset(run for text in _demonstrations() for run in _runs(text))


def _runs(text: str) -> set[tuple[str, ...]]:
    """All runs of four words."""
    tokens = words(text)
    return {tuple(tokens[i : i + 4]) for i in range(len(tokens) - 3)}


def _in_band(value: float, low: float, high: float, end: float) -> float:
    if value < low:
        return max(0.0, 1 - (low - value) / max(abs(low), 10))
    return 1.0 if value <= high else max(0.0, (end - value) / (end - high))


def _distinct_pairs(text: str) -> float:
    pairs = list(pairwise(words(text)))
    return len(set(pairs)) / len(pairs) if pairs else 1.0


def _added(attempt: Attempt) -> str:
    known = set(words(attempt.parent))
    return " ".join(word for word in words(attempt.evolved) if word not in known)


def _shared(a: str, b: str) -> set[str]:
    return content_words(a) & content_words(b)


def _product(terms: dict[str, float]) -> float:
    product = 1.0
    for value in terms.values():
        product *= value
    return product


METRIC = evolution
HELD_OUT = fresh_demand
