"""The pydantic rows that generators emit, and what is kept of the ones that were dropped."""

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal, Self, cast

from pydantic import BaseModel, ConfigDict, Field, computed_field, model_validator

__all__ = ["InstructionRow", "Message", "Preference", "Provenance", "Rejected", "Row"]

_CANONICAL = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"))
_NOT_CONTENT = {"id", "parent_ids", "provenance"}


class Provenance(BaseModel):
    """Where a row came from. `generate` fills it in; a generator never does.

    Attributes:
        method: File stem of the generator, such as `evol_instruct`.
        version: Version of synthwright.
        prompts: First 12 hex digits of the SHA-256 of all instructions and demonstrations of the generator.
        lms: Model name for each role that the generator used.
        seed: Index of the seed (the unit of LM work) in its run, from 0.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str
    version: str
    prompts: str
    lms: dict[str, str]
    seed: int


class _CachedProperty(cached_property):
    """One without the lock of Python 3.11, so that row classes of a script can be sent to other processes."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _CachedProperty, (self.func,), {"attrname": self.attrname}


class Message(BaseModel):
    """One turn of a conversation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Literal["system", "user", "assistant"]
    content: str


class Preference(BaseModel):
    """A better and a worse continuation of one prompt: the form that DPO reads.

    Attributes:
        prompt: The conversation up to the last user turn.
        chosen: The better continuation.
        rejected: The worse continuation.
        margin: By how much it is better, on the scale of the method; None if the method does not measure it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: tuple[Message, ...]
    chosen: tuple[Message, ...]
    rejected: tuple[Message, ...]
    margin: float | None = None


class Row(BaseModel):
    """One record of a dataset: subclass it and declare the fields.

    Rows are frozen. `id` is a hash of the content, so equal content has an equal id in every run.

    Attributes:
        parent_ids: Ids of the rows that this one was made from.
        provenance: Where the row came from; None until `generate` has admitted it.

    Example:
        >>> class Riddle(Row):
        ...     word: str
        ...     riddle: str
        >>> Riddle(word="snow", riddle="I fall, yet never break.").id
        '017bb38998b15e276702'
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    parent_ids: tuple[str, ...] = ()
    provenance: Provenance | None = None

    @model_validator(mode="before")
    @classmethod
    def _drop_id(cls, data: Any) -> Any:
        """Accept a record written by `record`: its id is derived again."""
        return {name: value for name, value in data.items() if name != "id"} if isinstance(data, dict) else data

    @computed_field
    @_CachedProperty
    def id(self) -> str:
        """First 20 hex digits of the SHA-256 of the content (everything but `parent_ids` and `provenance`)."""
        content = self.model_dump(mode="json", exclude=_NOT_CONTENT)
        canonical = _CANONICAL.encode(content)
        return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()[:20]

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Pydantic's copy; one with other content has an id of its own."""
        twin = super().model_copy(update=update, deep=deep)
        if not _NOT_CONTENT.issuperset(update or ()):
            cast(dict[str, Any], twin.__dict__).pop("id", None)
        return twin

    def record(self) -> dict[str, Any]:
        """The row as JSON-ready data: `id` first, then the content, then `parent_ids` and `provenance`."""
        data = self.model_dump(mode="json")
        tail = {name: data.pop(name) for name in ("parent_ids", "provenance")}
        return {"id": data.pop("id"), **data, **tail}

    def to_messages(self) -> list[Message] | None:
        """The row as a conversation for supervised fine-tuning, or None if it is not one. Subclasses say how."""
        return None

    def to_prompt(self) -> list[Message] | None:
        """What a model is asked, for training from rewards; by default the conversation before its last reply."""
        messages = self.to_messages()
        while messages and messages[-1].role == "assistant":
            messages = messages[:-1]
        return messages or None

    def to_preference(self) -> Preference | None:
        """The row as a pair of a better and a worse reply, or None if it is not one. Subclasses say how."""
        return None


class Rejected(BaseModel):
    """Something that was made and dropped, and why. Runs keep it beside the rows.

    Attributes:
        stage: Who dropped it: the name of a predictor or of a filter.
        reason: A short code that funnels count, such as `demands_no_more`; never free text.
        detail: What a person would want to know, such as the judge's words or the measured value.
        content: What was dropped, as JSON-ready data.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    stage: str
    reason: str
    detail: str = ""
    content: dict[str, Any] = Field(default_factory=dict)


class InstructionRow(Row):
    """An instruction with its response: the form that supervised fine-tuning reads."""

    instruction: str
    response: str

    def to_messages(self) -> list[Message] | None:
        if not self.response.strip():  # made without answers: nothing to imitate, but a prompt all the same
            return None
        return [Message(role="user", content=self.instruction), Message(role="assistant", content=self.response)]

    def to_prompt(self) -> list[Message] | None:
        return [Message(role="user", content=self.instruction)] if self.instruction.strip() else None
