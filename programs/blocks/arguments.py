"""Arguments of generators: what may be wrong with them, and which of them an LM is told."""

import math
from collections.abc import Iterable, Mapping
from numbers import Real
from typing import Any

from synthwright.errors import ConfigError, did_you_mean

__all__ = ["check_choices", "check_names", "check_ranges", "check_whole", "given"]


def check_ranges(program: Any, ranges: Mapping[str, tuple[float, float | None]]) -> None:
    """See that arguments are numbers in their ranges; None is no number and passes.

    Args:
        program: A generator, with its arguments under their own names.
        ranges: Least and most of each argument, both allowed; None for no upper end.

    Raises:
        ConfigError: One is not; the message names it.
    """
    for name, (least, most) in ranges.items():
        value = getattr(program, name)
        if value is None or (isinstance(value, Real) and least <= float(value) <= (math.inf if most is None else most)):
            continue
        until = f" and at most {most}" if most is not None else ""
        raise ConfigError(f"`{name}` must be at least {least}{until}, got {value!r}.")


def check_whole(program: Any, least: Mapping[str, int]) -> None:
    """See that arguments are whole numbers from the given ones up; None passes.

    Args:
        program: A generator.
        least: Fewest of each argument.

    Raises:
        ConfigError: One is not; the message names it.
    """
    for name, low in least.items():
        value = getattr(program, name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < low):
            raise ConfigError(f"`{name}` must be a whole number of at least {low}, got {value!r}.")


def check_choices(program: Any, choices: Mapping[str, Iterable[str]]) -> None:
    """See that arguments have one of their known values.

    Args:
        program: A generator.
        choices: The known values of each argument.

    Raises:
        ConfigError: One has not; the message names it and them.
    """
    for name, known in choices.items():
        value, known = getattr(program, name), tuple(known)
        if value not in known:
            raise ConfigError(f"`{name}` must be one of {', '.join(known)}, got {value!r}.")


def check_names(method: str, kind: str, names: Iterable[str], known: Iterable[str]) -> None:
    """See that names, such as those of checks, are known.

    Args:
        method: Name of the method, for the error.
        kind: What they are names of, for the error.
        names: Names that were given.
        known: All that there are.

    Raises:
        ConfigError: One is not; the message suggests the nearest.
    """
    known = tuple(known)
    for name in names:
        if name not in known:
            raise ConfigError(f"{method} has no {kind} {name!r}. {did_you_mean(str(name), known)}")


def given(**sampling: Any) -> dict[str, Any]:
    """Settings of a predictor without those that are None, which the LM decides."""
    return {name: value for name, value in sampling.items() if value is not None}
