"""Demonstrations shipped for weak LMs.

A model such as the embedded one copies its prompt when it sees a signature for the first time; three examples change
that. Each method ships a few, written by hand, in `programs/data/demonstrations/METHOD.json`.
"""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import dspy

from synthwright.lms.calls import EngineLM
from synthwright.programs.base import Generator, data_path

__all__ = ["apply_shipped", "shipped"]


@cache
def shipped(method: str) -> dict[str, list[dict[str, Any]]]:
    """The shipped demonstrations of a method by predictor; empty if there are none."""
    path = data_path(f"demonstrations/{method}.json")
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def apply_shipped(generator: Generator[Any], lms: Mapping[str, dspy.BaseLM]) -> list[str]:
    """Give predictors on weak LMs the shipped demonstrations where they have none, in place.

    Returns:
        Names of the predictors that got some.
    """
    given = []
    for name, predictor in generator.all_predictors().items():
        lm = lms[generator.role_of(name)]
        demos = shipped(generator.stem()).get(name)
        if demos and not predictor.demos and isinstance(lm, EngineLM) and lm.weak:
            predictor.demos = [dspy.Example(**demo) for demo in demos]
            given.append(name)
    return given
