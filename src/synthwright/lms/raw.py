"""Raw completions as a DSPy module: text in, its continuation out, no template and no adapter between."""

import asyncio
from typing import Any

import dspy
from dspy.lm15 import Config, Message, Request

from synthwright.errors import ConfigError
from synthwright.lms.calls import RAW

__all__ = ["RawCompletion"]


class RawCompletion(dspy.Module):
    """Continues a bare text. There is no instruction in it, so optimizers do not see it.

    Args:
        **sampling: `temperature`, `top_p`, `max_tokens`; what is left out comes from the LM.
    """

    def __init__(self, **sampling: Any) -> None:
        super().__init__()
        self.sampling = sampling
        self.lm: dspy.LM | None = None

    def forward(self, prefix: str, stop: tuple[str, ...] = ()) -> dspy.Prediction:
        """Continue `prefix`; for plain `forward` programs."""
        lm = self._lm()
        return _prediction(lm(self._request(lm, prefix, stop)))

    async def aforward(self, prefix: str, stop: tuple[str, ...] = ()) -> dspy.Prediction:
        """Continue `prefix`.

        Returns:
            A prediction with `text` (without the stop string) and `truncated` (whether the token limit cut it).

        Raises:
            ConfigError: The LM has no raw completions.
        """
        lm = self._lm()
        return _prediction(await lm.acall(self._request(lm, prefix, stop)))

    async def template(self, messages: list[dict[str, str]]) -> str:
        """The prompt text that the LM's own chat template makes of messages."""
        return await asyncio.to_thread(getattr(self._lm().engine, "template"), messages)  # noqa: B009  engines are duck-typed

    def _request(self, lm: dspy.LM, prefix: str, stop: tuple[str, ...]) -> Request:
        defaults = {name: lm.kwargs.get(name) for name in ("temperature", "top_p", "max_tokens")}
        config = Config(**{**defaults, **self.sampling}, stop=tuple(stop), extensions={RAW: True})
        return Request(lm.model, messages=(Message.user(prefix),), config=config)

    def _lm(self) -> dspy.LM:
        lm = self.lm or dspy.settings.lm
        if not isinstance(lm, dspy.LM) or not getattr(lm.engine, "supports_raw", False):
            raise ConfigError(
                f"{getattr(lm, 'model', lm)!r} cannot continue a bare text: hosted chat APIs put their own template "
                "around every prompt. Use the embedded LM, or a server with /v1/completions through "
                "sw.openai_lm(model, api_base) or `--lm MODEL --api-base URL`."
            )
        return lm


def _prediction(response: Any) -> dspy.Prediction:
    return dspy.Prediction(text=response.message.text or "", truncated=response.finish_reason == "length")
