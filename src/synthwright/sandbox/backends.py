"""The backends by name."""

from typing import Literal

from synthwright.errors import ConfigError, did_you_mean
from synthwright.sandbox.results import Limits, Sandbox

__all__ = ["get_sandbox"]


def get_sandbox(
    name: Literal["monty", "subprocess"] = "monty", *, workers: int | None = None, limits: Limits | None = None
) -> Sandbox:
    """A sandbox; nothing is started before its first run.

    Args:
        name: "monty", an interpreter without access to anything, for a subset of Python; or "subprocess", all of
            CPython behind the fences of the operating system, **not a security boundary**. It is never chosen for you.
        workers: Processes; None for one a core.
        limits: For runs that name none.
    """
    # one backend is imported, not both: each costs a caller some milliseconds that it may not need
    if name == "monty":
        from synthwright.sandbox.monty import MontySandbox

        return MontySandbox(workers, limits=limits)
    if name == "subprocess":
        from synthwright.sandbox.cpython import SubprocessSandbox

        return SubprocessSandbox(workers, limits=limits)
    raise ConfigError(f"No sandbox is named {name!r}. {did_you_mean(str(name), ['monty', 'subprocess'])}")
