"""The tag tree of Condor: read from YAML, grown by what a run found, written back for editing by hand.

A tag is known by its path from the root, since names repeat under different parents (737 distinct names in 811 leaves
of the authors' sample). Tags are kept in flat arrays, so that a tree of 100,000 takes some tens of megabytes.
"""

import hashlib
import json
import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from synthwright.errors import ConfigError, did_you_mean
from synthwright.programs.base import data_path
from synthwright.signatures.condor import TreeStep

__all__ = ["ARROW", "Tree", "folded", "load_tree", "path_of"]

ARROW = " > "
"""Between the tags of a path in prompts and in files."""

_DONE, _TREND = 1, 2
_SHIPPED = {"everyday": "condor/tree.yaml"}
_PLAIN = re.compile(r"[^\W\d_][\w &'/,()+.–-]*(?<![ ])")


class Tree:
    """Tags by path.

    A tag is *done* if it was expanded, or its file says `[]`: it is not expanded (again). Do not change a tree that a
    generator was made with; `grown` gives another one.

    Attributes:
        language: Language of the tags, as the file says; may be empty.
    """

    def __init__(self, language: str = "") -> None:
        self.language = language
        self._names: list[str] = []
        self._parents, self._depths, self._children = array("l"), array("H"), array("L")
        self._marks = bytearray()
        self._index: dict[tuple[int, str], int] = {}
        self._digest = ""

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        roots = sum(depth == 1 for depth in self._depths)
        return f"<Tree of {len(self)} tags, {roots} roots, depth {self.depth}, sha256 {self.digest[:12]}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tree) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Tree":
        return self  # a generator's tree is not changed

    @property
    def digest(self) -> str:
        """SHA-256 of the tags, their order and marks."""
        if not self._digest:
            text = json.dumps([self.language, self._names, list(self._parents), list(self._marks)])
            self._digest = hashlib.sha256(text.encode()).hexdigest()
        return self._digest

    @property
    def depth(self) -> int:
        """Length of the longest path."""
        return max(self._depths, default=0)

    def add(self, parent: int | None, name: str, *, trend: bool = False) -> int:
        """Put a tag under another one, or among the roots; one that is there already stays. Returns its number."""
        above = -1 if parent is None else parent
        key = (above, folded(name))
        number = self._index.get(key)
        if number is None:
            number = self._index[key] = len(self._names)
            self._names.append(name)
            self._parents.append(above)
            self._depths.append(1 if above < 0 else self._depths[above] + 1)
            self._children.append(0)
            self._marks.append(_TREND if trend else 0)
            if above >= 0:
                self._children[above] += 1
        self._digest = ""
        return number

    def add_path(self, path: Sequence[str], *, trend: bool = False) -> int:
        """Put a whole path into the tree; only its last tag is marked as a trend. Returns the number of that tag."""
        number: int | None = None
        for place, name in enumerate(path, 1):
            number = self.add(number, name, trend=trend and place == len(path))
        if number is None:
            raise ConfigError("A tag path has one tag or more, got none.")
        return number

    def find(self, path: Sequence[str]) -> int | None:
        """The number of a tag by its path, or None."""
        number = -1
        for name in path:
            found = self._index.get((number, folded(name)))
            if found is None:
                return None
            number = found
        return number if path else None

    def path(self, number: int) -> tuple[str, ...]:
        """The path of a tag, from the root down."""
        names = []
        while number >= 0:
            names.append(self._names[number])
            number = self._parents[number]
        return tuple(reversed(names))

    def below(self, path: Sequence[str] = ()) -> list[str]:
        """Names of the tags directly below a path; of the roots for an empty one."""
        number = self.find(path) if path else -1
        return [self._names[i] for i, parent in enumerate(self._parents) if parent == number]

    def is_trend(self, number: int) -> bool:
        """Whether a tag came from a list of trending topics."""
        return bool(self._marks[number] & _TREND)

    def unexpanded(self, level: int) -> list[int]:
        """Numbers of the tags at a level, from 1, that have nothing below them and are neither done nor trends."""
        return [
            i for i, depth in enumerate(self._depths) if depth == level and not self._children[i] and not self._marks[i]
        ]

    def leaves(self, level: int) -> list[int]:
        """Numbers of the tags without any below them that are at a level or deeper, done, or trends.

        If there are none, all tags without any below them.
        """
        bare = [i for i, count in enumerate(self._children) if not count]
        return [i for i in bare if self._depths[i] >= level or self._marks[i]] or bare

    def grown(self, steps: Iterable[TreeStep]) -> "Tree":
        """A tree with the tags that a run found. Steps for a path that is not there are passed over."""
        tree = Tree(self.language)
        for name in ("_names", "_parents", "_depths", "_children", "_marks"):
            setattr(tree, name, getattr(self, name)[:])
        tree._index = dict(self._index)
        for step in steps:
            number = tree.find(step.path)
            if number is None and step.path:
                continue
            if step.kind == "place":
                if step.settled and number is not None:
                    tree.add(number, step.tags[0], trend=True)
                continue
            if number is not None:
                tree._marks[number] |= _DONE
            for name in step.tags:
                tree.add(number, name)
        return tree

    def save(self, path: str | Path) -> None:
        """Write the tree as a YAML file that `load_tree` reads, to be edited by hand."""
        below: dict[int, list[int]] = {}
        for number, parent in enumerate(self._parents):
            below.setdefault(parent, []).append(number)
        head = [f"language: {_scalar(self.language)}"] if self.language else []
        text = "\n".join([*head, "tags:" if below else "tags: {}", *self._lines(below, -1, 1)])
        Path(path).write_text(text + "\n", encoding="utf-8")

    def _lines(self, below: dict[int, list[int]], above: int, level: int) -> Iterator[str]:
        numbers = below.get(above, [])
        listed = not any(number in below or self._marks[number] & _DONE for number in numbers) and level > 1
        for number in numbers:
            name = f"{'  ' * level}{'- ' if listed else ''}{'!trend ' if self.is_trend(number) else ''}" + _scalar(
                self._names[number]
            )
            if listed:
                yield name
            elif number in below:
                yield f"{name}:"
                yield from self._lines(below, number, level + 1)
            else:
                yield f"{name}: {'[]' if self._marks[number] & _DONE else ''}".rstrip()


