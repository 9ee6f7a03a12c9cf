"""One sandbox for all copies of a generator in a process."""

import atexit
from functools import cache
from typing import Literal

from synthwright.sandbox import Sandbox, get_sandbox

__all__ = ["shared_sandbox"]


@cache
def shared_sandbox(name: Literal["monty", "subprocess"]) -> Sandbox:
    """The sandbox of this process; its workers start with the first run and end with the process.

    Optimizers copy generators by the hundred, and each copy would have workers of its own.
    """
    sandbox = get_sandbox(name)
    atexit.register(sandbox.close)
    return sandbox
