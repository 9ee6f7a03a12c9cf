import inspect
import json
from collections import Counter
from typing import Any

import pytest

import synthwright as sw
from synthwright.errors import ConfigError, TruncatedResponseError
from synthwright.pool import Pool
from synthwright.programs.base import data_path, read_jsonl
from synthwright.programs.condor import Condor
from synthwright.programs.condor_checks import CHECKS, REFINED_CHECKS, whole_questions
from synthwright.programs.condor_plan import Combinations
from synthwright.programs.condor_stats import length_log, summary
from synthwright.programs.condor_tasks import TASKS, load_tasks
from synthwright.programs.condor_tree import Tree, load_tree
from synthwright.programs.prompts import signature_of
from synthwright.runs.demonstrations import shipped
from synthwright.runs.store import Store
from synthwright.signatures.condor import LEVELS, CondorRow, Critique, TreeStep
from synthwright.signatures.rows import InstructionRow
from synthwright.testing import Reply, ScriptedLM

SEED = {"path": ["Cooking", "Bread", "Rye"], "task": "domain_qa"}
EASY, MEDIUM, HARD = (
    "What makes rye bread dark and dense?",
    "Why does rye dough need sour dough, while wheat dough rises with yeast alone?",
    "My rye loaf has a crack under its crust and is wet inside. Which three causes would you check first, and why?",
)
DRAFT = "Rye flour has little gluten, so the loaf stays dense and dark."
REFINED = "Rye flour has hardly any gluten, and its bran is dark; so the crumb stays close and brown."
CRITIQUE = {
    "strengths": ["It names the gluten."],
    "weaknesses": ["It does not say where the colour comes from."],
    "suggestions": ["Add that the bran of rye is dark."],
}


def levels(reply):
    """A reply of the question call."""
    return {f"{level}_question": text for level, text in reply.items()}


def questions(call):
    """Three questions that no other theme or task has."""
    name = f"{call['theme'].split(' > ')[-1]} {call['task'].split()[0]} {sum(map(ord, call['theme']))}"
    return {
        "easy_question": f"What is known of {name} in a small town, and who told you so?",
        "medium_question": f"Why did bakers trust {name} more than their own noses, and was it wise?",
        "hard_question": f"You have two hours and no money: how would {name} help you to win over five doubters?",
    }


def prefers(text):
    """A judge that prefers the answer with the text, wherever it stands."""

    def judge(call):
        found = [name for name in ("first", "second") if text in call[f"{name}_answer"]]
        return {"better": found[0] if len(found) == 1 else "neither"}

    return judge


def script(**answers):
    return {
        "list_roots": {"more_areas": ["Gardens", "Music"]},
        "expand": lambda call: {"sub_topics": [f"{call['topic_path'].split()[-1]} {n}" for n in range(2)]},
        "place": lambda call: {"area": json.loads(call["areas"])[0]},
        "ask": levels({"easy": EASY, "medium": MEDIUM, "hard": HARD}),
        "answer": {"answer": DRAFT},
        "critique": CRITIQUE,
        "refine": {"improved_answer": REFINED},
        "prefer": prefers("bran"),
        **answers,
    }


def run_of(tmp_path, answers=None, *, seeds: Any = (SEED,), n=None, concurrency=1, **arguments):
    lm = ScriptedLM(script(**(answers or {})))
    arguments = {"near_duplicates": None, **arguments}
    run = sw.generate(
        Condor(**arguments), seeds=seeds and list(seeds), n=n, out=tmp_path, lms=lm, concurrency=concurrency
    )
    return run, lm.calls


def lost(run):
    return [(stage, reason) for stage, reason, count in run.funnel.lost for _ in range(count)]


def made(calls, predictor):
    return [call for call in calls if call.predictor == predictor]


def artifacts(path) -> list[TreeStep]:
    with Store(path) as store:
        return [step for step in store.log("artifacts") if isinstance(step, TreeStep)]


