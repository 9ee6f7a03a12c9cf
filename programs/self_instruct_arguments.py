"""What the arguments of Self-Instruct may be."""

from typing import TYPE_CHECKING, get_args

from synthwright.programs.blocks.arguments import check_choices, check_names, check_ranges
from synthwright.programs.self_instruct_checks import CHECKS
from synthwright.programs.self_instruct_instances import Admission

if TYPE_CHECKING:
    from synthwright.programs.self_instruct import SelfInstruct

__all__ = ["check_arguments"]


def check_arguments(program: "SelfInstruct") -> None:
    """See that the arguments of a `SelfInstruct` are in range and known.

    Raises:
        ConfigError: One is not; the message names it.
    """
    check_names("SelfInstruct", "check", program.checks, CHECKS)
    check_choices(program, {"admit": get_args(Admission)})
    ranges = {
        "shown": (1, None),
        "machine_shown": (0, program.shown),
        "requests_per_round": (1, None),
        "growth": (0, 1),
        "patience": (1, None),
        "threshold": (1e-6, 1),
        "neighbours": (0, None),
        "min_words": (1, program.max_words),
        "temperature": (0, 2),
        "top_p": (1e-6, 1),
        "presence_penalty": (-2, 2),
        "max_tokens": (1, None),
        "instance_temperature": (0, 2),
        "instance_presence_penalty": (-2, 2),
        "instance_max_tokens": (1, None),
    }
    check_ranges(program, ranges)
