"""An LM that answers from the record of a run, for tests without a network."""

import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dspy.lm15 import Request, Response

from synthwright.errors import UnrecordedCallError
from synthwright.lms.calls import EngineLM, chat_messages
from synthwright.lms.journal import RecordedCall, open_journal

__all__ = ["ReplayLM"]


class _ReplayEngine:
    supported_params = frozenset({"response_format", "temperature", "max_tokens", "seed", "stop", "top_p"})
    supports_raw = True

    def __init__(self, calls: Sequence[RecordedCall]) -> None:
        self.supports_response_schema = any('"response_format"' in call.sampling for call in calls)
        self.recorded: dict[str, list[RecordedCall]] = {}
        for call in calls:
            self.recorded.setdefault(_key(call.messages), []).append(call)
        self._used: dict[str, int] = {}
        self._lock = threading.Lock()

    def complete(self, request: Request) -> Response:
        messages = chat_messages(request)
        key = _key(messages)
        found = self.recorded.get(key)
        if not found:
            raise UnrecordedCallError(self._explain(messages))
        same = next((call for call in found if call.seed == request.config.seed), None)
        with self._lock:  # a draw that was not recorded: those that were, in turn
            turn = self._used.setdefault(key, 0)
            self._used[key] += same is None
        return (same or found[turn % len(found)]).response

    def _explain(self, messages: list[dict[str, str]]) -> str:
        from rapidfuzz import fuzz, process

        asked = messages[-1]["content"]
        text = f"This request is not in the record of {len(self.recorded)} different ones. It ends with {_end(asked)!r}"
        choices = [calls[0].messages[-1]["content"] for calls in self.recorded.values()]
        nearest = process.extractOne(asked, choices, scorer=fuzz.ratio)
        if nearest is None:
            return f"{text}; the record is empty."
        found, percent, index = nearest
        recorded = list(self.recorded.values())[index][0]
        if found == asked:
            first = next((m["role"] for m, r in zip(messages, recorded.messages, strict=False) if m != r), "turns")
            return f"{text}. The same was asked with another {first} message: prompts or demonstrations changed."
        return f"{text}; the nearest ({percent:.0f} % alike) ends with {_end(found)!r}. Record the run again."

    def template(self, messages: list[dict[str, str]]) -> str:
        raise UnrecordedCallError("A record holds no chat template: give the text before a user turn, as `prefix`.")

    def __deepcopy__(self, memo: dict[int, Any]) -> "_ReplayEngine":
        return self


class _AsyncReplayEngine:
    def __init__(self, engine: _ReplayEngine) -> None:
        self.engine, self.supports_response_schema = engine, engine.supports_response_schema

    async def complete(self, request: Request) -> Response:
        return self.engine.complete(request)

    def __deepcopy__(self, memo: dict[int, Any]) -> "_AsyncReplayEngine":
        return self


class ReplayLM(EngineLM):
    """A `dspy.LM` that answers from the LM calls that a run recorded, without any model.

    A request is found by its messages; among several draws of it the one with the same sampling seed is taken, which
    is the one that the recorded run got, or they are given in turn. Usage is what was recorded.

    Args:
        run: A `Run`, or the directory of a run or of tuned prompts.
        concurrency: Seeds that `generate` works on at a time by default.

    Raises:
        StoreError: There is no record.
        UnrecordedCallError: From a call: the request was not recorded; the message shows the nearest one.

    Example:
        >>> run = generate(Riddles(), seeds=[{"word": "snow"}], out="tests/data/riddles")
        >>> generate(Riddles(), seeds=[{"word": "snow"}], lms=ReplayLM("tests/data/riddles"), out=tmp_path)
    """

    def __init__(self, run: Any, *, concurrency: int = 8) -> None:
        path = run if isinstance(run, str | Path) else run.out
        journal = open_journal(path)
        try:
            calls = list(journal)
        finally:
            journal.close()
        engine = _ReplayEngine(calls)
        model = calls[0].response.model if calls else "replay"
        super().__init__(model, engine, _AsyncReplayEngine(engine), concurrency=concurrency)


def _key(messages: Sequence[dict[str, str]]) -> str:
    return json.dumps([[m["role"], m["content"]] for m in messages])


def _end(text: str) -> str:
    return text if len(text) <= 300 else "..." + text[-300:]
