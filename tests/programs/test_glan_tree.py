import json
from collections import Counter

import pytest
import yaml

import synthwright as sw
from synthwright.errors import ConfigError, RunMismatchError
from synthwright.programs.glan import GLAN
from synthwright.programs.glan_tree import Tree, load_tree, save_tree
from synthwright.signatures.rows import Row
from synthwright.testing import ScriptedLM

ANSWERS = {
    "list_subjects": lambda call: {"subject_list": f"1. {call['discipline']} one, beginner: alpha, beta."},
    "design": lambda call: {
        "syllabus": f"Session 1: {call['subject']}. Key concepts: a1, b1, c1.\nSession 2: Use. Key concepts: a2, b2."
    },
    "write": lambda call: {"question": f"Explain {call['key_concepts']} of {call['sessions']} in your own words."},
    "screen": {"verdict": "harmless"},
    "answer": {"answer": "It is so."},
}
FILE = """
fields:
- field: Sciences
  quota: 12
  sub_fields:
  - sub_field: Life
    disciplines:
    - Botany
    - name: Zoology
      quota: 2
      subjects:
      - Insects
      - name: Birds
        level: 300
        syllabus:
          sessions:
          - {name: Wings, key_concepts: [feather, lift, Feather]}
          - {name: wings, key_concepts: [glide]}
          - {name: Eggs, key_concepts: [shell]}
  disciplines: [Heraldry]
disciplines: [Carpentry, botany]
"""


def run_of(out, taxonomy, n=None, **arguments):
    lm = ScriptedLM(ANSWERS)
    generator = GLAN(taxonomy, near_duplicates=None, check_answers=False, subject_queries=1, **arguments)
    run = sw.generate(generator, n=n, out=out, lms=lm)
    return run, generator, Counter(call.predictor for call in lm.calls)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "tree.yaml"
    path.write_text(FILE)
    return path


def test_a_tree_is_read_to_any_depth_with_repeated_names_merged(file):
    tree = load_tree(file)
    assert [d.path for d in tree.disciplines] == [
        ("Carpentry",),
        ("botany",),
        ("Sciences", "Heraldry"),
        ("Sciences", "Life", "Zoology"),
    ]
    assert tree.disciplines[1].node.aliases == ("Sciences > Life > Botany",)
    insects, birds = tree.disciplines[3].node.subjects
    assert (insects.name, insects.syllabus, birds.level) == ("Insects", None, "intermediate")
    assert birds.syllabus and [(s.name, s.key_concepts) for s in birds.syllabus.sessions] == [
        ("Wings", ["feather", "lift", "glide"]),
        ("Eggs", ["shell"]),
    ]
    assert birds.syllabus.whole().splitlines()[0] == "Session 1: Wings. Key concepts: feather, lift, glide."
    assert tree.quotas == {("Sciences",): 12, ("Sciences", "Life", "Zoology"): 2}


@pytest.mark.parametrize("name", ["again.yaml", "again.json"])
def test_a_saved_tree_is_read_back_the_same(name, file, tmp_path):
    tree = load_tree(file)
    save_tree(tree, tmp_path / name)
    again = load_tree(tmp_path / name)
    assert again.document() == tree.document() and repr(again) == repr(tree) and dict(again.quotas) == tree.quotas


def test_what_a_run_has_grown_is_saved_and_started_from_without_repeating_anything(tmp_path):
    run, generator, calls = run_of(tmp_path / "first", ["Botany", "Carpentry"], n=12)
    assert calls["list_subjects"] == 2 == calls["design"]
    save_tree(generator.tree(run.artifacts(Row)), tmp_path / "grown.yaml")
    again, _, calls = run_of(tmp_path / "second", tmp_path / "grown.yaml", n=12)
    assert not calls["list_subjects"] and not calls["design"] and len(again) == 12
    asked = {(row.discipline, row.subject, row.key_concepts) for row in (*run, *again)}
    assert len(asked) == 24


