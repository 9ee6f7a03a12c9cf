"""What Condor asks next: the tag tree is grown level by level, then each tag meets each task, by index."""

import random
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from synthwright.errors import ConfigError
from synthwright.pool import Pool, Seed
from synthwright.programs.blocks.instruction_seeds import is_row, seed_of_row
from synthwright.programs.condor_tree import Tree, path_of
from synthwright.signatures.condor import LEVELS, CondorRow, TreeStep

if TYPE_CHECKING:
    from synthwright.programs.condor import Condor

__all__ = ["Combinations", "given_seeds", "planned"]

LEAST_EXPANDED = 4
"""Tags expanded at least on each level where not all are."""

ROOT_CALLS = 20
"""Times that root tags are asked for at most: an LM may go on finding other names for what is there."""


class Combinations(Sequence[tuple[int, int]]):
    """All pairs of one of `tags` and one of `tasks` numbers, each once, in an order that a key fixes.

    Pairs are computed from their index and never listed. Any `tags` pairs in a row (from a multiple of it) hold each
    tag once, and tasks take turns, so that each prefix is balanced in both.

    Args:
        tags: Number of tags.
        tasks: Number of tasks.
        key: Fixes the order.
    """

    def __init__(self, tags: int, tasks: int, key: str) -> None:
        self.tags, self.tasks = tags, tasks
        self._order = array("L", range(tags))
        random.Random(f"{key}:tags").shuffle(self._order)  # pyright: ignore[reportArgumentType]  arrays are mutable
        self._turn = random.Random(f"{key}:tasks").sample(range(tasks), tasks)

    def __len__(self) -> int:
        return self.tags * self.tasks

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f"there are {len(self)} combinations, asked for {index}")
        turn, place = divmod(index % len(self), self.tags)
        return self._order[place], self._turn[(place + turn) % self.tasks]


def planned(program: "Condor", pool: Pool[CondorRow]) -> Iterator[Seed]:
    """The seeds of the next round of a run that starts from the tree; returns why there are none.

    Roots are listed until there are as many as wanted, tags are expanded level by level, topics are placed level by
    level; then each leaf is asked with each task. If that does not give enough rows, the leaves are expanded, and if
    they are as deep as they may be, all is drawn again.
    """
    steps = pool.artifacts(TreeStep)
    tree, level = program.tree.grown(steps), program.depth
    if grow := _roots(program, tree, steps, pool.round):
        yield from grow
        return
    tried = {len(step.path) for step in steps if step.kind == "expand"}  # what failed then stays a leaf
    for number in range(1, level):
        if number not in tried and (seeds := _expand(program, tree, number, pool)):
            yield from seeds
            return
    if seeds := _place(program, tree, steps, pool.round):
        yield from seeds
        return
    if program.until == "tree":
        return "the tag tree is grown"
    deepest = max([level, *(number + 1 for number in tried)])
    asked = pool.round - len({step.round for step in steps})  # rounds that asked questions
    if asked and max((step.round for step in steps), default=-1) < pool.round - 1:
        if pool.target is None:
            return "each tag was asked once with each task"
        if deepest < program.max_depth and (seeds := _expand(program, tree, deepest, pool)):
            yield from seeds
            return
    leaves = tree.leaves(level)
    if deepest > level and (deeper := [leaf for leaf in leaves if len(tree.path(leaf)) == deepest]):
        leaves = deeper  # the others were asked before
    yield from _questions(program, tree, leaves, asked)


def given_seeds(program: "Condor", pool: Pool[CondorRow]) -> Iterator[Seed]:
    """The seeds of the next round of a run with seeds of the user; returns why there are none.

    Raises:
        ConfigError: A seed is neither a tag path nor an instruction.
    """
    tree = Tree(program.tree.language)
    written: list[Seed] = []
    given: dict[int, None] = {}  # numbers of tags that are asked with each task
    for index, seed in enumerate(pool.seeds or ()):
        if is_row(seed) or "instruction" in seed:
            row = seed_of_row(seed, index)
            if not row["instruction"]:
                raise ConfigError(f"Seed {index} of Condor has an empty `instruction`: {dict(seed)!r}.")
            written.append(row)
        elif "path" in seed:
            path = path_of(seed["path"], f"Seed {index} of Condor")
            if seed.get("task"):
                written.append({**seed, "path": list(path)})
            else:
                given[tree.add_path(path)] = None
        elif seed.get("grow") == "expand":
            written.append(seed)
        else:
            raise ConfigError(
                f"Seed {index} of Condor is {dict(seed)!r}. A seed has a `path`, a list of tags such as "
                "['Cooking', 'Bread'], with or without a `task`; or an `instruction`, with or without a `response`."
            )
    if pool.round and pool.target is None:
        return "each seed was asked once"
    again = [seed for seed in written if "task" in seed]
    if pool.round and not given and not again:
        return "each seed was asked once"
    yield from written if pool.round == 0 else ({**seed, "draw": pool.round} for seed in again)
    yield from _questions(program, tree, list(given), pool.round)


def _roots(program: "Condor", tree: Tree, steps: Sequence[TreeStep], number: int) -> list[Seed]:
    calls = [step for step in steps if step.kind == "roots"]
    known = tree.below()
    if len(known) >= program.roots or len(calls) >= ROOT_CALLS or (calls and not calls[-1].tags):
        return []
    return [{"grow": "roots", "known": known, "round": number}]


def _expand(program: "Condor", tree: Tree, level: int, pool: Pool[CondorRow]) -> list[Seed]:
    numbers: Iterable[int] = tree.unexpanded(level)
    if not program.expand_all and pool.target is not None and program.until != "tree":
        most = max(LEAST_EXPANDED, -(-pool.target // len(LEVELS)))
        if len(numbers := list(numbers)) > most:
            drawn = random.Random(f"{program.seed}:expand:{level}").sample(range(len(numbers)), most)
            numbers = [numbers[index] for index in sorted(drawn)]
    return [{"grow": "expand", "path": list(tree.path(number)), "round": pool.round} for number in numbers]


def _place(program: "Condor", tree: Tree, steps: Sequence[TreeStep], number: int) -> list[Seed]:
    """Each topic goes down one level a round, until it is settled; the first round asks for all."""
    placed = [step for step in steps if step.kind == "place"]
    if not placed:
        open_topics = {topic.topic: () for topic in program.topics if not topic.path}
    else:
        last = max(step.round for step in placed)
        open_topics = {step.tags[0]: step.path for step in placed if step.round == last and not step.settled}
    below: dict[tuple[str, ...], list[str]] = {}
    seeds = []
    for topic, path in open_topics.items():
        areas = below.setdefault(path, tree.below(path))
        seeds.append({"grow": "place", "topic": topic, "path": list(path), "known": areas, "round": number})
    return seeds


def _questions(program: "Condor", tree: Tree, leaves: Sequence[int], draw: int) -> Iterator[Seed]:
    names = [task.name for task in program.task_list]
    for place, task in Combinations(len(leaves), len(names), f"{program.seed}:{draw}:{len(leaves)}"):
        seed: dict[str, Any] = {"path": list(tree.path(leaves[place])), "task": names[task], "draw": draw}
        yield {**seed, "source": "trend"} if tree.is_trend(leaves[place]) else seed
