"""Running model-written Python without trusting it."""

from synthwright.sandbox.backends import get_sandbox
from synthwright.sandbox.determinism import acheck_deterministic, check_deterministic
from synthwright.sandbox.programs import check_program, normalise_program
from synthwright.sandbox.results import Arguments, Failure, FailureKind, Limits, Sandbox, Value
from synthwright.sandbox.values import canonical, equal, parse_arguments, parse_literal

__all__ = [
    "Arguments",
    "Failure",
    "FailureKind",
    "Limits",
    "Sandbox",
    "Value",
    "acheck_deterministic",
    "canonical",
    "check_deterministic",
    "check_program",
    "equal",
    "get_sandbox",
    "normalise_program",
    "parse_arguments",
    "parse_literal",
]
