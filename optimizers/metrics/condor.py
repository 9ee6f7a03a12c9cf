"""Metrics of Condor: sub-tags, questions of three difficulties, critiques and refined answers. No LM is called.

The seeds of `optimizers/data/condor.jsonl` are of three kinds, so that each part of the program is tuned at the cost of
its own calls: a tag path with a task (questions only), a question with a faulty draft, and a tag path to be expanded.
"""

import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import product
from typing import Any

import dspy

from synthwright.optimizers.metrics.blocks import capped, content_words, distinct, words
from synthwright.programs.base import data_path
from synthwright.programs.condor_tasks import load_tasks
from synthwright.programs.evol_instruct_checks import opens_with_request
from synthwright.signatures.condor import LEVELS, CondorRow

__all__ = ["HELD_OUT", "METRIC", "TASK_FORMS", "checkable", "demand", "sound_steps", "unmet"]

BAND = (6, 80, 200)
"""Words of a question: fewest, most, and where nothing is left of the score."""

SEPARATION, DIVERSITY = 0.3, 0.3
"""Shares of the score of questions that are lost if difficulties cannot be told apart, and if all are the same."""

OFF_THEME = 0.7
"""What is left if nothing of the theme can be found: it need only be related."""

COPIED = 4
"""Words in a row that a question should share with no example and no demonstration."""

LONG = (1.5, 3.0)
"""Length ratios up to which a refined answer loses nothing, and from which it loses half."""

CRITIQUE, FEW_WORDS, NEW_WORDS = 0.25, 4, 4
GOOD = 0.9
FEEDBACK_LINES = 6
STEM = 5

_DEMAND = re.compile(
    r"\b(?:and|but|without|except|only|exactly|at most|at least|each|every|both|compare|explain|justify|why|if|unless|"
    r"while|under|within|assume|given|first|then|finally|weigh|prove|convince|\d+)\b",
    re.I,
)
_ENDING = re.compile(r"(?:ies|ys?|s)$")
_VAGUE = re.compile(r"\b(?:improve|better|more detail|clearer|good|expand|elaborate)\b", re.I)

TASK_FORMS: Mapping[str, re.Pattern[str]] = {
    "role_play": re.compile(
        r"\b(?:you are|act|play|pretend|imagine|be (?:a|an|my|the)|as (?:a|an|my|the)|role)\b", re.I
    ),
    "daily_chat": re.compile(r"\b(?:you|your|i|i'm|my|me|we|our)\b", re.I),
    "domain_qa": re.compile(r"\?|\b(?:explain|describe|define|name)\b", re.I),
    "given_material": re.compile(r"[\"“«:=`\n]"),
    "format_control": re.compile(
        r"\b(?:one|two|three|four|five|six|seven|ten|\d+|exactly|list|lines?|table|words?|sentences?|json|columns?|bullets?"
        r"|alphabetical|letters?|rhym\w+)\b",
        re.I,
    ),
    "view": re.compile(
        r"\b(?:should|rude|convincing|side|better|best|worth|sides?|think|opinion|prefer|which|fair|right|agree|view|why)\b",
        re.I,
    ),
    "creation": re.compile(
        r"\b(?:write|invent|compose|create|design|make up|draft|slogan|story|poem|speech|song|plan|letter|name)\b", re.I
    ),
}
"""Signs by which a question of a task can be told in code, in English."""


def sound_steps(example, pred, trace=None, pred_name=None, pred_trace=None) -> dspy.Prediction:
    """Score of the steps that a seed takes; the mean if it takes several. Dropped texts count as failures.

    Questions: parsed, passed the checks, words in a band, related to the theme, no words in a row of examples or
    demonstrations; up to three tenths are lost if `demand` does not rise from easy to hard, and if all are alike.
    Critiques and refined answers: a quarter for suggestions that are concrete; the rest for a usable refined answer, by
    what the judge says and how many suggestions can be found in it, less if it is more than 1.5 times as long.
    Sub-tags: kept, as many as wanted, one to four words, none that repeats words of another or of the path.
    `pred_name` limits the feedback to one predictor.
    """
    parts = {
        "expand": _expansions(example, pred) if example.get("grow") else None,
        "ask": _questions(pred) if example.get("task") else None,
        "refine": _refinements(pred) if not example.get("grow") else None,
    }
    found = {name: part for name, part in parts.items() if part is not None}
    if not found:
        return dspy.Prediction(score=0.0, feedback="Nothing was made.")
    focus = "refine" if pred_name == "critique" else pred_name
    lines = [
        line for name, (_, notes) in found.items() if focus in (None, name) or focus not in parts for line in notes
    ]
    score = sum(value for value, _ in found.values()) / len(found)
    return dspy.Prediction(score=capped(score), feedback="\n".join(lines[:FEEDBACK_LINES]) or "Every step is sound.")


