"""What the arguments of Absolute Zero may be."""

from typing import TYPE_CHECKING

from synthwright.errors import ConfigError, did_you_mean
from synthwright.programs.absolute_zero_checks import CHECKS
from synthwright.programs.blocks.arguments import check_choices, check_whole
from synthwright.signatures.absolute_zero import TASK_TYPES

if TYPE_CHECKING:
    from synthwright.programs.absolute_zero import AbsoluteZero

__all__ = ["check_arguments"]


def check_arguments(program: "AbsoluteZero") -> None:
    """See that the arguments of an `AbsoluteZero` are in range and known.

    Raises:
        ConfigError: One is not; the message names it.
    """
    for name, known in (("task_types", TASK_TYPES), ("checks", CHECKS)):
        for each in getattr(program, name):
            if each not in known:
                raise ConfigError(f"`{name}` has no {each!r}. {did_you_mean(str(each), known)}")
    types = program.task_types
    if not types or len(set(types)) < len(types):
        raise ConfigError(f"`task_types` must name one or more of {TASK_TYPES}, each once, got {types!r}.")
    choices = {
        "seeding": ("authored", "proposed"),
        "solve_order": ("before", "after"),
        "fill": ("uniform", "in_order"),
        "keep": ("informative", "solved", "all"),
        "target": ("hardest", "half"),
        "sandbox": ("monty", "subprocess"),
    }
    check_choices(program, choices)
    if program.samples < 2:
        raise ConfigError(
            f"`samples` must be at least 2, got {program.samples!r}: with one sample the solve rate is 0 or 1, and "
            "the reward of every proposal 0."
        )
    if not 0 < program.temperature <= 2:
        raise ConfigError(
            f"`temperature` must be above 0 and at most 2, got {program.temperature!r}: at 0 all samples are one."
        )
    least = {"batch_size": 1, "seed_factor": 1, "steps": 1, "references": 0, "induction_inputs": 2, "rollouts": 0}
    least |= {"proposals": 1, "capacity": 1, "reference_tokens": 1, "max_tokens": 1, "output_chars": 1}
    check_whole(program, least)
    if not 0 < program.seconds <= 600:
        raise ConfigError(f"`seconds` must be above 0 and at most 600, got {program.seconds!r}.")
