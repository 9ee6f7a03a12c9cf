"""Metrics of Self-Instruct: are proposals new, varied requests, and are instances what the task asks? No LM is called.

A seed is either a request (`existing_instructions`) or one instruction to settle. Examples of the latter bring what is
known of the instruction beside their inputs: `is_classification`, `needs_input`, and for classifications `classes`.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import dspy

from synthwright.filters.duplicates import rouge_l, rouge_tokens
from synthwright.optimizers.metrics.blocks import capped, content_words, distinct, words
from synthwright.programs.base import data_path
from synthwright.programs.evol_instruct_checks import asks
from synthwright.signatures.self_instruct import MAX_PROPOSALS, Proposed, TaskRow

__all__ = ["HELD_OUT", "METRIC", "fresh_material", "task_quality"]

DIVERSITY = 0.3
"""Share of the score that proposals lose if all are the same."""

COPY = 0.7
"""ROUGE-L from which a text counts as a copy of another: the paper's threshold."""

RELATED = 0.5
"""ROUGE-L up to which texts count as different: short instructions share words by chance."""

MOST_WORDS = 40
"""Words of an instruction from which it asks for too much; the paper's have 16 on average."""

NEW_WORDS = 2
GOOD = 0.9
FEEDBACK_LINES = 6


@dataclass(frozen=True)
class Attempt:
    """One instance, kept or not; `failure` says why it was dropped."""

    input: str
    output: str
    is_classification: bool | None
    failure: str = ""


def task_quality(example, pred, trace=None, pred_name=None, pred_trace=None) -> dspy.Prediction:
    """Quality of what was made for one seed, in [0, 0.99]; feedback quotes what failed.

    A request scores the mean over its proposals, dropped ones included, of: passed the rules, asks for something,
    is new against the tasks shown, the other proposals and the demonstrations, is not too long; times how many there
    are, and how much they differ. An instruction scores the share of right verdicts times the mean over its instances,
    dropped ones included, of: kept, has an input if and only if the task needs one, has a label of the task, does not
    repeat its input, itself or a demonstration; times how many of the labels occur.
    """
    if "existing_instructions" in example:
        return _score_proposals(example, pred)
    return _score_instances(example, pred)


def fresh_material(example, pred, trace=None, pred_name=None, pred_trace=None) -> dspy.Prediction:
    """Share of proposals or instances that bring material of their own, by form alone; dropped ones count.

    A proposal opens with other words than the proposals before it and has `NEW_WORDS` content words that neither the
    tasks shown nor the demonstrations have. An instance has an output of its own among the instances, complete, of
    words of which not half stand in the demonstrations or, unless it is a label, in its input.
    """
    if "existing_instructions" in example:
        proposals, lost = _proposals(pred)
        known = content_words(" ".join([*example["existing_instructions"], *_demonstrated()]))
        openings: set[tuple[str, ...]] = set()
        fresh, lines = 0, []
        for text in proposals:
            new, opening = content_words(text) - known, tuple(words(text)[:2])
            if len(new) >= NEW_WORDS and opening not in openings:
                fresh += 1
            else:
                lines.append(f"nothing new: {text[:120]!r}")
            openings.add(opening)
        return _result(fresh / max(len(proposals) + lost, MAX_PROPOSALS), lines, "Every proposal is fresh.")
    attempts = _attempts(pred)
    outputs: set[str] = set()
    fresh, lines = 0, []
    for attempt in attempts:
        output = " ".join(words(attempt.output))
        if attempt.output and output not in outputs and _own(attempt):
            fresh += 1
        else:
            lines.append(f"no output of its own: {attempt.output[:120]!r}")
        outputs.add(output)
    return _result(fresh / len(attempts) if attempts else 0.0, lines, "Every output is fresh.")


def _score_proposals(example: Any, pred: Any) -> dspy.Prediction:
    shown = [rouge_tokens(text) for text in example["existing_instructions"]]
    demonstrated = [rouge_tokens(text) for text in _demonstrated()]
    proposals, lost = _proposals(pred)
    kept = {artifact.instruction for artifact in pred.get("artifacts") or [] if isinstance(artifact, Proposed)}
    lines = ["a reply could not be used"] if lost else []
    total, before = 0.0, []
    for text in proposals:
        tokens = rouge_tokens(text)
        terms = {
            "dropped by a rule": float(text in kept),
            "asks for nothing": 1.0 if asks(text) else 0.3,
            "copies a task that it was shown": _newness(tokens, shown),
            "copies another proposal": _newness(tokens, before),
            "copies a demonstration": _newness(tokens, demonstrated),
            f"longer than {MOST_WORDS} words": min(1.0, MOST_WORDS / max(1, len(text.split()))),
        }
        total += _product(terms.values())
        lines += _complaints(terms, text)
        before.append(tokens)
    quality = total / max(len(proposals) + lost, MAX_PROPOSALS)
    first_words = {text.split()[0].casefold() for text in proposals if text.split()}
    spread = distinct(proposals) * len(first_words) / len(proposals) if proposals else 0.0
    if proposals and spread < 0.5:
        lines.insert(0, "The proposals open with the same words or say the same: vary verb and subject.")
    if len(proposals) < MAX_PROPOSALS:
        lines.insert(0, f"Only {len(proposals)} proposals came; {MAX_PROPOSALS} are wanted.")
    return _result(quality * (1 - DIVERSITY + DIVERSITY * spread), lines, "All proposals are new and varied.")


