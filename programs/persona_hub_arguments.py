"""What the arguments of Persona Hub may be."""

from typing import Any

from synthwright.errors import ConfigError, did_you_mean
from synthwright.programs.blocks.arguments import check_ranges
from synthwright.programs.persona_hub_items import ITEM_CHECKS
from synthwright.programs.persona_hub_personas import CHECKS
from synthwright.signatures.persona_hub import ACTIONS, DATA_TYPES

__all__ = ["check_arguments"]


def check_arguments(hub: Any) -> None:
    """See that the arguments of a `PersonaHub` are in range and known.

    Raises:
        ConfigError: One is not; the message names it.
    """
    least = ("per_text", "children", "shown", "passes", "texts", "personas", "max_tokens")
    check_ranges(hub, {**dict.fromkeys(least, (1, None)), "expansions": (0, None)})
    if hub.per_text > len(ACTIONS) or hub.expansions > 255:
        raise ConfigError(
            f"`per_text` must be at most {len(ACTIONS)} and `expansions` at most 255, got "
            f"{hub.per_text!r} and {hub.expansions!r}."
        )
    if not 0 <= hub.temperature <= 2 or not (hub.top_p is None or 0 < hub.top_p <= 1):
        raise ConfigError(
            f"`temperature` must be in [0, 2] and `top_p` in (0, 1], got {hub.temperature!r} and {hub.top_p!r}."
        )
    choices = {
        "checks": CHECKS,
        "item_checks": ITEM_CHECKS,
        "data_types": DATA_TYPES,
        "mode": ("zero_shot", "few_shot", "persona_enhanced"),
        "answers": ("none", "one", "agreement"),
        "min_specificity": (None, 1, 2, 3, 4, 5),
    }
    for name, known in choices.items():
        given = getattr(hub, name)
        for value in given if isinstance(given, tuple) else (given,):
            if value not in known:
                raise ConfigError(f"`{name}` has no {value!r}. {did_you_mean(str(value), map(str, known))}")
    if not hub.data_types:
        raise ConfigError(f"`data_types` is empty: name some of {', '.join(DATA_TYPES)}.")
    if hub.embedder is not None and hub.embedder != "embedded" and not callable(hub.embedder):
        raise ConfigError(f"`embedder` must be 'embedded' or a function of texts, got {hub.embedder!r}.")