def tree_file(tmp_path, text, name="tree.yaml"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return str(path)


SMALL = "language: en\ntags:\n  Cooking:\n    Bread: [Rye, Costs]\n    Soup: [Broth, Costs]\n"


# The tree


def test_the_shipped_tree_has_the_shape_of_the_authors_sample():
    tree = load_tree("everyday")
    assert (len(tree.below()), len(tree), len(tree.leaves(3)), tree.depth) == (45, 45 + 270 + 810, 810, 3)
    assert all(len(tree.below((root,))) == 6 for root in tree.below())


def test_leaf_names_repeat_and_the_path_is_the_identity(tmp_path):
    tree = load_tree("everyday")
    names = Counter(tree.path(leaf)[-1] for leaf in tree.leaves(3))
    assert names["Costs"] > 3 and len({tree.path(leaf) for leaf in tree.leaves(3)}) == 810 > len(names)
    run, calls = run_of(tmp_path, {"ask": questions}, seeds=None, tree=tree_file(tmp_path, SMALL), tasks=["view"])
    themes = [call["theme"] for call in made(calls, "ask")]
    assert {"Cooking > Bread > Costs", "Cooking > Soup > Costs"} < set(themes) and len(themes) == 4
    assert {row.tag_path for row in run if row.tag_path[-1] == "Costs"} == {
        ("Cooking", "Bread", "Costs"),
        ("Cooking", "Soup", "Costs"),
    }


def test_a_saved_tree_reads_back_with_its_marks(tmp_path):
    tree = Tree("en")
    tree.add_path(["Yes", "2024: a year", "- odd # name"])
    tree.add_path(["Café", "Größe"], trend=True)
    grown = tree.grown([TreeStep(kind="expand", path=("Yes", "2024: a year", "- odd # name"))])
    grown.save(tmp_path / "t.yaml")
    again = load_tree(tmp_path / "t.yaml")
    assert again == grown and again.language == "en"
    leaf = again.find(("Café", "Größe"))
    assert leaf is not None and again.is_trend(leaf) and not again.is_trend(0)
    assert again.unexpanded(3) == [] and tree.unexpanded(3) == [2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tags:\n  A: [B, C]\n  A: [D]\n", "line 3: the tag 'A' is there twice"),
        ("tags:\n  A: [B, b]\n", "line 2: the tag 'b' is there twice"),
        ("tags:\n  A: [B, [C]]\n", "line 2: a tag is a name"),
        ("A: [B]\n", "a tag tree has `tags`"),
        ("- A\n", "a tag tree has `tags`"),
        ("tags: {A: [}\n", "is not YAML"),
        ("tags:\n", "the tag tree is empty"),
    ],
)
def test_a_file_that_is_no_tree_is_refused_with_its_line(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        load_tree(tree_file(tmp_path, text))


def test_no_such_tree_is_an_error_that_suggests_one():
    with pytest.raises(ConfigError, match=r"No tag tree 'everyda'.*everyday"):
        Condor(tree="everyda")
    with pytest.raises(ConfigError, match="set `roots`"):
        Condor(tree="none")


# 1a Root tags


def test_root_tags_are_listed_until_there_are_as_many_as_wanted(tmp_path):
    replies = iter([["1. Gardens", "gardens", "Cooking.", "Other"], ["Music", "Law", "Sport"]])
    answers = {"list_roots": lambda call: {"more_areas": next(replies)}, "ask": questions}
    run, calls = run_of(
        tmp_path,
        answers,
        seeds=None,
        tree=tree_file(tmp_path, SMALL),
        roots=4,
        depth=1,
        tasks=["view"],
        until="questions",
    )
    assert [(call["known_areas"], call["how_many"]) for call in made(calls, "list_roots")] == [
        ('["Cooking"]', "3"),
        ('["Cooking", "Gardens"]', "2"),
    ]
    assert Counter(reason for stage, reason in lost(run) if stage == "list_roots") == {
        "repeated": 2,
        "over_generic": 1,
        "surplus": 1,
    }
    assert {"Gardens", "Music", "Law"} < {row.tag_path[0] for row in run}


def test_without_any_tree_the_lm_lists_the_roots_and_a_reply_without_new_ones_ends_that(tmp_path):
    replies = iter([["Music", "Law"], ["music"]])
    answers = {"list_roots": lambda call: {"more_areas": next(replies)}}
    run, calls = run_of(tmp_path, answers, seeds=None, tree="none", roots=9, depth=1, until="tree")
    assert len(made(calls, "list_roots")) == 2 and run.stopped == "the tag tree is grown"
    assert load_tree("none").grown(artifacts(tmp_path)).below() == ["Music", "Law"]


# 1b Expansion


def test_tags_are_expanded_level_by_level_by_their_path(tmp_path):
    tree = tree_file(tmp_path, "tags: {Cooking: [Bread, Soup]}")
    run, calls = run_of(tmp_path, seeds=None, tree=tree, depth=4, branches=2, until="tree")
    assert [call["topic_path"] for call in made(calls, "expand")][:4] == [
        "Cooking > Bread",
        "Cooking > Soup",
        "Cooking > Bread > Bread 0",
        "Cooking > Bread > Bread 1",
    ]
    grown = load_tree(tree).grown(artifacts(tmp_path))
    assert grown.depth == 4 and len(grown.leaves(4)) == 8 and len(run) == 0 and run.complete


@pytest.mark.parametrize(
    ("tag", "reason"),
    [
        ("Bread", "names_path"),
        ("cooking", "names_path"),
        ("Other topics", "over_generic"),
        ("Miscellaneous", "over_generic"),
        ("Here are some topics that you could look into today", "prose"),
        ("rye", "repeated"),
        ("...", "empty_tag"),
    ],
)
def test_a_tag_that_is_none_is_dropped_and_the_others_stay(tmp_path, tag, reason):
    answers = {"expand": {"sub_topics": ["1. Rye", tag, "**Spelt**"]}}
    run, _ = run_of(tmp_path, answers, seeds=None, tree=tree_file(tmp_path, "tags: {Cooking: [Bread]}"), until="tree")
    assert lost(run) == [("expand", reason)]
    assert load_tree(tmp_path / "tree.yaml").grown(artifacts(tmp_path)).below(("Cooking", "Bread")) == ["Rye", "Spelt"]


def test_the_paper_drops_no_tag_but_copies_and_those_of_the_path(tmp_path):
    answers = {"expand": {"sub_topics": ["Other", "other", "Cooking"]}}
    tree = tree_file(tmp_path, "tags: {Cooking: [Bread]}")
    run, _ = run_of(tmp_path, answers, seeds=None, tree=tree, until="tree", check_tags=False)
    assert sorted(lost(run)) == [("expand", "names_path"), ("expand", "repeated")]


@pytest.mark.parametrize("reply", ["I would say bread and soup.", {"sub_topics": []}, {"sub_topics": ["Bread"]}])
def test_an_expansion_without_tags_leaves_a_leaf_and_is_not_asked_again(tmp_path, reply):
    tree = tree_file(tmp_path, "tags: {Cooking: [Bread, {Soup: [Broth]}]}")
    run, calls = run_of(tmp_path, {"expand": reply, "ask": questions}, seeds=None, tree=tree, tasks=["view"], n=6)
    assert len(made(calls, "expand")) == 1
    assert {row.tag_path for row in run} == {("Cooking", "Bread"), ("Cooking", "Soup", "Broth")}


def test_one_list_entry_with_several_lines_is_taken_apart(tmp_path):
    answers = {"expand": {"sub_topics": ["1. Rye\n2. Spelt\n- White"]}}
    run_of(tmp_path, answers, seeds=None, tree=tree_file(tmp_path, "tags: {Cooking: [Bread]}"), until="tree")
    (step,) = artifacts(tmp_path)
    assert step.tags == ("Rye", "Spelt", "White")


def test_a_tag_marked_as_done_is_not_expanded(tmp_path):
    tree = tree_file(tmp_path, "tags:\n  Cooking:\n    Bread: []\n    Soup:\n")
    _, calls = run_of(tmp_path, seeds=None, tree=tree, until="tree")
    assert [call["topic_path"] for call in made(calls, "expand")] == ["Cooking > Soup"]


def test_as_many_tags_are_expanded_as_the_rows_call_for_and_all_by_the_paper(tmp_path):
    tree = tree_file(tmp_path, "tags: {A: [" + ", ".join(f"b{n}" for n in range(30)) + "]}")

    def asked(target, **arguments):
        pool: Pool[CondorRow] = Pool(target=target)
        return len(list(Condor(tree=tree, **arguments).plan(pool)))

    assert (asked(18), asked(3), asked(None), asked(18, expand_all=True)) == (6, 4, 30, 30)
    assert asked(3, until="tree") == 30


def test_a_stored_tree_can_be_edited_by_hand_and_resumed(tmp_path):
    start = tree_file(tmp_path, "tags: {Cooking: [Bread, Soup]}")
    run_of(tmp_path / "first", seeds=None, tree=start, until="tree")
    load_tree(start).grown(artifacts(tmp_path / "first")).save(tmp_path / "stored.yaml")
    text = (tmp_path / "stored.yaml").read_text()
    assert "      - Soup 0\n" in text
    edited = text.replace("      - Soup 0\n", "").replace("      - Bread 1\n", "      - Rye bread\n")
    (tmp_path / "stored.yaml").write_text(edited + "  Music:\n    Choirs:\n")
    stored = str(tmp_path / "stored.yaml")
    run, calls = run_of(tmp_path / "second", {"ask": questions}, seeds=None, tree=stored, tasks=["view"])
    assert [call["topic_path"] for call in made(calls, "expand")] == ["Music > Choirs"]
    assert sorted({" > ".join(row.tag_path) for row in run}) == [
        "Cooking > Bread > Bread 0",
        "Cooking > Bread > Rye bread",
        "Cooking > Soup > Soup 1",
        "Music > Choirs > Choirs 0",
        "Music > Choirs > Choirs 1",
    ]


def test_a_run_does_not_go_on_with_another_tree(tmp_path):
    tree = tree_file(tmp_path, SMALL)
    run_of(tmp_path / "run", {"ask": questions}, seeds=None, tree=tree, tasks=["view"], n=2)
    tree_file(tmp_path, SMALL.replace("Rye", "Spelt"))
    with pytest.raises(ConfigError, match="Tree of 7 tags"):
        run_of(tmp_path / "run", {"ask": questions}, seeds=None, tree=tree, tasks=["view"], n=4)


# 1c Trends


def test_trending_topics_go_down_the_tree_one_level_a_call(tmp_path):
    text = "- topic: Tram   strike\n  source: local paper\n  date: 2025-03-01\n- Plum harvest\n- plum harvest\n"
    trends = tree_file(tmp_path, text, "trends.yaml")
    areas = {"Tram strike": ["none"], "Plum harvest": ["cooking.", "Soup"]}
    answers = {"ask": questions, "place": lambda call: {"area": areas[call["topic"]].pop(0)}}
    run, calls = run_of(
        tmp_path / "run", answers, seeds=None, tree=tree_file(tmp_path, SMALL), tasks=["view"], trends=trends
    )
    assert [(call["topic"], call["areas"]) for call in made(calls, "place")] == [
        ("Tram strike", '["Cooking"]'),
        ("Plum harvest", '["Cooking"]'),
        ("Plum harvest", '["Bread", "Soup"]'),
    ]
    assert lost(run) == [("place", "no_place")]
    assert {row.tag_path for row in run if row.source == "trend"} == {("Cooking", "Soup", "Plum harvest")}
    assert {row.source for row in run} == {"tree", "trend"}


def test_a_topic_that_fits_no_branch_settles_where_it_is_and_an_unreadable_reply_too(tmp_path):
    replies = iter([{"area": "Cooking"}, {"area": "Cooking"}, {"area": "none"}, Reply("Soup", finish_reason="length")])
    answers = {"ask": questions, "place": lambda call: next(replies)}
    trends = tree_file(tmp_path, "Plums\nFigs\n", "trends.txt")
    tree = tree_file(tmp_path, SMALL)
    run_of(tmp_path / "run", answers, seeds=None, tree=tree, until="tree", trends=trends)
    grown = Condor(tree=tree).tree.grown(artifacts(tmp_path / "run"))
    assert grown.below(("Cooking",)) == ["Bread", "Soup", "Plums", "Figs"]


def test_a_topic_stays_under_a_root_without_branches(tmp_path):
    trends = tree_file(tmp_path, "Plums\n", "trends.txt")
    tree = tree_file(tmp_path, "tags: {Cooking: []}")
    run, calls = run_of(tmp_path / "run", {"ask": questions}, seeds=None, tree=tree, tasks=["view"], trends=trends)
    assert len(made(calls, "place")) == 1 and run.rows[0].tag_path == ("Cooking", "Plums")


def test_a_topic_with_a_path_needs_no_call(tmp_path):
    trends = tree_file(tmp_path, "- {topic: Plums, path: Cooking > Jam}", "trends.yaml")
    run, calls = run_of(
        tmp_path / "run",
        {"ask": questions},
        seeds=None,
        tree=tree_file(tmp_path, SMALL),
        tasks=["view"],
        trends=trends,
    )
    assert not made(calls, "place") and not made(calls, "expand")
    assert ("Cooking", "Jam", "Plums") in {row.tag_path for row in run if row.source == "trend"}


@pytest.mark.parametrize(
    ("text", "message"),
    [("a: b", "topics are a list"), ("- {path: A}", "topic 1"), ("- " + "x" * 101, "at most 100")],
)
def test_a_file_that_holds_no_topics_is_refused(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        Condor(trends=tree_file(tmp_path, text, "trends.yaml"))


def test_without_a_trend_source_nothing_is_placed(tmp_path):
    _, calls = run_of(tmp_path, {"ask": questions}, seeds=None, n=3)
    assert not made(calls, "place")
    with pytest.raises(ConfigError, match="Cannot read the topics"):
        Condor(trends=tmp_path / "gone.yaml")


# Planning


def test_combinations_are_all_pairs_once_and_each_prefix_is_balanced():
    pairs = Combinations(20, 7, "x")
    assert len(pairs) == len(set(pairs)) == 140
    for start in range(0, 140, 20):
        assert len({tag for tag, _ in pairs[start : start + 20]}) == 20
    counts = Counter(task for _, task in pairs[:70])
    assert max(counts.values()) - min(counts.values()) <= 2
    assert list(pairs) == list(Combinations(20, 7, "x")) != list(Combinations(20, 7, "y"))
    assert pairs[-1] == pairs[139]
    with pytest.raises(IndexError, match="140 combinations, asked for 140"):
        pairs[140]


@pytest.mark.parametrize("tags", [1, 2, 7, 14])
def test_every_tag_meets_every_task_whatever_their_numbers(tags):
    assert len(set(Combinations(tags, 7, "x"))) == 7 * tags


def test_one_pass_without_a_target(tmp_path):
    tree = tree_file(tmp_path, SMALL)
    run, calls = run_of(tmp_path, {"ask": questions}, seeds=None, tree=tree, until="questions", checks=())
    assert len(made(calls, "ask")) == 4 * 7 and len(run) == 4 * 7 * 3
    assert run.stopped == "each tag was asked once with each task"


def test_a_tree_that_is_exhausted_meets_all_tasks_then_grows_deeper_then_is_drawn_again(tmp_path):
    answers = {"ask": lambda call: levels({"easy": f"What is {call.seed} worth to you in {call['theme']}?"})}
    tree = tree_file(tmp_path, "tags: {Cooking: {Bread: [Rye]}}")
    run, calls = run_of(
        tmp_path,
        answers,
        seeds=None,
        n=8,
        tree=tree,
        tasks=["view", "creation"],
        max_depth=4,
        until="questions",
        branches=2,
    )
    order = [call.predictor if call.predictor == "expand" else call["theme"] for call in calls]
    assert order[:3] == ["Cooking > Bread > Rye", "Cooking > Bread > Rye", "expand"]
    assert Counter(order[3:7]) == {"Cooking > Bread > Rye > Rye 0": 2, "Cooking > Bread > Rye > Rye 1": 2}
    assert len(run) == 8 and len(order) == 9
    assert {row.tag_path[-1] for row in run.rows[6:]} <= {"Rye 0", "Rye 1"}


def test_the_dataset_is_the_same_at_any_concurrency_and_after_a_stop(tmp_path):
    def rows(path, n, concurrency):
        tree = tree_file(tmp_path, "tags: {Cooking: [Bread, Soup, Jam], Music: [Choirs]}")
        run, _ = run_of(
            tmp_path / path,
            {"ask": questions},
            seeds=None,
            n=n,
            concurrency=concurrency,
            tree=tree,
            near_duplicates=0.9,
        )
        return [row.record() for row in run]

    whole = rows("whole", 40, 1)
    assert len(whole) == 40
    assert rows("many", 40, 8) == whole
    rows("stopped", 13, 4)
    assert rows("stopped", 13, 4) == whole[:13]


def test_a_run_that_was_stopped_goes_on_where_it_was(tmp_path):
    tree = tree_file(tmp_path, "tags: {Cooking: [Bread, Soup, Jam], Music: [Choirs]}")
    arguments: dict[str, Any] = {"seeds": None, "tree": tree, "n": 30}
    whole, calls = run_of(tmp_path / "whole", {"ask": questions}, **arguments)
    lm = ScriptedLM(script(ask=questions))
    for budget in (10, 40, 1000):
        run = sw.generate(
            Condor(tree=tree, near_duplicates=None), n=30, out=tmp_path / "x", lms=lm, budget=sw.Budget(calls=budget)
        )
    assert [row.record() for row in run] == [row.record() for row in whole] and len(lm.calls) == len(calls)


# 2 Questions


def test_one_call_gives_three_questions_with_their_difficulties(tmp_path):
    run, calls = run_of(tmp_path)
    assert [(row.difficulty, row.instruction) for row in run] == [("easy", EASY), ("medium", MEDIUM), ("hard", HARD)]
    assert len(made(calls, "ask")) == 1 and len(calls) == 1 + 3 * (1 + 1 + 1 + 2)
    assert {(row.task, row.tag_path, row.language, row.source) for row in run} == {
        ("domain_qa", ("Cooking", "Bread", "Rye"), "en", "tree")
    }


def test_the_paper_takes_ten_calls_for_three_rows(tmp_path):
    lm = ScriptedLM(script())
    run = sw.generate(Condor.preset("faithful"), seeds=[SEED], out=tmp_path, lms=lm)
    assert len(lm.calls) == 10 and len(run) == 3


def test_theme_is_the_path_and_task_the_kind_with_some_of_its_examples(tmp_path):
    _, calls = run_of(tmp_path)
    (call,) = made(calls, "ask")
    task = next(task for task in load_tasks(TASKS) if task.name == "domain_qa")
    assert call["theme"] == "Cooking > Bread > Rye" and call["task"] == task.description
    shown = json.loads(call["examples"])
    assert len(shown) == 3 and set(shown) <= set(task.examples)
    _, calls = run_of(tmp_path / "all", examples=5)
    assert set(json.loads(made(calls, "ask")[0]["examples"])) == set(task.examples)


def test_a_prompt_for_fewer_than_three_rows_gives_rows_all_the_same(tmp_path):
    assert len(run_of(tmp_path, n=1)[0]) == 1


@pytest.mark.parametrize("level", ["easy", "medium", "hard"])
def test_a_missing_level_is_a_reject_and_the_others_are_rows(tmp_path, level):
    reply = {"easy": EASY, "medium": MEDIUM, "hard": HARD}
    reply.pop(level)
    run, _ = run_of(tmp_path, {"ask": levels(reply)}, until="questions")
    assert lost(run) == [("ask", "missing_level")]
    assert [row.difficulty for row in run] == [name for name in ("easy", "medium", "hard") if name != level]


def test_levels_are_told_by_name_in_whatever_order_they_come(tmp_path):
    reply = {"hard": HARD, "easy": EASY, "medium": MEDIUM}
    run, _ = run_of(tmp_path, {"ask": levels(reply)}, until="questions")
    assert {row.difficulty: row.instruction for row in run} == reply


def test_two_identical_levels_are_one_question_of_the_easier_level(tmp_path):
    reply = {"easy": EASY, "medium": f"Medium: {EASY.upper()}", "hard": HARD}
    run, _ = run_of(tmp_path, {"ask": levels(reply)}, until="questions")
    assert lost(run) == [("ask", "repeated_level")] and [row.difficulty for row in run] == ["easy", "hard"]


@pytest.mark.parametrize("marker", ["Easy: ", "[Easy] ", "[Easy Question Start]\n", "**Easy question:** ", "(easy) "])
def test_a_marker_before_a_question_is_taken_off(tmp_path, marker):
    reply = {"easy": marker + EASY, "medium": MEDIUM, "hard": HARD}
    run, _ = run_of(tmp_path, {"ask": levels(reply)}, until="questions")
    assert run.rows[0].instruction == EASY


def test_several_lines_code_and_tables_stay_whole(tmp_path):
    text = "What is printed?\n\n```python\nfor n in range(3):\n    print(n)\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |"
    run, _ = run_of(tmp_path, {"ask": levels({"easy": text, "medium": MEDIUM, "hard": HARD})}, until="questions")
    assert run.rows[0].instruction == text


FAULTY = [
    (f"{EASY} [Medium Question Start] {MEDIUM}", "domain_qa", "marker_inside"),
    (f"{EASY} Hard question: {HARD}", "domain_qa", "marker_inside"),
    ("And rye?", "domain_qa", "too_short"),
    ("Sure! Rye bread is dark because of its bran.", "domain_qa", "holds_answer"),
    ("What is rye?\nAnswer: a cereal of cold countries.", "domain_qa", "holds_answer"),
    ("The rye is a cereal that grows in the cold countries of the north.", "domain_qa", "asks_nothing"),
    ("Summarize the following article about rye bread.", "given_material", "material_missing"),
    ("Correct the spelling in my note on rye bread, please.", "given_material", "material_missing"),
    ("Which cereal is shown in this picture, and how ripe is it?", "domain_qa", "material_missing"),
    ("What was your favourite bread in your childhood, and why?", "daily_chat", "lived_experience"),
    ("Which candidate for president has the better plan for bakers?", "view", "sensitive_politics"),
    ("How do locks on a canal lift a boat without any pumps in them?", "domain_qa", "copies_example"),
    ("Why " + "so " * 300 + "dark?", "domain_qa", "too_long"),
]


@pytest.mark.parametrize(("text", "task", "reason"), FAULTY)
def test_a_faulty_question_is_dropped_and_the_paper_keeps_it(text, task, reason):
    examples = next(known for known in load_tasks(TASKS) if known.name == task).examples
    fault = Condor().question_fault(text, task, examples)
    assert fault is not None and fault.partition(": ")[0] == reason
    assert Condor.preset("faithful").question_fault(text, task, examples) is None


@pytest.mark.parametrize(
    ("text", "task"),
    [
        ("You are an old baker. What was your favourite bread in your childhood?", "role_play"),
        ("My rye bread finally rose today, and the whole house smells of it!", "daily_chat"),
        ('Shorten this: "The bakery is closed on Monday, and on Tuesday it opens at noon."', "given_material"),
        ("Which line of this list is wrong?\nflour 500 g\nwater 300 ml\nsalt 10 l", "given_material"),
        ("Should a bakery throw away what is left in the evening, or give it to its staff?", "view"),
        ("黑麦面包为什么颜色深？", "domain_qa"),
        ("I want a slogan for a bakery that opens at three in the morning.", "creation"),
    ],
)
def test_a_sound_question_passes(text, task):
    assert Condor().question_fault(text, task, ()) is None


def test_an_unreadable_or_truncated_reply_to_the_question_call_is_a_reject(tmp_path):
    run, _ = run_of(tmp_path / "a", {"ask": "Easy: What is rye?"})
    assert lost(run) == [("ask", "unparsable")]
    run, _ = run_of(tmp_path / "b", {"ask": Reply("{", finish_reason="length")})
    assert lost(run) == [("ask", "truncated")]


def test_questions_that_are_whole_in_a_cut_reply_are_kept(tmp_path):
    cut = json.dumps(levels({"easy": EASY + ' "Sour"\n', "medium": MEDIUM, "hard": HARD}))[:-30]
    run, _ = run_of(tmp_path, {"ask": Reply(cut, finish_reason="length")}, until="questions")
    assert [row.instruction for row in run] == [EASY + ' "Sour"', MEDIUM] and lost(run) == [("ask", "missing_level")]
    half = TruncatedResponseError('{"easy_question": "half of a character: \\ud83d", "hard_question": "no en')
    assert whole_questions(half) == {}


def test_copies_across_combinations_are_dropped_and_kept_by_the_paper(tmp_path):
    seeds = [SEED, {**SEED, "path": ["Cooking", "Bread", "Spelt"]}]
    run, _ = run_of(tmp_path / "ours", seeds=seeds, near_duplicates=0.8, until="questions")
    assert len(run) == 3 and {stage for stage, _ in lost(run)} == {"exact_duplicate"}
    lm = ScriptedLM(script())
    assert len(sw.generate(Condor.preset("faithful"), seeds=seeds, out=tmp_path / "theirs", lms=lm)) == 6


# 3 Answers


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ({"answer": " "}, "empty_answer"),
        ({"answer": "I'm sorry, but I cannot help with that."}, "refused"),
        ({"answer": "Ржаной хлеб тёмный, потому что в нём много отрубей и мало клейковины."}, "other_language"),
        (Reply("{", finish_reason="length"), "truncated"),
    ],
)
def test_a_draft_that_is_no_answer_drops_the_question(tmp_path, reply, reason):
    run, calls = run_of(tmp_path, {"answer": reply})
    assert lost(run) == [("answer", reason)] * 3 and not made(calls, "critique")


