"""What the arguments of Synthetic Data RL may be."""

from typing import TYPE_CHECKING, get_args

from synthwright.errors import ConfigError
from synthwright.programs.blocks.arguments import check_choices, check_ranges, check_whole
from synthwright.programs.synthetic_data_rl_selection import Selection
from synthwright.programs.voting import Ties

if TYPE_CHECKING:
    from synthwright.programs.synthetic_data_rl import SyntheticDataRL

__all__ = ["check_arguments"]


def check_arguments(program: "SyntheticDataRL") -> None:
    """See that the arguments of a `SyntheticDataRL` are in range and fit each other.

    Raises:
        ConfigError: One is not; the message names it.
    """
    choices = {
        "grounding": ("required", "preferred", "none"),
        "ties": get_args(Ties),
        "base": ("typed", "completion"),
        "selection": get_args(Selection),
    }
    check_choices(program, choices)
    whole = {"passages": 1, "passage_chars": 40, "samples": 1, "votes": 1, "min_margin": 0, "attempts": 1}
    check_whole(program, {**whole, "cycles": 1, "base_tokens": 1})
    for name in ("examples_share", "min_agreement", "max_similarity", "base_top_p"):
        value = getattr(program, name)
        if value is not None and not 0 <= value <= 1:
            raise ConfigError(f"`{name}` must be in [0, 1], got {value!r}.")
    check_ranges(program, {"temperature": (0, 2), "base_temperature": (0, 2)})
    if program.attempts > 1 and program.base_temperature == 0:
        raise ConfigError("`base_temperature=0` makes all draws the same one: no pass rate. Use more than 0.")
    if program.min_margin > program.votes + program.draft_votes:
        raise ConfigError(f"`min_margin={program.min_margin}` cannot be reached with {program.votes} votes.")
