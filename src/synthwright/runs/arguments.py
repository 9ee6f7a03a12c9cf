"""Checking the arguments of `generate` before anything is run."""

import sys
from collections.abc import Iterable, Mapping
from typing import Any

from synthwright.errors import ConfigError
from synthwright.lms.budgets import Budget
from synthwright.pool import Seed
from synthwright.programs.base import Generator

__all__ = ["check_arguments", "checked_seeds"]


def check_arguments(generator: Any, *, n: Any, concurrency: Any, budget: Any, workers: Any, dry_run: Any) -> None:
    """See that arguments are of the types and in the ranges that `generate` names.

    Raises:
        ConfigError: One is not; the message has its value.
    """
    if not isinstance(generator, Generator):
        raise ConfigError(
            f"generate() needs a Generator object, got {generator!r}. Example: generate(EvolInstruct(), n=10)."
        )
    if n is not None and (isinstance(n, bool) or not isinstance(n, int) or n < 1):
        raise ConfigError(f"`n` must be at least 1 row, got {n!r}; leave it out for one pass over the material.")
    if concurrency is not None and (not isinstance(concurrency, int) or concurrency < 1):
        raise ConfigError(f"`concurrency` must be a whole number of at least 1, got {concurrency!r}.")
    if budget is not None and not isinstance(budget, Budget):
        raise ConfigError(f"`budget` must be a Budget such as Budget(calls=1000), got {budget!r}.")
    if dry_run is not None and (isinstance(dry_run, bool) or not isinstance(dry_run, int) or dry_run < 1):
        raise ConfigError(f"`dry_run` must be a number of seeds, 1 or more, got {dry_run!r}.")
    if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
        raise ConfigError(f"`workers` must be a whole number of at least 1, got {workers!r}.")
    if workers > 1 and sys.platform == "win32":
        raise ConfigError("`workers` above 1 needs a POSIX system; use `workers=1`.")


def checked_seeds(generator: Generator[Any], seeds: Iterable[Seed] | None) -> list[Seed] | None:
    """The user's seeds as a list.

    Raises:
        ConfigError: They are not dictionaries, or there are none.
    """
    if seeds is None:
        return None
    if not isinstance(seeds, Iterable):
        raise ConfigError(f"`seeds` must be a list of dictionaries, got {seeds!r}.")
    checked = list(seeds)
    if not checked:
        raise ConfigError("`seeds` is empty: there is nothing to ask. Leave it out to use the generator's own seeds.")
    for index, seed in enumerate(checked):
        if not isinstance(seed, Mapping) or not all(isinstance(name, str) for name in seed):
            fields = ", ".join(generator.seed_fields()) or "the arguments of its forward"
            raise ConfigError(f"Seed {index} is {seed!r}; a seed is a dictionary with {fields}.")
    return checked
