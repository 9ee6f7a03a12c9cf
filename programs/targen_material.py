"""What a run of TarGEN has to write rows from: the contexts and instance seeds so far, read from the pool."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from synthwright.errors import ConfigError, did_you_mean
from synthwright.pool import Pool, Seed
from synthwright.signatures.targen import Contexts, InstanceSeeds, LabelledRow

__all__ = ["ATTEMPTS", "Material", "folded", "listed"]

ATTEMPTS = 3
"""Rounds in which an instance seed given by the user is tried, as long as no row of it is kept. Ours."""

_MARKER = re.compile(r"^[^\S\n]*(?:\d{1,3}[.)]|[-*•])\s+", re.MULTILINE)


class Material:
    """Contexts and instance seeds of a run at the start of a round; nothing here changes while the round runs.

    Args:
        pool: The run. Its `seeds`, if the user gave some, are dictionaries with `context`, `seed` or both.

    Raises:
        ConfigError: A seed of the user has another key, or a value that is not a text.
    """

    def __init__(self, pool: Pool[LabelledRow]) -> None:
        self.pool = pool
        self.draws, self.asked = pool.artifacts(Contexts), pool.artifacts(InstanceSeeds)
        self.given = _checked(pool.seeds or ())
        self.texts = [(seed.get("context", ""), seed["seed"]) for seed in self.given if "seed" in seed]

    def instances(self) -> list[tuple[str, str]]:
        """(context, text) of the instance seeds whose turn it is; a text has one turn, whatever its context.

        Those given by the user come first, and come again while no row of them is kept. Those that the LM made have
        their turn in the round after they were made.
        """
        if self.texts and self.pool.round < (1 if self.pool.target is None else ATTEMPTS):
            kept = {folded(row.instance_seed) for row in self.pool}
            given = {folded(text): (context, text) for context, text in self.texts}
            return [pair for key, pair in given.items() if key not in kept]
        found: dict[str, tuple[str, str]] = {}
        seen = {folded(text) for _, text in self.texts}
        for made in self.asked:
            for text in made.seeds:
                if made.round == self.pool.round - 1 and folded(text) not in seen:
                    found[folded(text)] = (made.context, text)
                seen.add(folded(text))
        return list(found.values())

    def contexts(self) -> tuple[list[str], list[str]]:
        """Contexts in which nothing was asked so far, and the others, those asked least first."""
        asked = Counter(folded(made.context) for made in self.asked)
        given = (seed["context"] for seed in self.given if "seed" not in seed)
        known: dict[str, str] = {}
        for text in (*given, *(text for draw in self.draws for text in draw.contexts)):
            known.setdefault(folded(text), text)
        used = sorted((key for key in known if asked[key]), key=lambda key: asked[key])
        return [text for key, text in known.items() if not asked[key]], [known[key] for key in used]

    def may_draw(self) -> bool:
        """Whether to ask the LM for contexts: not if the user gave material, or if the last calls gave little new.

        Little is less than one new context a call.
        """
        last = max((draw.round for draw in self.draws), default=-1)
        old = {folded(text) for draw in self.draws if draw.round < last for text in draw.contexts}
        new = {folded(text) for draw in self.draws if draw.round == last for text in draw.contexts} - old
        return not self.given and len(new) >= sum(draw.round == last for draw in self.draws)

    def idle(self) -> int:
        """Calls for instance seeds, or else rounds without any artifact, since a row was kept."""
        last = max((made.round for made in (*self.draws, *self.asked)), default=-1)
        return max(sum(made.kept == len(self.pool) for made in self.asked), self.pool.round - last - 1)


def folded(text: str) -> str:
    """A text without differences of case, white space and closing punctuation: what counts as the same seed."""
    return " ".join(text.lower().split()).rstrip(".,;:!")


def listed(texts: Iterable[str]) -> list[str]:
    """The entries of a list that an LM gave, without numbers and repetitions.

    An LM may put a whole numbered list into one entry, and an entry may run over several lines.
    """
    found: dict[str, str] = {}
    for text in texts:
        for entry in _MARKER.split(text):
            if entry := " ".join(entry.split()):
                found.setdefault(folded(entry), entry)
    return list(found.values())


def _checked(seeds: Iterable[Seed]) -> Sequence[Seed]:
    seeds = list(seeds)
    for seed in seeds:
        for name, value in seed.items():
            if name not in ("context", "seed"):
                raise ConfigError(
                    f"A seed of TarGEN has `context`, `seed` (the text of an instance seed) or both, or it has a "
                    f"`step`; got the key {name!r}. {did_you_mean(name, ('context', 'seed', 'step'))}"
                )
            if not isinstance(value, str) or not value.strip():
                raise ConfigError(f"`{name}` of a seed of TarGEN must be a text, got {value!r}.")
        if not seed:
            raise ConfigError("A seed of TarGEN is empty: give it `context`, `seed` or both.")
    return seeds