def test_condor_void_ends_with_the_draft(tmp_path):
    run, calls = run_of(tmp_path, until="void")
    assert {row.response for row in run} == {row.draft for row in run} == {DRAFT}
    assert {call.predictor for call in calls} == {"ask", "answer"}


# 4 Critique


def test_strengths_weaknesses_and_suggestions_are_kept_with_the_row(tmp_path):
    run, calls = run_of(tmp_path)
    assert run.rows[0].critique == Critique(**{name: tuple(points) for name, points in CRITIQUE.items()})
    (call, *_) = made(calls, "critique")
    assert (call["question"], call["answer"]) == (EASY, DRAFT)


@pytest.mark.parametrize(
    ("critique", "flag"),
    [
        ({"strengths": [], "weaknesses": [], "suggestions": []}, "empty_critique"),
        ({"strengths": [" ", "-"], "weaknesses": [""], "suggestions": []}, "empty_critique"),
        ({"strengths": ["It is short."], "weaknesses": [], "suggestions": [" "]}, "only_praise"),
        (
            {"strengths": [], "weaknesses": ['The claim that "rye is blue" is wrong.'], "suggestions": []},
            "unfounded_critique",
        ),
        ({"strengths": [DRAFT], "weaknesses": [DRAFT.upper()], "suggestions": [DRAFT]}, "unfounded_critique"),
        ("It is fine.", "no_critique"),
    ],
)
def test_a_critique_that_leaves_nothing_to_mend_keeps_the_draft_and_says_so(tmp_path, critique, flag):
    run, calls = run_of(tmp_path, {"critique": critique})
    assert {(row.response, row.kept, row.flag, row.refined) for row in run} == {(DRAFT, "draft", flag, "")}
    assert not made(calls, "refine")


