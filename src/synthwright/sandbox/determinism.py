"""Whether a program gives the same value every time."""

import asyncio

from synthwright.sandbox.results import Arguments, Failure, Limits, Sandbox, Value
from synthwright.sandbox.values import canonical, equal

__all__ = ["acheck_deterministic", "check_deterministic"]

SEEDS = (0, 1)


def check_deterministic(
    sandbox: Sandbox, program: str, inputs: Arguments = (), *, function: str = "f", limits: Limits | None = None
) -> Value | Failure:
    """Run a program in two fresh sessions that differ in all it must not depend on, and compare the values by type.

    Absolute Zero asks for two equal runs (arXiv:2505.03335, section 3.3.3); its released code makes them in one
    process, where hashes and the order of sets cannot differ.

    Returns:
        The value; or the failure, if both sessions fail alike; else a Failure of kind "nondeterministic".
    """
    first, second = (sandbox.run(program, inputs, function=function, limits=limits, seed=seed) for seed in SEEDS)
    return _compare(first, second)


async def acheck_deterministic(
    sandbox: Sandbox, program: str, inputs: Arguments = (), *, function: str = "f", limits: Limits | None = None
) -> Value | Failure:
    """`check_deterministic` for asyncio; the two sessions run at once."""
    runs = (sandbox.arun(program, inputs, function=function, limits=limits, seed=seed) for seed in SEEDS)
    return _compare(*await asyncio.gather(*runs))


def _compare(first: Value | Failure, second: Value | Failure) -> Value | Failure:
    if isinstance(first, Value) and isinstance(second, Value):
        if equal(first.value, second.value):
            return first
        return Failure("nondeterministic", f"{canonical(first.value)[:200]} and {canonical(second.value)[:200]}")
    if isinstance(first, Failure) and isinstance(second, Failure) and first.kind == second.kind:
        return first
    for failure in (first, second):  # trouble of the sandbox says nothing about the program
        if isinstance(failure, Failure) and failure.kind == "crashed":
            return failure
    return Failure("nondeterministic", f"{first} and {second}"[:400])
