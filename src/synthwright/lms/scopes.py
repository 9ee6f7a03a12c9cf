"""Independent draws: which sample of which seed a call is, and which predictor makes it."""

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import Any

import dspy
from dspy.lm15 import Config, Request

from synthwright.lms.budgets import Usage

__all__ = [
    "Scope",
    "config_text",
    "current_scope",
    "digest_part",
    "draw_scope",
    "names_of",
    "request_digest",
    "twin_of",
    "with_seed",
]


@dataclass
class Scope:
    """One draw of one seed: what makes its samples its own, and what its calls used.

    Attributes:
        seed: Random seed of the run.
        key: Identity of the draw within the run, such as the index of the seed.
        predictors: Names of the program's predictors by the `id` of the object.
        used: Usage by (role, predictor name), that of calls answered from a journal included.
    """

    seed: int
    key: str
    predictors: Mapping[int, str] = field(default_factory=dict)
    used: dict[tuple[str, str], Usage] = field(default_factory=dict)
    _asked: Counter[Any] = field(default_factory=Counter)

    def sampling_seed(self, digest: str, occurrence: int) -> int:
        """The sampling seed of a call, in [0, 2^31).

        It is a hash of the run's seed, this scope's key, the request, and how often the same request was made in this
        scope before: k equal calls are k independent samples, and the same call in the same place of a run is always
        the same sample.

        Args:
            digest: The request, by `request_digest`.
            occurrence: Number of equal calls before this one.
        """
        text = f"{self.seed}:{self.key}:{digest}:{occurrence}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1

    def tickets(self, call: Hashable, count: int = 1) -> Iterator[int]:
        """Numbers for the next `count` samples of a call: how many equal ones were asked for before, and so on."""
        with _LOCK:
            first = self._asked[call]
            self._asked[call] += count
        return iter(range(first, first + count))

    def caller(self, role: str, predictor: int | None = None) -> tuple[str, str]:
        """(role, name of the predictor that is calling; empty for a call outside the program).

        Args:
            role: The LM role.
            predictor: The `id` of the predictor; None for that of which DSPy says that it calls.
        """
        if predictor is not None:
            return role, self.predictors.get(predictor, "")
        callers = dspy.settings.caller_modules or []
        return role, next((self.predictors[id(m)] for m in reversed(callers) if id(m) in self.predictors), "")

    def book(self, caller: tuple[str, str], used: Usage) -> None:
        """Add usage to that of a (role, predictor)."""
        with _LOCK:
            self.used.setdefault(caller, Usage()).add(used)


_LOCK = threading.Lock()
_SCOPE: ContextVar[Scope | None] = ContextVar("synthwright_scope", default=None)


@contextmanager
def draw_scope(scope: Scope) -> Iterator[Scope]:
    """Make a scope current for the LM calls of this context (threads and tasks started in it included)."""
    token = _SCOPE.set(scope)
    try:
        yield scope
    finally:
        _SCOPE.reset(token)


def current_scope() -> Scope | None:
    """The scope of the calling context, or None outside a run."""
    return _SCOPE.get()


def config_text(config: Config) -> str:
    """The sampling arguments of a request as canonical JSON, without the seed."""
    given = {f.name: getattr(config, f.name) for f in fields(config) if f.name != "seed"}
    return json.dumps({name: v for name, v in given.items() if v not in (None, ())}, sort_keys=True, default=repr)


def request_digest(request: Request, config: str | None = None) -> str:
    """SHA-256 of what a request asks, in hex: its system text, its turns and its sampling, not its model or seed.

    Args:
        request: The request.
        config: Its sampling by `config_text`, if it is at hand.
    """
    digest = hashlib.sha256()
    if request.system:
        digest.update(digest_part("system", request.system))
    for message in request.messages:
        digest.update(digest_part(message.role, _said(message)))
    digest.update(digest_part("config", config or config_text(request.config)))
    return digest.hexdigest()


def digest_part(role: str, text: Any) -> bytes:
    """What one turn of a request adds to its digest."""
    content = (text if isinstance(text, str) else repr(text)).encode("utf-8", "backslashreplace")
    return b"%s %d\n%s" % (role.encode(), len(content), content)


def with_seed(request: Request, seed: int) -> Request:
    """The request with another sampling seed: what `dataclasses.replace` gives, without validating all of it again."""
    return twin_of(request, config=twin_of(request.config, seed=seed))


def _said(message: Any) -> str:
    parts = message.parts
    return parts[0].text if len(parts) == 1 and parts[0].type == "text" else repr(parts)


def twin_of(value: Any, **changes: Any) -> Any:
    """A frozen dataclass with other values of some fields, which are not validated."""
    cls = type(value)
    twin = object.__new__(cls)
    for name in _field_names(cls):
        object.__setattr__(twin, name, changes[name] if name in changes else getattr(value, name))
    return twin


@lru_cache(maxsize=16)
def _field_names(cls: Any) -> tuple[str, ...]:
    return tuple(f.name for f in fields(cls))


def names_of(program: dspy.Module) -> dict[int, str]:
    """Names of the sub-modules of a program by the `id` of the object, for `Scope.predictors`.

    Predictors go by their name without the `.predict` that `ChainOfThought` adds.
    """
    named = ((name, module) for name, module in program.named_sub_modules() if module is not program)
    return {id(module): name.removeprefix("self.").removesuffix(".predict") for name, module in named}
