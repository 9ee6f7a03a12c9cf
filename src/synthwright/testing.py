"""Testing generators without a model: an LM that answers from a script, or from the record of a run."""

import json
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import dspy
from dspy.lm15 import Message, Request, Response, Usage

from synthwright.lms.calls import EngineLM, chat_messages, raw_prompt
from synthwright.lms.scopes import names_of
from synthwright.programs.base import Generator
from synthwright.replay import ReplayLM

__all__ = ["Call", "ReplayLM", "Reply", "ScriptedLM"]

_REMINDER = "\n\nRespond with"
_FIELD = re.compile(r"^\[\[ ## (\w+) ## \]\]\n", re.MULTILINE)


@dataclass(frozen=True)
class Call(Mapping[str, str]):
    """One call that a `ScriptedLM` answered; as a mapping it is its input fields.

    Attributes:
        predictor: Name of the predictor in its program, such as `evolve`; empty for calls outside a program.
        inputs: Input fields as text, as they stand in the prompt; for a raw completion `prefix`.
        messages: The messages sent, OpenAI style.
        seed: Sampling seed of the call, or None.
        temperature: Sampling temperature, or None.
    """

    predictor: str
    inputs: dict[str, str]
    messages: list[dict[str, str]]
    seed: int | None = None
    temperature: float | None = None

    def __getitem__(self, field: str) -> str:
        return self.inputs[field]

    def __iter__(self) -> Iterator[str]:
        return iter(self.inputs)

    def __len__(self) -> int:
        return len(self.inputs)


@dataclass(frozen=True)
class Reply:
    """A reply given verbatim, for what `dict` and `str` answers cannot say.

    Attributes:
        text: The text.
        finish_reason: `stop` or `length` (cut at the token limit).
        input_tokens: Tokens reported for the prompt.
        output_tokens: Tokens reported for the reply.
    """

    text: str
    finish_reason: str = "stop"
    input_tokens: int = 10
    output_tokens: int = 5


Answer = Any
"""A dict of output fields, a str (given verbatim, such as garbage), a Reply, an exception to raise, or a function of
the `Call` (a mapping of its input fields) that returns one of these."""


class _ScriptedEngine:
    supports_response_schema = True
    supports_raw = True
    supported_params = frozenset(
        {"response_format", "temperature", "max_tokens", "seed", "stop", "top_p", "presence_penalty"}
    )

    def __init__(self, answers: Mapping[str, Any], template: tuple[str, str]) -> None:
        self.answers, self._template = dict(answers), template
        self.calls: list[Call] = []
        self._next: dict[str, Iterator[Any]] = {}
        self._lock = threading.Lock()

    def complete(self, request: Request) -> Response:
        call = _read_call(request)
        with self._lock:
            self.calls.append(call)
            answer = self._answer(call.predictor)
        if callable(answer) and not isinstance(answer, type):
            answer = answer(call)
        if isinstance(answer, type) and issubclass(answer, BaseException):
            answer = answer(f"scripted failure of {call.predictor or 'the call'}")
        if isinstance(answer, BaseException):
            raise answer
        reply = (
            answer if isinstance(answer, Reply) else Reply(answer if isinstance(answer, str) else json.dumps(answer))
        )
        return Response(
            id=None,
            model=request.model,
            message=Message.assistant(reply.text),
            finish_reason="length" if reply.finish_reason == "length" else "stop",
            usage=Usage(input_tokens=reply.input_tokens, output_tokens=reply.output_tokens),
        )

    def template(self, messages: list[dict[str, str]]) -> str:
        before, after = self._template
        return "".join(f"{before.format(role=m['role'])}{m['content']}{after}" for m in messages)

    def _answer(self, predictor: str) -> Any:
        key = predictor if predictor in self.answers else "*"
        if key not in self.answers:
            raise KeyError(
                f"ScriptedLM has no answer for the predictor {predictor!r}; it has: {', '.join(self.answers)}"
            )
        answer = self.answers[key]
        if not isinstance(answer, list):
            return answer
        if not answer:
            raise KeyError(f"ScriptedLM: the list of answers for {key!r} is empty.")
        if key not in self._next:
            self._next[key] = iter(_cycle(answer))
        return next(self._next[key])

    def __deepcopy__(self, memo: dict[int, Any]) -> "_ScriptedEngine":
        return self


class _AsyncScriptedEngine:
    supports_response_schema = True

    def __init__(self, engine: _ScriptedEngine) -> None:
        self.engine = engine

    async def complete(self, request: Request) -> Response:
        return self.engine.complete(request)

    def __deepcopy__(self, memo: dict[int, Any]) -> "_AsyncScriptedEngine":
        return self


class ScriptedLM(EngineLM):
    """A `dspy.LM` that answers each predictor from a script and records its calls.

    Functions make the same dataset at any concurrency; lists are used in the order in which calls arrive.

    Args:
        answers: By name of the predictor: one answer for every call, or a list of answers, used one after another and
            then repeated from its start. The key `*` answers predictors that have no key of their own.
        model: Model name that provenance shows.
        concurrency: Seeds that `generate` works on at a time by default.
        template: Text before and after each turn in this LM's chat template, for raw completions.

    Example:
        >>> lm = ScriptedLM({"write": {"riddle": "I fall, yet never break."}})
        >>> run = generate(Riddles(), seeds=[{"word": "snow"}], lms=lm, out=tmp_path)
        >>> lm.calls[0].inputs
        {'word': 'snow'}
    """

    def __init__(
        self,
        answers: Mapping[str, Answer | list[Answer]],
        *,
        model: str = "scripted",
        concurrency: int = 1,
        template: tuple[str, str] = ("<|{role}|>\n", "<|end|>\n"),
        **sampling: Any,
    ) -> None:
        engine = _ScriptedEngine(answers, template)
        super().__init__(model, engine, _AsyncScriptedEngine(engine), concurrency=concurrency, **sampling)

    @property
    def calls(self) -> list[Call]:
        """The calls answered so far, in order of arrival."""
        return cast(_ScriptedEngine, self.engine).calls


def _cycle(answers: list[Any]) -> Iterator[Any]:
    while True:
        yield from answers


def _read_call(request: Request) -> Call:
    callers = dspy.settings.caller_modules or []
    program = next((module for module in callers if isinstance(module, Generator)), callers[0] if callers else None)
    names = names_of(program) if program else {}
    predictor = next((names[id(module)] for module in reversed(callers) if id(module) in names), "")
    prefix = raw_prompt(request)
    messages = chat_messages(request)
    if prefix is not None:
        inputs = {"prefix": prefix}
    else:
        parts = _FIELD.split(messages[-1]["content"])
        inputs = {name: value.strip() for name, value in zip(parts[1::2], parts[2::2], strict=True)}
        if inputs:  # the adapter's reminder of the output format follows the last field
            last, whole = next(reversed(inputs)), parts[-1]
            inputs[last] = whole[: whole.rfind(_REMINDER)].strip() if _REMINDER in whole else whole.strip()
    return Call(predictor, inputs, messages, request.config.seed, request.config.temperature)
