"""Where a chat template expects the user's words: found in any template, or built for a family of models."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

from synthwright.errors import ConfigError, UnusableLMError, did_you_mean
from synthwright.lms.raw import RawCompletion
from synthwright.programs.base import data_path

__all__ = ["BOS", "SENTINEL", "Family", "families", "family_named", "split_at_user_turn", "stop_strings", "user_slot"]

SENTINEL = "SYNTHWRIGHT-USER-TURN"
"""Stands for the user's words while a chat template is rendered; templates leave plain ASCII as it is."""

BOS = re.compile(r"\A\s*(?:<s>|<bos>|<\|(?:begin_of_text|startoftext|endoftext)\|>|<｜begin▁of▁sentence｜>)")
"""The token at the start of a prompt, which servers put before every raw text themselves."""

_WITHOUT_SYSTEM = "leave out `system` and `domain`, and pass `turn_system=None`"
_MARKER = re.compile(r"<(?!/?think)[^<>\s]{2,40}>|\[/?[A-Z_]{2,20}\]")


def split_at_user_turn(rendered: str) -> tuple[str, str]:
    """The text before and after the user's words in a rendered chat template that holds `SENTINEL` as those words.

    Raises:
        ConfigError: The template drops or repeats the user's words, or marks no user turn, as with a base model.
    """
    count = rendered.count(SENTINEL)
    if count != 1:
        raise ConfigError(
            f"The LM's chat template shows the user's words {count} times, Magpie needs them once: {rendered[:300]!r}. "
            "Give the text that stands before a user turn yourself, as `prefix`."
        )
    before, _, after = rendered.partition(SENTINEL)
    if not BOS.sub("", before).strip():
        raise ConfigError(
            f"The LM's chat template has nothing that opens a user turn ({rendered[:300]!r}), as with a base model. "
            "Magpie reads queries out of an aligned (instruction-tuned) LM: use one, or give its header as `prefix`."
        )
    return before, after


def stop_strings(template: str) -> tuple[str, ...]:
    """The special tokens in a piece of chat template, or its first line if it has none (`ASSISTANT:`)."""
    found = tuple(dict.fromkeys(_MARKER.findall(template)))
    return found or tuple(template.strip().splitlines()[:1])


@dataclass(frozen=True)
class Family:
    """The chat template of a family of models, for servers that do not tell theirs.

    Attributes:
        name: Such as `qwen-2.5`.
        bos: Token at the start of a prompt. It is not rendered: completion servers put it there themselves.
        user: Text before and after what the user says.
        assistant: Text before and after an answer.
        system: Text before and after a system message, or None if the family has none.
        system_in_user: Whether the system message stands inside the first user turn.
        default_system: System message of conversations that bring none; without it some models write fragments.
        ends: Tokens that end a user turn beside those of the template.
    """

    name: str
    bos: str
    user: tuple[str, str]
    assistant: tuple[str, str]
    system: tuple[str, str] | None = None
    system_in_user: bool = False
    default_system: str | None = None
    ends: tuple[str, ...] = ()

    def render(self, messages: Sequence[dict[str, str]]) -> str:
        """The prompt text of messages with `role` and `content`, ready for the next answer, without BOS.

        Raises:
            ConfigError: There is a system message, and the family has none.
        """
        talk = list(messages)
        given = talk.pop(0)["content"] if talk and talk[0]["role"] == "system" else None
        system = given if given is not None else self.default_system
        text = ""
        if system is not None:
            if self.system is None:
                raise ConfigError(f"Models of the family {self.name!r} take no system message: {_WITHOUT_SYSTEM}.")
            text = f"{self.system[0]}{system}{self.system[1]}"
        for index, message in enumerate(talk):
            before, after = self.user if message["role"] == "user" else self.assistant
            if self.system_in_user and index == 0:
                before, text = before + text, ""
            text += f"{before}{message['content']}{after}"
        return text + self.assistant[0].rstrip(" ")


@cache
def families() -> dict[str, Family]:
    """The families by name, from `programs/data/magpie_families.yaml`."""
    data: dict[str, dict[str, Any]] = yaml.safe_load(data_path("magpie_families.yaml").read_text(encoding="utf-8"))
    found = {}
    for name, fields in data.items():
        frozen: dict[str, Any] = {
            field: tuple(value) if isinstance(value, list) else value for field, value in fields.items()
        }
        found[name] = Family(name, **frozen)
    return found


def family_named(name: str) -> Family:
    """The family of a name.

    Raises:
        ConfigError: There is none; the message suggests the nearest.
    """
    if name not in families():
        raise ConfigError(f"Magpie knows no family {name!r}. {did_you_mean(name, families())}")
    return families()[name]


async def user_slot(
    query: RawCompletion, talk: Sequence[dict[str, str]], system: str, family: str | None
) -> tuple[str, tuple[str, ...]]:
    """The text that ends where an LM expects the user's next words, and the tokens that end those.

    Args:
        query: What continues the text; its LM tells the chat template.
        talk: The conversation so far, as messages with `role` and `content`.
        system: System message, or an empty text.
        family: Name of the family whose template is used instead of the LM's own, or None.

    Raises:
        ConfigError: The template has no place for the user's words, or for the system message.
        UnusableLMError: The LM does not tell its template, and no family is given.
    """
    head = [{"role": "system", "content": system}] if system else []
    turns = [*talk, {"role": "user", "content": SENTINEL}]
    ends: tuple[str, ...] = ()
    if family is None:
        rendered = await _rendered(query, head, turns)
    else:
        rendered, ends = family_named(family).render([*head, *turns]), family_named(family).ends
    before, after = split_at_user_turn(rendered)
    if system.strip() not in before:
        raise ConfigError(f"The LM's chat template drops system messages: {_WITHOUT_SYSTEM}.")
    return before, tuple(dict.fromkeys((*stop_strings(after), *ends)))


async def _rendered(query: RawCompletion, head: list[dict[str, str]], turns: list[dict[str, str]]) -> str:
    """The turns in the LM's own chat template."""
    try:
        return await query.template([*head, *turns])
    except (UnusableLMError, OSError) as error:
        if head and await _tells_template(query, turns):
            raise ConfigError(f"The LM's chat template refuses system messages: {_WITHOUT_SYSTEM}.") from error
        raise UnusableLMError(
            f"{error} Magpie needs raw completions: on a server that has them and hides its template, "
            f"pass `family` ({', '.join(families())}) or `prefix`. A hosted chat API puts its own template around "
            "every prompt, so that the LM would just greet: it cannot run Magpie."
        ) from error


async def _tells_template(query: RawCompletion, turns: list[dict[str, str]]) -> bool:
    try:
        return bool(await query.template(turns))
    except (UnusableLMError, OSError):
        return False
