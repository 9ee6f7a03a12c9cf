"""Seeds that users give to SandMath: problems, with or without solutions, and rows of other methods."""

from collections.abc import Mapping
from typing import Any

from synthwright.errors import ConfigError
from synthwright.programs.blocks.instruction_seeds import first_given, parents_of

__all__ = ["given_seed"]

_QUESTION = ("question", "problem", "instruction")
_SOLUTION = ("solution", "response", "output")
_ANSWER = ("answer", "final_answer", "gold")
_ABOUT = ("branch", "other_branch", "concept")
_KNOWN = {*_QUESTION, *_SOLUTION, *_ANSWER, *_ABOUT, "input", "id", "parent_ids"}


def given_seed(seed: Mapping[str, Any], index: int) -> dict[str, Any]:
    """The arguments of a `write` from a user's seed.

    Rows of other methods fit: their other fields are left out, and their `id` becomes the parent. A seed with a
    `branch` alone asks for a problem of that branch.

    Raises:
        ConfigError: It has neither problem nor branch, or a field that is not known.
    """
    if "id" not in seed and (unknown := set(seed) - _KNOWN):
        raise ConfigError(
            f"Seed {index} has the unknown field {sorted(unknown)[0]!r}; known: {', '.join(sorted(_KNOWN))}."
        )
    question = first_given(seed, _QUESTION)
    if not isinstance(question, str) and not isinstance(seed.get("branch"), str):
        raise ConfigError(
            f"Seed {index} is {dict(seed)!r}; a seed of SandMath has a `question` (also named `problem` or "
            "`instruction`), or a `branch` to write one of, both text."
        )
    made: dict[str, Any] = {name: str(seed[name]) for name in _ABOUT if seed.get(name)}
    if isinstance(question, str):
        data = seed.get("input")
        made["question"] = "\n".join(part for part in (question, data) if isinstance(part, str) and part)
        made |= {name: str(found) for name, names in (("solution", _SOLUTION), ("answer", _ANSWER))
                 if (found := first_given(seed, names)) is not None}  # fmt: skip
    parents = parents_of(seed)
    return {**made, "parent_ids": parents} if parents else made
