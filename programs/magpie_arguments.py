"""What the arguments of Magpie may be."""

from typing import Any

from synthwright.errors import ConfigError, did_you_mean
from synthwright.programs.blocks.arguments import check_ranges
from synthwright.programs.magpie_templates import BOS, family_named
from synthwright.signatures.magpie import DOMAINS

__all__ = ["check_arguments"]


def check_arguments(magpie: Any) -> None:
    """Raise ConfigError if an argument of a `Magpie` is out of range, or two exclude each other."""
    counts = ("turns", "query_tokens", "response_tokens", "tag_tokens", "total")
    check_ranges(magpie, dict.fromkeys(counts, (1, None)))
    if magpie.temperature < 0 or not 0 < magpie.top_p <= 1:
        raise ConfigError(
            f"`temperature` must be 0 or more and `top_p` in (0, 1], got {magpie.temperature!r} and {magpie.top_p!r}."
        )
    if not 0 < magpie.max_seeking <= 1:
        raise ConfigError(f"`max_seeking` must be in (0, 1], got {magpie.max_seeking!r}.")
    if magpie.embedder is not None and magpie.embedder != "embedded" and not callable(magpie.embedder):
        raise ConfigError(f"`embedder` must be a function, 'embedded' or None, got {magpie.embedder!r}.")
    if magpie.domain is not None and (magpie.domain not in DOMAINS or magpie.system is not None):
        raise ConfigError(
            f"`domain` is a ready `system` message, so give one of the two, got system={magpie.system!r} and "
            f"domain={magpie.domain!r}. {did_you_mean(magpie.domain, DOMAINS)}"
        )
    if magpie.family is not None:
        family_named(magpie.family)
    steered = magpie.turns > 1 or magpie.system or magpie.domain or magpie.family
    if magpie.prefix is not None and (not magpie.prefix.strip() or steered):
        raise ConfigError(
            f"`prefix` is the text before one user turn and cannot be empty, got {magpie.prefix!r} with "
            f"turns={magpie.turns!r}, system={magpie.system!r}, domain={magpie.domain!r} and family={magpie.family!r}: "
            "write a system message into the prefix, and use `family` or an LM that tells its chat template for "
            "more turns."
        )
    if magpie.prefix is not None and (bos := BOS.match(magpie.prefix)):
        raise ConfigError(
            f"`prefix` begins with {bos[0]!r}, got {magpie.prefix!r}. Leave that out: servers put it before every "
            "prompt themselves, and a second one would stand in the conversation."
        )
    if magpie.base_answers and magpie.reward is None:
        raise ConfigError("`base_answers` are compared by `reward`, got reward=None.")
    if magpie.preferences and (magpie.reward is None or magpie.turns > 1 or magpie.samples < 2):
        raise ConfigError(
            "`preferences` needs `reward`, one turn and 2 or more `samples`, got "
            f"reward={magpie.reward!r}, turns={magpie.turns!r}, samples={magpie.samples!r}."
        )
