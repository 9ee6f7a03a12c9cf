"""Rows and rejects as JSON text, as they lie in the run store and pass between processes."""

import json
import sys
from typing import Any, cast

from pydantic_core import to_jsonable_python

from synthwright.errors import StoreError
from synthwright.signatures.rows import Rejected, Row

__all__ = ["body_of", "class_path", "json_text", "load_row", "plain_text", "with_subclasses"]

_ENCODER = json.JSONEncoder(ensure_ascii=False)


def plain_text(text: Any) -> Any:
    """Text that SQLite takes: half characters, which an LM can write as escapes, become escapes. Others stay."""
    return text.encode("utf-8", "backslashreplace").decode() if isinstance(text, str) else text


def body_of(item: Row | Rejected) -> str:
    """A row with its class, or a reject, as JSON text."""
    if isinstance(item, Rejected):
        return json_text(item.model_dump())
    return json_text({"class": class_path(type(item)), **item.record()})


def json_text(value: Any) -> str:
    """JSON text of whatever a generator put into a reject, in its own order of keys."""
    text = _ENCODER.encode(data := to_jsonable_python(value, serialize_unknown=True))
    return text if plain_text(text) == text else json.dumps(data)


def load_row(body: str) -> Row:
    """The row that `body_of` wrote.

    Raises:
        StoreError: Its class is not there.
    """
    data = json.loads(body)
    row = _row_class(data.pop("class")).model_validate(data)
    held = cast(dict[str, Any], row.__dict__)
    held["id"] = data["id"]  # as a cached property holds it: the hash takes as long as all the rest
    return row


def class_path(cls: type[Row]) -> str:
    """The class of a row as it is stored."""
    return f"{cls.__module__}:{cls.__qualname__}"


def _row_class(path: str) -> type[Row]:
    """The row class of a stored row: a subclass of Row in a module that is loaded already (a run imports nothing).

    It is looked up each time: a notebook may have defined it anew.
    """
    module, _, name = path.partition(":")
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    if found is None:
        raise StoreError(
            f"The run holds rows of the class {path}, which is not there. Import the module of the generator "
            "first, and define its row classes at the top level of that module."
        )
    if not (isinstance(found, type) and issubclass(found, Row)):
        raise StoreError(f"The run names {path} as a row class; it is not a subclass of Row.")
    return found


def with_subclasses(cls: type[Row]) -> list[type[Row]]:
    """A class and all below it."""
    return [cls, *(each for sub in cls.__subclasses__() for each in with_subclasses(sub))]
