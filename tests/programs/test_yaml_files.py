import pytest
from pydantic import Field, model_validator

from synthwright.errors import ConfigError
from synthwright.programs.blocks.yaml_files import Part, misfit, read_task, read_yaml, shipped_tasks


class Leaf(Part):
    word: str
    size: int = Field(default=1, ge=1)


class Tree(Part):
    name: str
    leaves: tuple[Leaf, ...] = ()
    by_name: dict[str, Leaf] = Field(default_factory=dict)
    best: Leaf | None = None

    @model_validator(mode="after")
    def _no_moss(self) -> "Tree":
        for number, leaf in enumerate(self.leaves):
            if leaf.word == "moss":
                raise misfit("moss has no leaves.", ("leaves", number, "word"))
        return self


def read(tmp_path, text):
    path = tmp_path / "tree.yaml"
    path.write_text(text, encoding="utf-8")
    return read_yaml(path, Tree)


def test_a_file_becomes_a_model(tmp_path):
    assert read(tmp_path, "name: oak\nleaves: [{word: green, size: 2}]\n").leaves[0].size == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: oak\nleaves:\n  - word: a\n  - wrd: b\n", r"line 4: unknown key 'wrd'. Did you mean 'word'"),
        ("name: oak\nby_name:\n  x: {word: a}\n  y: {sise: 3}\n", r"line 4: unknown key 'sise'. Did you mean 'size'"),
        ("name: oak\nbest:\n  wordd: a\n", r"line 3: unknown key 'wordd'. Did you mean 'word'"),
        ("nme: oak\n", r"line 1: unknown key 'nme'. Did you mean 'name'"),
        ("leaves: []\n", r"line 1: name: this key is missing"),
        ("name: oak\nleaves:\n  - word: moss\n", r"line 3: leaves\[0\].word: moss has no leaves"),
        ("name: oak\nleaves:\n  - word: a\n    size: 0\n", r"line 4: leaves\[0\].size: input should be greater"),
        ("name: yes\n", r"line 1: name: YAML reads this as True, not as text: put it in quotes"),
        ("name: oak\nname: elm\n", r"line 2: the key 'name' is there twice"),
        ("name: [oak\n", r"line \d+: not YAML"),
        ("- oak\n", r"a task file is a mapping that starts like `name: my_task`"),
    ],
)
def test_a_mistake_is_named_with_file_line_and_key(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message) as caught:
        read(tmp_path, text)
    assert str(tmp_path / "tree.yaml") in str(caught.value)


def test_all_mistakes_are_named_at_once(tmp_path):
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, "nme: oak\nleaves: [{wrd: a}]\n")
    assert len(str(caught.value).splitlines()) == 4  # two keys unknown, two missing


def test_a_task_is_found_by_its_name_or_its_path(tmp_path):
    assert "rte" in shipped_tasks("targen")
    with pytest.raises(ConfigError, match=r"No task 'rtee'\. Did you mean 'rte'"):
        read_task("rtee", Tree, "targen")
    with pytest.raises(ConfigError, match="Cannot read the task file"):
        read_task(tmp_path / "none.yaml", Tree, "targen")
