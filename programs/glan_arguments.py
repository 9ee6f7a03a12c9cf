"""What the arguments of GLAN may be."""

from typing import TYPE_CHECKING, get_args

from synthwright.errors import ConfigError, did_you_mean
from synthwright.programs.blocks.arguments import check_names, check_ranges
from synthwright.programs.glan_checks import CHECKS
from synthwright.programs.glan_plan import Grow, Until
from synthwright.signatures.glan import WORDINGS

if TYPE_CHECKING:
    from synthwright.programs.glan import GLAN

__all__ = ["check_arguments"]


def check_arguments(glan: "GLAN") -> None:
    """See that the arguments of a `GLAN` are in range and known.

    Raises:
        ConfigError: One is not; the message names it.
    """
    for name, known in {"grow": get_args(Grow), "until": get_args(Until)}.items():
        if getattr(glan, name) not in known:
            raise ConfigError(f"No `{name}` {getattr(glan, name)!r}. {did_you_mean(getattr(glan, name), known)}")
    check_names("GLAN", "check", glan.checks, CHECKS)
    if len(glan.sessions) != 2 or not 1 <= glan.sessions[0] <= glan.sessions[1]:
        raise ConfigError(f"`sessions` is the fewest and the most, such as (10, 30), got {glan.sessions!r}.")
    ranges = {
        "wordings": (1, len(WORDINGS)),
        "breadth": (1, None),
        "reviewers": (1, None),
        "subject_queries": (1, None),
        "max_subjects": (1, None),
        "concepts": (1, None),
        "max_chars": (80, None),
        "double_share": (0, 1),
        "questions_per_subject": (1, None),
        "max_words": (1, None),
        "answers": (0, 2),
        "temperature": (0, 2),
        "top_p": (0.01, 1),
        "presence_penalty": (-2, 2),
        "answer_temperature": (0, 2),
    }
    check_ranges(glan, ranges)
    for name, quota in glan.quotas.items():
        if isinstance(quota, bool) or not isinstance(quota, int) or quota < 0:
            raise ConfigError(f"The quota of {name!r} must be a number of rows, 0 or more, got {quota!r}.")
