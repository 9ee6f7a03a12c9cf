"""Which LM serves which role of a generator."""

from collections.abc import Mapping
from typing import Any, cast

import dspy

from synthwright.errors import ConfigError
from synthwright.lms.budgets import Meter, Retry
from synthwright.lms.direct import take_shortcuts
from synthwright.lms.embedded import embedded_lm
from synthwright.lms.journal import Journal
from synthwright.lms.metered import MeteredLM, metered
from synthwright.lms.metered_engines import CallLimit
from synthwright.lms.tracing import observe
from synthwright.programs.base import Generator

__all__ = ["assign_lms", "close_engines", "describe", "resolve_lms", "used_roles"]


def resolve_lms(
    generator: Generator[Any], lms: dspy.BaseLM | Mapping[str, dspy.BaseLM] | None
) -> dict[str, dspy.BaseLM]:
    """An LM for each role of a generator.

    Args:
        generator: The generator with its roles.
        lms: An LM for all roles, LMs by role, or None. A role left out is served by the LM that is set on its
            predictors, as by `generator.set_lm(...)`, else by that of `generator`, else by the LM configured in DSPy,
            else by the embedded one.

    Raises:
        ConfigError: A role that the generator does not have, predictors of one role with different LMs of their own,
            or something that is not an LM.
    """
    roles, used = generator.all_roles(), used_roles(generator)
    given: dict[str, Any] = {}
    if isinstance(lms, Mapping):
        given = {**_own_lms(generator, without=lms), **lms}
    elif lms is not None:
        given = dict.fromkeys(roles, lms)
    else:
        given = _own_lms(generator, without={})
    for role in given:
        if role not in roles:
            raise ConfigError(f"{type(generator).__name__} has no role {role!r}; its roles: {', '.join(roles)}.")
    if set(used) <= set(given):
        default = given.get("generator", given[used[0]])  # no call will use another: load and check nothing else
    else:
        default = given.get("generator") or dspy.settings.lm or embedded_lm()
    found = {role: given.get(role, default) for role in roles}
    for role, lm in found.items():
        if not isinstance(lm, dspy.BaseLM):
            raise ConfigError(f"The role {role!r} needs a dspy.LM, got {lm!r}. Example: dspy.LM('openai/gpt-4o-mini').")
    return found


def used_roles(generator: Generator[Any]) -> tuple[str, ...]:
    """The roles whose LM a generator's predictors call; `generator` if it has none that can be seen."""
    used = {generator.role_of(name) for name, _ in _callers(generator)}
    return tuple(role for role in generator.all_roles() if role in used) or ("generator",)


def assign_lms(
    generator: Generator[Any],
    lms: Mapping[str, dspy.BaseLM],
    meter: Meter,
    retry: Retry | None,
    limit: int,
    journal: Journal | None = None,
) -> dict[str, MeteredLM]:
    """Give every predictor and raw completion of a generator the metered LM of its role, in place.

    Returns:
        The metered LMs by role.
    """
    limits = {id(lm): CallLimit(lm, limit) for lm in lms.values()}  # roles that share an LM share its limit
    wrapped = {
        role: metered(lm, role=role, meter=meter, retry=retry, limit=limits[id(lm)], journal=journal)
        for role, lm in lms.items()
    }
    for name, module in _callers(generator):
        module.lm = wrapped[generator.role_of(name)]
    observe(wrapped)
    take_shortcuts(generator)
    return wrapped


async def close_engines(lms: Mapping[str, dspy.BaseLM]) -> None:
    """Close the connections that engines hold on the running event loop."""
    for lm in lms.values():
        close = getattr(getattr(lm, "async_engine", None), "aclose", None)
        if callable(close):
            await cast(Any, close())


def _own_lms(generator: Generator[Any], without: Mapping[str, Any]) -> dict[str, Any]:
    """The LMs that are set on predictors, by role, without those of some roles."""
    own: dict[str, Any] = {}
    for name, module in _callers(generator):
        role = generator.role_of(name)
        if module.lm is not None and role not in without and own.setdefault(role, module.lm) is not module.lm:
            raise ConfigError(
                f"Predictors of the role {role!r} of {type(generator).__name__} have different LMs set on them, and a "
                f"role is served by one: pass `lms={{{role!r}: lm}}`."
            )
    return own


def _callers(generator: Generator[Any]) -> list[tuple[str, Any]]:
    """What calls an LM, predictors and raw completions, with their names."""
    return [
        (name.removeprefix("self.").removesuffix(".predict"), module)
        for name, module in generator.named_sub_modules()
        if module is not generator and hasattr(module, "lm")
    ]


def describe(lm: dspy.BaseLM) -> dict[str, Any]:
    """Model and sampling of an LM, as a run records them. Its address may change between sessions: it is left out."""
    sampling = {k: v for k, v in lm.kwargs.items() if k in ("temperature", "max_tokens", "top_p") and v is not None}
    return {"model": lm.model, **sampling}
