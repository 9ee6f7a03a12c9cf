"""Absolute Zero's answers: judged by value or by running code (section 3.3.4), and the statistics of several."""

from collections.abc import Sequence
from dataclasses import dataclass

from synthwright.programs.absolute_zero_checks import Problem, Rules, bare_program
from synthwright.sandbox import Failure, Value, canonical, equal, normalise_program, parse_arguments, parse_literal
from synthwright.signatures.absolute_zero import Attempt, Puzzle, State

__all__ = ["Rate", "judge_answer", "measure"]


def judge_answer(task: Puzzle, answer: str, rules: Rules) -> tuple[State, str]:
    """Whether an answer solves a task, and why not.

    Deduction: the answer, parsed as a literal, equals the output by type and value. Abduction: the program returns the
    output for these arguments, whichever they are. Induction: the program gives every hidden pair.

    Args:
        task: The task.
        answer: What a model wrote; nothing of it is evaluated or put into source.
        rules: Sandbox and rules for programs.
    """
    answer = answer.replace("\r\n", "\n").strip()
    if not answer:
        return "wrong", "no answer"
    if task.task_type == "deduction":
        return _same(parse_literal(answer), task.output)
    if task.task_type == "abduction":
        parsed = parse_arguments(answer)
        if isinstance(parsed, Failure):
            return "wrong", str(parsed)
        return _same(rules.sandbox.run(task.program, parsed.value, limits=rules.limits), task.output)
    program = bare_program(answer)
    problem = program if isinstance(program, Problem) else rules.safety(program)
    if isinstance(problem, Problem) or isinstance(program, Problem):
        return "wrong", f"{problem.reason}: {problem.detail}" if problem else ""
    for number, pair in enumerate(task.hidden_pairs, 1):
        state, detail = _same(rules.sandbox.run(program, pair.input, limits=rules.limits), pair.output)
        if state != "right":
            return state, f"hidden call {number} of {len(task.hidden_pairs)}, f({pair.input}): {detail}"
    return ("right", "") if task.hidden_pairs else ("wrong", "no hidden calls")


def _same(result: Value | Failure, output: str) -> tuple[State, str]:
    if isinstance(result, Failure):
        # trouble of the sandbox is never a wrong answer
        return ("crashed" if result.kind == "crashed" else "wrong"), str(result)[:300]
    known = parse_literal(output)
    if isinstance(known, Failure):
        return "crashed", f"the task's own output cannot be read: {known}"
    if equal(result.value, known.value):
        return "right", ""
    return "wrong", f"{canonical(result.value)[:200]} instead of {output[:200]}"


@dataclass(frozen=True)
class Rate:
    """How often independent samples solve a task.

    Attributes:
        n: Samples that count; those in which the sandbox crashed do not.
        correct: Right ones.
        distinct: Different answers by value among those that could be read.
        identical: All samples, two or more, are the same text: a cache or a temperature of 0 made one of them, and the
            rate is 0 or 1 whatever the task is.
    """

    n: int
    correct: int
    distinct: int
    identical: bool

    @property
    def rate(self) -> float | None:
        """Share of right samples, in [0, 1]; None if none counts."""
        return self.correct / self.n if self.n else None


def measure(task: Puzzle, attempts: Sequence[Attempt]) -> Rate:
    """The statistics of a task's own samples: never an average over tasks or steps."""
    counted = [attempt for attempt in attempts if attempt.state != "crashed"]
    texts = [(attempt.reasoning, attempt.answer) for attempt in attempts]
    return Rate(
        n=len(counted),
        correct=sum(attempt.state == "right" for attempt in counted),
        distinct=len({_key(task, attempt.answer) for attempt in counted if attempt.state != "unreadable"}),
        identical=len(texts) > 1 and len(set(texts)) == 1,
    )


def _key(task: Puzzle, answer: str) -> str:
    if task.task_type == "induction":
        program = bare_program(answer)
        return answer if isinstance(program, Problem) else normalise_program(program)
    parsed = parse_literal(answer) if task.task_type == "deduction" else parse_arguments(answer)
    return canonical(parsed.value) if isinstance(parsed, Value) else answer.strip()
