"""What stands beside a persona in the prompts of Persona Hub: details that take turns, and worked examples."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from synthwright.errors import ConfigError
from synthwright.programs import persona_hub_plan as plans
from synthwright.programs.prompts import signature_of
from synthwright.signatures.persona_hub import DataType

if TYPE_CHECKING:
    from synthwright.programs.persona_hub import PersonaHub

__all__ = ["DETAILS", "blank", "details", "enhanced", "text_of", "worked_examples"]

DETAILS: dict[DataType, str] = {"math": "focus", "logic": "kind", "npc": "world"}
"""Input field that the detail of a seed goes to."""


def details(hub: "PersonaHub") -> dict[str, Sequence[str]]:
    """The details of each type of data, which take turns."""
    worlds = {each["name"]: each["lore"] for each in plans.settings()["worlds"]}
    return {
        "math": [hub.focus] if isinstance(hub.focus, str) else list(hub.focus),
        "logic": list(hub.puzzles or plans.settings()["puzzles"]),
        "npc": [f"{name}: {lore}" if lore else name for name, lore in (hub.worlds or worlds).items()],
    }


def worked_examples(hub: "PersonaHub") -> dict[str, list[dict[str, Any]]]:
    """The worked examples of the types that are made.

    Raises:
        ConfigError: A type has none, or one lacks an output of its signature.
    """
    if hub.mode == "zero_shot":
        return {}
    given = plans.shipped_examples() if hub.examples is None else hub.examples
    found = {data_type: [dict(each) for each in given.get(data_type) or ()] for data_type in hub.data_types}
    for data_type, worked in found.items():
        wanted = set(signature_of(hub.writer(data_type)).output_fields)
        if not worked or any(not wanted <= set(example) for example in worked):
            raise ConfigError(
                f"`examples` for {data_type!r} must be a list of dictionaries with {', '.join(sorted(wanted))}, "
                f"got {worked!r}."
            )
    return found


def enhanced(
    worked: Mapping[str, Sequence[Mapping[str, Any]]], personas: Mapping[tuple[str, int], str]
) -> dict[str, list[dict[str, Any]]]:
    """Worked examples with their personas; one whose persona was not found is left out.

    Args:
        worked: Worked examples by data type.
        personas: Personas that were found for them, by data type and number.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for data_type, examples in worked.items():
        for number, example in enumerate(examples):
            if persona := example.get("persona") or personas.get((data_type, number)):
                found.setdefault(data_type, []).append({"persona": persona, **_plain(example)})
    return found


def blank(data_type: str) -> dict[str, str]:
    """The detail of a worked example, which has none."""
    return {field: "" for name, field in DETAILS.items() if name == data_type}


def text_of(example: Mapping[str, Any]) -> str:
    """What a persona is looked for in: the words of a worked example."""
    parts = (part if isinstance(part, str) else json.dumps(_plain(example)[name]) for name, part in example.items())
    return "\n".join(parts)


def _plain(example: Mapping[str, Any]) -> dict[str, Any]:
    """A worked example as JSON-ready data."""
    return json.loads(json.dumps(example, default=lambda value: value.model_dump(mode="json")))
