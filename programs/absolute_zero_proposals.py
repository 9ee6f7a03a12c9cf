"""From a proposer's reply to a task: read, validate, measure its text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from synthwright.programs.absolute_zero_checks import (
    Problem,
    Rules,
    bare_program,
    check_induction,
    check_triplet,
    stripped_seed,
)
from synthwright.programs.absolute_zero_rewards import proposer_reward
from synthwright.sandbox.programs import ast_distance, complexity, halstead_composite, imported_modules
from synthwright.signatures.absolute_zero import Pair, Task, TaskType, proposal_text
from synthwright.signatures.rows import Rejected

__all__ = ["Proposal", "admit", "pairs_of_proposals", "read_proposal"]

COGNITIVE_SCALE = 15  # appendix C.4


@dataclass(frozen=True)
class Proposal:
    """What became of one proposal.

    Attributes:
        task: The task, if it is valid.
        text: The proposal in the form that is trained; the raw reply if it could not be read.
        state: Validity.
        rejected: Why it is no task.
        reward: Of the proposer.
    """

    task: Task | None
    text: str
    state: Literal["valid", "invalid", "unreadable"]
    rejected: Rejected | None
    reward: float


def read_proposal(
    reply: Any,
    task_type: TaskType,
    references: Sequence[Mapping[str, str]],
    origin: Literal["seed", "proposed"],
    number: int,
    count: int,
    rules: Rules,
    about: Mapping[str, Any],
) -> Proposal:
    """Validate a reply of one of the three proposers.

    Args:
        reply: The prediction.
        task_type: Which proposer.
        references: What it was shown.
        origin: Whether it is for the seed buffer, whose programs are stripped.
        number: The round.
        count: Calls of an induction task.
        rules: How strict.
        about: What a reject tells of the proposal.
    """
    shown = [each["program"] for each in references]
    induction = task_type == "induction"
    original = references[0]["program"] if induction else reply.program
    calls = list(reply.calls) if induction else [reply.arguments]
    text = proposal_text(reply.plan, original, calls, reply.message if induction else None)
    content = {**about, "program": original, "calls": calls, "plan": reply.plan}
    program = bare_program(original)
    made: Sequence[Pair] | Problem
    if isinstance(program, Problem):
        made = program
    elif induction:
        content["message"] = reply.message
        made = check_induction(program, calls, reply.message, count, rules)
    else:
        text = proposal_text(reply.plan, program, calls)
        program = stripped_seed(program) if origin == "seed" else program
        pair = check_triplet(program, reply.arguments, shown, rules)
        made = pair if isinstance(pair, Problem) else [pair]
    if isinstance(made, Problem) or isinstance(program, Problem):
        problem = made if isinstance(made, Problem) else Problem("format", "no_program")
        crashed = problem.step == "sandbox"
        state: Literal["invalid", "unreadable"] = "unreadable" if problem.step == "format" else "invalid"
        reward = 0.0 if crashed else proposer_reward(state)
        content |= {"step": problem.step, "reward": reward}
        reject = Rejected(stage=f"propose_{task_type}", reason=problem.reason, detail=problem.detail, content=content)
        return Proposal(None, text, state, reject, reward)
    task = _task(task_type, program, made, reply.message if induction else "", shown).model_copy(
        update={
            "origin": origin,
            "round": number,
            "plan": reply.plan,
            "original_program": original if origin == "seed" and program != original else "",
            "reference_ids": tuple(each["id"] for each in references if "id" in each),
        }
    )
    return Proposal(task, text, "valid", None, 0.0)


def admit(seed: Mapping[str, Any], count: int, number: int, rules: Rules) -> list[Task] | Problem:
    """The tasks of a program that a person gave: two for a triplet, one for calls with a hint; or why there are none.

    Given programs pass the validation of proposed ones: nothing is trusted.

    Args:
        seed: `program` and `input`, or `program`, `inputs` and `message`.
        count: Most calls of an induction task; of more the first are taken.
        number: The round.
        rules: How strict.
    """
    program = bare_program(seed.get("program", ""))
    if isinstance(program, Problem):
        return program
    program, original = stripped_seed(program), program
    known = {
        "round": number,
        "original_program": original if program != original else "",
        "parent_ids": tuple(seed.get("parent_ids", ())),
    }
    if "inputs" not in seed:
        pair = check_triplet(program, seed.get("input", ""), (), rules)
        if isinstance(pair, Problem):
            return pair
        types: tuple[TaskType, ...] = ("deduction", "abduction")
        return [_task(each, program, [pair], "", ()).model_copy(update=known) for each in types]
    calls = list(seed["inputs"])[:count]
    if len(calls) < 2:
        return Problem("format", "wrong_count", f"{len(calls)} calls, 2 or more are wanted")
    if problem := rules.safety(program):
        return problem
    pairs = check_induction(program, calls, seed.get("message", ""), len(calls), rules)
    if isinstance(pairs, Problem):
        return pairs
    return [_task("induction", program, pairs, seed.get("message", ""), ()).model_copy(update=known)]


def _task(task_type: TaskType, program: str, pairs: Sequence[Pair], message: str, shown: Sequence[str]) -> Task:
    measures = complexity(program)
    half = len(pairs) // 2
    calls: dict[str, Any] = {"input": pairs[0].input, "output": pairs[0].output}
    if task_type == "induction":
        calls = {"given_pairs": tuple(pairs[:half]), "hidden_pairs": tuple(pairs[half:]), "message": message.strip()}
    return Task(
        task_type=task_type,
        program=program,
        **calls,
        imports=tuple(sorted(imported_modules(program))),
        origin="seed",
        round=0,
        cognitive=measures.cognitive / COGNITIVE_SCALE if measures else 0.0,
        halstead=halstead_composite(measures) if measures else 0.0,
        ast_distance=ast_distance(program, shown) if task_type != "induction" else 0.0,
    )


def pairs_of_proposals(made: Sequence[Proposal]) -> list[tuple[Proposal, Proposal | None]]:
    """The proposals of one set of references that are worth learning, each with one that is not.

    Worth is a learnability above 0. The other is, in this order, invalid, worth nothing, or worth less. A pair is ours:
    the paper trains proposers by reward alone.
    """
    ranked = sorted(made, key=lambda each: (_worth(each), each.reward))
    found: list[tuple[Proposal, Proposal | None]] = []
    for better in (each for each in made if _worth(each) > 0):
        worse = next((each for each in ranked if each.text and _worth(each) < _worth(better)), None)
        found.append((better, worse))
    return found


def _worth(proposal: Proposal) -> float:
    return (proposal.task.learnability or 0.0) if proposal.task else 0.0
