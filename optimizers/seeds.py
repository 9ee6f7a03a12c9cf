"""The metric and the seeds that each built-in method ships for its own tuning."""

import importlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dspy

from synthwright.errors import ConfigError
from synthwright.optimizers.scoring import Metric, example_of, seed_key
from synthwright.programs.base import Generator, read_jsonl

__all__ = ["Split", "no_overlap", "shipped_metrics", "shipped_seeds"]

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


def examples(
    generator: Generator[Any], records: Sequence[Any] | None, fallback: list[dspy.Example]
) -> list[dspy.Example]:
    """The given records as examples, or the fallback if none are given.

    Raises:
        ConfigError: There are none, or the generator cannot be called with one; the message names it.
    """
    if records is None:
        return fallback
    found = [example_of(record) for record in records]
    if not found:
        raise ConfigError("`seeds` is empty: there is nothing to score.")
    signature = generator.seed_signature()
    for index, example in enumerate(found):
        inputs = dict(example.inputs())
        try:
            signature.bind(**inputs)
        except TypeError as error:
            fields = ", ".join(generator.seed_fields()) or "the arguments of its forward"
            raise ConfigError(
                f"Seed {index} is {inputs!r}: {error}. {type(generator).__name__} takes {fields}."
            ) from error
    return found
