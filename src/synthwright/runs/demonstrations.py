"""Demonstrations shipped for weak LMs.

A model such as the embedded one copies its prompt when it sees a signature for the first time; three examples change
that. Each method ships a few, written by hand, in `programs/data/demonstrations/METHOD.json`.
"""

import json
from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

import dspy

from synthwright.programs.base import Generator, data_path

__all__ = ["apply_shipped", "shipped", "shipped_gold"]


@cache
def shipped(method: str) -> dict[str, list[dict[str, Any]]]:
    """The shipped demonstrations of a method by predictor; empty if there are none."""
    path = data_path(f"demonstrations/{method}.json")
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def shipped_gold(generator: Generator[Any], lms: Mapping[str, dspy.BaseLM]) -> dict[str, list[dict[str, Any]]]:
    """The shipped demonstrations of the predictors that run on a weak LM, by predictor."""
    found = shipped(generator.stem())
    names = (name for name in generator.all_predictors() if name in found)
    return {name: found[name] for name in names if getattr(lms[generator.role_of(name)], "weak", False)}


def apply_shipped(
    generator: Generator[Any], lms: Mapping[str, dspy.BaseLM], *, skip: Collection[str] = ()
) -> list[str]:
    """Give predictors on weak LMs the shipped demonstrations where they have none, in place.

    Predictors named in `skip` stay as they are.

    Returns:
        Names of the predictors that got some.
    """
    given, gold = [], shipped_gold(generator, lms)
    for name, predictor in generator.all_predictors().items():
        if name in gold and name not in skip and not predictor.demos:
            predictor.demos = [dspy.Example(**demo) for demo in gold[name]]
            given.append(name)
    return given
