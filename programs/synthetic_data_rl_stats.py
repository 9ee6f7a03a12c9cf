"""Figures about the candidates of a run of Synthetic Data RL: votes, pass rates, what rewriting did."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import mean

from synthwright.signatures.synthetic_data_rl import SyntheticRow

__all__ = ["Summary", "summary"]


@dataclass(frozen=True)
class Summary:
    """What a set of candidates or rows is like.

    Attributes:
        rows: How many there are.
        origins: Rows by origin.
        agreement: Mean share of the votes that the answer got, in [0, 1]; None without votes.
        histogram: Rows by pass rate: 0, then tenths (0.1 stands for more than 0 and at most 0.1), below 1, and 1.
        learnable: Share of rows with a pass rate above 0 and below 1; None without pass rates.
        pass_rate: Mean pass rate; None without pass rates.
        harder_moved: Share of harder versions with a lower pass rate than their parents; None without pairs.
        easier_moved: Share of easier versions with a higher pass rate than their parents; None without pairs.
        letters: Right options by letter.
        flagged: Rows whose statistics cannot be trusted, by flag.
    """

    rows: int
    origins: dict[str, int]
    agreement: float | None
    histogram: dict[str, int]
    learnable: float | None
    pass_rate: float | None
    harder_moved: float | None
    easier_moved: float | None
    letters: dict[str, int]
    flagged: dict[str, int]


def summary(rows: Iterable[SyntheticRow]) -> Summary:
    """The figures of candidates (artifacts of a run) or rows.

    Source: the measures of section 5.6 of the paper, without its embeddings.
    """
    rows = list(rows)
    rates = [row.score for row in rows if row.score is not None]
    known = {row.id: row.score for row in rows if row.score is not None}
    voted = [row.agreement for row in rows if row.votes_n]
    return Summary(
        rows=len(rows),
        origins=dict(Counter(row.origin for row in rows)),
        agreement=mean(voted) if voted else None,
        histogram=dict(sorted(Counter(_bin(rate) for rate in rates).items())),
        learnable=mean(0 < rate < 1 for rate in rates) if rates else None,
        pass_rate=mean(rates) if rates else None,
        harder_moved=_moved(rows, known, "harder", -1),
        easier_moved=_moved(rows, known, "easier", 1),
        letters=dict(sorted(Counter(row.answer for row in rows if row.kind == "choice").items())),
        flagged=dict(Counter(flag for row in rows for flag in row.flags)),
    )


def _bin(rate: float) -> str:
    if rate in (0, 1):
        return "0" if rate == 0 else "1"
    tenth = -(-round(rate * 1000) // 100)
    return "below 1" if tenth == 10 else f"0.{tenth}"


def _moved(rows: list[SyntheticRow], known: dict[str, float], origin: str, sign: int) -> float | None:
    steps = [
        (row.score - known[row.parent_ids[0]]) * sign > 0
        for row in rows
        if row.origin == origin and row.score is not None and row.parent_ids and row.parent_ids[0] in known
    ]
    return mean(steps) if steps else None
