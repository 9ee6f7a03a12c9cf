"""Instruction-following difficulty: how little an instruction helps a model to its response.

It needs log-probabilities of a prompt. vLLM and SGLang give them through `openai_lm`; llama.cpp, and with it the
embedded LM, and hosted chat APIs do not.
"""

import math
from collections.abc import Sequence
from statistics import fmean
from typing import Any

import dspy

from synthwright.errors import ConfigError

__all__ = ["difficulty_score", "instruction_following_difficulty"]

CHAT = "<|user|>\n{instruction}\n<|assistant|>\n"
"""How a pair is written where the server does not tell its chat template."""


def instruction_following_difficulty(
    lm: dspy.LM, instruction: str, response: str, template: str | None = None
) -> float:
    """The loss of the response after its instruction over the loss of the response after an empty one.

    Source: the IFD score of Li et al., 2023, arXiv:2308.12032. There the response stands alone the second time; here
    the same turns surround it both times, so that only the instruction differs. Near 0 the instruction says all; at 1
    it says nothing; above 1 it misleads, which in data mostly means that the pair does not belong together.

    Args:
        lm: An LM whose engine scores prompts, such as `openai_lm` on vLLM.
        instruction: The instruction.
        response: Its response, not empty.
        template: Text of a pair up to the response with `{instruction}` in it; None for a plain one.

    Raises:
        ConfigError: The engine cannot score prompts, or the response is empty.
        dspy.lm15.UnsupportedFeatureError: The server cannot.
    """
    score: Any = getattr(getattr(lm, "engine", None), "prompt_logprobs", None)
    if score is None:
        raise ConfigError(
            f"The LM {lm.model!r} gives no log-probabilities of a prompt, which instruction-following difficulty "
            "needs: use `openai_lm(model, api_base)` on a vLLM or SGLang server."
        )
    if not response.strip():
        raise ConfigError("The response is empty: there is no loss to measure.")
    template = CHAT if template is None else template
    if "{instruction}" not in template:
        raise ConfigError(f"`template` must hold {{instruction}}, got {template!r}.")
    given = _loss(score(template.replace("{instruction}", instruction), response))
    alone = _loss(score(template.replace("{instruction}", ""), response))
    return given / alone if alone > 0 else 1.0


def difficulty_score(difficulty: float, low: float = 0.3, high: float = 0.95, end: float = 1.1) -> float:
    """A difficulty as a term of a metric, in [0, 1]: full within a band, falling to 0 at 0 and at `end`.

    Args:
        difficulty: By `instruction_following_difficulty`.
        low: Below, the instruction gives the response away.
        high: Above, it hardly helps.
        end: Where the pair does not belong together, above `high`.
    """
    if math.isnan(difficulty) or not 0 < low <= high < end:
        raise ValueError(f"Need a number and 0 < low <= high < end, got {difficulty!r}, {low!r}, {high!r}, {end!r}.")
    if difficulty < low:
        return max(0.0, difficulty / low)
    return 1.0 if difficulty <= high else max(0.0, (end - difficulty) / (end - high))


def _loss(tokens: Sequence[Any]) -> float:
    """Mean negative log-probability of scored tokens, in nats."""
    return -fmean(token.logprob for token in tokens)
