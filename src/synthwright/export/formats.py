"""The forms in which trainers read rows: TRL's dataset types, Alpaca, ShareGPT, and the rows as they are.

TRL's types and their columns: https://huggingface.co/docs/trl/dataset_formats. Alpaca's columns are those of
tatsu-lab/stanford_alpaca, ShareGPT's those that FastChat and Axolotl read.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from synthwright.errors import ConfigError, did_you_mean
from synthwright.signatures.rows import Message, Preference, Row

__all__ = ["FORMATS", "Format", "Unfit", "get_format", "plain"]

Record = dict[str, Any]
Talk = Sequence[Message]


class Unfit(Exception):
    """A row has no such form; the text is the reason."""


@dataclass(frozen=True)
class Format:
    """One form of a dataset.

    Attributes:
        name: As `--format` takes it.
        columns: Type of each column: `talk` (a list of messages), `text`, `bool`, `number` or `turns` (ShareGPT's).
            Empty for the rows as they are.
        read_by: What trains on it.
        records: The records of one row, mostly one; raises `Unfit`.
        both: Whether the columns of the type `talk` can be plain text instead: TRL's standard form.
    """

    name: str
    columns: dict[str, str]
    read_by: str
    records: Callable[[Row], list[Record]]
    both: bool = False

    def convert(self, row: Row, standard: bool = False) -> list[Record]:
        """The records of one row.

        Args:
            row: Any row.
            standard: Conversations as plain text. A prompt then ends with a blank line, because trainers put prompt
                and completion together without anything between.

        Raises:
            Unfit: The row has no such form.
        """
        records = self.records(row)
        return [self._standard(record) for record in records] if standard and self.both else records

    def types(self, standard: bool = False) -> dict[str, str]:
        """Type of each column."""
        swap = standard and self.both
        return {name: "text" if swap and kind == "talk" else kind for name, kind in self.columns.items()}

    def _standard(self, record: Record) -> Record:
        texts = {name: plain(record[name]) for name, kind in self.columns.items() if kind == "talk"}
        if "prompt" in texts:
            texts["prompt"] += "\n\n"
        return {**record, **texts}


def plain(talk: Sequence[Record]) -> str:
    """The messages of one exchange as plain text, with a blank line between them.

    Raises:
        Unfit: There are several exchanges, which plain text cannot tell apart.
    """
    if sum(message["role"] == "user" for message in talk) > 1:
        raise Unfit("several exchanges, and plain text has no roles")
    return "\n\n".join(message["content"] for message in talk)


def get_format(name: str) -> Format:
    """A format by its name.

    Raises:
        ConfigError: There is none; the message suggests the nearest.
    """
    if name not in FORMATS:
        raise ConfigError(f"No format {name!r}. {did_you_mean(name, FORMATS)}")
    return FORMATS[name]


def _dicts(talk: Talk) -> list[Record]:
    return [{"role": message.role, "content": message.content} for message in talk]


def _talk(row: Row) -> list[Message]:
    talk = row.to_messages()
    if not talk or talk[-1].role != "assistant":
        raise Unfit("no answer")
    return talk


def _pair(row: Row) -> Preference:
    pair = row.to_preference()
    if pair is None:
        raise Unfit("no better and worse answer")
    if pair.chosen == pair.rejected:
        raise Unfit("the better answer is the worse one")
    return pair


def _messages(row: Row) -> list[Record]:
    return [{"messages": _dicts(_talk(row))}]


def _text(row: Row) -> list[Record]:
    return [{"text": plain(_dicts(_talk(row)))}]


def _sft(row: Row) -> list[Record]:
    talk = _talk(row)
    return [{"prompt": _dicts(talk[:-1]), "completion": _dicts(talk[-1:])}]


def _prompt_only(row: Row) -> list[Record]:
    prompt = row.to_prompt()
    if not prompt:
        raise Unfit("no prompt")
    return [{"prompt": _dicts(prompt)}]


def _preference(row: Row) -> list[Record]:
    pair = _pair(row)
    talks = {name: _dicts(getattr(pair, name)) for name in ("prompt", "chosen", "rejected")}
    return [{**talks, "margin": pair.margin}]


def _unpaired(row: Row) -> list[Record]:
    pair = _pair(row)
    both = ((pair.chosen, True), (pair.rejected, False))
    return [{"prompt": _dicts(pair.prompt), "completion": _dicts(talk), "label": label} for talk, label in both]


def _alpaca(row: Row) -> list[Record]:
    talk = _talk(row)
    if [message.role for message in talk] != ["user", "assistant"]:
        raise Unfit("not one question with one answer")
    whole, given = talk[0].content, getattr(row, "input", "")
    instruction = getattr(row, "instruction", whole)
    if not (isinstance(given, str) and isinstance(instruction, str) and given.strip()):
        instruction, given = whole, ""
    return [{"instruction": instruction, "input": given, "output": talk[1].content}]


_SPEAKERS = {"system": "system", "user": "human", "assistant": "gpt"}


def _sharegpt(row: Row) -> list[Record]:
    return [{"conversations": [{"from": _SPEAKERS[m.role], "value": m.content} for m in _talk(row)]}]


def _raw(row: Row) -> list[Record]:
    return [row.record()]


_PREFERENCE = {"prompt": "talk", "chosen": "talk", "rejected": "talk", "margin": "number"}

FORMATS = {
    found.name: found
    for found in (
        Format("messages", {"messages": "talk"}, "TRL SFTTrainer (conversational language modelling)", _messages),
        Format(
            "sft",
            {"prompt": "talk", "completion": "talk"},
            "TRL SFTTrainer, loss on the last answer only (prompt-completion)",
            _sft,
            both=True,
        ),
        Format("preference", _PREFERENCE, "TRL DPOTrainer, RewardTrainer (preference)", _preference, both=True),
        Format(
            "unpaired",
            {"prompt": "talk", "completion": "talk", "label": "bool"},
            "TRL KTOTrainer (unpaired preference)",
            _unpaired,
            both=True,
        ),
        Format(
            "prompt-only", {"prompt": "talk"}, "TRL GRPOTrainer, RLOOTrainer (prompt-only)", _prompt_only, both=True
        ),
        Format("text", {"text": "text"}, "TRL SFTTrainer (standard language modelling)", _text),
        Format("alpaca", {"instruction": "text", "input": "text", "output": "text"}, "LLaMA-Factory, Axolotl", _alpaca),
        Format("sharegpt", {"conversations": "turns"}, "FastChat, LLaMA-Factory, Axolotl", _sharegpt),
        Format("raw", {}, "everything that a row holds, for your own code", _raw),
    )
}
"""The formats by name."""