def test_a_point_that_quotes_what_is_not_there_is_dropped_and_the_others_go_on(tmp_path):
    weaknesses = ['"rye is blue" is wrong.', 'That it is "dense and dark" is not explained.']
    suggestions = ['Add "because of the bran".']
    run, calls = run_of(
        tmp_path, {"critique": {"strengths": ["Short."], "weaknesses": weaknesses, "suggestions": suggestions}}
    )
    (call, *_) = made(calls, "refine")
    assert json.loads(call["weaknesses"]) == weaknesses[1:] and json.loads(call["suggestions"]) == suggestions
    assert lost(run) == [("critique", "unfounded")] * 3 and run.rows[0].kept == "refined"


def test_the_paper_refines_whatever_the_critique_says(tmp_path):
    lm = ScriptedLM(script(critique={"strengths": ["Good."], "weaknesses": [], "suggestions": []}))
    run = sw.generate(Condor.preset("faithful"), seeds=[SEED], out=tmp_path, lms=lm)
    assert {row.kept for row in run} == {"refined"}


# 5 Refinement


def test_the_refined_answer_is_kept_and_the_draft_stays_beside_it(tmp_path):
    run, calls = run_of(tmp_path)
    assert {(row.response, row.draft, row.refined, row.kept, row.flag) for row in run} == {
        (REFINED, DRAFT, REFINED, "refined", "")
    }
    (call, *_) = made(calls, "refine")
    assert (call["answer"], json.loads(call["suggestions"])) == (DRAFT, CRITIQUE["suggestions"])
    assert run.rows[0].length_ratio == round(len(REFINED.split()) / len(DRAFT.split()), 4)


