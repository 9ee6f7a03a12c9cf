"""What is wrong with the arguments of `optimize` and `evaluate`, said before anything is paid for."""

import inspect
import numbers
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import dspy
from dspy.teleprompt import Teleprompter

from synthwright.errors import ConfigError, did_you_mean
from synthwright.optimizers.scoring import metric_name
from synthwright.optimizers.seeds import examples, no_overlap, shipped_seeds
from synthwright.programs.base import Generator
from synthwright.programs.prompts import signature_of

__all__ = [
    "OPTIMIZERS",
    "Optimizer",
    "check_generator",
    "check_gold",
    "check_lm",
    "check_metric_call",
    "check_whole",
    "chosen_optimizer",
    "split_seeds",
    "target_names",
]

Optimizer = Literal["auto", "bootstrap", "copro", "gepa", "miprov2", "simba"]
OPTIMIZERS: tuple[str, ...] = get_args(Optimizer)


def check_generator(generator: Any) -> None:
    """See that a generator is one.

    Raises:
        ConfigError: It is a class, or something else.
    """
    if isinstance(generator, type) and issubclass(generator, Generator):
        raise ConfigError(f"Pass an object, `{generator.__name__}(...)`, not the class.")
    if not isinstance(generator, Generator):
        raise ConfigError(f"Need a synthwright.Generator, got {generator!r}.")


def check_metric_call(name: str, metric: Any) -> None:
    """See that a metric can be called as metrics are.

    Args:
        name: Argument that it was given as.
        metric: The metric, or None.

    Raises:
        ConfigError: It cannot.
    """
    wanted = "(example, pred, trace=None, pred_name=None, pred_trace=None)"
    if metric is None:
        return
    if not callable(metric):
        raise ConfigError(f"`{name}` must be a function of {wanted}, got {metric!r}.")
    if inspect.iscoroutinefunction(metric) or inspect.iscoroutinefunction(type(metric).__call__):
        raise ConfigError(f"`{name}`: {metric_name(metric)} is asynchronous, and metrics are plain functions.")
    try:
        signature = inspect.signature(metric)
    except (TypeError, ValueError):  # not to be known of some built-in functions
        return
    try:
        signature.bind(None, None, None, None, None)
    except TypeError as error:
        raise ConfigError(f"`{name}`: {metric_name(metric)}{signature} is called with five: {wanted}.") from error


def check_whole(**values: Any) -> None:
    """See that values are whole numbers of at least 1; None is skipped.

    Raises:
        ConfigError: One is not.
    """
    for name, value in values.items():
        if value is not None and (isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1):
            raise ConfigError(f"`{name}` must be a whole number of at least 1, got {value!r}.")


def check_lm(name: str, lm: Any) -> None:
    """See that an LM is one; None is skipped.

    Raises:
        ConfigError: It is not.
    """
    if lm is not None and not isinstance(lm, dspy.BaseLM):
        raise ConfigError(f"`{name}` must be a dspy.LM, got {lm!r}. Example: dspy.LM('openai/gpt-4o-mini').")


def check_gold(generator: Generator[Any], gold: Any, names: Sequence[str]) -> None:
    """See that the user's demonstrations are for fields of predictors that are tuned.

    Raises:
        ConfigError: They are not.
    """
    if gold is None:
        return
    if not isinstance(gold, Mapping):
        raise ConfigError(f"`gold` must be lists of demonstrations by predictor, got {gold!r}.")
    for name, demos in gold.items():
        if name not in names:
            raise ConfigError(f"`gold` has demonstrations of {name!r}, which is not tuned. {did_you_mean(name, names)}")
        fields = signature_of(generator.all_predictors()[name]).fields
        for number, demo in enumerate(demos):
            if not isinstance(demo, Mapping | dspy.Example) or not set(demo.keys()) <= set(fields):
                raise ConfigError(
                    f"Demonstration {number} of {name!r} in `gold` is {demo!r}; it must be a dictionary with the "
                    f"fields {', '.join(fields)}."
                )


def chosen_optimizer(optimizer: Any, reflection_lm: dspy.LM | None) -> str | Teleprompter:
    """The optimizer that is meant.

    Raises:
        ConfigError: There is no such optimizer, or it lacks its reflection LM.
    """
    if isinstance(optimizer, Teleprompter):
        return optimizer
    if isinstance(optimizer, type) and issubclass(optimizer, Teleprompter):
        raise ConfigError(f"Pass an object, `dspy.{optimizer.__name__}(...)`, not the class.")
    if optimizer not in OPTIMIZERS:
        raise ConfigError(f"No optimizer {optimizer!r}. {did_you_mean(str(optimizer), OPTIMIZERS)}")
    if optimizer == "gepa" and reflection_lm is None:
        raise ConfigError("GEPA needs `reflection_lm=`, a strong LM that rewrites instructions.")
    return optimizer if optimizer != "auto" else "gepa" if reflection_lm is not None else "bootstrap"


def split_seeds(
    generator: Generator[Any], trainset: Any, valset: Any, testset: Any
) -> tuple[list[dspy.Example], list[dspy.Example], list[dspy.Example]]:
    """Seeds to learn from, to compare on and to test on.

    Raises:
        ConfigError: Something is no seed of the generator, there are too few, or one is in two sets.
    """
    if trainset is None:
        shipped = shipped_seeds(generator)
        train, val, test = shipped["train"], shipped["val"], shipped["test"]
    else:
        train, val, test = examples(generator, trainset, []), [], []
        if testset is None:
            train, test = train[: -(len(train) // 3)], train[-(len(train) // 3) :]
        if valset is None:
            train, val = train[: (len(train) + 1) // 2], train[(len(train) + 1) // 2 :]
    val, test = examples(generator, valset, val), examples(generator, testset, test)
    if len(train) < 1 or len(val) < 1 or len(test) < 2:
        raise ConfigError(
            f"Too few seeds: {len(train)} to train on, {len(val)} to compare on, {len(test)} to test on; need at least "
            "1, 1 and 2. Pass `trainset=[{...}, ...]` with a dictionary of inputs for each seed."
        )
    no_overlap({"train": train, "val": val, "test": test})
    return train, val, test


def target_names(generator: Generator[Any], names: Any) -> list[str]:
    """Names of the predictors to tune.

    Raises:
        ConfigError: There are none, or a name is not one of them.
    """
    found = generator.target_predictors()
    if not found:
        raise ConfigError(
            f"{type(generator).__name__} has nothing to tune: all its predictors are frozen, or there are none."
        )
    if names is None:
        return list(found)
    if isinstance(names, str) or not names:
        raise ConfigError(f"`targets` must be a list of names out of {', '.join(found)}, got {names!r}.")
    for name in names:
        if name not in found:
            raise ConfigError(f"{name!r} is not a predictor that can be tuned. {did_you_mean(name, found)}")
    return list(names)
