"""What the arguments of Bonito must be."""

from typing import Any, get_args

from synthwright.errors import ConfigError, did_you_mean
from synthwright.programs.bonito_checks import CHECKS
from synthwright.programs.bonito_types import TaskType, types_named
from synthwright.signatures.bonito import Form

__all__ = ["check_arguments"]


def check_arguments(bonito: Any) -> tuple[TaskType, ...]:
    """The task types of a `Bonito` whose arguments are in range and agree with each other.

    Raises:
        ConfigError: They are not.
    """
    if bonito.form not in get_args(Form):
        raise ConfigError(f"`form` must be one of {', '.join(get_args(Form))}, got {bonito.form!r}.")
    for name in bonito.checks:
        if name not in CHECKS:
            raise ConfigError(f"Bonito has no check {name!r}. {did_you_mean(name, CHECKS)}")
    if (bonito.require_agreement or bonito.require_passage) and not bonito.solver:
        raise ConfigError("`require_agreement` and `require_passage` need a solver: pass `solver=True` too.")
    if bonito.tune_judge and not bonito.judge:
        raise ConfigError("`tune_judge` needs a judge: pass `judge=True` too.")
    bounds = {
        "samples": (1, None), "temperature": (0, 2), "top_p": (1e-6, 1), "max_tokens": (1, None),
        "longest": (1, None), "fewest_words": (1, None),
    }  # fmt: skip
    for name, (least, most) in bounds.items():
        value = getattr(bonito, name)
        if value < least or (most is not None and value > most):
            until = f" and at most {most}" if most is not None else ""
            raise ConfigError(f"`{name}` must be at least {least}{until}, got {value!r}.")
    return types_named(bonito.task_types)
