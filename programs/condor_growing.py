"""Growing the tag tree of Condor: one call lists roots, expands a tag, or takes a topic one level down."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

from synthwright.errors import ParseError
from synthwright.programs.base import reject, unparsable
from synthwright.programs.condor_checks import tag_fault, tidy_tag
from synthwright.programs.condor_tree import ARROW, folded
from synthwright.signatures.condor import TreeStep
from synthwright.signatures.rows import Rejected

if TYPE_CHECKING:
    from synthwright.programs.condor import Condor

__all__ = ["Grow", "grow_tree"]

Grow = Literal["roots", "expand", "place"]
"""Which step: root tags (1a), an expansion (1b), or a topic on its way down (1c)."""

Grown = tuple[TreeStep, list[Rejected]]


async def grow_tree(
    program: "Condor", kind: Grow, path: tuple[str, ...], known: list[str], topic: str, round: int
) -> Grown:
    """One step of growing the tree. A reply that gives nothing is a step too, so that nobody asks again.

    Args:
        program: The generator, whose predictors are called.
        kind: Which step.
        path: The tag to be expanded, or under which the topic is so far.
        known: The tags that are there: all roots, or those below the path of a topic.
        topic: The topic to be placed.
        round: Round of the run.
    """
    try:
        if kind == "place":
            return await _placed(program, path, known, topic, round)
        return await _listed(program, kind, path, known, round)
    except ParseError as error:
        stage = "list_roots" if kind == "roots" else kind
        about: dict[str, Any] = {"path": list(path), **({"topic": topic} if topic else {})}
        tags = (topic,) if kind == "place" else ()
        step = TreeStep(kind=kind, path=path, tags=tags, settled=kind == "place", round=round)
        return step, [unparsable(stage, error, **about)]


async def _listed(program: "Condor", kind: Grow, path: tuple[str, ...], known: list[str], round: int) -> Grown:
    """Root tags, or the sub-tags of a path, without what cannot stand there."""
    most = max(1, program.roots - len(known)) if kind == "roots" else None
    if kind == "roots":
        stage, texts = "list_roots", (await program.list_roots.acall(known_areas=known, how_many=most)).more_areas.root
    else:
        reply = await program.expand.acall(topic_path=ARROW.join(path), how_many=program.branches)
        stage, texts = "expand", reply.sub_topics.root
    tags: list[str] = []
    rejected: list[Rejected] = []
    seen = {folded(name) for name in known}
    for text in _lines(texts):
        tag = tidy_tag(text)
        fault = tag_fault(tag, path, strict=program.check_tags)
        fault = fault or ("repeated" if folded(tag) in seen else None)
        fault = fault or ("surplus" if most is not None and len(tags) >= most else None)
        seen.add(folded(tag))
        if fault:
            rejected.append(reject(stage, fault, path=list(path), tag=text))
        else:
            tags.append(tag)
    return TreeStep(kind=kind, path=path, tags=tuple(tags), round=round), rejected


async def _placed(program: "Condor", path: tuple[str, ...], areas: list[str], topic: str, round: int) -> Grown:
    """A topic goes down to one of the areas, settles where it is, or is dropped if it fits under no root."""
    area = tidy_tag((await program.place.acall(topic=topic, areas=areas)).area) if areas else ""
    chosen = next((name for name in areas if folded(tidy_tag(name)) == folded(area)), None)
    below = (*path, chosen) if chosen else path
    settled = chosen is None or len(below) >= program.depth - 1
    step = TreeStep(kind="place", path=below, tags=(topic,), settled=settled, round=round)
    if below:
        return step, []
    return step, [Rejected(stage="place", reason="no_place", detail=area[:60], content={"topic": topic})]


def _lines(texts: Sequence[str]) -> Iterator[str]:
    """The entries of a list; one text with several lines is taken apart."""
    for text in texts:
        yield from text.splitlines() or [text]
