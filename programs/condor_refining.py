"""The Refine half of Condor: a draft is criticised, written anew, and compared with what it was."""

from typing import TYPE_CHECKING, Any, Literal

from synthwright.errors import ParseError
from synthwright.programs.base import reject, unparsable
from synthwright.programs.condor_checks import REFINED_CHECKS, founded, tidy_tag
from synthwright.signatures.condor import Critique
from synthwright.signatures.rows import Rejected

if TYPE_CHECKING:
    from synthwright.programs.condor import Condor

__all__ = ["length_ratio", "refine", "verdict"]


async def refine(program: "Condor", question: str, draft: str) -> tuple[dict[str, Any], list[Rejected]]:
    """The fields of a row that come from refining a draft, and what was dropped on the way.

    The draft is kept, and `flag` says why, if there is no usable critique or no usable refined answer.

    Source: Condor, section 3.3: one pass of self-reflection. The judge in both orders is ours.
    """
    kept: dict[str, Any] = {"draft": draft, "response": draft, "kept": "draft"}
    about = {"instruction": question, "draft": draft}
    critique, rejected = await _critique(program, question, draft)
    if critique is None:
        return {**kept, "flag": "no_critique"}, rejected
    kept["critique"] = critique
    if program.check_critiques and (flag := _useless(critique, bool(rejected))):
        return {**kept, "flag": flag}, rejected
    points = critique.model_dump(mode="json")
    try:
        reply = await program.refine.acall(question=question, answer=draft, **points)
    except ParseError as error:
        dropped = unparsable("refine", error, **about)
        return {**kept, "flag": dropped.reason}, [*rejected, dropped]
    refined = reply.improved_answer.strip()
    if fault := _fault(program, question, draft, refined):
        dropped = reject("refine", fault, **about, critique=points, refined=refined)
        return {**kept, "flag": dropped.reason}, [*rejected, dropped]
    kept |= {"refined": refined, "length_ratio": length_ratio(refined, draft)}
    if program.judge:
        kept["judged"] = await verdict(program, question, draft, refined)
    if kept.get("judged") == "draft":
        return {**kept, "flag": "draft_preferred"}, rejected
    return {**kept, "response": refined, "kept": "refined"}, rejected


def length_ratio(refined: str, draft: str) -> float | None:
    """Words of the refined answer over words of the draft; of characters where there are no spaces."""
    spaced = " " in draft.strip() or draft.isascii()
    before, after = (len(draft.split()), len(refined.split())) if spaced else (len(draft), len(refined))
    return round(after / before, 4) if before else None


async def _critique(program: "Condor", question: str, draft: str) -> tuple[Critique | None, list[Rejected]]:
    """The critique without empty points, and without those that quote what is not there."""
    about = {"instruction": question, "draft": draft}
    try:
        reply = await program.critique.acall(question=question, answer=draft)
    except ParseError as error:
        return None, [unparsable("critique", error, **about)]
    lists: dict[str, list[str]] = {}
    rejected = []
    for name in ("strengths", "weaknesses", "suggestions"):
        points = [point.strip() for point in reply[name].root if tidy_tag(point)]
        lists[name] = list(dict.fromkeys(points))[: program.points]
    if program.check_critiques:
        for name in lists:
            quotable = " ".join(lists[name]) if name == "suggestions" else ""  # they may quote what should be there
            lists[name], invented = founded(lists[name], f"{question} {quotable}", draft)
            rejected += [
                Rejected(stage="critique", reason="unfounded", detail=point, content=about) for point in invented
            ]
    return Critique(**{name: tuple(points) for name, points in lists.items()}), rejected


def _useless(critique: Critique, invented: bool) -> str | None:
    """Why nothing can be mended by a critique, or None."""
    if critique.weaknesses or critique.suggestions:
        return None
    if invented:
        return "unfounded_critique"
    return "only_praise" if critique.strengths else "empty_critique"


def _fault(program: "Condor", question: str, draft: str, refined: str) -> str | None:
    """Why a refined answer cannot be used, as `reason: detail`, or None."""
    if not refined:
        return "empty_refinement"
    for name in program.refined_checks:
        if found := REFINED_CHECKS[name](question, draft, refined):
            return f"{name}: {found}"
    return None


async def verdict(
    program: "Condor", question: str, draft: str, refined: str
) -> Literal["draft", "refined", "tie"] | None:
    """The better answer if both orders agree on it, a tie if they do not, None if a reply could not be read."""
    try:
        one = await program.prefer.acall(question=question, first_answer=draft, second_answer=refined)
        two = await program.prefer.acall(question=question, first_answer=refined, second_answer=draft)
    except ParseError:
        return None  # no verdict makes no pair, and keeps the refined answer as the paper does
    if (one.better, two.better) == ("second", "first"):
        return "refined"
    return "draft" if (one.better, two.better) == ("first", "second") else "tie"
