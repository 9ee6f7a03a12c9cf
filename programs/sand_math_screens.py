"""Steps 4 to 7 of SAND-Math for one problem: test items, the weaker solver, known problems, the rating."""

import asyncio
from typing import Literal, Protocol

from synthwright.errors import ParseError
from synthwright.filters.embedding import Neighbours
from synthwright.programs.base import Frozen
from synthwright.programs.sand_math_panel import Panel
from synthwright.programs.sand_math_panel import Settings as PanelSettings
from synthwright.programs.sand_math_similarity import Embed, Search, largest_similarity
from synthwright.retrieval import Retriever
from synthwright.signatures.rows import Rejected
from synthwright.signatures.sand_math import SandMathRow

__all__ = ["Screens"]

NEIGHBOURS = 5
"""Test items that the judge of copies sees for each problem: the paper's step 4."""


class Settings(PanelSettings, Protocol):
    """What the screens need of their program; `SandMath` says what it means."""

    funnel: Literal["paper", "code"]
    solver_filter: Literal["required", "if_two", "always", "never"]
    max_pass_rate: float
    max_known: float
    judge_copy: Frozen
    tests: Neighbours
    search: Retriever | Search | None
    embed: Embed

    def asks_solver(self) -> bool: ...


class Screens:
    """Puts problems through what may drop them, or rates them.

    Args:
        program: Its predictors and arguments are used.
    """

    def __init__(self, program: Settings) -> None:
        self.program = program

    async def all(self, row: SandMathRow) -> SandMathRow | Rejected:
        """Steps 4 to 6 in the paper's order; the released code has done the fourth before, and has no others."""
        for step in (self.decontaminated, self.challenged, self.novel) if self.program.funnel == "paper" else ():
            found = await step(row)
            if isinstance(found, Rejected):
                return found
            row = found
        return row

    async def decontaminated(self, row: SandMathRow) -> SandMathRow | Rejected:
        """Step 4: the judge calls none of the nearest test items the same problem. No verdict is no acquittal."""
        if not self.program.tests.texts:
            return row
        (nearest,) = await asyncio.to_thread(self.program.tests.nearest, [row.question], NEIGHBOURS)
        items = [self.program.tests.texts[index] for _, index in nearest]
        verdicts = await asyncio.gather(*(self._is_copy(row.question, item) for item in items))
        for item, copy in zip(items, verdicts, strict=True):
            if copy is not False:
                reason = "contaminated" if copy else "no_verdict"
                return Rejected(stage="decontaminate", reason=reason, detail=item[:200], content=row.record())
        return row.model_copy(update={"decontaminated": True})

    async def _is_copy(self, question: str, item: str) -> bool | None:
        try:
            return bool((await self.program.judge_copy.acall(question=question, test_item=item)).same_problem)
        except ParseError:
            return None

    async def challenged(self, row: SandMathRow) -> SandMathRow | Rejected:
        """Step 5: the weaker solver fails often enough."""
        if not self.program.asks_solver():
            return _flagged(row, "one_lm") if self.program.solver_filter == "if_two" else row
        measured = await Panel(self.program).pass_rate(row.question, row.answer)
        flags = (*row.flags, *measured.pop("flags"))
        row = row.model_copy(update={**measured, "flags": flags})
        rate = row.solver_pass_rate or 0.0
        if rate > self.program.max_pass_rate:
            detail = f"{rate:.2f} of {row.attempts_n} draws, {row.attempts_distinct} answers"
            return Rejected(stage="solver", reason="too_easy", detail=detail, content=row.record())
        return row

    async def novel(self, row: SandMathRow) -> SandMathRow | Rejected:
        """Step 6: nothing that a search finds is like it. If it finds nothing or fails, that stays unknown."""
        if self.program.search is None:
            return row
        similar = await asyncio.to_thread(largest_similarity, row.question, self.program.search, self.program.embed)
        if similar is None:
            return _flagged(row, "novelty_unknown")
        row = row.model_copy(update={"novelty_max_sim": round(similar, 4)})
        if similar > self.program.max_known:
            return Rejected(stage="novelty", reason="known", detail=f"cosine {similar:.3f}", content=row.record())
        return row

    async def rated(self, row: SandMathRow) -> SandMathRow:
        """Step 7: how hard the problem is on the scale of contests."""
        if not self.program.ratings:
            return row
        row = row.model_copy(update=await Panel(self.program).rating(row.question, row.response))
        return row if row.ratings else _flagged(row, "unrated")


def _flagged(row: SandMathRow, flag: str) -> SandMathRow:
    return row.model_copy(update={"flags": (*row.flags, flag)})
