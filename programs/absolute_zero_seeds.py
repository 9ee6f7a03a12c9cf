"""Seeds that users give to Absolute Zero: programs with a call, or with calls and a hint."""

from synthwright.errors import ConfigError
from synthwright.pool import Seed

__all__ = ["admitted_seed"]


def admitted_seed(seed: Seed, index: int) -> Seed:
    """The unit of work that checks a program of the user.

    Raises:
        ConfigError: The seed is not of a known form.
    """
    known = {"program", "input", "inputs", "message", "parent_ids"}
    calls = seed.get("inputs")
    triplet = isinstance(seed.get("input"), str) and calls is None
    several = isinstance(calls, list | tuple) and all(isinstance(c, str) for c in calls) and "input" not in seed
    listed = isinstance(seed.get("parent_ids", []), list | tuple)
    if not isinstance(seed.get("program"), str) or not (triplet or several) or set(seed) - known or not listed:
        raise ConfigError(
            f"Seed {index} is {dict(seed)!r}; a seed of AbsoluteZero is a Python program that defines `f`, with a call "
            "of it, {'program': ..., 'input': '1, 2'}, or with calls and a hint for induction, {'program': ..., "
            "'inputs': ['1, 2', ...], 'message': ...}, and may have `parent_ids`, a list."
        )
    return {"stage": "admit", "task": {**seed, "parent_ids": list(seed.get("parent_ids", []))}}
