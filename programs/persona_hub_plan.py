"""What Persona Hub asks in each round: texts, then related personas round after round, then items for everybody.

A round is planned in one pass over the personas of the run, with nothing that grows faster than their number.
"""

import itertools
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import yaml

from synthwright.errors import ConfigError
from synthwright.pool import Pool, Seed
from synthwright.programs.base import data_path, read_jsonl
from synthwright.programs.blocks.instruction_seeds import is_row
from synthwright.retrieval import Corpus, Files, Passage, PassageList
from synthwright.signatures.persona_hub import ACTIONS, DATA_TYPES, Action, ExamplePersona, Persona, Tool

__all__ = [
    "Hub",
    "expansion",
    "has_row_since",
    "items",
    "own_passages",
    "passes_begin",
    "read_hub",
    "settings",
    "shipped_examples",
    "text_seeds",
    "user_seed",
]

GIVEN_FIELDS = ("persona", "input persona", "input_persona")
"""Names under which a user's seed may hold a persona; the second is that of the released data."""

TEXT_FIELDS = ("text", "response", "output", "problem", "question", "instruction")
"""Fields of other methods' rows that make up the text of a persona, where they are there."""


@dataclass
class Hub:
    """The personas of a run at the start of a round, in order, as parallel lists: 100,000 take some 30 MB.

    Attributes:
        personas: The personas.
        ids: Their ids.
        relations: What each was asked for.
        depths: How many steps each is away from a text.
        examples: Personas of worked examples by data type and number.
    """

    personas: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    relations: list[str] = field(default_factory=list)
    depths: bytearray = field(default_factory=bytearray)
    examples: dict[tuple[str, int], str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.personas)

    @property
    def deepest(self) -> int:
        """Steps of the last expansion that gave somebody; -1 for an empty hub."""
        return max(self.depths, default=-1)


def read_hub(pool: Pool[Any]) -> Hub:
    """The hub of a run, from its artifacts in one pass."""
    hub = Hub()
    for persona, persona_id, relation, depth in pool.artifact_values(Persona, "persona", "id", "relation", "depth"):
        hub.personas.append(persona)
        hub.ids.append(persona_id)
        hub.relations.append(sys.intern(relation))
        hub.depths.append(depth)
    for example in pool.artifact_values(ExamplePersona, "data_type", "number", "persona"):
        hub.examples[example[0], example[1]] = example[2]
    return hub


def text_seeds(corpus: Corpus | str | Sequence[str] | None, per_text: int, seed: int) -> Iterator[Seed]:
    """Each passage of a corpus with the actions that a persona is asked for.

    Args:
        corpus: A corpus; paths of files and folders; None for our own passages.
        per_text: Actions asked for each passage, 1 to 4.
        seed: Fixes which ones.
    """
    if corpus is None:
        corpus = own_passages()
    elif not isinstance(corpus, Corpus):
        corpus = Files(corpus)
    for number, passage in enumerate(corpus):
        for action in actions_of(number, per_text, seed):
            yield {"text": passage.text, "action": action}


def actions_of(number: int, per_text: int, seed: int) -> list[Action]:
    """The actions asked for a text by its number, without repetition."""
    return random.Random(f"{seed}:text:{number}").sample(ACTIONS, per_text)


def user_seed(seed: Seed, index: int, per_text: int, random_seed: int) -> list[dict[str, Any]]:
    """The seeds that a user's seed stands for.

    It has a `text` (with an `action`, if you like), or a `persona` (the released name `input persona` will do), which
    is taken into the hub as it is, or is asked for an item at once if there is a `data_type`. A row of another run
    gives its persona if it has one, and otherwise its text; it becomes the parent.

    Raises:
        ConfigError: It is none of these.
    """
    row = is_row(seed)
    parents = [seed["id"]] if row else list(seed.get("parent_ids") or ())
    rest = {"parent_ids": parents} if parents else {}
    persona = next((seed[name] for name in GIVEN_FIELDS if seed.get(name)), None)
    if isinstance(persona, str) and persona.strip():
        asked = {name: seed[name] for name in ("data_type", "relation", "detail") if not row and seed.get(name)}
        if asked.get("data_type", "math") not in DATA_TYPES:
            raise ConfigError(f"Seed {index}: `data_type` must be one of {', '.join(DATA_TYPES)}, got {seed!r}.")
        return [{"persona": persona, **asked, **rest}]
    names = [name for name in TEXT_FIELDS if isinstance(seed.get(name), str)]
    if "text" not in seed and not (row and names):
        raise ConfigError(
            f"Seed {index} is {dict(seed)!r}; a seed of PersonaHub has a `text`, or a `persona`, or is a row of "
            "another method with a text in it."
        )
    text = seed["text"] if "text" in names else "\n".join(seed[name] for name in reversed(names))
    if not isinstance(seed.get("text", ""), str):
        raise ConfigError(f"Seed {index}: `text` must be text, got {seed['text']!r}.")
    given = seed.get("action")
    if given is not None and given not in ACTIONS:
        raise ConfigError(f"Seed {index}: `action` must be one of {', '.join(ACTIONS)}, got {given!r}.")
    actions = [given] if given else actions_of(index, per_text, random_seed)
    return [{"text": text, "action": action, **rest} for action in actions]


