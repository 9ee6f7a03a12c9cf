"""How Persona Hub finds personas: in texts, in a relation to a known one, or given; each is cleaned and checked."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import dspy

from synthwright.errors import ParseError
from synthwright.programs.base import reject, unparsable
from synthwright.programs.persona_hub_items import repeats_example
from synthwright.programs.persona_hub_personas import clean_persona, problem_of, repeats, text_problem
from synthwright.retrieval import Passage, neutralise
from synthwright.signatures.persona_hub import Action, DataType, ExamplePersona, Persona
from synthwright.signatures.rows import Rejected, Row

if TYPE_CHECKING:
    from synthwright.programs.persona_hub import PersonaHub

__all__ = ["given", "of_example", "of_text", "related"]

_STAGES = {"text": "describe", "persona": "relate", "given": "seed"}
_NOBODY = ("none", "null", "n/a", "empty", "nobody")


async def of_text(hub: "PersonaHub", text: str, action: Action, parent_ids: tuple[str, ...]) -> dspy.Prediction:
    """Text-to-Persona (section 2.1)."""
    if problem := text_problem(text, hub.language):
        return _found(reject("text", problem, text=text))
    reply = await _described(hub, text, action)
    if isinstance(reply, Rejected):
        return _found(reply)
    about: dict[str, Any] = {"relation": action, "source_id": Passage(text=text).id, "parent_ids": parent_ids}
    return await _checked(hub, clean_persona(reply), text, "text", reply=reply, **about)


async def of_example(hub: "PersonaHub", text: str, action: Action, data_type: DataType, number: int) -> dspy.Prediction:
    """The persona of a worked example (section 3), which is not part of the hub."""
    reply = await _described(hub, text, action)
    if isinstance(reply, Rejected):
        return _found(reply)
    persona = clean_persona(reply)
    if problem := _problem(hub, persona, text):
        return _found(reject("describe", problem, text=text, persona=reply))
    return _found(ExamplePersona(data_type=data_type, number=number, persona=persona))


async def related(
    hub: "PersonaHub", persona: str, relation: str, depth: int, parent_ids: tuple[str, ...]
) -> dspy.Prediction:
    """Persona-to-Persona (section 2.2)."""
    try:
        reply = (await hub.relate.acall(persona=neutralise(persona), relation=relation)).related_persona
    except ParseError as error:
        return _found(unparsable("relate", error, persona=persona))
    found = clean_persona(reply)
    if found and (problem := repeats(found, persona)):
        return _found(reject("relate", f"repeats_parent: {problem}", persona=found, source=persona))
    about: dict[str, Any] = {"relation": relation, "depth": depth, "parent_ids": parent_ids}
    return await _checked(hub, found, persona, "persona", reply=reply, **about)


async def given(hub: "PersonaHub", persona: str, parent_ids: tuple[str, ...]) -> dspy.Prediction:
    """A persona of the user."""
    return await _checked(hub, clean_persona(persona), "", "given", parent_ids=parent_ids)


async def _described(hub: "PersonaHub", text: str, action: Action) -> str | Rejected:
    try:
        return (await hub.describe.acall(text=neutralise(text), action=action)).persona
    except ParseError as error:
        return unparsable("describe", error, text=text)


async def _checked(
    hub: "PersonaHub",
    persona: str,
    source: str,
    origin: Literal["text", "persona", "given"],
    *,
    reply: str = "",
    **fields: Any,
) -> dspy.Prediction:
    """A persona that has passed our checks (step 5 of section 2.3), or the reject that says why it has not."""
    stage = _STAGES[origin]
    problem = _problem(hub, persona, source)
    if not problem and hub.checks and origin != "given":
        shown: Sequence[Any] = getattr(hub, stage).demos
        problem = repeats_example(persona, shown)
    if problem:
        return _found(reject(stage, problem, persona=persona or reply, source=source))
    if hub.min_specificity is not None:
        try:
            particular = (await hub.rate.acall(persona=neutralise(persona))).particular
        except ParseError as error:
            return _found(unparsable("rate", error, persona=persona))
        if particular < hub.min_specificity:
            return _found(reject("rate", f"not_particular: {particular} of 5", persona=persona, source=source))
    return _found(Persona(persona=persona, origin=origin, **fields))


def _problem(hub: "PersonaHub", persona: str, source: str) -> str | None:
    if not persona or persona.casefold().strip(".") in _NOBODY:
        return "no_persona"
    return problem_of(persona, source, hub.checks, hub.language)


def _found(made: Row | Rejected) -> dspy.Prediction:
    if isinstance(made, Rejected):
        return dspy.Prediction(rows=[], rejected=[made])
    return dspy.Prediction(rows=[], artifacts=[made])
