"""Which LMs serve the roles of a program: some methods mean nothing if two roles are one model."""

from typing import Any

import dspy

__all__ = ["one_lm"]


def one_lm(a: Any, b: Any) -> str:
    """The name of the model if two modules are served by one at one address, else an empty text.

    Other sampling does not make another model. Modules without an LM, as before a run, count as served by two.

    Args:
        a: A module with an `lm`: a predictor, or a `Chat`.
        b: Another.
    """
    models = [_model(module.lm or dspy.settings.lm) for module in (a, b)]
    return models[0][0] if models[0] is not None and models[0] == models[1] else ""


def _model(lm: Any) -> tuple[str, str] | None:
    """(name, address) of an LM; the address is known of one in a run, whose connection it does not carry itself."""
    if lm is None:
        return None
    address = getattr(getattr(lm, "engine", None), "endpoint", None) or lm.kwargs.get("api_base") or ""
    return str(lm.model), str(address)
