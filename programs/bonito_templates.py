"""Meta-templates of Bonito: instructions with gaps for the passage and for what an LM writes.

Gaps are filled literally and in one pass over the template. A passage or a reply that looks like a gap, a format string
or a template of some engine stays as it is.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from synthwright.programs.base import data_path
from synthwright.programs.blocks.yaml_files import Part, misfit, read_yaml
from synthwright.programs.bonito_types import TASK_TYPES, TaskType

__all__ = [
    "MetaTemplate",
    "TemplateFile",
    "TypeTemplates",
    "fill",
    "meta_templates",
    "put_in",
    "shown_options",
    "shows_passage",
]

_GAP = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_CONTEXT = "context"


class MetaTemplate(Part):
    """One instruction with gaps.

    Attributes:
        text: The instruction. `{{context}}` stands for the passage; see `TaskType.gaps` for the others.
        says: The words of each label, for types that have labels.
        lists: How options are shown: a line each, a line each with a letter, or as words in a sentence.
    """

    text: str = Field(min_length=1)
    says: dict[str, str] = Field(default_factory=dict)
    lists: Literal["lines", "letters", "words"] = "lines"


class TypeTemplates(Part):
    """The meta-templates of one type.

    Attributes:
        asks: What a task of the type holds, as words that end a sentence.
        templates: The meta-templates; each passage draws one.
    """

    asks: str = Field(min_length=1)
    templates: tuple[MetaTemplate, ...] = Field(min_length=1)


class TemplateFile(Part):
    """A file of meta-templates.

    Attributes:
        types: Meta-templates by short name of the type.
    """

    types: dict[str, TypeTemplates]

    @model_validator(mode="after")
    def _fits_the_types(self) -> "TemplateFile":
        for name, found in self.types.items():
            if name not in TASK_TYPES:
                raise misfit(f"no task type {name!r}; known: {', '.join(TASK_TYPES)}.", ("types", name))
            for number, template in enumerate(found.templates):
                if fault := _fault(TASK_TYPES[name], template):
                    raise misfit(fault, ("types", name, "templates", number))
        return self


def meta_templates(path: str | Path | None = None) -> Mapping[str, TypeTemplates]:
    """The meta-templates by short name of the type: those of a file, and ours for the types that it leaves out.

    Raises:
        ConfigError: The file cannot be read, or it is wrong; the message names file, line and key.
    """
    if not path:
        return _shipped()
    return {**_shipped(), **read_yaml(Path(path), TemplateFile, kind="file of meta-templates", start="types:").types}


def fill(text: str, values: Mapping[str, str]) -> str:
    """The text with its gaps filled, in one pass; gaps without a value stay.

    Args:
        text: A template. Gaps are `{{name}}`, with or without spaces inside.
        values: Values by name. They are put in as they are, whatever they hold.
    """
    return _GAP.sub(lambda gap: values.get(gap[1], gap[0]), text)


def put_in(passage: str, text: str) -> str:
    """The text with the passage in place of every `{{context}}`."""
    return fill(text, {_CONTEXT: passage})


def shows_passage(text: str) -> int:
    """How often a template shows the passage."""
    return sum(gap[1] == _CONTEXT for gap in _GAP.finditer(text))


def shown_options(options: Sequence[str], lists: str) -> str:
    """Options as an instruction shows them.

    Args:
        options: The options in their order.
        lists: `lines`, `letters` or `words`.
    """
    if lists == "words" and len(options) > 1:
        return ", ".join(options[:-1]) + " or " + options[-1]
    if lists == "letters":
        return "\n".join(f"{letter}. {option}" for letter, option in zip("ABCDEFGH", options, strict=False))
    return "\n".join(f"- {option}" for option in options)


@cache
def _shipped() -> Mapping[str, TypeTemplates]:
    return read_yaml(data_path("bonito/meta_templates.yaml"), TemplateFile).types


def _fault(kind: TaskType, template: MetaTemplate) -> str | None:
    """Why a template does not fit its type."""
    gaps = [gap[1] for gap in _GAP.finditer(template.text)]
    if gaps.count(_CONTEXT) != 1:
        return f"the text must hold {{{{context}}}} once, it holds it {gaps.count(_CONTEXT)} times."
    known = {_CONTEXT, *kind.gaps, *kind.optional}
    if unknown := [gap for gap in gaps if gap not in known]:
        return f"no gap {unknown[0]!r} in {kind.short}; known: {', '.join(sorted(known))}."
    if missing := [gap for gap in kind.gaps if gap not in gaps]:
        return f"the gap {{{{{missing[0]}}}}} is missing, without which nobody can do the task."
    if set(template.says) != set(kind.labels):
        return f"`says` needs the words of each label of {kind.short}: {', '.join(kind.labels) or 'it has none'}."
    if len({word.casefold() for word in template.says.values()}) < len(template.says):
        return "`says` gives two labels the same word."
    for word in template.says.values():
        if word.casefold() not in template.text.casefold():
            return f"the text does not offer {word!r}, so that nobody would answer with it."
    return None