def expansion(
    hub: Hub, round: int, *, rounds: int, room: int, children: int, relations: Mapping[str, str], seed: int
) -> Iterator[Seed]:
    """The calls of one round of expansion: for personas that the last round gave, somebody in a relation to each.

    The room that is left in the hub is shared out evenly between the rounds that are left, so that growth by
    `children` to the power of rounds ends at the budget and still reaches the last round. Who is expanded is drawn
    without replacement. The relation that leads straight back to where a persona came from is not asked for.

    Args:
        hub: The hub.
        round: Number of the expansion, from 1.
        rounds: Expansions in all.
        room: Personas that may still be added.
        children: Relations asked for each persona.
        relations: Name of each relation and of its inverse; empty to leave it to the LM.
        seed: Fixes the draws.
    """
    last = [index for index, depth in enumerate(hub.depths) if depth == round - 1]
    calls = -(-room // (rounds - round + 1))
    rng = random.Random(f"{seed}:expand:{round}")
    drawn = rng.sample(last, min(len(last), -(-calls // children)))
    asked = (
        (index, relation) for index in sorted(drawn) for relation in _relations(hub, index, children, relations, rng)
    )
    for index, relation in itertools.islice(asked, calls):
        yield {"persona": hub.personas[index], "relation": relation, "depth": round, "parent_ids": [hub.ids[index]]}


def _relations(hub: Hub, index: int, children: int, relations: Mapping[str, str], rng: random.Random) -> list[str]:
    """The relations asked for one persona: without repetition while there are enough."""
    back = relations.get(hub.relations[index], "")
    names = [name for name in relations if name != back or relations[name] == name] or [ANY_RELATION]
    drawn = rng.sample(names, min(children, len(names)))
    return list(itertools.islice(itertools.cycle(drawn), children))


ANY_RELATION = "somebody who is close to this person in work or life"
"""What is asked for where there are no relations to choose from."""


def passes_begin(hub: Hub, expansions: int, room: int) -> int:
    """The round in which items are first asked for.

    That is the round after the last one that gave personas; one later if that round was to give more and gave none.
    """
    more = room > 0 and hub.deepest < expansions
    return hub.deepest + (2 if more else 1)


def items(
    personas: Sequence[str],
    ids: Sequence[str],
    number: int,
    *,
    data_types: Sequence[str],
    details: Mapping[str, Sequence[str]],
    examples: Mapping[str, Sequence[Mapping[str, Any]]],
    shown: int,
) -> Iterator[Seed]:
    """One item for each persona; types, details and worked examples take turns.

    Args:
        personas: The personas.
        ids: Their ids; empty for none.
        number: Number of the pass, from 0: each pass gives a persona the next type.
        data_types: The types.
        details: Focus, kinds of puzzles or game worlds by type.
        examples: Worked examples by type that each call brings along; mostly none.
        shown: How many of them.
    """
    for index, persona in enumerate(personas):
        data_type = data_types[(index + number) % len(data_types)]
        turn = (index + number) // len(data_types)
        seed: dict[str, Any] = {"persona": persona, "data_type": data_type, "draw": number}
        if choices := details.get(data_type):
            seed["detail"] = choices[turn % len(choices)]
        if worked := examples.get(data_type):
            seed["demonstrations"] = [worked[(turn + k) % len(worked)] for k in range(min(shown, len(worked)))]
        if ids:
            seed["parent_ids"] = [ids[index]]
        yield seed


def has_row_since(pool: Pool[Any], draw: int) -> bool:
    """Whether a pass over the hub gave a row, or a later one: the newest rows are looked at first."""
    return any(row.draw >= draw for row in reversed(pool))


@cache
def own_passages() -> PassageList:
    """Thirty short passages written for Synthwright, on thirty subjects."""
    records = read_jsonl(data_path("persona_hub/passages.jsonl"))
    return PassageList([Passage(**record, source="persona_hub") for record in records], name="persona_hub")


@cache
def settings() -> dict[str, Any]:
    """The shipped relations, kinds of puzzles and game worlds."""
    return yaml.safe_load(data_path("persona_hub/settings.yaml").read_text(encoding="utf-8"))


@cache
def shipped_examples() -> dict[str, list[dict[str, Any]]]:
    """The shipped worked examples by data type, each with the output fields of its signature."""
    found = yaml.safe_load(data_path("persona_hub/examples.yaml").read_text(encoding="utf-8"))
    for example in found["tool"]:
        example["tool"] = Tool.model_validate(example["tool"]).model_dump(mode="json")
    return found
