"""What the arguments of Bonito may be."""

from typing import Any, get_args

from synthwright.errors import ConfigError
from synthwright.programs.blocks.arguments import check_choices, check_names, check_ranges
from synthwright.programs.bonito_checks import CHECKS
from synthwright.programs.bonito_types import TaskType, types_named
from synthwright.signatures.bonito import Form

__all__ = ["check_arguments"]


def check_arguments(bonito: Any) -> tuple[TaskType, ...]:
    """The task types of a `Bonito` whose arguments are in range and agree with each other.

    Raises:
        ConfigError: They are not.
    """
    check_choices(bonito, {"form": get_args(Form)})
    check_names("Bonito", "check", bonito.checks, CHECKS)
    if (bonito.require_agreement or bonito.require_passage) and not bonito.solver:
        raise ConfigError("`require_agreement` and `require_passage` need a solver: pass `solver=True` too.")
    if bonito.tune_judge and not bonito.judge:
        raise ConfigError("`tune_judge` needs a judge: pass `judge=True` too.")
    counts = dict.fromkeys(("samples", "max_tokens", "longest", "fewest_words"), (1, None))
    check_ranges(bonito, {**counts, "temperature": (0, 2), "top_p": (1e-6, 1)})
    return types_named(bonito.task_types)