BAD_REFINED = [
    (f"Here is the improved answer:\n\n{REFINED}", "preamble"),
    (f"Sure, {REFINED}", "preamble"),
    (f"Revised answer: {REFINED}", "preamble"),
    (f"{REFINED} As suggested, I added the bran.", "mentions_critique"),
    (f"Unlike the previous answer, this says why: {REFINED}", "mentions_critique"),
    ("I'm sorry, but I cannot help with this question about bread at all.", "declines"),
    (DRAFT.upper(), "identical"),
    ("Ржаная мука почти не содержит клейковины, поэтому хлеб остаётся тёмным и плотным.", "other_language"),
    ("Rivers wash salt out of rocks, and the sea keeps it for ages.", "unrelated"),
    ("It is the gluten.", "too_brief"),
    (REFINED[:-8], "cut_off"),
    ("", "empty_refinement"),
]


@pytest.mark.parametrize(("refined", "flag"), BAD_REFINED)
def test_a_refined_answer_that_cannot_be_used_keeps_the_draft(tmp_path, refined, flag):
    run, calls = run_of(tmp_path, {"refine": {"improved_answer": refined}})
    assert lost(run) == [("refine", flag)] * 3 and not made(calls, "prefer")
    assert {(row.response, row.flag, row.refined, row.length_ratio) for row in run} == {(DRAFT, flag, "", None)}