def checkable(example, pred, trace=None, pred_name=None, pred_trace=None) -> dspy.Prediction:
    """What code can check without the checks that the metric uses; dropped questions count by their text.

    Questions: half for the form of the task (`TASK_FORMS`), half for opening like a request with four content words of
    their own. Drafts with planted faults: share of the requirements in `checks` that the kept answer meets; the drafts
    meet none of them. Sub-tags: share of new content words among all draws.
    """
    if example.get("grow"):
        score, lines = _own_tags(example, pred)
    elif example.get("checks"):
        score, lines = _mended(example, pred)
    else:
        score, lines = _own_questions(example, pred)
    return dspy.Prediction(
        score=capped(score), feedback="\n".join(lines[:FEEDBACK_LINES]) or "All that was checked holds."
    )


def demand(question: str) -> float:
    """How much a question asks for, as far as its words tell: words, and words that add a demand, five times."""
    return len(question.split()) + 5 * len(_DEMAND.findall(question))


def unmet(text: str, checks: Mapping[str, Any]) -> list[str]:
    """The requirements that a text does not meet, in words.

    Args:
        text: An answer.
        checks: `includes` and `excludes` (texts, case folded), `max_words`, `min_words`, `lines` (not empty ones).

    Raises:
        ValueError: There is no such requirement.
    """
    folded, count = text.casefold(), len(text.split())
    failures = []
    for name, wanted in checks.items():
        if name == "includes":
            failures += [f"{part!r} is missing" for part in wanted if part.casefold() not in folded]
        elif name == "excludes":
            failures += [f"{part!r} is there" for part in wanted if part.casefold() in folded]
        elif name == "max_words":
            failures += [f"{count} words, {wanted} at most"] if count > wanted else []
        elif name == "min_words":
            failures += [f"{count} words, {wanted} at least"] if count < wanted else []
        elif name == "lines":
            lines = len([line for line in text.splitlines() if line.strip()])
            failures += [f"{lines} lines, {wanted} wanted"] if lines != wanted else []
        else:
            raise ValueError(f"no requirement {name!r}; there are includes, excludes, max_words, min_words and lines")
    return failures


def _questions(pred: Any) -> tuple[float, list[str]]:
    attempts = _attempts(pred)
    lost = [r for r in pred.get("rejected") or [] if r.stage == "ask" and r.reason in ("unparsable", "truncated")]
    lines = [f"ask: {r.reason}: {str(r.content.get('reply') or r.detail)[:160]!r}" for r in lost]
    if not attempts and not lost:
        return 0.0, ["ask: no question was made."]
    total = 0.0
    for text, level, task, path, failure in attempts:
        terms = _terms(text, task, path, failure)
        value = 1.0
        for term in terms.values():
            value *= term
        total += value
        failed = [name for name, term in terms.items() if term < GOOD]
        lines += [f"ask ({level}, {task}): {'; '.join(failed)}: {text[:160]!r}"] if failed else []
    quality = total / (len(attempts) + len(LEVELS) * len(lost))
    sound = [(text, level) for text, level, _, _, failure in attempts if not failure]
    separation, spread = _separation(sound), distinct([text for text, _ in sound])
    if separation < 0.6:
        lines.append(
            "ask: the hard questions do not ask for more than the easy ones: add steps, conditions or demands."
        )
    if spread < 0.5:
        lines.append("ask: the questions are nearly the same.")
    return quality * (1 - SEPARATION + SEPARATION * separation) * (1 - DIVERSITY + DIVERSITY * spread), lines


def _terms(text: str, task: str, path: Sequence[str], failure: str) -> dict[str, float]:
    count = len(text.split())
    low, high, end = BAND
    band = count / low if count < low else 1.0 if count <= high else max(0.0, (end - count) / (end - high))
    related = _stems(" ".join(path)) & _stems(text)
    copied = _runs(text) & (_example_runs(task) | _demonstrated_runs())
    return {
        failure: float(not failure),
        f"{count} words, {low} to {high} wanted": min(1.0, band),
        f"nothing of {' > '.join(path)!r} in it": 1.0 if related else OFF_THEME,
        f"copies {' '.join(min(copied))!r}" if copied else "copies": 0.4 if copied else 1.0,
    }


