"""What trainers hand to reward functions."""

from typing import Any

__all__ = ["completion_text"]


def completion_text(completion: Any) -> str:
    """The text of a completion; of messages (TRL's conversational form), what the assistant said.

    A message that only calls a tool has no content, and counts as an empty one.
    """
    if isinstance(completion, str):
        return completion
    said = (message for message in completion if message.get("role", "assistant") == "assistant")
    return "\n".join(message.get("content") or "" for message in said)
