"""The metric and the seeds that each built-in method ships for its own tuning."""

import importlib
import importlib.util
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import dspy

from synthwright.errors import ConfigError
from synthwright.optimizers.scoring import Metric, example_of, seed_key
from synthwright.programs.base import Generator, read_jsonl

__all__ = ["Split", "examples", "no_overlap", "shipped_metrics", "shipped_seeds"]

Split = dict[str, list[dspy.Example]]


def shipped_metrics(generator: Generator[Any]) -> tuple[Metric | None, Metric | None]:
    """The metric that is optimized and the held-out check of a built-in method; (None, None) for other generators."""
    name = f"synthwright.optimizers.metrics.{generator.stem()}"
    if not type(generator).__module__.startswith("synthwright.programs.") or importlib.util.find_spec(name) is None:
        return None, None
    module = importlib.import_module(name)
    return module.METRIC, module.HELD_OUT


def shipped_seeds(generator: Generator[Any]) -> Split:
    """The seeds that a built-in method ships, by `train`, `val` and `test`; empty for other generators."""
    split: Split = {"train": [], "val": [], "test": []}
    path = Path(__file__).parent / "data" / f"{generator.stem()}.jsonl"
    if path.is_file():
        for record in read_jsonl(path):
            split[record["split"]].append(example_of(record))
    return split


def no_overlap(split: Split) -> None:
    """See that no seed is in two sets.

    Raises:
        ConfigError: One is; the message names it.
    """
    seen: dict[str, str] = {}
    for name, examples in split.items():
        for example in examples:
            key = seed_key(example)
            if seen.setdefault(key, name) != name:
                raise ConfigError(
                    f"The seed {dict(example.inputs())!r} is in both the {seen[key]}set and the {name}set: what is "
                    "tuned on must not be tested on."
                )


def examples(generator: Generator[Any], records: Any, fallback: list[dspy.Example]) -> list[dspy.Example]:
    """The given records as examples, or the fallback if none are given.

    Raises:
        ConfigError: They are not a list, there are none, or one is no seed of the generator.
    """
    if records is None:
        return fallback
    if not isinstance(records, Iterable):
        raise ConfigError(f"Seeds must be a list of dictionaries, got {records!r}.")
    found = [_fitting(generator, index, record) for index, record in enumerate(records)]
    if not found:
        raise ConfigError("The list of seeds is empty: there is nothing to score.")
    return found


def _fitting(generator: Generator[Any], index: int, record: Any) -> dspy.Example:
    name, arguments = type(generator).__name__, generator.seed_signature()
    if not isinstance(record, dspy.Example | dict):
        raise ConfigError(f"Seed {index} is {record!r}; a seed is a dictionary with the arguments {arguments}.")
    example = example_of(record)
    try:
        inputs = dict(example.inputs())
    except ValueError as error:
        fields = ", ".join(map(repr, generator.seed_fields()))
        raise ConfigError(f"Seed {index} does not say what its inputs are: `.with_inputs({fields})`.") from error
    try:
        arguments.bind(**inputs)
    except TypeError as error:
        raise ConfigError(
            f"Seed {index} does not fit {name}, which takes {arguments}: {error}. It is {inputs!r}."
        ) from error
    return example