def test_a_reply_without_the_answer_in_form_is_never_stored_as_the_answer(tmp_path):
    run, _ = run_of(tmp_path, {"refine": "The improved answer could mention the bran."})
    assert {(row.response, row.flag) for row in run} == {(DRAFT, "unparsable")}
    run, _ = run_of(tmp_path / "cut", {"refine": Reply('{"improved_answer": "Rye', finish_reason="length")})
    assert {(row.response, row.flag) for row in run} == {(DRAFT, "truncated")}


def test_words_of_the_question_are_no_sign_of_a_critique():
    question = "Is the critique of this film fair, and what would you say of the previous answer?"
    draft = "The critique is fair in part."
    assert REFINED_CHECKS["mentions_critique"](question, draft, "The critique is fair; the film is slow.") is None


# The judge


@pytest.mark.parametrize(
    ("judge", "judged", "kept"),
    [
        (prefers("bran"), "refined", "refined"),
        (prefers("stays dense"), "draft", "draft"),
        ({"better": "first"}, "tie", "refined"),
        ({"better": "second"}, "tie", "refined"),
        ({"better": "neither"}, "tie", "refined"),
        ("The second, I think.", None, "refined"),
    ],
)
def test_the_judge_reads_both_orders_and_only_agreement_counts(tmp_path, judge, judged, kept):
    run, calls = run_of(tmp_path, {"prefer": judge})
    assert {(row.judged, row.kept) for row in run} == {(judged, kept)}
    assert {row.to_preference() is not None for row in run} == {judged == "refined"}
    first, *rest = made(calls, "prefer")
    assert (first["first_answer"], first["second_answer"], first.temperature) == (DRAFT, REFINED, 0)
    assert judged is None or (rest[0]["first_answer"], rest[0]["second_answer"]) == (REFINED, DRAFT)


def test_a_draft_that_wins_is_the_answer_and_the_refined_one_stays_in_the_row(tmp_path):
    run, _ = run_of(tmp_path, {"prefer": prefers("stays dense")})
    assert {(row.response, row.refined, row.flag) for row in run} == {(DRAFT, REFINED, "draft_preferred")}


