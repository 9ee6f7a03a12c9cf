"""The contrast of CodecLM: two answers, their scores in both orders, and which LMs are being compared."""

from dataclasses import dataclass

import dspy

__all__ = ["Verdict", "one_lm", "verdict"]


@dataclass(frozen=True)
class Verdict:
    """Scores of two answers, each the mean over both orders in which the scorer saw them.

    Attributes:
        strong: Of the strong LM's answer, 1 to 10.
        target: Of the target LM's answer, 1 to 10.
        orders_agree: Whether both orders have the same winner, or a tie each.
    """

    strong: float
    target: float
    orders_agree: bool

    @property
    def gap(self) -> float:
        """The first minus the second, in [-9, 9]."""
        return self.strong - self.target


def verdict(strong_first: tuple[int, int], target_first: tuple[int, int]) -> Verdict:
    """The verdict of a scorer that saw the answers in both orders.

    Source: CodecLM, section 4.3 and figure 11.

    Args:
        strong_first: (strong's score, target's score) when the strong LM's answer came first.
        target_first: The same, strong's score first again, when the target's answer came first.
    """
    gaps = [strong - target for strong, target in (strong_first, target_first)]
    signs = [(gap > 0) - (gap < 0) for gap in gaps]
    strong = (strong_first[0] + target_first[0]) / 2
    target = (strong_first[1] + target_first[1]) / 2
    return Verdict(strong, target, signs[0] == signs[1])


def one_lm(a: dspy.Predict, b: dspy.Predict) -> str:
    """The name of the model if two predictors are served by one at one address, else an empty text.

    Other sampling does not make another model. Predictors without an LM, as before a run, count as served by two.
    """
    models = [_model(predictor.lm or dspy.settings.lm) for predictor in (a, b)]
    return models[0][0] if models[0] is not None and models[0] == models[1] else ""


def _model(lm: dspy.BaseLM | None) -> tuple[str, str] | None:
    """(name, address) of an LM; the address is known of one in a run, whose connection it does not carry itself."""
    if lm is None:
        return None
    address = getattr(getattr(lm, "engine", None), "endpoint", None) or lm.kwargs.get("api_base") or ""
    return str(lm.model), str(address)
