"""Metrics of Bonito (Nayak et al., 2024, arXiv:2402.18334): objective tests, no LM call. Weights are ours."""

from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import dspy

from synthwright.optimizers.metrics.blocks import balanced_accuracy, capped, content_words, distinct, overlap, words
from synthwright.programs.base import read_jsonl
from synthwright.programs.bonito_checks import same_answer
from synthwright.programs.bonito_types import type_named
from synthwright.retrieval import BM25, Passage, PassageList, Tokenizer
from synthwright.signatures.bonito import BonitoRow
from synthwright.signatures.rows import Rejected

__all__ = ["HELD_OUT", "METRIC", "copied_run", "finds_passage", "judge_accuracy", "right_verdict", "sound_tasks"]

SPREAD = 0.15
"""Share of the score that hangs on the draws of one seed being different from each other."""

_CLOSE = ("exqa", "mcqa", "qg", "qa", "ynqa", "te", "nli", "paraphrase_id", "summarization")
ABOUT: dict[str, float] = {name: 0.34 for name in _CLOSE}
ABOUT |= {name: 0.15 for name in ("sent_comp", "paraphrase", "text_gen")}
"""Share of the content words of a text that must stand in the passage, by type; others are not compared."""

RUN = 8
"""Words copied in one stretch from the passage from which a text is no longer one's own."""

UNSUITED = 0.3
"""What a task is worth that was made of a passage which allows none of its type."""

LINES = 6


def sound_tasks(example, pred, trace=None, pred_name=None, pred_trace=None) -> dspy.Prediction:
    """Whether tasks pass the checks of their type, are about their passage, and are written in words of their own.

    A draw without a row scores 0, unless its seed says `applicable: false` and it answered `not_applicable`. A row's
    score is a product: its words are about the passage, it is not copied from it, what follows from a passage shares
    more words with it than what does not, and, where a solver took part, it gives the same answer with the passage and
    another one without. Rows that repeat each other cost up to 15 %.
    """
    suited = example.get("applicable", True)
    scores, feedback = [], []
    for reject in pred.get("rejected") or []:
        declined = reject.reason == "not_applicable"
        scores.append(float(declined and not suited))
        if not scores[-1]:
            feedback.append(_lost(reject))
    for row in pred.rows:
        terms = _terms(row)
        score = 1.0
        for value in terms.values():
            score *= value
        if not suited:
            score *= UNSUITED
            feedback.append(
                f"The passage allows no {row.task_type} task, so not_applicable was right: {row.passage[:80]!r}"
            )
        scores.append(score)
        faults = "; ".join(name for name, value in terms.items() if value < 1)
        feedback += [f"{row.task_type}: {faults}: {_said(row)[:160]!r}"] if faults else []
    spread = distinct([_said(row) for row in pred.rows])
    if len(pred.rows) > 1 and spread < 0.4:
        feedback.append(f"The draws repeat each other, such as {_said(pred.rows[0])[:100]!r}.")
    mean = sum(scores) / len(scores) if scores else 0.0
    total = mean * (1 - SPREAD + SPREAD * spread)
    return dspy.Prediction(score=capped(total), feedback="\n".join(feedback[:LINES]) or "All tasks are sound.")


def finds_passage(example, pred, trace=None, pred_name=None, pred_trace=None) -> dspy.Prediction:
    """Whether a search for the words of a task brings up its passage among all passages shipped for tuning.

    It is one over the rank, by BM25; a text copied from the passage finds nothing. No validator plays a part, so this
    is independent of `sound_tasks`. Types whose texts say little of the passage (sentiment, topics) find little.
    """
    suited = example.get("applicable", True)
    scores, feedback = [], []
    for reject in pred.get("rejected") or []:
        scores.append(float(reject.reason == "not_applicable" and not suited))
        feedback += [] if scores[-1] else [_lost(reject)]
    for row in pred.rows:
        rank = _rank(row)
        scores.append(1 / rank if rank and suited else 0.0)
        if scores[-1] < 1:
            where = f"at place {rank}" if rank else "nowhere"
            feedback.append(f"Its passage is found {where} by {_said(row)[:140]!r}.")
    mean = sum(scores) / len(scores) if scores else 0.0
    return dspy.Prediction(score=capped(mean), feedback="\n".join(feedback[:LINES]) or "Every task finds its passage.")


def right_verdict(example, pred, trace=None, pred_name=None, pred_trace=None) -> dspy.Prediction:
    """Share of draws in which the judge gives the `gold` verdict of a finished task.

    It is for `optimizers/data/bonito_planted.jsonl`: tasks with right answers, planted wrong ones, and questions that
    their passages do not answer; for `Bonito(judge=True, tune_judge=True, checks=())`.
    """
    verdicts = _verdicts(pred)
    right = [verdict == example.gold for verdict in verdicts]
    said = ", ".join(str(verdict) for verdict in verdicts) or "nothing"
    about = f"{example.answer!r} to {example.instruction_template[-100:]!r} is {example.gold!r}"
    score = sum(right) / len(right) if right else 0.0
    return dspy.Prediction(score=capped(score), feedback=f"{about}, the judge said {said}.")