def _separation(sound: Sequence[tuple[str, str]]) -> float:
    """Share of pairs of two difficulties in which the harder question demands more; ties count half."""
    by_level = {level: [demand(text) for text, at in sound if at == level] for level in LEVELS}
    credits = []
    for easier, harder in (("easy", "medium"), ("medium", "hard"), ("easy", "hard")):
        pairs = list(product(by_level[easier], by_level[harder]))
        share = sum((low < high) + 0.5 * (low == high) for low, high in pairs) / len(pairs) if pairs else 0.0
        credits.append(share)
    return sum(credits) / len(credits)


def _refinements(pred: Any) -> tuple[float, list[str]] | None:
    rows = [row for row in pred.rows if isinstance(row, CondorRow) and row.draft]
    lost = [r for r in pred.get("rejected") or [] if r.stage == "answer"]
    if not rows and not lost:
        return None
    lines, total = [f"answer: {r.reason}: {r.detail}" for r in lost], 0.0
    for row in rows:
        score, notes = _refinement(row)
        total += score
        lines += [f"critique and refine: {'; '.join(notes)}: {row.instruction[:100]!r}"] if notes else []
    return total / (len(rows) + len(lost)), lines


def _refinement(row: CondorRow) -> tuple[float, list[str]]:
    if row.critique is None:
        return 0.0, ["no critique could be read"]
    suggestions = row.critique.suggestions
    concrete = [s for s in suggestions if len(s.split()) >= FEW_WORDS and not _VAGUE.search(s)]
    worth = len(concrete) / len(suggestions) if suggestions else 0.0
    notes = [] if worth >= GOOD else [f"suggestions that nobody can carry out: {[s[:60] for s in suggestions]}"]
    if not row.refined:
        return CRITIQUE * worth, [*notes, f"the refined answer could not be used ({row.flag})"]
    fresh = content_words(row.refined) - content_words(row.draft)
    wanted = [content_words(s) - content_words(row.draft) for s in suggestions]
    reflected = sum(bool(w & fresh) for w in wanted) / len(wanted) if wanted else 0.0
    win = {"refined": 1.0, "draft": 0.0}.get(row.judged or "tie", 0.5)
    ratio = row.length_ratio or 1.0
    length = 1 - 0.5 * min(1.0, max(0.0, (ratio - LONG[0]) / (LONG[1] - LONG[0])))
    notes += [f"{1 - reflected:.0%} of the suggestions cannot be found in the new answer"] if reflected < GOOD else []
    notes += [f"the judge says {row.judged or 'nothing'}"] if win < 1 else []
    notes += [f"the new answer is {ratio:.1f} times as long"] if length < GOOD else []
    return CRITIQUE * worth + (1 - CRITIQUE) * (0.4 * reflected + 0.6 * win) * length, notes


def _expansions(example: Any, pred: Any) -> tuple[float, list[str]]:
    steps = [step for step in pred.get("artifacts") or [] if step.kind == "expand"]
    dropped = [r for r in pred.get("rejected") or [] if r.stage == "expand"]
    lines = [f"expand: {r.reason}: {r.content.get('tag') or r.content.get('reply', '')!r}" for r in dropped]
    if not steps:
        return 0.0, [*lines, "expand: no sub-topic was made."]
    scores = []
    for step in steps:
        taken = [_stems(" ".join(step.path)), *map(_stems, step.tags)]
        fresh = [
            1 <= len(tag.split()) <= 4 and not any(_stems(tag) & other for i, other in enumerate(taken) if i != n)
            for n, tag in enumerate(step.tags, 1)
        ]
        lines += [f"expand: {tag!r} is long or repeats" for tag, ok in zip(step.tags, fresh, strict=True) if not ok]
        scores.append(min(1.0, sum(fresh) / example.get("how_many", 6)))
    made = sum(len(step.tags) for step in steps)
    return sum(scores) / len(scores) * (made / (made + len(dropped)) if made else 0.0), lines


