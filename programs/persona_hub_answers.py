"""What is asked for about an item beside the item: solutions and their agreement, replies, pairs, code of tools."""

import ast
import asyncio
import json
import re
from typing import Any

from synthwright.errors import ConfigError, ParseError
from synthwright.programs.absolute_zero_sandbox import shared_sandbox
from synthwright.programs.base import unparsable
from synthwright.programs.blocks.models import one_lm
from synthwright.programs.voting import vote
from synthwright.retrieval import neutralise
from synthwright.sandbox import Failure
from synthwright.signatures.persona_hub import PersonaRow
from synthwright.signatures.rows import Rejected
from synthwright.verify import Math

__all__ = ["SOLVERS", "agreed", "implemented", "preferred", "replied", "solved"]

SOLVERS = ("solve", "write_program", "solve_again")
"""Step by step, by a program, and step by step with another LM (section 4.1.2)."""

AGREEING = 2
"""Solvers of the three that must give one answer."""

MATH = Math()

_FENCE = re.compile(r"```(?:python|py)?\s*\n(.*?)(?:```|\Z)", re.DOTALL)

Outcome = tuple[PersonaRow | None, list[Rejected]]


async def solved(hub: Any, row: PersonaRow) -> Outcome:
    """A problem with one solution, as the paper's training set has it; None if it cannot be read."""
    try:
        reply = await hub.solve.acall(problem=neutralise(row.text))
    except ParseError as error:
        return None, [unparsable("solve", error, **_about(row))]
    answer = await asyncio.to_thread(MATH.canonical, reply.final_answer)
    if answer is None:
        return None, [_dropped(row, "solve", "no_answer", reply.final_answer)]
    fields = {"response": _solution(reply), "answer": answer, "votes": 1, "solvers": 1}
    return row.model_copy(update=fields), []


async def agreed(hub: Any, row: PersonaRow) -> Outcome:
    """A problem whose answer at least two of three solvers give, as the paper's test set has it; None if they do not.

    The solution kept is the first one in words that has the answer; a program alone is no solution to learn from.

    Raises:
        ConfigError: `solver` and `second_solver` are one LM, so that they would agree with themselves.
    """
    if one_lm(hub.solve.predict, hub.solve_again.predict) and not hub.same_solver:
        raise ConfigError(
            "`answers='agreement'` asks two LMs, and `second_solver` is served by the LM of `solver`: pass "
            "`lms={'solver': lm, 'second_solver': other}`, or `same_solver=True` to let one LM vote twice."
        )
    rejected: list[Rejected] = []
    answers: list[str | None] = []
    solutions: dict[int, str] = {}
    for place, name in enumerate(SOLVERS):
        try:
            reply = await getattr(hub, name).acall(problem=neutralise(row.text))
        except ParseError as error:
            rejected.append(unparsable(name, error, **_about(row)))
            answers.append(None)
            continue
        if name == "write_program":
            answers.append(await _computed(row, reply.program, rejected))
        else:
            answers.append(reply.final_answer)
            solutions[place] = _solution(reply)
    found = await asyncio.to_thread(vote, answers, MATH)
    if found.winner is None or found.votes < AGREEING:
        reason = "no_agreement" if found.readable else "no_answer"
        return None, [*rejected, _dropped(row, "agreement", reason, " | ".join(str(answer) for answer in answers))]
    response = next((solutions[place] for place in found.members if place in solutions), "")
    fields = {"response": response, "answer": found.winner, "votes": found.votes, "solvers": len(SOLVERS)}
    return row.model_copy(update=fields), rejected


async def replied(hub: Any, row: PersonaRow) -> Outcome:
    """A puzzle or prompt with a reply; None if it cannot be read."""
    response, failure = await _reply(hub, row, row.text)
    return (None, [failure]) if failure else (row.model_copy(update={"response": response}), [])


async def preferred(hub: Any, row: PersonaRow) -> Outcome:
    """A prompt with a reply, and a worse one: the reply to the prompt without one of its requirements.

    After the preference data of open-instruct (Lambert et al., 2024, arXiv:2411.15124, section on instruction
    following), where a rewrite relaxes the constraints of a persona's prompt.
    """
    try:
        relaxed = (await hub.relax.acall(prompt=neutralise(row.text))).relaxed_prompt.strip()
    except ParseError as error:
        return None, [unparsable("relax", error, **_about(row))]
    if not relaxed or relaxed.casefold() == row.text.casefold():
        return None, [_dropped(row, "relax", "nothing_left_out", relaxed)]
    replies = []
    for prompt in (row.text, relaxed):
        response, failure = await _reply(hub, row, prompt)
        if failure:
            return None, [failure]
        replies.append(response)
    if replies[0] == replies[1]:
        return None, [_dropped(row, "respond", "same_reply", replies[0])]
    fields = {"response": replies[0], "relaxed": relaxed, "rejected_response": replies[1]}
    return row.model_copy(update=fields), []


async def implemented(hub: Any, row: PersonaRow) -> Outcome:
    """A tool with code that parses and defines its function; None if there is none. Nothing of it is run."""
    assert row.tool is not None
    interface = json.dumps(row.tool.model_dump(), ensure_ascii=False)
    try:
        code = program_of((await hub.implement_tool.acall(interface=neutralise(interface))).code)
    except ParseError as error:
        return None, [unparsable("implement_tool", error, **_about(row))]
    try:
        defined = {node.name for node in ast.walk(ast.parse(code)) if isinstance(node, ast.FunctionDef)}
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return None, [_dropped(row, "implement_tool", "syntax", f"{error}: {code}")]
    if row.tool.function_name not in defined:
        return None, [_dropped(row, "implement_tool", "other_function", ", ".join(sorted(defined)))]
    return row.model_copy(update={"code": code}), []


def program_of(reply: str) -> str:
    """The code of a reply, without the fence around it."""
    found = _FENCE.search(reply)
    return (found[1] if found else reply).strip()


async def _computed(row: PersonaRow, program: str, rejected: list[Rejected]) -> str | None:
    """What a program returns as text, or None; why not goes to the rejects."""
    result = await shared_sandbox("monty").arun(program_of(program), function="solve")
    if isinstance(result, Failure):
        rejected.append(_dropped(row, "write_program", result.kind, str(result)))
        return None
    return None if result.value is None or isinstance(result.value, bool) else str(result.value)


async def _reply(hub: Any, row: PersonaRow, prompt: str) -> tuple[str, Rejected | None]:
    try:
        response = (await hub.respond.acall(prompt=neutralise(prompt))).response.strip()
    except ParseError as error:
        return "", unparsable("respond", error, **_about(row))
    return response, None if response else _dropped(row, "respond", "empty", "")


def _solution(reply: Any) -> str:
    return f"{reply.reasoning.strip()}\n\nFinal answer: {reply.final_answer.strip()}"


def _about(row: PersonaRow) -> dict[str, Any]:
    return {"persona": row.persona, "data_type": row.data_type, "text": row.text}


def _dropped(row: PersonaRow, stage: str, reason: str, detail: str) -> Rejected:
    return Rejected(stage=stage, reason=reason, detail=detail[:300], content=_about(row))
