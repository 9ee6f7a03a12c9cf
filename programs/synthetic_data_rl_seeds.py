"""Seeds that users give to Synthetic Data RL: passages, questions, rows of other methods."""

from collections.abc import Mapping
from typing import Any

from synthwright.errors import ConfigError
from synthwright.programs.blocks.instruction_seeds import first_given, parents_of

__all__ = ["given_seed"]

_PASSAGE = ("passage", "text")
_QUESTION = ("question", "instruction", "problem")
_ANSWER = ("answer", "gold", "final_answer", "response")
_KNOWN = {*_PASSAGE, *_QUESTION, *_ANSWER, "options", "title", "url", "licence", "input", "id", "parent_ids"}


def given_seed(seed: Mapping[str, Any], index: int) -> dict[str, Any]:
    """The arguments of a `sample` from a user's seed.

    A seed has a `passage` (or `text`), or a `question` (or `instruction`, `problem`) with optional `options`, `input`
    and `answer`. Rows of other methods fit: their other fields are left out, and their `id` becomes the parent.

    Raises:
        ConfigError: It has neither, or a field that is not known.
    """
    if "id" not in seed and (unknown := set(seed) - _KNOWN):
        raise ConfigError(
            f"Seed {index} has the unknown field {sorted(unknown)[0]!r}; known: {', '.join(sorted(_KNOWN))}."
        )
    question, passage = first_given(seed, _QUESTION), first_given(seed, _PASSAGE)
    if not isinstance(question or passage, str):
        raise ConfigError(
            f"Seed {index} is {dict(seed)!r}; a seed of SyntheticDataRL has a `passage`, or a `question` (also named "
            "`instruction`), both text."
        )
    parents = parents_of(seed)
    made: dict[str, Any] = {"parent_ids": parents} if parents else {}
    if isinstance(question, str):
        whole = "\n".join(part for part in (question, str(seed.get("input") or "")) if part)
        answer = first_given(seed, _ANSWER)
        made |= {"question": whole, "answer": "" if answer is None else str(answer)}  # 0 is an answer
        return made | ({"options": list(seed["options"])} if isinstance(seed.get("options"), list | tuple) else {})
    about = {name: str(seed[name]) for name in ("title", "url", "licence") if seed.get(name)}
    return made | {"passage": passage} | about
