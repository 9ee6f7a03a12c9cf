"""What arguments of SandMath may be."""

from collections.abc import Mapping
from typing import Any, get_args

from synthwright.errors import ConfigError
from synthwright.programs.sand_math_panel import Equality
from synthwright.signatures.sand_math import Level

__all__ = ["check_arguments"]


def check_arguments(values: Mapping[str, Any]) -> None:
    """See that arguments are in range and fit each other.

    Args:
        values: All arguments by name.

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
    for name, known in choices.items():
        if values[name] not in known:
            raise ConfigError(f"`{name}` must be one of {', '.join(known)}, got {values[name]!r}.")
    if not values["branches"] or len(set(values["branches"])) < len(values["branches"]):
        raise ConfigError(f"`branches` must be one or more different names, got {values['branches']!r}.")
    least = {"solutions": 1, "attempts": 1, "ratings": 0, "hike_rounds": 1, "hike_solutions": 1, "cycles": 1}
    for name, bound in {**least, "per_round": 1, "min_words": 1}.items():
        value = values[name]
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < bound):
            raise ConfigError(f"`{name}` must be a whole number of at least {bound}, got {value!r}.")
    if values["solutions"] == 1 and not values["with_reference"]:
        raise ConfigError("`solutions=1` has nothing to agree with: use 2 or more, or `with_reference=True`.")
    for name in ("max_duplicate", "max_known"):
        if not 0 < values[name] <= 1:
            raise ConfigError(f"`{name}` must be in (0, 1], got {values[name]!r}.")
    if not 0 <= values["max_pass_rate"] <= 1:
        raise ConfigError(f"`max_pass_rate` must be in [0, 1], got {values['max_pass_rate']!r}.")
    if values["hike_below"] is not None and not 1 <= values["hike_below"] <= 10:
        raise ConfigError(f"`hike_below` must be in [1, 10], got {values['hike_below']!r}.")
    if values["hike_below"] is not None and not values["ratings"]:
        raise ConfigError("`hike_below` needs ratings: use `ratings=1` or more.")
    for name in ("temperature", "solve_temperature", "attempt_temperature"):
        if not 0 < values[name] <= 2:
            raise ConfigError(f"`{name}` must be above 0 and at most 2, got {values[name]!r}.")
    if not 0 <= values["rating_temperature"] <= 2:
        raise ConfigError(f"`rating_temperature` must be in [0, 2], got {values['rating_temperature']!r}.")
