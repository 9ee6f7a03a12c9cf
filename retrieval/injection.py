"""Watching for rows that obey, or pass on, instructions planted in retrieved text."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from synthwright.errors import ConfigError
from synthwright.retrieval.passages import Passage

__all__ = ["InjectionEcho", "PlantedInjection", "read_injections", "request_to_model"]

_WORD = re.compile(r"\w+")
_TO_THE_MODEL = re.compile(
    r"\b(?:ignore|disregard|forget) (?:all |any |the |your |these |everything )*"
    r"(?:previous|prior|above|earlier|preceding)? ?(?:instructions?|prompts?|rules|rubric)\b"
    r"|\b(?:rate|score|grade|mark) (?:this|it|the (?:text|response|answer|pair)) (?:as |with |at |an? )*(?:5|five)\b"
    r"|\b(?:score|rating)\s*[:=]\s*5\b|\byou are (?:now )?an? (?:AI|assistant|grader|judge|language model)\b",
    re.I,
)


class PlantedInjection(BaseModel):
    """A passage that was given instructions, to see whether anything follows them.

    Attributes:
        text: The whole passage.
        injection: The planted part of it, word for word.
        marker: What the reply of a model that obeys holds, and no honest reply would.
        kind: What it tries, such as `field_marker`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    injection: str
    marker: str
    kind: str

    @property
    def passage(self) -> Passage:
        """The passage as a retriever returns it."""
        return Passage(text=self.text, source="injections")


def read_injections(path: str | Path) -> list[PlantedInjection]:
    """The planted passages of a JSONL file.

    Raises:
        ConfigError: A line is not one, or its injection is not part of its text.
    """
    found: list[PlantedInjection] = []
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), 1):
        try:
            planted = PlantedInjection.model_validate(json.loads(line))
        except ValueError as error:
            raise ConfigError(f"{path}:{number} is not a planted injection: {error}") from error
        if planted.injection not in planted.text:
            raise ConfigError(f"{path}:{number}: `injection` is not part of `text`: {planted.injection!r}.")
        found.append(planted)
    return found


def request_to_model(text: str) -> str | None:
    """The first phrase of a text that is meant for a model that reads it: to ignore its task, or to give a rating.

    It knows common English phrases only, so that it finds clumsy injections and passes over others.
    """
    found = _TO_THE_MODEL.search(text)
    return found.group() if found else None


@dataclass(frozen=True)
class InjectionEcho:
    """Finds rows that obey or repeat an injection planted in their source passage. It can stand among filters.

    A row's sources are the passages whose ids are among its `parent_ids`, or whose text stands whole in one of its
    fields; a row without a known source is compared with every planted passage. A field that quotes its passage whole
    is no echo: the quotation is left out of what is examined.

    Args:
        planted: The planted passages.
        run: Consecutive words of an injection that a row must hold to repeat it, 2 or more; a shorter injection must
            be held whole.

    Raises:
        ConfigError: `run` is too small.
    """

    planted: tuple[PlantedInjection, ...]
    run: int = 6

    def __init__(self, planted: Iterable[PlantedInjection], run: int = 6) -> None:
        object.__setattr__(self, "planted", tuple(planted))
        object.__setattr__(self, "run", run)
        if run < 2:
            raise ConfigError(f"`run` must be at least 2, got {run!r}.")

    @property
    def name(self) -> str:
        """The stage under which funnels count what this finds."""
        return "injection_echo"

    def __call__(self, row: Any) -> str | None:
        return self.check(row)

    def check(self, row: Any) -> str | None:
        """None, or `obeys_injection` or `repeats_injection` with the kind as detail."""
        content = row.model_dump(mode="json") if isinstance(row, BaseModel) else row
        parents = set(content.get("parent_ids", ()))
        texts = list(_strings({k: v for k, v in content.items() if k not in ("id", "parent_ids", "provenance")}))
        known = [p for p in self.planted if p.passage.id in parents or any(_quoted(p, text) for text in texts)]
        for planted in known or self.planted:
            said = "\n".join(_without(planted, text) for text in texts)
            if planted.marker.casefold() in said.casefold():
                return f"obeys_injection: {planted.kind}"
            if _repeats(planted.injection, said, self.run):
                return f"repeats_injection: {planted.kind}"
        return None


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _strings(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _strings(part)


def _quoted(planted: PlantedInjection, text: str) -> bool:
    return planted.text in text or planted.passage.prompt_text in text


def _without(planted: PlantedInjection, text: str) -> str:
    return text.replace(planted.text, " ").replace(planted.passage.prompt_text, " ")


def _repeats(injection: str, said: str, run: int) -> bool:
    words, other = _WORD.findall(injection.casefold()), _WORD.findall(said.casefold())
    run = min(run, len(words))
    heard = {tuple(other[i : i + run]) for i in range(len(other) - run + 1)}
    return any(tuple(words[i : i + run]) in heard for i in range(len(words) - run + 1)) if run else False
