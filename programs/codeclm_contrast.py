"""The contrast of CodecLM: two answers and their scores in both orders."""

from dataclasses import dataclass

__all__ = ["Verdict", "verdict"]


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
