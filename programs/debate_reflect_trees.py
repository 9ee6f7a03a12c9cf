"""Preference trees of a debate: a question and a round, the right answers over the wrong ones, in chunks of context.

Source: section 2.3 of Debate, Reflect and Distill (T-DPO) and `mag2preference.py` of its released code: pairs are the
full cross product of right and wrong answers of a round, over all agents.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from synthwright.programs.debate_reflect_leaks import tame
from synthwright.signatures.debate_reflect import Debate, DebateRow, Node, answer_text, answer_with_feedback

__all__ = ["Block", "Limits", "Tree", "about", "blocks_of", "chunked", "discussion", "pair_rows", "shortened", "trees"]

Count = Callable[[str], int]
"""Tokens of a text."""


@dataclass(frozen=True)
class Block:
    """One earlier answer with what was said about it.

    Attributes:
        agent: Who gave it; never shown.
        reasoning: Its reasoning.
        answer: Its final answer.
        reflection: Its author's reflection, or an empty text.
        feedback: What others said.
    """

    agent: str
    reasoning: str
    answer: str
    reflection: str = ""
    feedback: tuple[str, ...] = ()

    def text(self, number: int = 1) -> str:
        """The block under its number in the discussion."""
        return answer_with_feedback(number, self.reasoning, self.answer, self.reflection, self.feedback)


@dataclass(frozen=True)
class Limits:
    """Lengths in tokens, all 1 or more.

    Attributes:
        block: Longest block that is left as it is. The released code has 950.
        part: To what its reasoning, then its reflection with feedback, is cut otherwise. The released code has 470.
        chunk: Longest chunk of blocks. The released code has 1,000.
    """

    block: int = 950
    part: int = 470
    chunk: int = 1000


@dataclass(frozen=True)
class Tree:
    """The answers of one round under one root.

    Attributes:
        debate: The debate.
        round: The round of the answers.
        contexts: What was said of the round before, in chunks; one empty text in round 0.
        right: Answers that are right.
        wrong: Answers that are wrong. Invalid ones are in neither.
    """

    debate: Debate
    round: int
    contexts: tuple[str, ...]
    right: tuple[Node, ...]
    wrong: tuple[Node, ...]

    @property
    def root_id(self) -> str:
        """Hash of question and round."""
        return hashlib.sha256(f"{self.round}:{self.debate.question}".encode("utf-8", "surrogatepass")).hexdigest()[:20]

    def pairs(self) -> list[tuple[Node, Node]]:
        """Every right answer with every wrong one."""
        return [(chosen, rejected) for chosen in self.right for rejected in self.wrong]


def trees(debate: Debate, count: Count, limits: Limits) -> list[Tree]:
    """The trees of all rounds of a debate, those without a pair included."""
    made = []
    for number in range(debate.rounds):
        contexts = tuple(chunked(blocks_of(debate, number - 1), count, limits)) if number else ("",)
        states = [tuple(n for n in debate.at(number) if n.state == state) for state in ("right", "wrong")]
        made.append(Tree(debate, number, contexts or ("",), *states))
    return made


def pair_rows(tree: Tree, contexts: Literal["all", "rotate"], parent_ids: Sequence[str] = ()) -> Iterator[DebateRow]:
    """The rows of a tree.

    Args:
        tree: The tree.
        contexts: `all` repeats every pair with every chunk of context, as the released code does; `rotate` gives every
            pair one chunk, the next one each time.
        parent_ids: Parents of the rows.
    """
    debate, size = tree.debate, len(tree.contexts)
    for index, (chosen, rejected) in enumerate(tree.pairs()):
        for chunk in range(size) if contexts == "all" else (index % size,):
            yield DebateRow(
                kind="pair",
                context=tree.contexts[chunk],
                chosen=answer_text(chosen),
                rejected=answer_text(rejected),
                chosen_agent=chosen.agent,
                rejected_agent=rejected.agent,
                chunk=chunk,
                chunks=size,
                round=tree.round,
                root_id=tree.root_id,
                parent_ids=tuple(parent_ids),
                **about(debate),
            )


def about(debate: Debate) -> dict[str, Any]:
    """The fields that all rows of a debate share."""
    reflections = [edge for edge in debate.edges if edge.kind == "reflection"]
    said = [edge for edge in debate.edges if edge.feedback is not None]
    targets = {node.key: f"{node.reasoning} {node.answer}" for node in debate.nodes}
    return {
        "question": debate.question,
        "answer_format": debate.answer_format,
        "gold": debate.gold,
        "answer_kind": debate.kind,
        "debate_id": debate.id,
        "course": debate.course(),
        "reflections": len(reflections),
        "leaks": sum(edge.leaked for edge in reflections),
        "feedback": len(said),
        "quoted": sum(_quotes(edge.feedback.wrong_part, targets[edge.target]) for edge in said if edge.feedback),
    }


def _quotes(part: str, text: str) -> bool:
    """True if the quoted words stand in the text, whatever their case and spacing."""
    part, text = (" ".join(each.lower().split()).strip(" .\"'") for each in (part, text))
    return bool(part) and part in text


def blocks_of(debate: Debate, number: int) -> list[Block]:
    """The usable answers of a round with what was said about them, without marks that could pass for a prompt."""
    return [
        Block(
            agent=node.agent,
            reasoning=tame(node.reasoning),
            answer=tame(node.answer),
            reflection=" ".join(tame(said.text()) for said in debate.said_to(node, "reflection")),
            feedback=tuple(tame(said.text()) for said in debate.said_to(node, "feedback")),
        )
        for node in debate.at(number)
        if node.state != "invalid"
    ]


def chunked(blocks: Sequence[Block], count: Count, limits: Limits) -> list[str]:
    """Blocks shortened, sorted by length and packed in that order into chunks; each chunk numbers its own answers."""
    short = sorted((shortened(block, count, limits) for block in blocks), key=lambda block: count(block.text()))
    packed: list[list[Block]] = []
    for block in short:
        if packed and count(discussion([*packed[-1], block])) <= limits.chunk:
            packed[-1].append(block)
        else:
            packed.append([block])
    return [discussion(chunk) for chunk in packed]


def shortened(block: Block, count: Count, limits: Limits) -> Block:
    """The block within its limit: first its reasoning is cut, then, if that is not enough, what was said about it."""
    if count(block.text()) <= limits.block:
        return block
    block = replace(block, reasoning=_cut(block.reasoning, limits.part, count))
    if count(block.text()) <= limits.block:
        return block
    room = limits.part
    said = []
    for text in (block.reflection, *block.feedback):
        said.append(_cut(text, room, count))
        room -= count(said[-1])
    return replace(block, reflection=said[0], feedback=tuple(text for text in said[1:] if text))


def discussion(blocks: Sequence[Block]) -> str:
    """The blocks as agents and trained models read them."""
    return "\n\n".join(block.text(number) for number, block in enumerate(blocks, 1))


def _cut(text: str, most: int, count: Count) -> str:
    """The longest beginning of whole words with at most so many tokens."""
    if count(text) <= most:
        return text
    words = text.split(" ")
    low, high = 0, len(words)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if count(" ".join(words[:middle]) + " ...") <= most else (low, middle - 1)
    return " ".join(words[:low]) + " ..." if low else ""