def judge_accuracy(gold: Sequence[str], predictions: Iterable[Any]) -> float:
    """Balanced accuracy of the judge over finished tasks, one draw each: a third is what one constant verdict earns.

    Args:
        gold: The right verdict of each task: `right`, `wrong` or `not_told`.
        predictions: What the generator returned for each; an unreadable verdict is wrong.
    """
    return balanced_accuracy(gold, [next(iter(_verdicts(pred)), None) for pred in predictions])


def copied_run(text: str, passage: str) -> int:
    """Words of the longest stretch of a text that stands in the passage, ignoring case and punctuation."""
    wanted, found = words(text), words(passage)
    longest = 0
    row = [0] * (len(found) + 1)
    for word in wanted:
        row = [0, *(row[j] + 1 if word == other else 0 for j, other in enumerate(found))]
        longest = max(longest, *row)
    return longest


def _terms(row: BonitoRow) -> dict[str, float]:
    """Score of each test in [0, 1] by what a person would call its failure."""
    kind, said = type_named(row.task_type), _said(row)
    terms: dict[str, float] = {}
    if needed := ABOUT.get(row.task_type):
        about = overlap(said, row.passage) if said else 0.0
        terms[f"only {about:.0%} of its words are about the passage"] = min(1.0, about / needed)
    own = _own(row)
    run = copied_run(own, row.passage) if own else 0
    terms[f"{run} words in a row are copied from the passage"] = 1.0 if run < RUN else RUN / (2 * run)
    if (hypothesis := row.parts.get("hypothesis")) and row.label != "contradiction":  # which uses the same words
        known = overlap(hypothesis, row.passage)
        shown = 0.5 + known if row.label == "entailment" else 1.6 - known
        terms[f"{known:.0%} of its words are known, and it is meant as {row.label}"] = min(1.0, shown)
    if row.solver_response is not None:
        agrees = same_answer(row.solver_response, row.response, row.options)
        terms[f"a solver answers {row.solver_response[:60]!r}, not {row.response[:60]!r}"] = 1.0 if agrees else 0.3
    if row.blind_response is not None and kind.checkable and not row.options:
        guessed = same_answer(row.blind_response, row.response)
        terms["a solver answers it without the passage"] = 0.3 if guessed else 1.0
    return terms


def _said(row: BonitoRow) -> str:
    """What the LM wrote of a row: the parts, or the task and a free response."""
    if row.parts:
        return " ".join(text for name, text in row.parts.items() if name not in ("answer", "sentiment"))
    return f"{row.task} {row.response}".strip()


def _own(row: BonitoRow) -> str:
    """The text that ought to be in the LM's own words; empty for types that copy."""
    own = ("question", "paraphrase", "summary", "written_text", "hypothesis", "ending", "sentence")
    texts = [row.parts[name] for name in own if name in row.parts]
    if not row.parts and row.task_type in ("qg", "paraphrase", "summarization", "text_gen"):
        texts = [row.response]
    return texts[0] if texts else ""


def _rank(row: BonitoRow) -> int | None:
    said = _said(row)
    if not content_words(said) or copied_run(_own(row), row.passage) >= 2 * RUN:
        return None
    wanted = Passage(text=row.passage).id
    found = _index(row.passage).search(said, k=len(_passages()) + 1)
    return next((place for place, passage in enumerate(found, 1) if passage.id == wanted), None)


@cache
def _passages() -> tuple[str, ...]:
    path = Path(__file__).parents[1] / "data" / "bonito.jsonl"
    return tuple(dict.fromkeys(record["inputs"]["passage"] for record in read_jsonl(path)))


@lru_cache(maxsize=128)
def _index(passage: str) -> BM25:
    texts = dict.fromkeys((*_passages(), passage))
    return BM25(PassageList([Passage(text=text) for text in texts]), tokenizer=Tokenizer(stop_words="english"))


def _verdicts(pred: Any) -> list[str | None]:
    kept = [row.verdict for row in pred.rows]
    lost = [reject.reason for reject in pred.get("rejected") or [] if reject.stage == "judge_response"]
    return [*kept, *(reason if reason in ("wrong", "not_told") else None for reason in lost)]


def _lost(reject: Rejected) -> str:
    about = str(reject.content.get("parts") or reject.content.get("response") or reject.content.get("reply") or "")
    return f"No row ({reject.stage}, {reject.reason}): {reject.detail[:100]} {about[:140]}".strip()


METRIC = sound_tasks
HELD_OUT = finds_passage
