"""Metadata of CodecLM: reading what seeds say, tidying what was encoded, and drawing new mixes of it."""

import random
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from synthwright.errors import ConfigError
from synthwright.pool import Seed

__all__ = ["Material", "Metadata", "listed", "mixed", "read_seeds", "tidy_skills"]

MOST_TRIES = 20
"""Draws for each mix that is wanted, after which the mixes that exist are taken to be used up."""

_USELESS = re.compile(r"\b(?:skills?|knowledge)\b", re.I)
_NUMBER = re.compile(r"^\s*(?:(?:instruction|task|question)\s*)?(?:\(?\d{1,2}[.):]|[-*•])\s+", re.I)
_LABEL = re.compile(r"^\s*(?:instruction|task|question)\s*:\s*", re.I)


@dataclass(frozen=True)
class Metadata:
    """What an instruction is about, in CodecLM's code.

    Attributes:
        use_case: Kind of task.
        skills: Skills that an answer takes, at least one.
        sources: Ids of the rows of another run that it comes from.
    """

    use_case: str
    skills: tuple[str, ...]
    sources: tuple[str, ...] = ()

    def seed(self) -> dict[str, Any]:
        """The arguments of `CodecLM.aforward`."""
        return {"use_case": self.use_case, "skills": list(self.skills), "sources": list(self.sources)}


@dataclass(frozen=True)
class Material:
    """What the seeds of a run say.

    Attributes:
        instructions: Arguments of `CodecLM.aforward` for each instruction whose metadata is not known, without copies.
        known: Metadata of instructions that came with it.
        written: Metadata without an instruction.
    """

    instructions: tuple[dict[str, Any], ...]
    known: tuple[Metadata, ...]
    written: tuple[Metadata, ...]


def read_seeds(seeds: Iterable[Seed]) -> Material:
    """Sort seeds by what is known of them.

    Args:
        seeds: Dictionaries with an `instruction` (and an `input`, put below it), with `use_case` and `skills`, or with
            both. Other fields are left alone, so that rows of any method with instructions can be seeds; an `id` is
            kept as a source.

    Raises:
        ConfigError: A seed has neither, or one that is not text; the message names it.
    """
    instructions: dict[str, dict[str, Any]] = {}
    known, written = [], []
    for index, seed in enumerate(seeds):
        instruction, data = seed.get("instruction") or "", seed.get("input") or ""
        use_case, skills = seed.get("use_case") or "", seed.get("skills") or ()
        skills = (skills,) if isinstance(skills, str) else skills
        texts = isinstance(instruction, str) and isinstance(data, str) and isinstance(use_case, str)
        if not texts or not isinstance(skills, Sequence) or not all(isinstance(skill, str) for skill in skills):
            raise ConfigError(f"Seed {index} of CodecLM is {dict(seed)!r}: its texts must be strings. {_FORM}")
        if bool(use_case.strip()) != any(skill.strip() for skill in skills):
            raise ConfigError(
                f"Seed {index} of CodecLM has only one of `use_case` and `skills`: {dict(seed)!r}. {_FORM}"
            )
        if not (instruction.strip() or use_case.strip()):
            raise ConfigError(f"Seed {index} of CodecLM is {dict(seed)!r}. {_FORM}")
        sources = (seed["id"],) if isinstance(seed.get("id"), str) else ()
        if use_case.strip():
            tidied = tuple(" ".join(skill.split()) for skill in skills if skill.strip())
            (known if instruction.strip() else written).append(Metadata(" ".join(use_case.split()), tidied, sources))
        else:
            text = f"{instruction.strip()}\n{data.strip()}".strip()
            instructions.setdefault(text, {"instruction": text, "sources": list(sources)})
    return Material(tuple(instructions.values()), tuple(known), tuple(written))


_FORM = (
    "A seed has an `instruction` (and perhaps an `input`), or a `use_case` with `skills`, a list of texts; "
    "further fields are left alone."
)


def tidy_skills(skills: Iterable[str], most: int) -> tuple[str, ...]:
    """The skills that say something, without copies: at most `most`, the first ones."""
    found: dict[str, str] = {}
    for skill in skills:
        text = " ".join(_USELESS.sub(" ", _NUMBER.sub("", skill)).split()).strip(" .,;:")
        if text:
            found.setdefault(text.casefold(), text)
    return tuple(found.values())[:most]


def mixed(known: Sequence[Metadata], count: int, most_skills: int, rng: random.Random) -> list[Metadata]:
    """New metadata: a use case with one or more skills, each drawn from the unions of what is known, no mix twice.

    Fewer come back than were asked for if there are not that many. A use case is mixed with skills of its own script
    only, so that metadata in Cyrillic and in Latin letters do not meet in one instruction.

    Source: CodecLM, appendix A.3.

    Args:
        known: Encoded metadata.
        count: Mixes wanted.
        most_skills: Most skills of one mix.
        rng: Where the draws come from.
    """
    use_cases: dict[str, tuple[str, tuple[str, ...]]] = {}
    skills: dict[str, dict[str, tuple[str, tuple[str, ...]]]] = {}
    for metadata in known:
        use_cases.setdefault(metadata.use_case.casefold(), (metadata.use_case, metadata.sources))
        for skill in metadata.skills:
            skills.setdefault(_script(skill), {}).setdefault(skill.casefold(), (skill, metadata.sources))
    cases = [(text, sources) for text, sources in use_cases.values() if _script(text) in skills]
    found: dict[tuple[str, frozenset[str]], Metadata] = {}
    for _ in range(count * MOST_TRIES if cases else 0):
        use_case, sources = rng.choice(cases)
        union = list(skills[_script(use_case)].values())
        drawn = rng.sample(union, rng.randint(1, min(most_skills, len(union))))
        texts = tuple(text for text, _ in drawn)
        origins = dict.fromkeys([*sources, *(source for _, of_skill in drawn for source in of_skill)])
        found.setdefault((use_case, frozenset(texts)), Metadata(use_case, texts, tuple(origins)))
        if len(found) == count:
            break
    return list(found.values())


def listed(texts: Iterable[str]) -> list[str]:
    """The instructions of a reply: one text that holds a numbered list is taken apart, numbers and labels go."""
    found = [text.strip() for text in texts]
    if len(found) == 1 and sum(bool(_NUMBER.match(line)) for line in found[0].splitlines()) > 1:
        found = found[0].splitlines()
    bare = (_LABEL.sub("", _NUMBER.sub("", text)).strip() for text in found)
    return [text for text in bare if text]


def _script(text: str) -> str:
    scripts = Counter(unicodedata.name(c, "?").split()[0] for c in text if c.isalpha())
    return scripts.most_common(1)[0][0] if scripts else ""
