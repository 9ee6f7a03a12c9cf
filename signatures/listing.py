"""Listing: a field that holds a list of texts, for LMs that count badly."""

from typing import Any

from pydantic import ConfigDict, RootModel, model_validator

__all__ = ["Listing"]


class Listing(RootModel[list[str]]):
    """A list of texts. Another length than `of_length` says is no error, and a bare text is a list of one."""

    @model_validator(mode="before")
    @classmethod
    def _one_text(cls, data: Any) -> Any:
        return [data] if isinstance(data, str) else data

    @classmethod
    def of_length(cls, count: int) -> "type[Listing]":
        """The type of a list whose JSON schema has `count` texts: a weak LM stops at once, or at its token limit."""
        config = ConfigDict(json_schema_extra={"minItems": count, "maxItems": count})
        return type(cls.__name__, (cls,), {"model_config": config, "__module__": cls.__module__, "__doc__": ""})
