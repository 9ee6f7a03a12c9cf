"""What rows and rejects of Evol-Instruct tell together: whole lineages, difficulty by round, an order to train in."""

import hashlib
import json
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from synthwright.errors import ConfigError
from synthwright.signatures.evol_instruct import EvolvedRow
from synthwright.signatures.rows import Rejected

__all__ = [
    "Evolution",
    "curriculum",
    "difficulty_by_round",
    "harder_share",
    "lineage",
    "read_lineage",
    "root_id_of",
    "write_lineage",
]


def root_id_of(instruction: str) -> str:
    """The id of the lineage that grows from a root instruction."""
    return hashlib.sha256(instruction.encode("utf-8", "surrogatepass")).hexdigest()[:20]


class Evolution(BaseModel):
    """One try to evolve an instruction, kept or eliminated: the record that the released data lacks.

    Attributes:
        id: Id of the row, or empty if it was eliminated.
        root_id: Hash of the root instruction, equal for a whole lineage.
        parent_id: Id of the row that it was evolved from, or empty if that was the root.
        round: Round of evolution, from 1.
        operator: What was done to the parent.
        parent: The instruction that it was evolved from.
        instruction: The evolved instruction; empty if the reply could not be read.
        response: Its answer; empty if it was eliminated before it was answered.
        eliminated: Whether it was dropped.
        reason: Who dropped it and why, such as `equal: no_information_gain`; empty if it was kept.
        difficulty: The judge's rating from 1 to 10, or None.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = ""
    root_id: str
    parent_id: str = ""
    round: int
    operator: str
    parent: str
    instruction: str = ""
    response: str = ""
    eliminated: bool = False
    reason: str = ""
    difficulty: int | None = None


def lineage(rows: Iterable[EvolvedRow], rejected: Iterable[Rejected] = ()) -> list[Evolution]:
    """Every try of every lineage: lineages in the order of their first try, their tries by round.

    Args:
        rows: Rows of a run.
        rejected: What the run dropped; rejects that belong to no lineage, such as empty seeds, are left out.
    """
    rows = list(rows)
    ids = {(row.root_id, row.instruction): row.id for row in rows}
    tries = []
    for row in rows:
        fields = {name: getattr(row, name) for name in ("root_id", "round", "operator", "parent", "difficulty")}
        parent_id = ids.get((row.root_id, row.parent), "")
        tries.append(
            Evolution(id=row.id, parent_id=parent_id, instruction=row.instruction, response=row.response, **fields)
        )
    for reject in rejected:
        about = reject.content
        if not {"root_id", "round", "operator", "parent"} <= set(about):
            continue
        fields = {name: about[name] for name in ("root_id", "round", "operator", "parent")}
        tries.append(
            Evolution(
                parent_id=ids.get((about["root_id"], about["parent"]), ""),
                instruction=about.get("instruction") or "",
                response=about.get("response") or "",
                eliminated=True,
                reason=f"{reject.stage}: {reject.reason}",
                difficulty=about.get("difficulty"),
                **fields,
            )
        )
    order = {root: place for place, root in enumerate(dict.fromkeys(one.root_id for one in tries))}
    return sorted(tries, key=lambda one: (order[one.root_id], one.round, one.eliminated))


def read_lineage(run: str | Path) -> list[Evolution]:
    """The lineages of a finished run, from its directory.

    Raises:
        ConfigError: The directory holds no rows of Evol-Instruct.
    """
    out = Path(run)
    try:
        records = [json.loads(line) for line in (out / "rows.jsonl").read_text(encoding="utf-8").splitlines()]
        dropped = [json.loads(line) for line in (out / "rejected.jsonl").read_text(encoding="utf-8").splitlines()]
        rows = [EvolvedRow.model_validate(record) for record in records]
        names = set(Rejected.model_fields)
        return lineage(rows, [Rejected(**{k: v for k, v in one.items() if k in names}) for one in dropped])
    except (OSError, ValueError) as error:
        raise ConfigError(f"{str(out)!r} holds no finished run of EvolInstruct: {error}") from error


def write_lineage(run: str | Path, to: str | Path) -> int:
    """Write the lineages of a finished run as JSONL, one try a line, and return how many.

    Raises:
        ConfigError: As `read_lineage`.
    """
    tries = read_lineage(run)
    Path(to).write_text("".join(f"{one.model_dump_json()}\n" for one in tries), encoding="utf-8")
    return len(tries)


def curriculum(
    rows: Iterable[EvolvedRow], by: Literal["round", "difficulty"] = "round", seed: int = 0
) -> list[EvolvedRow]:
    """The rows from easy to hard, shuffled within a step, so that training meets each step's rows mixed.

    Args:
        rows: Rows of one or several runs; merged in this order and, of equal instructions, the first is kept.
        by: `round`, or `difficulty` as the judge rated it; rows without a rating stand at the mean of their round.
        seed: Of the shuffle.

    Raises:
        ConfigError: By difficulty, and no row was rated.
    """
    if by not in ("round", "difficulty"):
        raise ConfigError(f"`by` must be 'round' or 'difficulty', got {by!r}.")
    merged: dict[str, EvolvedRow] = {}
    for row in rows:
        merged.setdefault(" ".join(row.instruction.lower().split()), row)
    mixed = list(merged.values())
    random.Random(f"{seed}:curriculum").shuffle(mixed)
    if by == "round":
        return sorted(mixed, key=lambda row: row.round)
    means = difficulty_by_round(mixed)
    if mixed and not means:
        raise ConfigError("No row has a difficulty: run with `rate_difficulty=True`, or order by 'round'.")
    overall = sum(means.values()) / len(means) if means else 0.0
    return sorted(mixed, key=lambda row: (row.difficulty or means.get(row.round, overall), row.difficulty is None))


def difficulty_by_round(rows: Iterable[EvolvedRow]) -> dict[int, float]:
    """Mean rating of each round, round 0 for the roots; rounds without ratings are left out.

    The paper's analysis of rounds 0 to 4: 3.0, 5.40, 6.35, 6.84, 7.08 on its scale of 1 to 10.
    """
    ratings: defaultdict[int, list[int]] = defaultdict(list)
    roots: dict[str, int] = {}
    for row in rows:
        if row.difficulty is not None:
            ratings[row.round].append(row.difficulty)
        if row.parent_difficulty is not None and row.root_id == root_id_of(row.parent):
            roots.setdefault(row.root_id, row.parent_difficulty)
    if roots:
        ratings[0] = list(roots.values())
    return {number: sum(ratings[number]) / len(ratings[number]) for number in sorted(ratings)}


def harder_share(rows: Sequence[EvolvedRow]) -> float | None:
    """Share of rows rated as harder than their parents, of those where both were rated; None if there are none."""
    gains = [
        row.difficulty > row.parent_difficulty
        for row in rows
        if row.difficulty is not None and row.parent_difficulty is not None
    ]
    return sum(gains) / len(gains) if gains else None
