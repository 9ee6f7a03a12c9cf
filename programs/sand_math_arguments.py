"""What the arguments of SAND-Math may be."""

from typing import TYPE_CHECKING, get_args

from synthwright.errors import ConfigError
from synthwright.programs.blocks.arguments import check_choices, check_whole
from synthwright.programs.sand_math_panel import Equality
from synthwright.signatures.sand_math import Level

if TYPE_CHECKING:
    from synthwright.programs.sand_math import SandMath

__all__ = ["check_arguments"]


def check_arguments(program: "SandMath") -> None:
    """See that the arguments of a `SandMath` are in range and fit each other.

    Raises:
        ConfigError: One is not; the message names it.
    """
    choices = {
        "level": get_args(Level),
        "funnel": ("paper", "code"),
        "equality": get_args(Equality),
        "solver_filter": ("required", "if_two", "always", "never"),
        "hike": ("add", "replace", "none"),
    }
    check_choices(program, choices)
    if not program.branches or len(set(program.branches)) < len(program.branches):
        raise ConfigError(f"`branches` must be one or more different names, got {program.branches!r}.")
    least = {"solutions": 1, "attempts": 1, "ratings": 0, "hike_rounds": 1, "hike_solutions": 1, "cycles": 1}
    check_whole(program, {**least, "per_round": 1, "min_words": 1})
    if program.solutions == 1 and not program.with_reference:
        raise ConfigError("`solutions=1` has nothing to agree with: use 2 or more, or `with_reference=True`.")
    for name in ("max_duplicate", "max_known"):
        if not 0 < getattr(program, name) <= 1:
            raise ConfigError(f"`{name}` must be in (0, 1], got {getattr(program, name)!r}.")
    if not 0 <= program.max_pass_rate <= 1:
        raise ConfigError(f"`max_pass_rate` must be in [0, 1], got {program.max_pass_rate!r}.")
    if program.hike_below is not None and not 1 <= program.hike_below <= 10:
        raise ConfigError(f"`hike_below` must be in [1, 10], got {program.hike_below!r}.")
    if program.hike_below is not None and not program.ratings:
        raise ConfigError("`hike_below` needs ratings: use `ratings=1` or more.")
    for name in ("temperature", "solve_temperature", "attempt_temperature"):
        if not 0 < getattr(program, name) <= 2:
            raise ConfigError(f"`{name}` must be above 0 and at most 2, got {getattr(program, name)!r}.")
    if not 0 <= program.rating_temperature <= 2:
        raise ConfigError(f"`rating_temperature` must be in [0, 2], got {program.rating_temperature!r}.")
