"""Fidelity cards: each step of a paper, its place in the code, the tests that hold it, and every deviation.

A card is `programs/data/fidelity/METHOD.yaml`. Its references are names of this package, so a card whose code or test
is gone fails the tests; the table of presets is read from the class itself.
"""

import importlib
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from synthwright.errors import ConfigError
from synthwright.programs.base import Generator, data_path

__all__ = ["Card", "Deviation", "Step", "fidelity_card", "preset_differences", "resolve"]


class Step(BaseModel):
    """One step of a published method.

    Attributes:
        step: Number of the step in the order of the method, such as `3` or `3a`.
        paper: What the source does, with section, and numbers if it gives some.
        code: Names below `synthwright.`, such as `programs.evol_instruct.EvolInstruct.plan`.
        tests: Names of test functions in `tests/`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: str
    paper: str
    code: tuple[str, ...]
    tests: tuple[str, ...]


class Deviation(BaseModel):
    """Something that differs from the source, or that the source leaves open.

    Attributes:
        what: What is done instead.
        why: The reason.
        argument: The argument of the generator that switches it, or None if it cannot be switched.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    what: str
    why: str
    argument: str | None = None


class Card(BaseModel):
    """The fidelity card of one method.

    Attributes:
        source: Paper (authors, year, identifier) and the released code that was compared.
        steps: Every step in order.
        deviations: Every difference.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    steps: tuple[Step, ...]
    deviations: tuple[Deviation, ...]


def fidelity_card(cls: type[Generator[Any]]) -> Card:
    """The fidelity card of a built-in generator.

    Raises:
        ConfigError: It has none, or the file is not a card.
    """
    path = data_path(f"fidelity/{cls.stem()}.yaml")
    try:
        return Card.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise ConfigError(f"{cls.__name__} has no fidelity card; built-in methods have one in {path.name!r}.") from None
    except (ValidationError, yaml.YAMLError) as error:
        raise ConfigError(f"The fidelity card {path.name!r} cannot be read: {error}") from error


def resolve(reference: str) -> Any:
    """What a card's `code` names.

    Args:
        reference: Dotted name below `synthwright.`: a module, or something in it.

    Raises:
        ConfigError: There is no such thing.
    """
    parts = reference.split(".")
    for size in range(len(parts), 0, -1):
        name = ".".join(("synthwright", *parts[:size]))
        try:
            found = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name and not name.startswith(error.name):
                raise
            continue
        for part in parts[size:]:
            fields = getattr(found, "model_fields", {})
            if not hasattr(found, part) and part not in fields:
                raise ConfigError(f"{reference!r}: {found!r} has no {part!r}.")
            found = fields[part] if part in fields else getattr(found, part)
        return found
    raise ConfigError(f"{reference!r}: there is no module `synthwright.{parts[0]}`.")


def preset_differences(cls: type[Generator[Any]]) -> dict[str, tuple[Any, Any]]:
    """Arguments in which the presets differ: name to (faithful, practical)."""
    faithful, practical = cls.preset("faithful").params(), cls.preset("practical").params()
    return {name: (faithful[name], practical[name]) for name in faithful if faithful[name] != practical[name]}