def _own_questions(example: Any, pred: Any) -> tuple[float, list[str]]:
    attempts = _attempts(pred)
    if not attempts:
        return 0.0, ["No question was made."]
    total, lines = 0.0, []
    for index, (text, _, task, path, _) in enumerate(attempts):
        known = content_words(" ".join(path)) | _demonstrated_words() | _example_words(task)
        others = content_words(" ".join(other for i, (other, *_) in enumerate(attempts) if i != index))
        own = len(content_words(text) - known - others)
        request = opens_with_request(text) or "?" in text or task in ("role_play", "daily_chat")
        fits = bool(TASK_FORMS[task].search(text)) if task in TASK_FORMS else True
        total += 0.5 * (min(1.0, own / NEW_WORDS) if request else 0.0) + 0.5 * fits
        if not fits or not request or own < NEW_WORDS:
            lines.append(f"{task}: {'' if fits else 'not of this task; '}{own} words of its own: {text[:160]!r}")
    lost = sum(r.reason in ("unparsable", "truncated") for r in pred.get("rejected") or [])
    return total / (len(attempts) + len(LEVELS) * lost), lines


def _mended(example: Any, pred: Any) -> tuple[float, list[str]]:
    rows = [row for row in pred.rows if isinstance(row, CondorRow)]
    if not rows:
        return 0.0, ["No answer was kept."]
    count = sum(len(v) if isinstance(v, list | tuple) else 1 for v in example.checks.values())
    scores, lines = [], []
    for row in rows:
        failures = unmet(row.response, example.checks)
        scores.append(1 - len(failures) / count)
        lines += [f"{'; '.join(failures)}: {row.response[:160]!r}"] if failures else []
    return sum(scores) / len(scores), lines


def _own_tags(example: Any, pred: Any) -> tuple[float, list[str]]:
    steps = [step for step in pred.get("artifacts") or [] if step.kind == "expand"]
    tags = [tag for step in steps for tag in step.tags]
    if not tags:
        return 0.0, ["No sub-topic was made."]
    path = _stems(" ".join(example.path))
    new = [bool(_stems(tag) - path) and len(tag.split()) <= 4 for tag in tags]
    different = len({frozenset(_stems(tag)) for tag in tags}) / len(tags)
    enough = min(1.0, len(tags) / (len(steps) * example.get("how_many", 6)))
    return sum(new) / len(new) * different * enough, [
        f"{tag!r} brings nothing new" for tag, n in zip(tags, new, strict=True) if not n
    ]


Attempt = tuple[str, str, str, Sequence[str], str]


def _attempts(pred: Any) -> list[Attempt]:
    """(question, difficulty, task, path, why it was dropped) of each question made, kept or not."""
    found: list[Attempt] = [
        (row.instruction, row.difficulty, row.task, row.tag_path, "") for row in pred.rows if row.difficulty
    ]
    for reject in pred.get("rejected") or []:
        content = reject.content
        if reject.stage == "ask" and content.get("difficulty"):
            reason = f"dropped ({reject.reason}{': ' if reject.detail else ''}{reject.detail})"
            found.append((content["instruction"], content["difficulty"], content["task"], content["tag_path"], reason))
    return found


def _stems(text: str) -> set[str]:
    return {_ENDING.sub("", word)[:STEM] for word in content_words(text)}


def _runs(text: str) -> frozenset[tuple[str, ...]]:
    tokens = words(text)
    return frozenset(tuple(tokens[i : i + COPIED]) for i in range(len(tokens) - COPIED + 1))


@cache
def _examples(task: str) -> tuple[str, ...]:
    return load_tasks([task])[0].examples if task in TASK_FORMS else ()


@cache
def _example_runs(task: str) -> frozenset[tuple[str, ...]]:
    return frozenset(run for example in _examples(task) for run in _runs(example))


@cache
def _example_words(task: str) -> frozenset[str]:
    return frozenset(word for example in _examples(task) for word in content_words(example))


@cache
def _demonstrations() -> tuple[str, ...]:
    shipped = json.loads(data_path("demonstrations/condor.json").read_text(encoding="utf-8"))
    return tuple(question for demo in shipped["ask"] for question in (demo[f"{level}_question"] for level in LEVELS))


@cache
def _demonstrated_runs() -> frozenset[tuple[str, ...]]:
    return frozenset(run for text in _demonstrations() for run in _runs(text))


@cache
def _demonstrated_words() -> frozenset[str]:
    return frozenset(word for text in _demonstrations() for word in content_words(text))


METRIC = sound_steps
HELD_OUT = checkable
