"""Votes on the taxonomy of GLAN: of a panel of LMs, or of people in a file, which then takes the panel's place.

Source: GLAN, section 2.1: annotators vote to keep or remove each node, the majority decides, and what belongs to a
removed node goes with it.
"""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from synthwright.errors import ConfigError
from synthwright.programs.glan_checks import folded
from synthwright.programs.glan_tree import SEPARATOR, Tree
from synthwright.signatures.glan import Review

__all__ = ["read_votes", "removed", "write_ballot"]

_WORDS = {"keep": "keep", "k": "keep", "yes": "keep", "y": "keep", "1": "keep",
          "remove": "remove", "r": "remove", "no": "remove", "n": "remove", "0": "remove"}  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "\t")


def write_ballot(tree: Tree, path: str | Path, voters: Sequence[str] = ("voter 1", "voter 2", "voter 3")) -> None:
    """Write a CSV file with a line for each node and a column for each voter, for people to fill in.

    Args:
        tree: The taxonomy.
        path: The file.
        voters: Heads of the columns.

    Raises:
        ConfigError: The file cannot be written.
    """
    try:
        with Path(path).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["node", *voters])
            for node in tree.nodes():
                name = SEPARATOR.join(node)
                # an LM wrote the names: a spreadsheet must not take one for a formula
                writer.writerow([f"'{name}" if name.startswith(_FORMULA) else name, *[""] * len(voters)])
    except OSError as error:
        raise ConfigError(f"Cannot write {str(path)!r}: {error.strerror or error}.") from error


def read_votes(votes: str | Path | Mapping[str, Sequence[str]] | None) -> dict[str, tuple[str, ...]] | None:
    """The votes of people by node, its path joined by " > "; None if there are none.

    A vote is `keep` or `remove` (or yes, no); an empty cell is none.

    Args:
        votes: A file as `write_ballot` writes it, filled in, or the votes themselves.

    Raises:
        ConfigError: The file cannot be read, has no column `node`, or a vote is neither; the message names the line.
    """
    if votes is None:
        return None
    if isinstance(votes, Mapping):
        return {node: tuple(_vote(vote, f"`votes` of {node!r}") for vote in given) for node, given in votes.items()}
    found: dict[str, tuple[str, ...]] = {}
    try:
        with Path(votes).open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            head = next(reader, [])
            if not head or head[0].strip().lower() != "node":
                raise ConfigError(f"{votes}: the first column of a ballot is `node`, got {head!r}.")
            for line in reader:
                if line and line[0].strip():
                    place = f"{votes}, line {reader.line_num}"
                    found[line[0].strip().removeprefix("'")] = tuple(_vote(v, place) for v in line[1:] if v.strip())
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"Cannot read the votes {str(votes)!r}: {error}.") from error
    if not any(found.values()):
        raise ConfigError(f"{votes} holds no vote: write keep or remove beside the nodes.")
    return found


def removed(tree: Tree, votes: Iterable[Review] | Mapping[str, Sequence[str]]) -> list[tuple[str, ...]]:
    """The nodes that more than half of the votes on them want removed. A tie, or no vote, keeps a node."""
    given: dict[tuple[str, ...], tuple[str, ...]] = {}
    if isinstance(votes, Mapping):
        given = {folded_path(str(node).split(SEPARATOR)): tuple(cast) for node, cast in votes.items()}
    else:
        given = {folded_path(review.path): review.votes for review in votes}
    found = []
    for path in tree.nodes():
        cast = given.get(folded_path(path), ())
        if 2 * cast.count("remove") > len(cast):
            found.append(path)
    return found


def folded_path(path: Iterable[str]) -> tuple[str, ...]:
    """What counts as the same node."""
    return tuple(map(folded, path))


def _vote(text: str, place: str) -> str:
    vote = _WORDS.get(str(text).strip().lower())
    if vote is None:
        raise ConfigError(f"{place}: a vote is `keep` or `remove`, got {text!r}.")
    return vote
