"""The filter interface, and the reading of text out of a row."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from synthwright.errors import ConfigError

__all__ = ["Filter", "FunctionFilter", "RowCheck", "Texts", "as_filter", "no_single_name", "text_of"]

RowCheck = Callable[[Any], str | None]
"""A plain function as a filter: takes a row, returns None to keep it or a short reason to drop it."""


class Filter(ABC):
    """Keeps or drops rows, one at a time, in the order in which the run admits them.

    Subclasses are dataclasses whose fields are their settings (the run stores their `repr`). A filter against the
    pool builds its index in `add`, which is called for every row that all filters kept, also when a run resumes.
    """

    @property
    def name(self) -> str:
        """The stage under which funnels count this filter's losses: the class name in snake_case."""
        return "".join("_" + c.lower() if c.isupper() else c for c in type(self).__name__).lstrip("_")

    @abstractmethod
    def check(self, row: Any) -> str | None:
        """None to keep the row, or a short reason such as `too_long`, which may be followed by `: detail`."""

    def add(self, row: Any) -> None:
        """Take notice of a row that was kept. Filters that look at single rows only need not do anything."""
        return None


class Texts(tuple[str, ...]):
    """A setting of several texts. Its `repr`, which runs record, stays short: many texts are counted and hashed."""

    def __repr__(self) -> str:
        plain = super().__repr__()
        if len(plain) <= 200:
            return plain
        digest = hashlib.sha256("\0".join(self).encode("utf-8", "surrogatepass")).hexdigest()
        return f"<{len(self)} texts, sha256 {digest[:12]}>"


@dataclass(frozen=True)
class FunctionFilter(Filter):
    """A plain function as a filter, named after the function; an object that can be called by its `name`, if any."""

    function: RowCheck

    @property
    def name(self) -> str:
        named = getattr(self.function, "__name__", None) or getattr(self.function, "name", None)
        return named if isinstance(named, str) else type(self.function).__name__

    def check(self, row: Any) -> str | None:
        return self.function(row)

    def __repr__(self) -> str:
        return f"{getattr(self.function, '__module__', '?')}.{self.name}"


def as_filter(value: Filter | RowCheck) -> Filter:
    """A filter as it is, a function wrapped.

    Raises:
        ConfigError: The value is neither.
    """
    if isinstance(value, Filter):
        return value
    if isinstance(value, type) or not callable(value):
        raise ConfigError(
            f"A filter is a Filter object or a function of a row, got {value!r}. "
            "Pass an instance: `filters=[Length('response', 20, 2000)]`."
        )
    return FunctionFilter(value)


def no_single_name(owner: Filter, name: str) -> None:
    """See that a setting which is a list of names is not one name, whose letters would be taken for names.

    Raises:
        ConfigError: It is a single text.
    """
    if isinstance(given := getattr(owner, name), str):
        raise ConfigError(f"`{name}` of {type(owner).__name__} is a list, got {given!r}: write ({given!r},).")


def text_of(row: Any, field: str) -> str:
    """The text of one field of a row.

    Raises:
        ConfigError: The row has no such field.
    """
    try:
        value = getattr(row, field)
    except AttributeError:
        known = ", ".join(type(row).model_fields)
        raise ConfigError(f"{type(row).__name__} rows have no field {field!r}; their fields: {known}.") from None
    return value if isinstance(value, str) else str(value)