def _score_instances(example: Any, pred: Any) -> dspy.Prediction:
    attempts = _attempts(pred)
    verdicts = [attempt.is_classification for attempt in attempts if attempt.is_classification is not None]
    gold = example.get("is_classification")
    right = 1.0 if gold is None else sum(v == gold for v in verdicts) / len(verdicts) if verdicts else 0.0
    classes = {text.casefold() for text in example.get("classes") or ()}
    lines = [] if right == 1 else [f"{example['instruction']!r} is {'' if gold else 'not '}a classification."]
    total = 0.0
    for attempt in attempts:
        terms = _instance_terms(example, attempt, classes)
        total += _product(terms.values())
        lines += _complaints(terms, f"{attempt.input} -> {attempt.output}")
    quality = total / len(attempts) if attempts else 0.0
    used = {attempt.output.casefold().strip(" .") for attempt in attempts if not attempt.failure}
    coverage = 1.0
    if classes and quality:
        coverage = len(used & classes) / min(len(classes), max(2, len(attempts)))
        if coverage < 1:
            lines.insert(0, f"Labels without an example: {', '.join(sorted(classes - used))}.")
    return _result(right * quality * min(1.0, coverage), lines, "Every instance is what the task asks.")


def _instance_terms(example: Any, attempt: Attempt, classes: set[str]) -> dict[str, float]:
    input, output = rouge_tokens(attempt.input), rouge_tokens(attempt.output)
    needs = example.get("needs_input")
    pairs = list(pairwise(output))
    return {
        f"dropped ({attempt.failure})": float(not attempt.failure),
        "has no input, and the task needs one": 0.3 if needs is True and not attempt.input else 1.0,
        "has an input, and the task needs none": 0.6 if needs is False and attempt.input else 1.0,
        f"not one of {sorted(classes)}": 1.0
        if not classes or attempt.output.casefold().strip(" .") in classes
        else 0.1,
        "repeats its input": 0.3 if not classes and rouge_l(input, output) > 0.9 else 1.0,
        "repeats the instruction": _newness(output, [rouge_tokens(example["instruction"])]) if not classes else 1.0,
        "repeats itself": len(set(pairs)) / len(pairs) if pairs else 1.0,
        "copies a demonstration": _newness(input + output, [rouge_tokens(text) for text in _demonstrated_instances()]),
    }


def _proposals(pred: Any) -> tuple[list[str], int]:
    """The texts of all proposals, dropped ones included, and how many more a reply that was lost would have held."""
    kept = [artifact.instruction for artifact in pred.get("artifacts") or [] if isinstance(artifact, Proposed)]
    rejected = pred.get("rejected") or []
    dropped = [str(reject.content.get("instruction", "")) for reject in rejected if reject.stage == "instruction"]
    return kept + dropped, MAX_PROPOSALS * sum(reject.stage == "propose" for reject in rejected)


def _attempts(pred: Any) -> list[Attempt]:
    kept = [Attempt(row.input, row.output, row.is_classification) for row in pred.rows if isinstance(row, TaskRow)]
    lost = []
    for reject in pred.get("rejected") or []:
        content, failure = reject.content, f"{reject.reason}: {reject.detail}" if reject.detail else reject.reason
        if reject.stage == "instance":
            verdict = content.get("is_classification")
        else:  # no instance came of this reply; its branch still tells the verdict
            verdict = {"output_first": True, "input_first": False}.get(reject.stage)
        lost.append(Attempt(str(content.get("input", "")), str(content.get("output", "")), verdict, failure))
    return kept + lost


def _own(attempt: Attempt) -> bool:
    output = content_words(attempt.output) or set(words(attempt.output))
    borrowed = output & content_words(" ".join(_demonstrated_instances()))
    if not attempt.is_classification:
        borrowed |= output & content_words(attempt.input)
    complete = len(attempt.output.split()) < 8 or attempt.output.rstrip().endswith((".", "!", "?", "`", ")", '"'))
    return complete and 2 * len(borrowed) <= len(output)


def _newness(tokens: Sequence[str], others: Iterable[Sequence[str]]) -> float:
    """1 up to `RELATED`, falling to 0 at the threshold of a copy."""
    nearest = max((rouge_l(tokens, other) for other in others), default=0.0)
    return min(1.0, max(0.0, (COPY - nearest) / (COPY - RELATED)))


def _complaints(terms: dict[str, float], text: str) -> list[str]:
    failed = [name for name, value in terms.items() if value < GOOD]
    return [f"{'; '.join(failed)}: {text[:160]!r}"] if failed else []


def _result(score: float, lines: Sequence[str], praise: str) -> dspy.Prediction:
    return dspy.Prediction(score=capped(score), feedback="\n".join(lines[:FEEDBACK_LINES]) or praise)


def _product(values: Iterable[float]) -> float:
    product = 1.0
    for value in values:
        product *= value
    return product


@cache
def _shipped() -> dict[str, Any]:
    return json.loads(data_path("demonstrations/self_instruct.json").read_text(encoding="utf-8"))


@cache
def _demonstrated() -> tuple[str, ...]:
    """The proposals in the shipped demonstrations."""
    return tuple(text for demo in _shipped().get("propose", []) for text in demo["new_instructions"])


@cache
def _demonstrated_instances() -> tuple[str, ...]:
    """Input and output of every instance in the shipped demonstrations."""
    demos = [*_shipped().get("input_first", []), *_shipped().get("output_first", [])]
    shown = [each for demo in demos for each in demo["instances"]]
    return tuple(f"{each['input']} {each.get('output', each.get('class_label'))}" for each in shown)


METRIC = task_quality
HELD_OUT = fresh_material
