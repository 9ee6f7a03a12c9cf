"""The curriculum tree of GLAN as a file: written, edited by hand, read back.

A tree may stop at any depth: a run grows what is missing. Names that are there twice are merged, whatever their case:
a discipline under two fields stays where it stands first, and the other places become its aliases.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError, model_validator

from synthwright.errors import ConfigError, did_you_mean
from synthwright.programs.base import data_path
from synthwright.programs.blocks.yaml_files import Part
from synthwright.programs.glan_checks import folded, level_of, merged_sessions, tidy
from synthwright.signatures.glan import ProposedField, Session, Subject

__all__ = [
    "SEPARATOR",
    "Discipline",
    "DisciplineNode",
    "FieldNode",
    "NodePath",
    "StoredSyllabus",
    "SubFieldNode",
    "SubjectNode",
    "Tree",
    "load_tree",
    "merged",
    "save_tree",
    "subject_of",
    "tree_of_names",
    "tree_of_places",
]

SEPARATOR = " > "
"""Stands between the names of a path where one is written as a text."""

NodePath = tuple[str, ...]
"""A node: the names from the field down; empty names, of disciplines without field, are left out."""


class StoredSyllabus(Part):
    """The syllabus of a subject.

    Attributes:
        text: As it was written; made from the sessions if it is empty.
        sessions: Its class sessions.
        asked: How many of its combinations earlier runs have drawn, 0 or more: a run goes on behind them.
    """

    text: str = ""
    sessions: tuple[Session, ...] = ()
    asked: int = Field(default=0, ge=0)

    def whole(self) -> str:
        """The text, or one made from the sessions."""
        return self.text.strip() or outline(self.sessions)


class SubjectNode(Part):
    """A subject of a discipline.

    Attributes:
        name: Its name.
        level: `beginner`, `intermediate`, `advanced`; other words and course numbers are normalised.
        subtopics: What belongs to it.
        quota: Most rows of it in a run; None for no limit.
        syllabus: Its syllabus, if there is one.
    """

    name: str = Field(min_length=1)
    level: str | int = ""
    subtopics: tuple[str, ...] = ()
    quota: int | None = Field(default=None, ge=0)
    syllabus: StoredSyllabus | None = None

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, data: Any) -> Any:
        return {"name": data} if isinstance(data, str) else data


class DisciplineNode(Part):
    """A discipline in a file; a text alone is its name.

    Attributes:
        name: Its name.
        aliases: Other places where it stood, as texts; for the reader.
        quota: Most rows of it in a run; None for no limit.
        queries: Queries for subjects that were made. None means that the subjects, if there are any, are complete.
        subjects: Its subjects.
    """

    name: str = Field(min_length=1)
    aliases: tuple[str, ...] = ()
    quota: int | None = Field(default=None, ge=0)
    queries: int | None = Field(default=None, ge=0)
    subjects: tuple[SubjectNode, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, data: Any) -> Any:
        return {"name": data} if isinstance(data, str) else data


class SubFieldNode(Part):
    """A part of a field with its disciplines."""

    sub_field: str = Field(min_length=1)
    quota: int | None = Field(default=None, ge=0)
    disciplines: tuple[DisciplineNode, ...] = ()


class FieldNode(Part):
    """A field with its sub-fields, and with disciplines that stand in none."""

    field: str = Field(min_length=1)
    quota: int | None = Field(default=None, ge=0)
    sub_fields: tuple[SubFieldNode, ...] = ()
    disciplines: tuple[DisciplineNode, ...] = ()


class _File(Part):
    fields: tuple[FieldNode, ...] = ()
    disciplines: tuple[DisciplineNode, ...] = ()


@dataclass(frozen=True)
class Discipline:
    """A discipline in its place.

    Attributes:
        field: Its field; may be empty.
        sub_field: The part of the field; may be empty.
        node: What is known of it.
    """

    field: str
    sub_field: str
    node: DisciplineNode

    @property
    def place(self) -> tuple[str, str, str]:
        """Field, sub-field and name."""
        return self.field, self.sub_field, self.node.name

    @property
    def path(self) -> NodePath:
        """The names that are not empty."""
        return tuple(name for name in self.place if name)


@dataclass(frozen=True)
class Tree:
    """Disciplines with what is known of them, in order. It does not change; its `repr`, which runs record, is short.

    Attributes:
        disciplines: The disciplines.
        quotas: Most rows by node.
    """

    disciplines: tuple[Discipline, ...]
    quotas: Mapping[NodePath, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.disciplines)

    def nodes(self) -> Iterator[NodePath]:
        """Fields, sub-fields and disciplines, each before what belongs to it."""
        seen: set[NodePath] = set()
        for discipline in self.disciplines:
            for depth in range(1, len(discipline.path) + 1):
                if (path := discipline.path[:depth]) not in seen:
                    seen.add(path)
                    yield path

    def without(self, removed: Iterable[NodePath]) -> "Tree":
        """The tree without some nodes and all that belongs to them."""
        gone = {tuple(map(folded, path)) for path in removed}

        def stays(path: NodePath) -> bool:
            names = tuple(map(folded, path))
            return not any(names[:depth] in gone for depth in range(1, len(names) + 1))

        quotas = {path: quota for path, quota in self.quotas.items() if stays(path)}
        return Tree(tuple(d for d in self.disciplines if stays(d.path)), quotas)

    def find(self, name: str) -> list[NodePath]:
        """The nodes, subjects included, that a text names: a whole path joined by " > ", or the last name of one."""
        paths = [*self.nodes()]
        paths += [(*d.path, subject.name) for d in self.disciplines for subject in d.node.subjects]
        wanted = tuple(map(folded, name.split(SEPARATOR)))
        return [p for p in paths if tuple(map(folded, p)) == wanted or (folded(p[-1]),) == wanted]

    def document(self) -> dict[str, Any]:
        """The tree as data for a file; what is empty is left out."""
        fields: dict[str, dict[str, Any]] = {}
        alone: list[Any] = []
        for discipline in self.disciplines:
            data = _plain(discipline.node)
            if not discipline.field:
                alone.append(data)
                continue
            place = fields.setdefault(discipline.field, {"field": discipline.field, **self._quota(discipline.field)})
            if discipline.sub_field:
                path = (discipline.field, discipline.sub_field)
                parts = place.setdefault("sub_fields", {})
                place = parts.setdefault(path[1], {"sub_field": path[1], **self._quota(*path)})
            place.setdefault("disciplines", []).append(data)
        listed = [{**f, "sub_fields": [*f["sub_fields"].values()]} if "sub_fields" in f else f for f in fields.values()]
        return {**({"fields": listed} if listed else {}), **({"disciplines": alone} if alone else {})}

    def _quota(self, *path: str) -> dict[str, int]:
        return {"quota": self.quotas[path]} if path in self.quotas else {}

    def __repr__(self) -> str:
        subjects = [subject for d in self.disciplines for subject in d.node.subjects]
        syllabi = sum(subject.syllabus is not None for subject in subjects)
        digest = hashlib.sha256(json.dumps(self.document(), sort_keys=True).encode("utf-8", "surrogatepass"))
        counts = f"{len(self)} disciplines, {len(subjects)} subjects, {syllabi} syllabi"
        return f"<tree of {counts}, sha256 {digest.hexdigest()[:12]}>"

    def __deepcopy__(self, memo: dict[int, Any]) -> "Tree":
        return self


def load_tree(source: str | Path | Tree | Sequence[str]) -> Tree:
    """A shipped tree by name, the tree of a YAML or JSON file, or a flat list of disciplines.

    Raises:
        ConfigError: There is no such tree, the file cannot be read, or it is no tree; the message names the place.
    """
    if isinstance(source, Tree):
        return source
    if not isinstance(source, str | Path):
        return tree_of_names(source)
    shipped = sorted(path.stem for path in data_path("glan").glob("*.yaml"))
    path = data_path(f"glan/{source}.yaml") if source in shipped else Path(source)
    if not path.is_file() and path.suffix not in (".yaml", ".yml", ".json"):
        known = (*shipped, "propose")
        raise ConfigError(f"No taxonomy {str(source)!r}. {did_you_mean(str(source), known)} Or give a file's path.")
    try:
        text = path.read_text(encoding="utf-8")
        loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        data = json.loads(text) if path.suffix == ".json" else yaml.load(text, loader)  # a safe one, in C if it can be
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"Cannot read the tree {str(path)!r}: {error}.") from error
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError(f"{path}{line}: not YAML: {error.problem or error}.") from error
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{path}: not {path.suffix[1:].upper()}: {error}.") from error
    try:
        tree = _flat(_File.model_validate(data))
    except ValidationError as error:
        lines = [f"{path}: {_place(data, found['loc'])}: {found['msg']}, got {found['input']!r:.80}." for found in
                 error.errors()[:5]]  # fmt: skip
        raise ConfigError("\n".join(lines)) from None
    if not tree.disciplines:
        raise ConfigError(
            f"{path} has no disciplines: a tree starts like `fields: [{{field: ..., disciplines: ...}}]`."
        )
    return tree


def save_tree(tree: Tree, path: str | Path) -> None:
    """Write a tree for a person to edit, as YAML, or as JSON if the name ends so (much faster for large ones).

    Raises:
        ConfigError: The name ends otherwise, or the file cannot be written.
    """
    path = Path(path)
    if path.suffix not in (".yaml", ".yml", ".json"):
        raise ConfigError(f"A tree is saved as .yaml or .json, got {str(path)!r}.")
    if path.suffix == ".json":
        text = json.dumps(tree.document(), ensure_ascii=False, indent=1)
    else:
        text = yaml.dump(tree.document(), Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=110)
    try:
        path.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise ConfigError(f"Cannot write {str(path)!r}: {error.strerror or error}.") from error


def tree_of_names(names: Iterable[str]) -> Tree:
    """A tree of disciplines alone.

    Raises:
        ConfigError: There are none, or one is not a text.
    """
    names = list(names)
    if not names or not all(isinstance(name, str) and name.strip() for name in names):
        raise ConfigError(f"A taxonomy is a name, a file, a tree, or a list of names of disciplines; got {names!r}.")
    return _flat(_File(disciplines=tuple(DisciplineNode(name=tidy(name)) for name in names)))


def tree_of_places(seeds: Iterable[Mapping[str, Any]]) -> Tree:
    """A tree of disciplines that a user gave as seeds, with or without their fields.

    Raises:
        ConfigError: A seed has no discipline, or something is not a text.
    """
    found = []
    for number, seed in enumerate(seeds):
        place = [seed.get(name) or "" for name in ("field", "sub_field", "discipline")]
        if not all(isinstance(name, str) for name in place) or not place[2].strip():
            raise ConfigError(
                f"Seed {number} of GLAN is {dict(seed)!r:.200}: a seed has a `discipline`, and a `field` and "
                "`sub_field` if you like; or a `step`, and is asked as it is."
            )
        field_, part, name = map(tidy, place)
        found.append(Discipline(field_, part if field_ else "", DisciplineNode(name=name)))
    return Tree(_unique(found))


def merged(proposals: Iterable[Sequence[ProposedField]]) -> Tree:
    """One tree of several proposals: what any of them has is in it, once, where it was named first."""
    found: list[Discipline] = []
    fields: dict[str, str] = {}
    parts: dict[tuple[str, str], str] = {}
    for proposal in proposals:
        for proposed in proposal:
            name = fields.setdefault(folded(proposed.field), tidy(proposed.field))
            for part in proposed.sub_fields:
                key = (folded(name), folded(part.sub_field))
                sub_field = parts.setdefault(key, tidy(part.sub_field))
                names = [tidy(text) for text in part.disciplines]
                found += [Discipline(name, sub_field, DisciplineNode(name=text)) for text in names if text and name]
    return Tree(_unique(found))


def outline(sessions: Sequence[Session]) -> str:
    """Sessions as a text."""
    lines = [f"Session {number}: {s.name}. Key concepts: {', '.join(s.key_concepts)}." for number, s in
             enumerate(sessions, 1)]  # fmt: skip
    return "\n".join(lines)


def _flat(file: _File) -> Tree:
    found: list[Discipline] = [Discipline("", "", node) for node in file.disciplines]
    quotas: dict[NodePath, int | None] = {}
    for top in file.fields:
        quotas[(top.field,)] = top.quota
        found += [Discipline(top.field, "", node) for node in top.disciplines]
        for part in top.sub_fields:
            quotas[top.field, part.sub_field] = part.quota
            found += [Discipline(top.field, part.sub_field, node) for node in part.disciplines]
    unique = _unique(found)
    for discipline in unique:
        quotas[discipline.path] = discipline.node.quota
        for subject in discipline.node.subjects:
            quotas[*discipline.path, subject.name] = subject.quota
    return Tree(unique, {path: quota for path, quota in quotas.items() if quota is not None})


def _unique(disciplines: Iterable[Discipline]) -> tuple[Discipline, ...]:
    """Each discipline once, where it stands first; its other places are its aliases, their subjects its own."""
    found: dict[str, Discipline] = {}
    for discipline in disciplines:
        key = folded(discipline.node.name)
        if (first := found.get(key)) is None:
            found[key] = Discipline(discipline.field, discipline.sub_field, _clean(discipline.node))
            continue
        place = SEPARATOR.join(discipline.path)
        known, more = first.node, discipline.node
        changes: dict[str, Any] = {"subjects": _unique_subjects((*known.subjects, *more.subjects))}
        if folded(place) not in map(folded, (SEPARATOR.join(first.path), *known.aliases)):
            changes["aliases"] = (*known.aliases, place)
        found[key] = Discipline(first.field, first.sub_field, known.model_copy(update=changes))
    return tuple(found.values())


def _clean(node: DisciplineNode) -> DisciplineNode:
    return node.model_copy(update={"subjects": _unique_subjects(node.subjects)}) if node.subjects else node


def _unique_subjects(subjects: Iterable[SubjectNode]) -> tuple[SubjectNode, ...]:
    found: dict[str, SubjectNode] = {}
    for subject in subjects:
        syllabus = subject.syllabus
        if syllabus is not None:
            syllabus = syllabus.model_copy(update={"sessions": merged_sessions(syllabus.sessions)})
        clean = subject.model_copy(update={"level": level_of(subject.level), "syllabus": syllabus})
        found.setdefault(folded(subject.name), clean)
    return tuple(found.values())


def _plain(node: DisciplineNode) -> Any:
    data = node.model_dump(mode="json", exclude_defaults=True)
    return node.name if set(data) == {"name"} else data


def _place(data: Any, location: tuple[int | str, ...]) -> str:
    """A place of a file in words: the keys, and for an entry of a list its name where it has one."""
    words = []
    for part in location:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            data = None
        name = data.get("name") or data.get("field") or data.get("sub_field") if isinstance(data, dict) else None
        words.append(f"[{part} {name!r}]" if isinstance(part, int) and name else str(part))
    return ".".join(words).replace(".[", "[") or "the file"


_Fast: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _Dumper(_Fast):
    """Long texts over several lines, as a person would write them."""


def _text(dumper: Any, text: str) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def subject_of(entry: Subject) -> SubjectNode:
    """A subject as an LM gave it, as a node."""
    return SubjectNode(name=entry.name, level=level_of(entry.level), subtopics=tuple(entry.subtopics))