def test_a_third_lm_can_judge(tmp_path):
    lms = {"generator": ScriptedLM(script()), "judge": ScriptedLM({"prefer": prefers("stays dense")}, model="third")}
    run = sw.generate(Condor(), seeds=[SEED], out=tmp_path, lms=lms)
    provenance = run.rows[0].provenance
    assert len(lms["judge"].calls) == 6 and provenance and provenance.lms["judge"] == "third"


# Seeds of the user


def test_tag_paths_replace_the_tree(tmp_path):
    seeds = [{"path": "Cooking > Bread"}, {"path": ["Music", "Choirs"]}]
    run, calls = run_of(tmp_path, {"ask": questions}, seeds=seeds, until="questions")
    assert len(made(calls, "ask")) == 14 and {row.tag_path for row in run} == {
        ("Cooking", "Bread"),
        ("Music", "Choirs"),
    }


def test_a_path_above_another_one_is_asked_too(tmp_path):
    seeds = [{"path": ["Cooking"]}, {"path": ["Cooking", "Bread"]}, {"path": "cooking"}]
    run, calls = run_of(tmp_path, {"ask": questions}, seeds=seeds, until="questions", tasks=["view", "creation"])
    assert Counter(call["theme"] for call in made(calls, "ask")) == {"Cooking": 2, "Cooking > Bread": 2}
    again, _ = run_of(tmp_path / "n", {"ask": questions}, seeds=seeds, until="questions", tasks=["view"], n=9)
    assert len(again) == 9 and len(run) == 12


def test_rows_of_another_run_are_refined_and_their_ids_are_kept(tmp_path):
    seed = InstructionRow(instruction=EASY, response="Because of the oven, and it stays dark and dense then.")
    run, calls = run_of(tmp_path, seeds=[seed.record()])
    (row,) = run.rows
    assert [call.predictor for call in calls] == ["critique", "refine", "prefer", "prefer"]
    assert (row.draft, row.response, row.parent_ids) == (seed.response, REFINED, (seed.id,))
    assert row.task == "" and row.tag_path == () and row.difficulty is None and row.source is None


def test_an_instruction_without_a_response_is_answered_first(tmp_path):
    run, calls = run_of(tmp_path, seeds=[{"instruction": EASY}], n=5)
    assert [call.predictor for call in calls][:2] == ["answer", "critique"]
    assert run.stopped == "each seed was asked once" and len(run) == 1


@pytest.mark.parametrize(
    "seed", [{"text": "x"}, {"path": []}, {"path": [""]}, {"path": 3}, {"instruction": " "}, {"task": "view"}]
)
def test_a_seed_that_says_too_little_is_refused(seed):
    with pytest.raises(ConfigError, match="Seed 0"):
        list(Condor().plan(Pool(seeds=[seed])))


def test_a_task_that_the_generator_lacks_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match=r"without the task 'vew'.*view"):
        run_of(tmp_path, seeds=[{**SEED, "task": "vew"}])


def test_tasks_of_a_file_and_objects_are_taken(tmp_path):
    text = '- name: riddle\n  description: Riddles.\n  examples: ["What has a face and no eyes?"]\n'
    generator = Condor(tasks=tree_file(tmp_path, text, "tasks.yaml"))
    assert [task.name for task in generator.task_list] == ["riddle"] and Condor(tasks=generator.task_list).tasks
    with pytest.raises(ConfigError, match="each once"):
        Condor(tasks=["view", "view"])
    with pytest.raises(ConfigError, match="no task 'vew'"):
        Condor(tasks=["vew"])


# Export and figures


def row(draft=DRAFT, refined=REFINED, judged="refined", **fields):
    kept = "draft" if judged == "draft" or not refined else "refined"
    response = refined if kept == "refined" else draft
    ratio = len(refined.split()) / len(draft.split()) if refined else None
    defaults: dict[str, Any] = {"difficulty": "easy", "task": "view", "tag_path": ("A", "b"), "instruction": EASY}
    return CondorRow(
        **{**defaults, "draft": draft, "refined": refined, "judged": judged if refined else None, "kept": kept,
           "response": response, "length_ratio": ratio, **fields}
    )  # fmt: skip


def test_a_row_is_a_conversation_a_prompt_and_a_pair():
    messages, pair, void = row().to_messages(), row().to_preference(), row().void()
    assert messages and [message.content for message in messages] == [EASY, REFINED]
    assert pair and (pair.prompt[0].content, pair.chosen[0].content, pair.rejected[0].content) == (EASY, REFINED, DRAFT)
    assert (void.response, void.draft, void.refined, void.critique, void.kept) == (DRAFT, DRAFT, "", None, "draft")
    assert void.to_preference() is None and void.id != row().id
    assert row(judged="draft").to_preference() is None and row(judged="tie").to_preference() is None


def test_a_response_that_is_not_the_kept_answer_is_no_row():
    with pytest.raises(ValueError, match="must be the text of `refined`"):
        row(response="something else")


def test_a_stored_row_is_read_back_whole(tmp_path):
    run, _ = run_of(tmp_path)
    line = (tmp_path / "rows.jsonl").read_text().splitlines()[0]
    assert CondorRow.model_validate(json.loads(line)) == run.rows[0]


def test_drafts_and_refined_answers_are_exported_as_pairs_and_labels(tmp_path):
    run, _ = run_of(tmp_path / "run")
    (pair, *_) = run.dataset("preference")
    assert pair["rejected"][0]["content"] == DRAFT
    labels = Counter(example["label"] for example in run.dataset("unpaired"))
    assert labels == {True: 3, False: 3}


def test_the_length_log_has_all_rows_then_each_difficulty_and_task():
    words = "one two three four"
    rows = [row(words, f"{words} " * n, difficulty=d) for n, d in ((1, "easy"), (2, "hard"), (3, "hard"))]
    log = {entry.group: entry for entry in length_log([*rows, row(refined="")])}
    assert list(log) == ["all", "easy", "view", "hard"]
    assert (log["all"].refined, log["all"].mean, log["all"].median) == (3, 2, 2)
    assert (log["all"].tenth, log["all"].ninetieth) == (1, 3)
    assert log["all"].longer == log["all"].doubled == pytest.approx(2 / 3) and log["easy"].longer == 0
    assert length_log([]) == []


def test_an_answer_that_lost_counts_in_the_length_log():
    assert length_log([row(judged="draft")])[0].refined == 1


