"""The taxonomy of SAND-Math: branches with topics, concepts and theorems, as YAML, shipped or a user's own."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import yaml
from pydantic import Field, ValidationError

from synthwright.errors import ConfigError
from synthwright.programs.base import data_path
from synthwright.programs.blocks.yaml_files import Part

__all__ = ["Branch", "Taxonomy", "Theorem", "Topic", "load_taxonomy", "names_theorem"]


class Theorem(Part):
    """A theorem that a harder problem may hang on.

    Attributes:
        name: Its name.
        statement: What it says.
        marks: Words that name it, beside the whole name.
    """

    name: str = Field(min_length=1)
    statement: str = Field(min_length=1)
    marks: tuple[str, ...] = ()


class Topic(Part):
    """A topic of a branch.

    Attributes:
        topic: Its name.
        concepts: What problems of it are about, one or more.
        easy: Whether it is for the level `easy`, and only for that.
    """

    topic: str = Field(min_length=1)
    concepts: tuple[str, ...] = Field(min_length=1)
    easy: bool = False


class Branch(Part):
    """A branch of mathematics.

    Attributes:
        branch: Its name.
        topics: Its topics; may be empty.
        theorems: Its theorems; may be empty, and then those of a random branch are used.
    """

    branch: str = Field(min_length=1)
    topics: tuple[Topic, ...] = ()
    theorems: tuple[Theorem, ...] = ()

    def concepts(self, level: str) -> list[str]:
        """The concepts for a level: those of the easy topics for `easy` (all if there are none), else the others."""
        fitting = [topic for topic in self.topics if topic.easy == (level == "easy")] or self.topics
        return [concept for topic in fitting for concept in topic.concepts]


class Taxonomy(Part):
    """Branches, each with its concepts and theorems."""

    branches: tuple[Branch, ...] = Field(min_length=1)

    def __iter__(self) -> Iterator[Branch]:  # pyright: ignore[reportIncompatibleMethodOverride]  not the fields
        return iter(self.branches)

    def __getitem__(self, name: str) -> Branch:
        """A branch by its name; one without topics and theorems if the taxonomy does not know it."""
        return next((branch for branch in self.branches if branch.branch == name), Branch(branch=name))


def load_taxonomy(path: str | Path | None = None) -> Taxonomy:
    """The shipped taxonomy, or that of a folder of YAML files of the same form, or of one file with one branch.

    Raises:
        ConfigError: There is no such place, a file is not of that form, or a branch is there twice.
    """
    return _shipped() if path is None else _read(Path(path))


@cache
def _shipped() -> Taxonomy:
    return _read(data_path("sand_math"))


def _read(path: Path) -> Taxonomy:
    files = sorted(path.glob("*.yaml")) if path.is_dir() else [path]
    if not files:
        raise ConfigError(f"The taxonomy {str(path)!r} has no .yaml files: each holds one branch.")
    branches: dict[str, Branch] = {}
    for file in files:
        try:
            branch = Branch.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
        except OSError as error:
            raise ConfigError(f"Cannot read the taxonomy {str(file)!r}: {error.strerror or error}.") from error
        except (UnicodeDecodeError, yaml.YAMLError, ValidationError) as error:
            raise ConfigError(f"{str(file)!r} is not a branch of a taxonomy: {error}") from error
        if branch.branch in branches:
            raise ConfigError(f"{str(file)!r}: the branch {branch.branch!r} is there twice.")
        branches[branch.branch] = branch
    return Taxonomy(branches=tuple(branches.values()))


def names_theorem(text: str, theorem: Theorem) -> str:
    """The words of a text that name a theorem, or an empty text. Case and kinds of apostrophes and dashes are equal."""
    plain = _plain(text)
    for mark in (theorem.name, *theorem.marks):
        if re.search(rf"(?<![\w]){re.escape(_plain(mark))}(?!\w)", plain):
            return mark
    return ""


def _plain(text: str) -> str:
    return re.sub("[\u2010-\u2015]", "-", text.replace("\u2019", "'")).casefold()
