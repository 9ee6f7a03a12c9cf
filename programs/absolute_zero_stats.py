"""What a run of Absolute Zero is like: validity, learnability, diversity of programs and answers (appendix C.4)."""

from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import fmean, quantiles
from typing import Any

from synthwright.programs.absolute_zero_checks import Rules
from synthwright.programs.absolute_zero_solving import judge_answer
from synthwright.sandbox import Value, normalise_program, parse_literal
from synthwright.signatures.absolute_zero import Puzzle, SelfPlayRow, Task
from synthwright.signatures.rows import Rejected

__all__ = ["answer_diversity", "summary", "verified_again"]


def answer_diversity(outputs: Iterable[str], *, hierarchical: bool = False) -> list[float]:
    """How surprising each output was when it came: 1 minus its share of all seen before; 1 if it was unseen.

    Args:
        outputs: Literals, in the order in which they were made.
        hierarchical: The mean of the surprise of the type and that of the value within the type.
    """
    values: Counter[tuple[str, str]] = Counter()
    kinds: Counter[str] = Counter()
    found = []
    for text in outputs:
        parsed = parse_literal(text)
        kind = type(parsed.value).__name__ if isinstance(parsed, Value) else "?"
        if hierarchical:
            by_kind, within = _surprise(kinds[kind], kinds.total()), _surprise(values[kind, text], kinds[kind])
            found.append((by_kind + within) / 2)
        else:
            found.append(_surprise(values[kind, text], kinds.total()))
        values[kind, text] += 1
        kinds[kind] += 1
    return found


def _surprise(count: int, total: int) -> float:
    return 1 - count / total if total else 1.0


def verified_again(tasks: Sequence[Puzzle], rules: Rules) -> float:
    """Share of tasks whose program gives the stored outputs once more, in [0, 1]; anything below 1 is a fault."""

    def holds(task: Puzzle) -> bool:
        if task.task_type == "induction":
            every = task.model_copy(update={"hidden_pairs": (*task.given_pairs, *task.hidden_pairs)})
            return judge_answer(every, task.program, rules)[0] == "right"
        again = Puzzle(task_type="abduction", program=task.program, output=task.output)
        return judge_answer(again, task.input, rules)[0] == "right"

    return fmean(holds(task) for task in tasks) if tasks else 1.0


def summary(tasks: Sequence[Task | SelfPlayRow], rejected: Sequence[Rejected] = ()) -> dict[str, Any]:
    """The figures that the paper logs, of tasks in the order in which they were made.

    Args:
        tasks: Tasks of a run, or its rows of the solver role.
        rejected: What was rejected, for the share of proposals that are valid.

    Returns:
        JSON-ready figures; shares and means in [0, 1], None where there is nothing to measure.
    """
    invalid = [r for r in rejected if r.stage.startswith("propose_")]
    proposed = [task for task in tasks if task.origin == "proposed"]
    rated = [task for task in tasks if task.n_samples]
    rates = [task.solve_rate or 0.0 for task in rated]
    outputs = [task.output for task in tasks if task.output]
    made = len(proposed) + len(invalid)
    return {
        "tasks": len(tasks),
        "by_type": dict(Counter(task.task_type for task in tasks)),
        "valid_proposals": len(proposed) / made if made else None,
        "invalid_by_reason": dict(Counter(r.reason for r in invalid).most_common()),
        "mean_learnability": fmean(task.learnability or 0.0 for task in rated) if rated else None,
        "informative": fmean(0 < rate < 1 for rate in rates) if rates else None,
        "identical_samples": sum(task.identical_samples for task in tasks),
        "unique_programs": len({normalise_program(task.program) for task in tasks}),
        "answer_diversity": fmean(answer_diversity(outputs)) if outputs else None,
        "answer_types": dict(Counter(_kind(text) for text in outputs)),
        "ast_distance": fmean(task.ast_distance for task in proposed) if proposed else None,
        "cognitive_quartiles": _quartiles([task.cognitive for task in tasks]),
        "halstead_quartiles": _quartiles([task.halstead for task in tasks]),
        "mean_lines": fmean(len(task.program.splitlines()) for task in tasks) if tasks else None,
    }


def _kind(text: str) -> str:
    parsed = parse_literal(text)
    return type(parsed.value).__name__ if isinstance(parsed, Value) else "?"


def _quartiles(numbers: list[float]) -> list[float] | None:
    return quantiles(numbers, n=4, method="inclusive") if len(numbers) > 1 else None
