"""Metrics of TarGEN (Gupta et al., 2023, arXiv:2310.17876): objective cues, no LM call. Weights and cues are ours."""

import itertools
from collections.abc import Callable
from typing import Any

import dspy

from synthwright.filters.diversity import vendi_score
from synthwright.optimizers.metrics.blocks import capped, content_words, distinct, overlap, words
from synthwright.programs.targen_checks import problem
from synthwright.programs.targen_files import list_tasks, load_task
from synthwright.signatures.rows import Rejected
from synthwright.signatures.targen import Contexts, LabelledRow

__all__ = ["HELD_OUT", "METRIC", "context_spread", "flip_repair", "shows_label", "varied_contexts", "well_written"]

WEIGHTS = {"seed": 0.25, "label": 0.5, "explanation": 0.25}
"""What a usable row scores for: belonging to its instance seed, showing its label, explaining it."""

SPREAD = 0.15
"""Share of the score that hangs on the draws of one seed being different from each other."""

REPAIR = 0.5
"""What a row whose label was rightly changed is worth beside one that shows the label asked for."""

_NEGATIONS = frozenset("no not never none nobody nothing neither nor without cannot".split())
_META = frozenset("hypothesis premise label entailment entailed passage requirement context".split())


def shows_label(example, pred, trace=None, pred_name=None, pred_trace=None) -> dspy.Prediction:
    """Whether rows are usable, belong to their instance seed, show the label asked for, and keep it when re-checked.

    A draw scores 0 if it gave no row, or one that breaks a check of its task (a restated seed, a label that leaks, an
    answer that is absent). For RTE the label is judged by cues: an entailed hypothesis says little that the premise
    does not, with the same negations and numbers; one that is not entailed says something else. Other tasks have no
    such cues, so that their rows score for keeping the label. Rows that repeat each other cost up to 15 %.
    """
    scores = [0.0] * len(pred.rejected)
    feedback = [_lost(reject) for reject in pred.rejected]
    for row in pred.rows:
        score, remark = _row_score(row)
        scores.append(score)
        feedback += [remark] if remark else []
    spread = distinct([_written(row) for row in pred.rows])
    if len(pred.rows) > 1 and spread < 0.4:
        feedback.append(f"The draws repeat each other, such as {_written(pred.rows[0])[:100]!r}.")
    mean = sum(scores) / len(scores) if scores else 0.0
    total = mean * (1 - SPREAD + SPREAD * spread)
    return dspy.Prediction(score=capped(total), feedback="\n".join(feedback[:6]) or "Every draw shows its label.")


def well_written(example, pred, trace=None, pred_name=None, pred_trace=None) -> dspy.Prediction:
    """Share of five signs that a text was composed for its instance, and not copied, cut or stuttered.

    What the LM wrote is no stretch of the seed, does not talk about the example as an example, has the length of a
    sentence, does not repeat itself, and its explanation is about it. Labels play no part, so this is independent of
    `shows_label`.
    """
    scores, feedback = [0.0] * len(pred.rejected), [_lost(reject) for reject in pred.rejected]
    for row in pred.rows:
        text = _written(row)
        found = words(text)
        stretch = " ".join(found) in " ".join(words(row.instance_seed))
        pairs = list(itertools.pairwise(found))
        signs = {
            "is a stretch of the seed": not stretch,
            "talks about the example": _META.isdisjoint(found),
            "is too short or too long": 4 <= len(found) <= 40,
            "repeats itself": len(set(pairs)) >= 0.9 * len(pairs),
            "is not what the explanation is about": bool(content_words(text) & content_words(row.explanation)),
        }
        scores.append(sum(signs.values()) / len(signs) if found else 0.0)
        feedback += [f"It {sign}: {text[:100]!r}" for sign, held in signs.items() if not held]
    mean = sum(scores) / len(scores) if scores else 0.0
    return dspy.Prediction(score=capped(mean), feedback="\n".join(feedback[:6]) or "All texts are well written.")


def flip_repair(example, pred, trace=None, pred_name=None, pred_trace=None) -> dspy.Prediction:
    """Share of draws in which self-correction gives the `gold` label of the example.

    It is for seeds of the step `correct` under planted labels, half of them wrong, such as
    `optimizers/data/targen_flips.jsonl`: their mean is the balanced accuracy over repaired and damaged labels.
    """
    planted, gold = example.label, example.gold
    right = [row.label == gold and row.flag is None for row in pred.rows] + [False] * len(pred.rejected)
    feedback = [_lost(reject) for reject in pred.rejected]
    for row in pred.rows:
        if row.flag is not None:
            feedback.append(f"The reply gave none of the labels, so {planted!r} stands unchecked.")
        elif row.label != gold:
            fault = "damaged the right label" if planted == gold else "left the wrong label"
            feedback.append(f"It {fault} of {row.text!r}: {row.label!r}, because {row.corrected_explanation[:160]!r}.")
    score = sum(right) / len(right) if right else 0.0
    return dspy.Prediction(score=capped(score), feedback="\n".join(feedback[:6]) or f"{gold!r} is right.")