def test_a_person_may_edit_the_file_between_two_runs(tmp_path):
    run, generator, _ = run_of(tmp_path / "grow", ["Botany", "Carpentry"], until="syllabi")
    assert run.stopped == "the tree has grown to its syllabi: 2 disciplines, 2 subjects, 2 syllabi"
    path = tmp_path / "tree.yaml"
    save_tree(generator.tree(run.artifacts(Row)), path)
    data = yaml.safe_load(path.read_text())
    botany, carpentry = data["disciplines"]
    botany["subjects"][0]["syllabus"]["sessions"] = [{"name": "Roots", "key_concepts": ["hair"]}]
    botany["subjects"].append({"name": "Stems"})
    carpentry["quota"] = 0
    path.write_text(yaml.safe_dump(data))
    edited, _, calls = run_of(tmp_path / "edited", path, n=5)
    assert {row.discipline for row in edited} == {"Botany"} and calls["design"] == 1
    assert {(row.subject, row.key_concepts) for row in edited if row.subject == "Botany one"} == {
        ("Botany one", ("hair",))
    }
    assert "Stems" in {row.subject for row in edited}


def test_subjects_written_by_hand_are_complete_and_nothing_more_is_asked_for(file, tmp_path):
    _, _, calls = run_of(tmp_path / "run", file, until="subjects")
    assert calls["list_subjects"] == 3  # Carpentry, botany, Heraldry, and not Zoology


def test_quotas_of_the_file_hold_for_a_node_and_all_below_it(file, tmp_path):
    run, _, _ = run_of(tmp_path / "run", file, n=40, quotas={"botany": 3})
    counts = Counter(row.discipline for row in run)
    assert counts["Zoology"] == 2 and counts["Heraldry"] == 10 and counts["botany"] == 3
    assert len(run) == 40 and counts["Carpentry"] == 25


def test_the_file_need_not_end_where_it_was_grown_and_position_counts_survive(tmp_path):
    run, generator, _ = run_of(tmp_path / "first", ["Botany"], n=5, questions_per_subject=5)
    tree = generator.tree(run.artifacts(Row))
    (subject,) = tree.disciplines[0].node.subjects
    assert subject.syllabus and subject.syllabus.asked == 5 and tree.disciplines[0].node.queries == 1


def test_a_tree_that_changed_is_another_run(file, tmp_path):
    run_of(tmp_path / "run", file, n=2)
    file.write_text(FILE.replace("Heraldry", "Numismatics"))
    with pytest.raises(RunMismatchError, match=r"arguments\.taxonomy"):
        run_of(tmp_path / "run", file, n=2)


def test_the_repr_of_a_large_tree_is_short():
    assert len(repr(load_tree("disciplines"))) < 100
    assert repr(load_tree(["a"])) != repr(load_tree(["b"]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fields: [", "line 2: not YAML"),
        ("fields: [{field: A, disciplines: [{nme: Botany}]}]", "nme"),
        ("fields: [{field: A, disciplines: [{name: Botany, quota: -1}]}]", r"\[0 'Botany'\].quota.*got -1"),
        ("disciplines: []", "no disciplines"),
        ("- Botany", "the file"),
        ("disciplines: [{name: B, subjects: [{name: x, syllabus: {sessions: [{name: y}]}}]}]", "key_concepts"),
    ],
)
def test_a_file_that_is_no_tree_is_refused_with_its_place(text, message, tmp_path):
    path = tmp_path / "tree.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_tree(path)


def test_files_that_cannot_be_read_or_written_are_named(tmp_path):
    with pytest.raises(ConfigError, match=r"Cannot read the tree .*none\.yaml"):
        load_tree(tmp_path / "none.yaml")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(ConfigError, match="not JSON"):
        load_tree(tmp_path / "bad.json")
    with pytest.raises(ConfigError, match=r"\.yaml or \.json, got .*tree\.txt"):
        save_tree(load_tree(["a"]), tmp_path / "tree.txt")
    with pytest.raises(ConfigError, match="Cannot write"):
        save_tree(load_tree(["a"]), tmp_path / "none" / "tree.json")


def test_texts_of_an_lm_do_not_break_the_file(tmp_path):
    texts = ["a: b", "- x", "{y}", "Ünï\u2028cödé", "'quoted'", "yes", "\ud800half", "line\nbreak"]
    tree = Tree(load_tree(["A"]).disciplines)
    nodes = load_tree(texts).disciplines
    for name in ("t.yaml", "t.json"):
        save_tree(Tree((*tree.disciplines, *nodes)), tmp_path / name)
        assert len(load_tree(tmp_path / name)) == 1 + len(nodes)
    assert json.loads((tmp_path / "t.json").read_text())["disciplines"][1] == "a: b"
