"""Metrics of Absolute Zero: are proposals valid, worth learning, new? No LM is called; the held-out one runs code."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dspy

from synthwright.optimizers.metrics.blocks import capped, content_words, overlap
from synthwright.programs.absolute_zero_checks import Rules
from synthwright.programs.absolute_zero_sandbox import shared_sandbox
from synthwright.programs.absolute_zero_solving import judge_answer
from synthwright.sandbox import Limits, normalise_program
from synthwright.sandbox.programs import ast_distance, complexity
from synthwright.signatures.absolute_zero import Puzzle, SelfPlayRow, Task

__all__ = ["HELD_OUT", "METRIC", "learnable", "rich_and_true"]

FEEDBACK_LINES = 6
VALID = 0.3
"""Share of a proposal's score for being valid; the rest is learnability (0.6) and novelty (0.1)."""

BEST = 0.875
"""Largest learnability that the paper's 8 samples can show."""

PROGRESS = {"format": 0.0, "integrity": 0.05, "safety": 0.1, "determinism": 0.1}
"""What an invalid proposal scores by the step at which it fails, so that a weak LM sees a slope; 0.15 for the rest."""

NEAR_COPY = 0.15
"""Distance to the references below which a program follows them instead of being new."""

LINES, PATHS = 4, 2
"""Least lines and paths of a program that is more than a single expression."""


@dataclass(frozen=True)
class Made:
    """One proposal of the draws."""

    task: Task | SelfPlayRow | None
    score: float
    complaint: str
    predictor: str


def learnable(example, pred, trace=None, pred_name=None, pred_trace=None) -> dspy.Prediction:
    """Mean over all proposals of validity and learnability, with a small bonus for novelty, times distinctness.

    A valid proposal scores 0.3, up to 0.6 more by its learnability (0 if all or no samples solve it, or if they are
    identical), up to 0.1 by its distance to the references; all of it less by its faithfulness to what was asked: a
    triplet must not be a near copy of its references, and the words of an induction message must say something that
    its calls do not. An invalid one scores little, by how far it came. Draws that give one program twice lose.
    """
    made = [*map(_valid, _tasks(pred)), *_invalid(pred)]
    if not made:
        return dspy.Prediction(score=0.0, feedback="Nothing was proposed.")
    programs = [_identity(each.task) for each in made if each.task is not None]
    spread = len(set(programs)) / len(programs) if programs else 1.0
    lines = [each.complaint for each in made if each.complaint and pred_name in (None, each.predictor)]
    if spread < 1:
        lines.append(f"{len(programs) - len(set(programs))} of {len(programs)} valid proposals repeat another one.")
    score = capped(sum(each.score for each in made) / len(made) * (0.5 + 0.5 * spread))
    feedback = "\n".join(lines[:FEEDBACK_LINES]) or "Every proposal is valid, new and solved by some samples only."
    return dspy.Prediction(score=score, feedback=feedback)


def rich_and_true(example, pred, trace=None, pred_name=None, pred_trace=None) -> dspy.Prediction:
    """Share of all proposals that are true when run again, more than one expression long, and unlike the others.

    Solve rates play no part. True: the program gives the stored output for the stored input in fresh sessions, and for
    all pairs of an induction task. Unlike: no earlier proposal of the draws has a syntax tree this close.
    """
    tasks, failed = _tasks(pred), _invalid(pred)
    rules = Rules(shared_sandbox("monty"), Limits(), (), allow_list=False)
    kept: list[Task | SelfPlayRow] = []
    lines = [each.complaint for each in failed]
    for task in tasks:
        fault = _untrue(task, rules) or _poor(task) or _near(task, kept)
        if fault:
            lines.append(f"{fault}: {_shown(task)}")
        else:
            kept.append(task)
    total = len(tasks) + len(failed)
    score = capped(len(kept) / total) if total else 0.0
    return dspy.Prediction(score=score, feedback="\n".join(lines[:FEEDBACK_LINES]) or "All are rich and true.")


def _tasks(pred: Any) -> list[Task | SelfPlayRow]:
    """The valid proposals; from the rows where the intermediate results are not at hand."""
    found: list[Task | SelfPlayRow] = [
        each for each in pred.get("artifacts") or [] if isinstance(each, Task) and each.origin == "proposed"
    ]
    return found or [row for row in pred.rows if row.role == "solver"]