def varied_contexts(example, pred, trace=None, pred_name=None, pred_trace=None) -> dspy.Prediction:
    """How many different contexts a list has, of those asked for, and how little their words have in common.

    It is for seeds of the step `contexts` and `TarGEN(tune_contexts=True)`. The score is the share of the expected
    number that came, over all draws without repetitions, times the distinctness of the list (one minus the mean
    ROUGE-L).
    """
    return _contexts_score(pred, distinct)


def context_spread(embedder: Callable[[list[str]], Any]) -> Callable[..., dspy.Prediction]:
    """`varied_contexts` by meaning: the Vendi score of the embeddings in the place of ROUGE-L.

    Args:
        embedder: Takes n texts, returns n vectors.
    """

    def spread_of_contexts(example, pred, trace=None, pred_name=None, pred_trace=None) -> dspy.Prediction:
        return _contexts_score(pred, lambda texts: vendi_score(embedder(texts)) / len(texts))

    return spread_of_contexts


def _contexts_score(pred: Any, spread: Callable[[list[str]], float]) -> dspy.Prediction:
    lists = [made.contexts for made in pred.get("artifacts") or [] if isinstance(made, Contexts)]
    feedback = [_lost(reject) for reject in pred.get("rejected") or []]
    draws = len(lists) + len(feedback)
    texts = list(dict.fromkeys(text for made in lists for text in made))
    if not texts:
        return dspy.Prediction(score=0.0, feedback="\n".join(feedback[:6]) or "No context came.")
    came = min(1.0, len(texts) / (max(len(made) for made in lists) * draws))
    if came < 1:
        feedback.append(f"Of {draws} lists only {len(texts)} contexts are different ones, such as {texts[0]!r}.")
    found = spread(texts) if len(texts) > 1 else 0.0
    if found < 0.8:
        feedback.append(f"The contexts are much alike ({found:.0%} different): {'; '.join(texts[:5])}.")
    return dspy.Prediction(score=capped(came * found), feedback="\n".join(feedback[:6]) or "All contexts differ.")


def _row_score(row: LabelledRow) -> tuple[float, str]:
    """Score of one row in [0, 1], and its worst fault in words."""
    text = _written(row)
    checks = load_task(row.task).checks if row.task in list_tasks() else {}
    if broken := problem(checks, row.fields, row.asked):
        return 0.0, f"Not usable ({broken})."
    shared = len(content_words(text) & content_words(row.instance_seed))
    parts = {
        "seed": min(1.0, shared / 2) if len(content_words(row.instance_seed)) > 1 else float(bool(shared)),
        "label": _label_score(row),
        "explanation": float(bool(content_words(row.explanation) & content_words(f"{text} {row.instance_seed}"))),
    }
    faults = {
        "seed": f"Not about the instance seed {row.instance_seed[:80]!r}: {text[:100]!r}.",
        "label": f"Does not show {row.initial_label!r} for {row.instance_seed[:80]!r}: {text[:100]!r}"
        + (f"; re-checked as {row.label!r}." if row.was_corrected else "."),
        "explanation": f"Explains something else: {row.explanation[:100]!r}.",
    }
    worst = min(parts, key=lambda name: (parts[name] - 1) * WEIGHTS[name])
    remark = faults[worst] if parts[worst] < 1 else ""
    return sum(WEIGHTS[name] * part for name, part in parts.items()), remark


def _label_score(row: LabelledRow) -> float:
    if row.task != "rte":
        return REPAIR if row.was_corrected else 1.0
    follows = _follows(row.fields["premise"], row.fields["hypothesis"])
    holds = follows if row.label == "entailment" else 1 - follows
    return REPAIR * holds if row.was_corrected else holds


def _follows(premise: str, hypothesis: str) -> float:
    """How far a hypothesis looks entailed, in [0, 1]: by new content words, negations and numbers."""
    numbers = {word for word in words(hypothesis) if word.isdigit()} - set(words(premise))
    if numbers or bool(_negations(premise)) != bool(_negations(hypothesis)):
        return 0.0
    return min(1.0, max(0.0, (overlap(hypothesis, premise) - 0.5) / 0.4))


def _negations(text: str) -> list[str]:
    return [word for word in words(text) if word in _NEGATIONS or word.endswith("n't")]


def _written(row: LabelledRow) -> str:
    """What the LM wrote of a row: its fields without the instance seed."""
    return " ".join(text for text in row.fields.values() if text != row.instance_seed)


def _lost(reject: Rejected) -> str:
    return f"No row ({reject.stage}, {reject.reason}): {reject.detail[:120]}"


METRIC = shows_label
HELD_OUT = well_written
