"""The JSON schema of TarGEN's task files, for editors that complete and check YAML."""

import json
from typing import Any

from synthwright.programs.base import data_path
from synthwright.programs.targen_checks import CHECKS
from synthwright.programs.targen_tasks import Task

__all__ = ["SCHEMA", "task_schema", "task_schema_text"]

SCHEMA = data_path("targen/task.schema.json")
"""The schema as a file. A task file names it in its first line: `# yaml-language-server: $schema=PATH`."""


def task_schema() -> dict[str, Any]:
    """The schema of a task file: keys, their types and what they hold, and the names of all checks."""
    schema = Task.model_json_schema()
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "A task of TarGEN"}
    for part in (schema, *schema["$defs"].values()):
        notes = _notes(part.get("description", ""))
        part["description"] = part.get("description", "").partition("\n")[0]
        for name, value in part["properties"].items():
            if name in notes:
                value["description"] = notes[name]
    checks = {name: _first_line(check) for name, (check, _, _) in CHECKS.items()}
    names = {"type": "array", "items": {"type": "string"}}
    schema["properties"]["checks"] |= {
        "additionalProperties": False,
        "properties": {name: {**names, "description": text} for name, text in checks.items()},
    }
    return schema


def task_schema_text() -> str:
    """The schema as the text of `SCHEMA`."""
    return json.dumps(task_schema(), ensure_ascii=False, indent=2) + "\n"


def _notes(docstring: str) -> dict[str, str]:
    """What the docstring of a model says of its attributes."""
    notes: dict[str, str] = {}
    name = ""
    for line in docstring.partition("Attributes:\n")[2].splitlines():
        text = line.strip()
        if line.startswith("    ") and not line.startswith("     ") and ": " in text:
            name, _, note = text.partition(": ")
            notes[name] = note
        elif name and text:
            notes[name] += f" {text}"
    return notes


def _first_line(check: Any) -> str:
    return (check.__doc__ or "").strip().partition("\n")[0]