def test_the_summary_has_win_rates_flags_balance_and_coverage(tmp_path):
    rows = [
        row("a b c d", "a b c d e", judged="refined", tag_path=("Cooking", "Bread", "Rye")),
        row("a b c d", "a b c d e f g h", judged="draft", tag_path=("Cooking", "Bread", "Rye"), task="creation"),
        row("a b", "a c", judged="tie"),
        row(refined="", flag="only_praise", tag_path=("Music", "x")),
    ]
    figures = summary(rows, load_tree(tree_file(tmp_path, SMALL)))
    assert (figures["refined"], figures["flag_only_praise"]) == (0.5, 0.25)
    assert figures["win_rate"] == figures["worse_rate"] == figures["tie_rate"] == pytest.approx(1 / 3)
    assert figures["win_rate_alike"] == 1 and figures["paths"] == 3 and figures["leaf_coverage"] == 0.25
    assert 0.7 < figures["task_balance"] < 1 and summary([]) == {}


# Data


def test_seven_tasks_have_five_examples_each_that_are_sound():
    tasks = load_tasks(TASKS)
    assert len(tasks) == 7 and {task.name for task in load_tasks(data_path("condor/tasks.yaml"))} == set(TASKS)
    texts = [example for task in tasks for example in task.examples]
    assert len(set(texts)) == 35 and all(len(task.examples) == 5 for task in tasks)
    faults = [Condor().question_fault(text, task.name, ()) for task in tasks for text in task.examples]
    assert not any(faults)


def test_tuning_seeds_are_of_three_kinds_and_share_nothing_with_other_data():
    records = list(read_jsonl(data_path("../../optimizers/data/condor.jsonl")))
    assert Counter(record["split"] for record in records) == {"train": 16, "val": 16, "test": 24}
    tree = load_tree("everyday")
    branches = {tree.path(number)[:2] for number in range(len(tree))}
    paths = [tuple(record["inputs"]["path"]) for record in records if "path" in record["inputs"]]
    assert len(set(paths)) == len(paths) and not {path[:2] for path in paths} & branches
    drafts = [record["inputs"]["instruction"] for record in records if "instruction" in record["inputs"]]
    shown = {demo["question"] for name in ("answer", "critique", "prefer") for demo in shipped("condor")[name]}
    themes = {demo["theme"] for demo in shipped("condor")["ask"]}
    assert len(set(drafts)) == 16 and not set(drafts) & shown and not {" > ".join(path) for path in paths} & themes


def test_shipped_demonstrations_fit_their_signatures_and_pass_the_checks():
    generator, demos = Condor(), shipped("condor")
    predictors = generator.all_predictors()
    assert set(demos) == set(predictors)
    for name, examples in demos.items():
        fields = set(signature_of(predictors[name]).fields)
        assert len(examples) >= 3 and all(set(example) == fields for example in examples)
    names = {task.description: task.name for task in generator.task_list}
    for demo in demos["ask"]:
        for question in (demo[f"{level}_question"] for level in LEVELS):
            assert generator.question_fault(question, names[demo["task"]], demo["examples"]) is None
    for demo in demos["refine"]:
        texts = (demo["question"], demo["answer"], demo["improved_answer"])
        assert not any(check(*texts) for check in REFINED_CHECKS.values())
    assert all(len(demo["sub_topics"]) == generator.branches for demo in demos["expand"])
    assert {demo["better"] for demo in demos["prefer"]} == {"first", "second", "neither"}
    lists = [demo[name] for demo in demos["critique"] for name in CRITIQUE]
    assert all(1 <= len(points) <= generator.points for points in lists)


# Declarations


def test_practical_holds_the_defaults_and_faithful_what_the_paper_does():
    parameters = list(inspect.signature(Condor.__init__).parameters.values())[1:]
    assert dict(Condor.presets["practical"]) == {p.name: p.default for p in parameters}
    paper = Condor.preset("faithful")
    assert (paper.roots, paper.expand_all, paper.examples) == (45, True, 5)
    assert (paper.checks, paper.refined_checks, paper.judge, paper.filters) == ((), (), False, ())
    assert "prefer" not in paper.all_predictors() and paper.all_predictors()["ask"].config == {"temperature": 1.0}


def test_four_predictors_are_tuned_and_the_judge_is_frozen():
    generator = Condor()
    assert set(generator.target_predictors()) == {"expand", "ask", "critique", "refine"}
    assert generator.role_of("prefer") == "judge" and generator.role_of("answer") == "generator"
    temperatures = {name: predictor.config["temperature"] for name, predictor in generator.all_predictors().items()}
    assert temperatures == {
        **dict.fromkeys(("list_roots", "expand", "ask"), 0.7),
        "answer": 0.7,
        **dict.fromkeys(("place", "critique", "refine"), 0.5),
        "prefer": 0.0,
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"until": "end"}, "No `until` 'end'"),
        ({"checks": ("too_hard",)}, "no check 'too_hard'"),
        ({"refined_checks": ("too_hard",)}, "no check 'too_hard'"),
        ({"depth": 0}, "`depth` must be at least 1, got 0"),
        ({"depth": 6}, "`max_depth` must be at least 6, got 5"),
        ({"points": 0}, "`points`"),
        ({"near_duplicates": 2}, "`near_duplicates` must be at least 0.01 and at most 1"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        Condor(**arguments)


def test_every_check_is_named_for_what_it_finds():
    assert tuple(CHECKS) == Condor().checks and tuple(REFINED_CHECKS) == Condor().refined_checks


# The real LM


@pytest.mark.embedded
def test_the_embedded_lm_asks_answers_criticises_and_refines(embedded, tmp_path):
    generator = Condor(checks=(), check_answers=False, refined_checks=(), judge=False, near_duplicates=None)
    seeds = [{"instruction": "How do I keep bread fresh?", "response": "Put it away."}, {**SEED, "until": "questions"}]
    run = sw.generate(generator, seeds=seeds, out=tmp_path, lms=embedded)
    assert len(run) >= 1 and run.rows[0].draft == "Put it away."
    assert run.rows[0].critique is None or run.rows[0].flag or run.rows[0].refined
    assert run.total_usage.calls >= 2
