"""Figures about a run of SAND-Math, and the order in which rows are learned."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import mean

from synthwright.filters.duplicates import rouge_l, rouge_tokens
from synthwright.programs.sand_math_checks import single_number
from synthwright.programs.sand_math_taxonomy import load_taxonomy, names_theorem
from synthwright.signatures.rows import Rejected
from synthwright.signatures.sand_math import SandMathRow

__all__ = ["Summary", "curriculum", "hardest", "summary"]

_CONSISTENCY = ("consistency", "hiked_consistency")


@dataclass(frozen=True)
class Summary:
    """What the rows of a run are like. Shares are in [0, 1]; a figure is None where nothing gives it.

    Attributes:
        rows: How many there are.
        branches: Rows by main branch.
        lost: What was dropped, by stage and reason.
        agreement: Share of the problems with compared solutions whose solutions agree.
        pass_rates: Rows by the solver's pass rate in tenths: `0`, `0.1` for above 0 to 0.1, and so on.
        rating: Mean difficulty rating of problems that are no harder versions.
        hiked: Harder versions among the rows.
        hiked_rise: Mean rise of the rating by a harder version.
        hiked_rises: Share of harder versions that are rated strictly higher.
        hiked_agreement: Share of the solved harder versions whose solutions agree.
        single_numbers: Share of rows with a single number as answer.
        names_theorem: Share of harder versions that name the theorem they should hang on.
        largest_similarity: Mean over rows of the largest ROUGE-L with another row.
        flagged: Rows with a doubtful figure, by flag.
    """

    rows: int
    branches: dict[str, int]
    lost: dict[str, int]
    agreement: float | None
    pass_rates: dict[str, int]
    rating: float | None
    hiked: int
    hiked_rise: float | None
    hiked_rises: float | None
    hiked_agreement: float | None
    single_numbers: float | None
    names_theorem: float | None
    largest_similarity: float | None
    flagged: dict[str, int]


def summary(rows: Iterable[SandMathRow], rejected: Iterable[Rejected] = ()) -> Summary:
    """The figures of the rows of a run and of what it dropped."""
    rows, rejected = list(rows), list(rejected)
    harder = [row for row in rows if row.hiked_from]
    first = [row for row in rows if not row.hiked_from]
    rises = [
        row.difficulty_rating - row.hiked_rating
        for row in harder
        if row.difficulty_rating is not None and row.hiked_rating is not None
    ]
    rated = [row.difficulty_rating for row in first if row.difficulty_rating is not None]
    later = sum(reject.stage in ("deduplicate", "decontaminate", "solver", "novelty") for reject in rejected)
    hiked_later = sum(reject.stage.startswith("hiked_") or reject.reason == "not_harder" for reject in rejected)
    split, hiked_split = (sum(reject.stage == stage for reject in rejected) for stage in _CONSISTENCY)
    theorems = {theorem.name: theorem for branch in load_taxonomy() for theorem in branch.theorems}
    leaks = [
        bool(names_theorem(row.question, theorems[row.supporting_theorem]))
        for row in harder
        if row.supporting_theorem in theorems
    ]
    return Summary(
        rows=len(rows),
        branches=dict(Counter(row.branch for row in rows)),
        lost=dict(Counter(f"{reject.stage}: {reject.reason}" for reject in rejected)),
        agreement=_share(len(first) + later, split),
        pass_rates=dict(sorted(Counter(_tenth(row.solver_pass_rate) for row in rows if row.attempts_n).items())),
        rating=mean(rated) if rated else None,
        hiked=len(harder),
        hiked_rise=mean(rises) if rises else None,
        hiked_rises=mean(rise > 0 for rise in rises) if rises else None,
        hiked_agreement=_share(len(harder) + hiked_later - hiked_split, hiked_split),
        single_numbers=mean(single_number(row.answer) for row in rows) if rows else None,
        names_theorem=mean(leaks) if leaks else None,
        largest_similarity=_similarity([rouge_tokens(row.question) for row in rows]),
        flagged=dict(Counter(flag for row in rows for flag in row.flags)),
    )


def curriculum(rows: Iterable[SandMathRow]) -> list[SandMathRow]:
    """Rows from easy to hard: by rating, unrated ones first, then by the length of the solution.

    Source: the first release of the code picks subsets in this order.
    """
    return sorted(rows, key=lambda row: (row.difficulty_rating or 0.0, len(row.response.split())))


def hardest(rows: Iterable[SandMathRow], count: int) -> list[SandMathRow]:
    """The hardest rows, hardest first, with the longest solution among equals: a pick for a small budget."""
    return curriculum(rows)[::-1][:count]


def _share(right: int, wrong: int) -> float | None:
    return right / (right + wrong) if right + wrong else None


def _tenth(rate: float | None) -> str:
    return f"{-(-round((rate or 0.0) * 1000) // 100) / 10:g}"


def _similarity(texts: Sequence[list[str]]) -> float | None:
    if len(texts) < 2:
        return None
    return mean(max(rouge_l(a, b) for j, b in enumerate(texts) if j != i) for i, a in enumerate(texts))
