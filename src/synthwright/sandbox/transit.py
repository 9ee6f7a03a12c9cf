"""What crosses between host and sandbox, seen from the host: data that is read with suspicion."""

import json
from collections.abc import Callable
from typing import Any

from synthwright.errors import ConfigError
from synthwright.sandbox.child import untag
from synthwright.sandbox.inside import encode
from synthwright.sandbox.results import Arguments, Failure, Limits, Value
from synthwright.sandbox.values import MAX_DEPTH, parse_arguments

__all__ = ["read_arguments", "read_result"]

_INPUT_CHARS = 10_000_000


def read_arguments(inputs: Arguments, function: str) -> tuple[Any, ...] | Failure:
    """The arguments of a call as values, or why they are none."""
    if isinstance(inputs, str):
        parsed = parse_arguments(inputs, function)
        return parsed if isinstance(parsed, Failure) else parsed.value
    if not isinstance(inputs, tuple):
        raise ConfigError(f"`inputs` must be a tuple of literals or their text, got {inputs!r}; write ({inputs!r},).")
    try:
        encode(inputs, [_INPUT_CHARS], MAX_DEPTH)
    except LookupError:
        return Failure("not_a_value", f"the arguments have more than {_INPUT_CHARS} characters")
    except TypeError as error:
        return Failure("not_a_value", f"an argument: {error}")
    return inputs


def read_result(text: object, limits: Limits, unsupported: Callable[[str, str], bool]) -> Value | Failure:
    """The result in the text that `inside.py` made.

    Args:
        text: What a worker sent; it may be forged.
        limits: Those of the run.
        unsupported: Whether an exception, by name and message, means that the backend lacks something.
    """
    if type(text) is not str:
        return Failure("crashed", "the worker sent no text")
    try:
        if text.startswith('["value", '):
            if len(text) > limits.output_chars + 16:
                return Failure("output_too_large", f"the value has more than {limits.output_chars} characters")
            return Value(untag(json.loads(text)[1]))
        stage, told = json.loads(text)
        if stage == "missing":
            return Failure("error", "the program defines no function of that name", "NameError")
        return _raised(stage, *told, limits=limits, unsupported=unsupported)
    except (ValueError, TypeError, KeyError, IndexError, RecursionError) as error:
        return Failure("crashed", f"the worker sent what it should not: {error}"[:300])


def _raised(
    stage: str, exception: str, message: str, *, limits: Limits, unsupported: Callable[[str, str], bool]
) -> Failure:
    """The failure behind an exception that `inside.py` caught."""
    if stage == "encode":
        if exception == "LookupError":
            return Failure("output_too_large", f"the value has more than {limits.output_chars} characters")
        if exception == "RecursionError":
            return Failure("not_a_value", "the value is nested too deeply or contains itself")
        return Failure("not_a_value", message)
    if exception == "RecursionError":
        return Failure("recursion", message, exception)
    if exception == "MemoryError":
        return Failure("memory", message, exception)
    if unsupported(exception, message):
        return Failure("unsupported", message, exception)
    if stage == "define" and exception in ("SyntaxError", "IndentationError", "TabError"):
        return Failure("syntax", message, exception)
    return Failure("error", message, exception)
