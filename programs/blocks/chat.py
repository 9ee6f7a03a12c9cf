"""A plain chat as a module: messages in, the LM's answer out, with nothing of DSPy between."""

from collections.abc import Sequence
from typing import Any

import dspy
from dspy import lm15
from dspy.lm15 import Config, Request

from synthwright.signatures.rows import Message

__all__ = ["Chat", "plain", "without_thinking"]


class Chat(dspy.Module):
    """Answers a conversation by the LM's own chat template: no adapter puts fields around it, no optimizer sees it.

    Args:
        **sampling: `temperature`, `top_p`, `max_tokens`.
    """

    def __init__(self, **sampling: Any) -> None:
        super().__init__()
        self.sampling = sampling
        self.lm: dspy.LM | None = None

    async def aforward(self, messages: Sequence[Message]) -> dspy.Prediction:
        """The answer to the last message, as `text`, without thinking."""
        lm = self.lm or dspy.settings.lm
        turns = {"user": lm15.Message.user, "assistant": lm15.Message.assistant}
        talk = tuple(turns[message.role](message.content) for message in messages)
        response = await lm.acall(Request(lm.model, messages=talk, config=Config(**self.sampling)))
        return dspy.Prediction(text=without_thinking(response.message.text or ""))


def without_thinking(text: str) -> str:
    """An answer without the thinking before it; empty if the thinking never ended."""
    answer = text.rpartition("</think>")[2].strip()
    return "" if answer.startswith("<think>") else answer


def plain(talk: Sequence[Message]) -> list[dict[str, str]]:
    """Messages as dictionaries of role and content."""
    return [{"role": message.role, "content": message.content} for message in talk]