def _invalid(pred: Any) -> list[Made]:
    found = []
    for reject in pred.get("rejected") or []:
        if not reject.stage.startswith("propose_"):
            continue
        step = reject.content.get("step", "format")
        shown = str(reject.content.get("program") or reject.content.get("reply") or "")[:200]
        complaint = f"{reject.stage} is invalid at {step}, {reject.reason}: {reject.detail[:160]}: {shown!r}"
        if step != "sandbox":
            found.append(Made(None, PROGRESS.get(step, 0.15), complaint, reject.stage))
    return found


def _valid(task: Task | SelfPlayRow) -> Made:
    predictor = f"propose_{task.task_type}"
    faithful, why = _faithful(task)
    worth = 0.0 if task.identical_samples else min(1.0, (task.learnability or 0.0) / BEST)
    novelty = task.ast_distance if task.task_type != "induction" else _spread(task)
    score = (VALID + 0.6 * worth + 0.1 * novelty) * faithful
    complaint = why
    if task.identical_samples:
        complaint = complaint or f"its {task.n_samples} samples are the same text, so nothing was measured"
    elif not worth:
        wrong = _wrong_samples(task)
        solved = "no sample solves it" if not task.solve_rate else "all samples solve it"
        complaint = complaint or f"{solved} ({task.n_samples} samples){wrong}"
    return Made(task, score, f"{predictor}: {complaint}: {_shown(task)}" if complaint else "", predictor)


def _faithful(task: Task | SelfPlayRow) -> tuple[float, str]:
    if task.task_type != "induction":
        if task.ast_distance < NEAR_COPY:
            return 0.5, f"the program nearly copies its references (distance {task.ast_distance:.2f})"
        return 1.0, ""
    calls = " ".join(f"{pair.input} {pair.output}" for pair in task.given_pairs)
    if not content_words(task.message) or overlap(task.message, calls) > 0.5:
        return 0.5, f"the message says nothing that the calls do not: {task.message[:100]!r}"
    return 1.0, ""


def _spread(task: Task | SelfPlayRow) -> float:
    outputs = [pair.output for pair in (*task.given_pairs, *task.hidden_pairs)]
    return len(set(outputs)) / len(outputs) if outputs else 0.0


def _wrong_samples(task: Task | SelfPlayRow) -> str:
    wrong = [a for a in getattr(task, "attempts", ()) if a.state != "right"][:2]
    return "; wrong: " + "; ".join(f"{a.answer[:60]!r} ({a.detail[:80]})" for a in wrong) if wrong else ""


def _untrue(task: Task | SelfPlayRow, rules: Rules) -> str | None:
    if task.task_type == "induction":
        calls = task.model_copy(update={"hidden_pairs": (*task.given_pairs, *task.hidden_pairs)})
        state, detail = judge_answer(calls, task.program, rules)
    else:
        again = Puzzle(task_type="abduction", program=task.program, output=task.output)
        state, detail = judge_answer(again, task.input, rules)
    return None if state == "right" else f"running it again differs: {detail}"


def _poor(task: Task | SelfPlayRow) -> str | None:
    if task.task_type == "induction":
        return "its calls have few results" if _spread(task) < 0.5 else None
    measures = complexity(task.program)
    poor = measures is None or measures.lines < LINES or measures.cyclomatic < PATHS
    return "the program is a single step" if poor else None


def _near(task: Task | SelfPlayRow, kept: Sequence[Task | SelfPlayRow]) -> str | None:
    if task.task_type == "induction":
        return "it repeats another one" if _identity(task) in map(_identity, kept) else None
    close = any(ast_distance(task.program, [other.program]) < NEAR_COPY for other in kept)
    return "it nearly repeats another one" if close else None


def _identity(task: Task | SelfPlayRow) -> tuple[str, ...]:
    calls = tuple(pair.input for pair in (*task.given_pairs, *task.hidden_pairs))
    return (task.task_type, normalise_program(task.program), *calls)


def _shown(task: Task | SelfPlayRow) -> str:
    return f"{task.program[:160]!r} called with {(task.input or [p.input for p in task.given_pairs])!r}"


METRIC = learnable
HELD_OUT = rich_and_true