def load_tree(tree: "str | Path | Tree") -> Tree:
    """The shipped tree `everyday`, an empty one for `none`, the tree of a YAML file, or a tree as it is.

    The file has `tags`, a mapping from each root to what is below it (a mapping, a list of names, `[]` for a tag that
    is never expanded, or nothing), and may have `language`.

    Raises:
        ConfigError: No such tree, or the file is not one; the message names file and line.
    """
    if isinstance(tree, Tree):
        return tree
    if tree == "none":
        return Tree()
    if str(tree) in _SHIPPED:
        return _shipped(str(tree))
    path = Path(tree)
    if not path.is_file() and path.suffix not in (".yaml", ".yml"):
        raise ConfigError(f"No tag tree {str(tree)!r}. {did_you_mean(str(tree), _SHIPPED)} Or give a YAML file's path.")
    return _read(path)


def path_of(value: Any, place: str) -> tuple[str, ...]:
    """A tag path from a list of names or a text such as `Cooking > Bread`.

    Args:
        value: What a user wrote.
        place: Where, for the error.

    Raises:
        ConfigError: It is neither, or a name is empty.
    """
    names = value.split(ARROW.strip()) if isinstance(value, str) else value
    if isinstance(names, Sequence) and names and all(isinstance(name, str) and name.strip() for name in names):
        return tuple(" ".join(name.split()) for name in names)
    raise ConfigError(f"{place}: a tag path is a list of names or a text such as 'Cooking > Bread', got {value!r}.")


def folded(name: str) -> str:
    """A name as it is compared: case and white space do not count."""
    return " ".join(name.casefold().split())


@cache
def _shipped(name: str) -> Tree:
    return _read(data_path(_SHIPPED[name]))


def _read(path: Path) -> Tree:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # without libyaml a large tree takes a minute
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=loader)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"Cannot read the tag tree {str(path)!r}: {error}.") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"The tag tree {str(path)!r} is not YAML: {error}.") from error
    parts = {key.value: value for key, value in root.value} if isinstance(root, yaml.MappingNode) else {}
    if "tags" not in parts or set(parts) - {"tags", "language"}:
        raise ConfigError(
            f"{path}: a tag tree has `tags`, and may have `language`; it has {', '.join(parts) or 'none'}."
        )
    language = parts.get("language")
    tree = Tree(language.value if isinstance(language, yaml.ScalarNode) else "")
    _take(tree, None, parts["tags"], path)
    if not len(tree):
        tags = "tags: {Cooking: [Bread, Soups]}"
        raise ConfigError(f"{path}: the tag tree is empty; write for example `{tags}`.")
    return tree


def _take(tree: Tree, parent: int | None, node: yaml.Node, path: Path) -> None:
    """Take over what stands below a tag."""
    if isinstance(node, yaml.MappingNode):
        entries = list(node.value)
    elif isinstance(node, yaml.SequenceNode):
        entries = [(item, None) for item in node.value]
        if not entries and parent is not None:
            tree._marks[parent] |= _DONE
    elif node.tag.endswith(":null") or not node.value:
        return
    else:
        entries = [(node, None)]  # `Cooking: Bread`
    for key, value in entries:
        line = key.start_mark.line + 1
        if isinstance(key, yaml.MappingNode) and value is None:  # `- Bread: [Rye]` in a list
            _take(tree, parent, key, path)
            continue
        if not isinstance(key, yaml.ScalarNode) or not key.value.strip():
            raise ConfigError(f"{path}, line {line}: a tag is a name, such as `Bread`.")
        if tree._index.get((-1 if parent is None else parent, folded(key.value))) is not None:
            raise ConfigError(f"{path}, line {line}: the tag {key.value!r} is there twice under one parent.")
        number = tree.add(parent, " ".join(key.value.split()), trend=key.tag == "!trend")
        if value is not None:
            _take(tree, number, value, path)


def _scalar(name: str) -> str:
    """A name as YAML, in quotes only if it must be."""
    return name if _PLAIN.fullmatch(name) else json.dumps(name, ensure_ascii=False)
