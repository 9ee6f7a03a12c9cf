"""The prompt and the output of the original model, which continues bare text.

The form is that of `bonito/abstract.py` of the official code, github.com/BatsResearch/bonito; the models are
`BatsResearch/bonito-v1` and its later versions, served with raw completions.
"""

from synthwright.programs.bonito_types import TaskType
from synthwright.retrieval import neutralise
from synthwright.signatures.bonito import PIPE

__all__ = ["STOP", "checkpoint_output", "checkpoint_prompt", "parse_output"]

STOP = ("<|tasktype|>", "<|context|>", "<|task|>")
"""Tokens that begin another prompt; an output ends before them."""


def checkpoint_prompt(kind: TaskType, passage: str) -> str:
    """What the model continues: the full name of the type and the passage, each after its token.

    Special tokens inside the passage are broken up; they would end it.
    """
    return f"<|tasktype|>\n{kind.name}\n<|context|>\n{neutralise(passage.strip())}\n<|task|>\n"


def checkpoint_output(instruction_template: str, response: str) -> str:
    """What the model was trained to write: a row of ours in this form can train another one."""
    return f"{instruction_template}\n{PIPE}\n{response}"


def parse_output(text: str) -> tuple[str, str] | None:
    """Instruction template and response of an output, stripped; None unless there is exactly one pipe token."""
    parts = text.split(PIPE)
    return (parts[0].strip(), parts[1].strip()) if len(parts) == 2 else None
