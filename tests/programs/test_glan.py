import inspect
import json
import random
from collections import Counter

import dspy
import pytest

import synthwright as sw
from synthwright.errors import ConfigError, UnusableLMError
from synthwright.pool import Pool
from synthwright.programs.base import data_path, read_jsonl
from synthwright.programs.glan import GLAN
from synthwright.programs.glan_checks import CHECKS, level_of, merged_sessions, read_sessions, read_subjects, tidy
from synthwright.programs.glan_combinations import (
    Combinations,
    Dealt,
    Shuffled,
    double,
    doubles,
    single,
    singles,
    total,
)
from synthwright.programs.glan_coverage import coverage
from synthwright.programs.glan_tree import load_tree
from synthwright.programs.prompts import signature_of
from synthwright.runs.demonstrations import shipped
from synthwright.signatures.glan import WORDINGS, HomeworkRow, Review, Session, SubjectList, Syllabus, Turn
from synthwright.signatures.rows import Row
from synthwright.testing import Reply, ScriptedLM

TREE = ["Botany", "Carpentry"]
HARD = "Explain how {} depend on each other in a case of your own choice, and why."


def subjects(call):
    name = call["discipline"]
    return {"subject_list": f"Subjects:\n1. {name} one, beginner: alpha, beta.\n2. {name} two, 300: gamma, delta."}


def syllabus_of(subject, sessions=3, concepts=5):
    lines = [
        f"Session {i}: {subject} part {i}. Key concepts: {', '.join(f'{subject} {i}{c}' for c in 'abcde'[:concepts])}."
        for i in range(1, sessions + 1)
    ]
    return "\n".join(["The course.", *lines])


def script(**answers):
    return {
        "list_subjects": subjects,
        "design": lambda call: {"syllabus": syllabus_of(call["subject"])},
        "write": lambda call: {"question": HARD.format(" and ".join(json.loads(call["key_concepts"])))},
        "screen": {"verdict": "harmless"},
        "answer": lambda call: {"answer": f"Because of this: {call['question'][8:]}"},
        **answers,
    }


def run_of(tmp_path, replies=None, *, seeds=None, n=None, concurrency=1, **arguments):
    arguments = {"taxonomy": TREE, "near_duplicates": None, "subject_queries": 1, **arguments}
    lm = ScriptedLM(script(**(replies or {})))
    generator = GLAN(**arguments)
    run = sw.generate(generator, seeds=seeds, n=n, out=tmp_path, lms=lm, concurrency=concurrency)
    return run, lm.calls


def lost(run):
    return [(stage, reason) for stage, reason, count in run.funnel.lost for _ in range(count)]


def made(calls, predictor):
    return [call for call in calls if call.predictor == predictor]


def rejects(tmp_path):
    return [json.loads(line) for line in (tmp_path / "rejected.jsonl").read_text().splitlines()]


def sessions_of(*sizes):
    return [Session(name=f"s{i}", key_concepts=[f"c{i}{j}" for j in range(size)]) for i, size in enumerate(sizes)]


# 1 Taxonomy

PROPOSED = [
    {"field": "Sciences", "sub_fields": [{"sub_field": "Life", "disciplines": ["Botany", "Zoology", "BOTANY "]}]},
    {"field": "Crafts", "sub_fields": [{"sub_field": "Wood", "disciplines": ["1. Carpentry.", "Botany"]}]},
]


def propose(tmp_path, answers=None, **arguments):
    replies = {"propose": {"taxonomy": PROPOSED}, **(answers or {})}
    return run_of(tmp_path, replies, taxonomy="propose", until="taxonomy", **arguments)


def grown(run, generator=None, **arguments):
    arguments = {"taxonomy": TREE, "subject_queries": 1, **arguments}
    return (generator or GLAN(**arguments)).tree(run.artifacts(Row))


def test_a_taxonomy_is_asked_for_in_several_wordings_and_merged(tmp_path):
    other = [{"field": "sciences", "sub_fields": [{"sub_field": "Earth", "disciplines": ["Geology"]}]}]
    replies = {WORDINGS[0]: PROPOSED, WORDINGS[1]: other}
    run, calls = propose(tmp_path, {"propose": lambda call: {"taxonomy": replies[call["request"]]}}, wordings=2)
    assert [call["request"] for call in calls] == list(WORDINGS[:2]) and len(set(WORDINGS)) == 4
    tree = grown(run, taxonomy="propose")
    assert [d.path for d in tree.disciplines] == [
        ("Sciences", "Life", "Botany"),
        ("Sciences", "Life", "Zoology"),
        ("Crafts", "Wood", "Carpentry"),
        ("Sciences", "Earth", "Geology"),
    ]
    assert run.stopped == "the taxonomy has 4 disciplines" and run.complete


def test_a_discipline_under_two_fields_stays_where_it_stands_first_and_the_other_place_is_an_alias(tmp_path):
    tree = grown(propose(tmp_path)[0], taxonomy="propose")
    assert tree.disciplines[0].node.aliases == ("Crafts > Wood > Botany",)


def test_unreadable_proposals_are_asked_for_again_and_then_given_up(tmp_path):
    run, calls = propose(tmp_path, {"propose": "Sciences and crafts."}, wordings=2)
    assert len(calls) == 6 and "could be read" in run.stopped
    assert set(lost(run)) == {("propose", "unparsable")}
    empty = {"propose": {"taxonomy": [{"field": "Sciences", "sub_fields": []}]}}
    assert ("propose", "no_fields") in lost(propose(tmp_path / "empty", empty, wordings=1)[0])


def test_the_panel_votes_from_the_top_down_and_the_majority_removes_a_node_with_all_below_it(tmp_path):
    def vote(against):
        return lambda call: {"reason": "x", "vote": "remove" if call["name"] in against else "keep"}

    panel = {"review": vote({"Crafts", "Zoology"}), "review_second": vote({"Crafts"}), "review_third": vote(set())}
    run, calls = propose(tmp_path, panel, wordings=1, panel=True)
    asked = [call["name"] for call in made(calls, "review")]
    assert asked == ["Sciences", "Crafts", "Life", "Botany", "Zoology"]
    tree = grown(run, taxonomy="propose", panel=True)
    assert [d.node.name for d in tree.disciplines] == ["Botany", "Zoology"]
    assert lost(run) == [("review", "removed")] and rejects(tmp_path)[0]["content"]["node"] == "Crafts"
    (zoology,) = [review for review in run.artifacts(Review) if review.path[-1] == "Zoology"]
    assert zoology.votes == ("remove", "keep", "keep")
    (call,) = [call for call in made(calls, "review") if call["name"] == "Zoology"]
    assert call["path"] == "Sciences > Life" and call["beside_it"] == '["Botany"]'


def test_a_vote_that_cannot_be_read_is_none_and_no_vote_keeps_a_node(tmp_path):
    panel = {"review": "yes", "review_second": "no", "review_third": {"reason": "x", "vote": "remove"}}
    run, _ = propose(tmp_path / "one", panel, wordings=1, panel=True)
    assert "removed every discipline" in run.stopped
    panel["review_third"] = "perhaps"
    run, _ = propose(tmp_path / "none", panel, wordings=1, panel=True)
    assert run.stopped == "the taxonomy has 3 disciplines"


def test_more_votes_than_judges_come_from_them_in_turn(tmp_path):
    keep = {"reason": "x", "vote": "keep"}
    panel = {"review": keep, "review_second": keep, "review_third": keep}
    _, calls = run_of(tmp_path, panel, until="taxonomy", panel=True, reviewers=4)
    assert Counter(call.predictor for call in calls) == {"review": 4, "review_second": 2, "review_third": 2}
    assert len({call.seed for call in calls}) == 8


def test_the_votes_of_people_take_the_place_of_the_panel(tmp_path):
    from synthwright.programs.glan_votes import write_ballot

    tree, ballot = load_tree("disciplines"), tmp_path / "ballot.csv"
    write_ballot(tree, ballot, ("Ada", "Ben", "Cy"))
    lines = ballot.read_text().splitlines()
    assert lines[0] == "node,Ada,Ben,Cy" and "Academic Humanities > Arts,,," in lines
    filled = [
        line.replace("Academic Humanities,,,", "Academic Humanities,remove,remove,keep")
        .replace("Botany,,,", "Botany,no,no,")
        .replace("Zoology,,,", "Zoology,remove,keep,")
        for line in lines
    ]
    ballot.write_text("\n".join(filled))
    run, calls = run_of(tmp_path / "run", taxonomy="disciplines", votes=ballot, panel=True, until="taxonomy")
    assert run.stopped == f"the taxonomy has {126 - 18 - 1} disciplines" and not calls
    names = {d.node.name for d in grown(run, taxonomy="disciplines", votes=ballot).disciplines}
    assert "Zoology" in names and not names & {"Botany", "Ethics"}


def test_a_ballot_with_a_wrong_vote_names_the_line_and_one_without_votes_is_refused(tmp_path):
    path = tmp_path / "ballot.csv"
    for text, message in (
        ("node,a\nBotany,maybe\n", "line 2: a vote is `keep` or `remove`, got 'maybe'"),
        ("node,a\nBotany,\n", "holds no vote"),
        ("name,a\nBotany,keep\n", "first column"),
    ):
        path.write_text(text)
        with pytest.raises(ConfigError, match=message):
            GLAN(votes=path)


def test_a_name_that_looks_like_a_formula_does_not_reach_a_spreadsheet_as_one(tmp_path):
    from synthwright.programs.glan_votes import read_votes, write_ballot

    write_ballot(load_tree(["=1+1", "Botany"]), tmp_path / "b.csv")
    text = (tmp_path / "b.csv").read_text()
    assert "'=1+1,,," in text
    (tmp_path / "b.csv").write_text(text.replace("'=1+1,,,", "'=1+1,remove,,"))
    votes = read_votes(tmp_path / "b.csv")
    assert votes is not None and votes["=1+1"] == ("remove",)


def test_the_shipped_taxonomy_has_eight_fields_and_126_disciplines_each_once():
    tree = load_tree("disciplines")
    names = [d.node.name for d in tree.disciplines]
    assert len(names) == 126 == len({name.casefold() for name in names})
    by_field = Counter(d.field for d in tree.disciplines)
    assert len(by_field) == 8 and sum(name.startswith("Academic ") for name in by_field) == 5
    assert sum(name.startswith("Industry ") for name in by_field) == 3 and min(by_field.values()) >= 8
    assert all(d.sub_field and tidy(d.node.name) == d.node.name for d in tree.disciplines)
    parts = [(d.field, d.sub_field) for d in tree.disciplines]
    assert len(set(parts)) == len({sub_field for _, sub_field in parts}) and min(Counter(parts).values()) >= 2
    assert not any(d.node.aliases or d.node.subjects for d in tree.disciplines)


# 2 Subjects


def test_a_discipline_is_asked_by_independent_queries_and_each_is_structured_in_a_second_turn(tmp_path):
    reply = {"subjects": [{"name": "Roots", "level": "beginner", "subtopics": ["hair"]}]}
    free = {"list_subjects": lambda call: {"subject_list": f"Roots come first ({call.seed})."}, "structure": reply}
    run, calls = run_of(tmp_path, free, taxonomy=["Botany"], subject_queries=10, until="subjects")
    queries = made(calls, "list_subjects")
    assert len(queries) == 10 == len({call.seed for call in queries}) == len(made(calls, "structure"))
    assert {call["discipline"] for call in queries} == {"Botany"}
    assert made(calls, "structure")[0].inputs == {"subject_list": f"Roots come first ({queries[0].seed})."}
    assert {call.temperature for call in made(calls, "structure")} == {0}
    (subject,) = grown(run, taxonomy=["Botany"]).disciplines[0].node.subjects
    assert (subject.name, subject.level, subject.subtopics) == ("Roots", "beginner", ("hair",))
    assert run.stopped == "the tree has grown to its subjects: 1 disciplines, 1 subjects, 0 syllabi"


def test_the_first_turn_asks_for_no_form_and_the_prompts_of_the_paper_s_preset_for_no_number():
    paper = GLAN.preset("faithful")
    signature = signature_of(paper.all_predictors()["list_subjects"])
    assert "json" not in signature.instructions.lower() and set(signature.input_fields) == {"discipline", "part_of"}
    assert signature.output_fields["subject_list"].annotation is str


def test_one_call_can_give_the_structure_instead(tmp_path):
    answers = {
        "list_subjects": {"subjects": [{"name": "Roots", "level": 100, "subtopics": ["hair"]}]},
        "design": {"sessions": [{"name": "Growth", "key_concepts": ["cap", "hair"]}]},
    }
    run, calls = run_of(tmp_path, answers, taxonomy=["Botany"], n=1, two_turns=False)
    (row,) = run.rows
    assert not {"structure", "extract"} & {call.predictor for call in calls}
    assert (row.subject, row.level, row.session_names) == ("Roots", "beginner", ("Growth",))
    assert made(calls, "write")[0]["syllabus"] == "Session 1: Growth. Key concepts: cap, hair."


def test_the_same_subject_is_kept_in_two_disciplines_and_merged_within_one(tmp_path):
    reply = {"subject_list": "1. Ethics, beginner: duty, harm.\n2. ethics, advanced: virtue."}
    run, _ = run_of(tmp_path, {"list_subjects": reply}, until="subjects")
    assert [[s.name for s in d.node.subjects] for d in grown(run).disciplines] == [["Ethics"], ["Ethics"]]


@pytest.mark.parametrize(
    ("text", "level"),
    [("intermediate", "intermediate"), ("300", "intermediate"), (300, "intermediate"), ("Beginner.", "beginner"),
     ("Introductory", "beginner"), ("100-level", "beginner"), ("Undergraduate", "intermediate"),
     ("graduate", "advanced"), (500, "advanced"), ("Level 1", "beginner"), 
     ("beginner to advanced", "advanced"), ("", ""), ("fun", "")],
)  # fmt: skip
def test_levels_are_brought_into_one_form(text, level):
    assert level_of(text) == level


def test_a_malformed_list_gives_no_subjects_and_is_not_asked_for_without_end(tmp_path):
    answers = {"list_subjects": {"subject_list": "Many things."}, "structure": "[{"}
    run, calls = run_of(tmp_path, answers, taxonomy=["Botany"], n=2, subject_queries=3)
    assert len(made(calls, "list_subjects")) == 3 and lost(run) == [("structure", "unparsable")] * 3
    assert len(run) == 0 and run.stopped == "0 of the 0 combinations of 0 syllabi were asked"
    assert rejects(tmp_path)[0]["content"]["subject_list"] == "Many things."


def test_an_outline_is_read_by_code_and_anything_else_is_left_to_the_lm():
    found = read_subjects("What they learn:\n1. Roots, beginner: hair, cap.\n2) Stems (advanced): node, pith.\n")
    assert found and [(s.name, s.level, s.subtopics) for s in found] == [
        ("Roots", "beginner", ["hair", "cap"]),
        ("Stems", "advanced", ["node", "pith"]),
    ]
    for other in (
        "1. Roots: an introduction to the many forms of roots and their use, hair.",
        "1. Roots, beginner: hair, cap.\nStems come next.\n3. Leaves: vein, pore.",
        "Roots (beginner)\n- hair\n- cap",
        "",
    ):
        assert read_subjects(other) is None


def test_the_last_line_of_an_outline_may_break_off_and_loses_its_last_word():
    found = read_sessions("Session 1: Roots. Key concepts: hair, cap.\nSession 2: Stems. Key concepts: node, pit")
    assert found and [session.key_concepts for session in found[0]] == [["hair", "cap"], ["node"]]
    assert read_sessions("Session 1: Roots. Key concepts: hair, ca\nSession 2: St") is not None


def test_no_more_is_read_of_an_outline_than_was_asked_for():
    text = "1. Roots: hair, cap.\n2. Stems: node, pith.\n3. and so on and so on"
    found = read_subjects(text, 2)
    assert found and [s.name for s in found] == ["Roots", "Stems"] and read_subjects(text + "\n4.") is None
    text = "The course.\nSession 1: Roots. Key concepts: hair, cap.\nSession 2: Roots. Roots. Roots."
    assert read_sessions(text, 1) == (
        [Session(name="Roots", key_concepts=["hair", "cap"])],
        "The course.\nSession 1: Roots. Key concepts: hair, cap.",
    )


def test_what_repeats_the_demonstrations_of_a_prompt_is_dropped(tmp_path):
    def course(**changes):
        generator = GLAN(["Botany"], near_duplicates=None)
        lists = "1. Magma: silica, gas, heat.\n2. Waves: crest, trough."
        generator.list_subjects.demos = [dspy.Example(discipline="x", part_of="", how_many=2, subject_list=lists)]
        generator.design.demos = [dspy.Example(syllabus="Session 1: Melt. Key concepts: crystal, bubble.")]
        generator.write.demos = [dspy.Example(question="Which of two magmas erupts more violently, and why?")]
        lm = ScriptedLM(script(**changes))
        seeds = [{"step": "course", "discipline": "Botany"}]
        return sw.generate(generator, seeds=seeds, out=tmp_path / str(len(changes)) / next(iter(changes)), lms=lm)

    text = "1. Rocks: silica, gas, x.\n2. Roots: gas, hair, cap."
    run = course(list_subjects={"subject_list": text})
    assert lost(run) == [("list_subjects", "copies_demonstration")] and run.rows[0].subject == "Roots"
    run = course(design={"syllabus": "Session 1: Roots. Key concepts: crystal, bubble, cap."})
    assert lost(run) == [("design", "copies_demonstration")] and not len(run)
    copy = "Which of two Botany roots erupts more violently, and why? Which of two magmas erupts more violently?"
    run = course(write={"question": copy})
    assert set(lost(run)) == {("write", "copies_demonstration")}


def test_repeated_entries_of_a_loop_count_once():
    found = read_subjects("1. Roots, beginner: hair, hair, cap, Hair, hair, ha")
    assert found and found[0].subtopics == ["hair", "cap"]


# 3 Syllabus


def test_a_syllabus_is_written_from_the_subject_and_its_sessions_are_extracted_by_a_second_call(tmp_path):
    text = "First we look at roots, then at hair and cap. Later stems follow, with node."
    sessions = [{"name": "Roots", "key_concepts": ["hair", "cap"]}, {"name": "Stems", "key_concepts": ["node"]}]
    answers = {"design": {"syllabus": text}, "extract": {"sessions": sessions}}
    run, calls = run_of(tmp_path, answers, taxonomy=["Botany"], n=1)
    (design,) = made(calls, "design")
    assert design.inputs == {
        "discipline": "Botany",
        "subject": "Botany one",
        "level": "beginner",
        "subtopics": '["alpha", "beta"]',
        "size": "3 to 4 class sessions with about 3 key concepts each",
    }
    assert made(calls, "extract")[0].inputs == {"syllabus": text}
    assert [s.name for s in run.artifacts(Syllabus)[0].sessions] == ["Roots", "Stems"]


def test_the_paper_s_preset_asks_for_ten_to_thirty_sessions_of_about_five_concepts(tmp_path):
    lm = ScriptedLM(script(structure={"subjects": []}, extract={"sessions": []}))
    with dspy.context(lm=lm):
        GLAN.preset("faithful", taxonomy=["Botany"])(discipline="Botany", step="syllabus", subject="Roots")
    assert lm.calls[0]["size"] == "10 to 30 class sessions with about 5 key concepts each"


def test_what_does_not_stand_in_the_syllabus_is_dropped_from_its_sessions(tmp_path):
    sessions = [{"name": "Roots", "key_concepts": ["hair", "quark"]}, {"name": "Starlight", "key_concepts": ["cap"]}]
    answers = {"design": {"syllabus": "We look at roots: hair and cap."}, "extract": {"sessions": sessions}}
    run, _ = run_of(tmp_path, answers, taxonomy=["Botany"], until="syllabi")
    assert [(s.name, s.key_concepts) for s in run.artifacts(Syllabus)[0].sessions] == [("Roots", ["hair"])]
    assert ("extract", "not_as_written") in lost(run)
    assert rejects(tmp_path)[0]["content"]["invented"] == ["quark", "Starlight"]
    run, _ = run_of(tmp_path / "paper", answers, taxonomy=["Botany"], until="syllabi", as_written=False)
    assert len(run.artifacts(Syllabus)[0].sessions) == 2


def test_sessions_of_one_name_are_one_and_a_concept_stays_with_its_first_session():
    sessions = [
        Session(name="1. Roots", key_concepts=["hair", "Hair ", "cap"]),
        Session(name="Stems", key_concepts=["HAIR", "node"]),
        Session(name="ROOTS", key_concepts=["bark"]),
        Session(name="Nothing", key_concepts=["cap", ""]),
    ]
    assert [(s.name, s.key_concepts) for s in merged_sessions(sessions)] == [
        ("Roots", ["hair", "cap", "bark"]),
        ("Stems", ["node"]),
    ]


@pytest.mark.parametrize(
    ("answers", "loss"),
    [
        ({"design": {"syllabus": " "}}, ("design", "empty_syllabus")),
        ({"design": Reply('{"syllabus": "Session 1', "length")}, ("design", "truncated")),
        ({"design": {"syllabus": "Roots."}, "extract": {"sessions": []}}, ("extract", "no_sessions")),
        ({"design": {"syllabus": "Roots."}, "extract": "none"}, ("extract", "unparsable")),
    ],
)
def test_a_syllabus_that_cannot_be_used_leaves_its_subject_out_and_the_next_subject_takes_its_place(
    answers, loss, tmp_path
):
    usual = script()["design"]
    good = answers["design"]
    answers = {**answers, "design": lambda call: good if call["subject"].endswith("one") else usual(call)}
    run, calls = run_of(tmp_path, answers, taxonomy=["Botany"], n=1)
    assert lost(run) == [loss] and run.rows[0].subject == "Botany two"
    assert len(made(calls, "design")) == 2


# 4 Sampling


def test_the_counts_of_combinations_are_31_and_575():
    assert singles(5) == 31 and doubles(5, 5) == 575
    assert singles(2) == 3 and singles(7) == 119 and doubles(1, 1) == 1 and doubles(0, 5) == 0


@pytest.mark.parametrize(("first", "second"), [(5, 5), (1, 1), (1, 6), (2, 3)])
def test_each_rank_is_another_combination_and_none_comes_from_one_session_alone(first, second):
    found = {double(rank, first, second) for rank in range(doubles(first, second))}
    assert len(found) == doubles(first, second)
    for chosen in found:
        assert 2 <= len(set(chosen)) <= 5 and min(chosen) < first <= max(chosen) < first + second
    assert {single(rank, first) for rank in range(singles(first))} == {
        tuple(i for i in range(first) if mask >> i & 1) for mask in range(1, 2**first) if mask.bit_count() <= 5
    }
    with pytest.raises(IndexError):
        single(singles(first), first)
    with pytest.raises(IndexError):
        double(doubles(first, second), first, second)


def test_a_shuffled_range_is_a_permutation_that_depends_on_its_key():
    for size in (*range(1, 40), 575, 1024, 1025):
        order = Shuffled(size, "a")
        assert sorted(order[i] for i in range(size)) == list(range(size))
    orders = {tuple(Shuffled(31, str(key))[i] for i in range(31)) for key in range(50)}
    assert len(orders) == 50
    firsts = Counter(Shuffled(31, str(key))[0] for key in range(3100))
    assert len(firsts) == 31 and max(firsts.values()) < 200 and min(firsts.values()) > 40


def test_groups_of_several_sizes_are_dealt_in_turn():
    dealt = Dealt([2, 5, 1], random.Random(0))
    found = [dealt[i] for i in range(dealt.total)]
    assert sorted(found) == [(g, n) for g, size in enumerate((2, 5, 1)) for n in range(size)]
    assert {group for group, _ in found[:3]} == {0, 1, 2} and {group for group, _ in found[5:]} == {1}


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("sizes", [(5, 5), (1,), (3, 0, 4, 7), (1, 1, 1)])
def test_combinations_are_drawn_without_replacement_until_all_are(share, sizes):
    drawn = Combinations(sessions_of(*sizes), share, "k")
    found = [drawn[i] for i in range(drawn.total)]
    assert drawn.total == total(sizes, share)
    assert len(set(found)) == drawn.total == len({(c.sessions, c.concepts) for c in found})
    for strategy, numbers, concepts in found:
        assert len(numbers) == (1 if strategy == "single" else 2) and 1 <= len(concepts) <= 5
        assert {int(concept[1]) for concept in concepts} == set(numbers)
    with pytest.raises(IndexError):
        drawn[drawn.total]


def test_both_strategies_together_have_31_and_31_and_575_combinations():
    assert Combinations(sessions_of(5, 5), 0.5, "k").total == 31 + 31 + 575
    assert Combinations(sessions_of(5, 5), 0.0, "k").total == 62
    assert Combinations(sessions_of(5, 5), 1.0, "k").total == 575


def test_the_share_of_double_questions_holds_while_both_last_and_at_the_first_draw_over_courses():
    drawn = Combinations(sessions_of(5, 5, 5), 0.25, "k")
    assert Counter(drawn[i].strategy for i in range(40)) == {"single": 30, "double": 10}
    firsts = Counter(Combinations(sessions_of(5, 5), 0.25, str(key))[0].strategy for key in range(400))
    assert 60 < firsts["double"] < 140


def test_one_session_has_single_questions_alone_even_if_only_double_ones_are_wanted():
    drawn = Combinations(sessions_of(3), 1.0, "k")
    assert drawn.total == 7 and {drawn[i].strategy for i in range(7)} == {"single"}


def test_fewer_concepts_than_five_are_no_error_and_sessions_without_are_passed_over():
    drawn = Combinations(sessions_of(2, 0), 0.5, "k")
    assert [len(drawn[i].concepts) for i in range(drawn.total)].count(2) == 1 and drawn.total == 3


def test_sessions_with_a_thousand_concepts_are_counted_and_drawn_without_being_listed():
    drawn = Combinations(sessions_of(1000, 1000), 0.5, "k")
    assert drawn.total > 10**14 and len(drawn[10**14].concepts) <= 5


# 5 and 6 Questions and answers


def test_the_question_is_asked_from_the_whole_syllabus_and_the_answer_from_the_question_alone(tmp_path):
    run, calls = run_of(tmp_path, taxonomy=["Botany"], n=1)
    (row,) = run.rows
    (write,) = made(calls, "write")
    assert write.inputs == {
        "syllabus": syllabus_of("Botany one"),
        "discipline": "Botany",
        "level": "beginner",
        "sessions": json.dumps(list(row.session_names)),
        "key_concepts": json.dumps(list(row.key_concepts)),
    }
    assert [call.inputs for call in made(calls, "answer")] == [{"question": row.instruction}]
    assert row.instruction == HARD.format(" and ".join(row.key_concepts))
    assert row.parent_ids == (run.artifacts(Syllabus)[0].id,)


def test_each_question_of_a_run_has_a_combination_of_its_own(tmp_path):
    run, _ = run_of(tmp_path, taxonomy=["Botany"], n=60)
    combinations = {(row.subject, row.key_concepts) for row in run}
    assert len(combinations) == 60 and Counter(row.strategy for row in run)["double"] == 30


def test_questions_are_answered_by_an_lm_of_their_own(tmp_path):
    lms = {"generator": ScriptedLM(script(), model="strong"), "answerer": ScriptedLM(script(), model="weak")}
    run = sw.generate(GLAN(taxonomy=TREE), n=2, out=tmp_path, lms=lms)
    assert {call.predictor for call in lms["answerer"].calls} == {"answer"}
    provenance = run.rows[0].provenance
    assert provenance and provenance.lms == {"generator": "strong", "answerer": "weak", "judge": "strong"}
    assert lms["answerer"].calls[0].temperature == 0.7


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ("What did we learn about Botany in this session?", "names_course"),
        ("Explain the Botany that the syllabus names.", "names_course"),
        ("What does the figure above show about Botany?", "leans_on_absent"),
        ("Botany is a science and it has a history that is long.", "asks_nothing"),
        ("What is Botany?\nAnswer: a science.", "holds_answer"),
        ("Explain Botany to a [name] in a town.", "holds_placeholder"),
        ("Why do ships float?", "no_concept"),
        ("", "empty_question"),
        ("Explain Botany " + "again and again " * 50, "too_long"),
    ],
)
def test_a_question_that_is_not_sound_is_dropped_before_it_is_answered(question, reason, tmp_path):
    run, calls = run_of(tmp_path, {"write": {"question": question}}, taxonomy=["Botany"], questions_per_subject=1)
    assert set(lost(run)) == {("write", reason)} and not made(calls, "answer") and not made(calls, "screen")
    assert rejects(tmp_path)[0]["content"]["key_concepts"]


def test_without_checks_the_paper_s_preset_keeps_them(tmp_path):
    answers = {"write": {"question": "Why do ships float?"}}
    run, _ = run_of(tmp_path, answers, taxonomy=["Botany"], n=1, checks=())
    assert run.rows[0].instruction == "Why do ships float?"


def test_a_harmful_question_is_not_answered_and_neither_is_one_that_could_not_be_screened(tmp_path):
    run, calls = run_of(tmp_path / "a", {"screen": {"verdict": "harmful"}}, questions_per_subject=1)
    assert set(lost(run)) == {("screen", "harmful")} and not made(calls, "answer")
    run, calls = run_of(tmp_path / "b", {"screen": "who knows"}, questions_per_subject=1)
    assert set(lost(run)) == {("screen", "unparsable")} and not made(calls, "answer")
    run, calls = run_of(tmp_path / "c", {"screen": "who knows"}, n=1, safety=False)
    assert len(run) == 1 and not made(calls, "screen")


@pytest.mark.parametrize(
    ("answer", "loss"),
    [
        ({"answer": " "}, ("answer", "empty_answer")),
        (Reply('{"answer": "Beca', "length"), ("answer", "truncated")),
        ({"answer": "I'm sorry, but I can't help with that."}, ("refusal", "refusal")),
        ({"answer": "and so on " * 100}, ("repetition", "repetitive")),
    ],
)
def test_refusals_loops_and_cut_or_empty_answers_are_no_rows(answer, loss, tmp_path):
    run, _ = run_of(tmp_path, {"answer": answer}, taxonomy=["Botany"], questions_per_subject=1)
    assert set(lost(run)) == {loss} and len(run) == 0


def test_an_answer_that_says_no_is_an_answer(tmp_path):
    assert run_of(tmp_path, {"answer": {"answer": "NO"}}, n=1)[0].rows[0].response == "NO"


def test_questions_that_are_nearly_the_same_are_dropped_across_subjects(tmp_path):
    answers = {"write": {"question": "Explain why one, two and parts of Botany and Carpentry depend on each other."}}
    run, _ = run_of(tmp_path, answers, near_duplicates=0.8, questions_per_subject=1)
    assert len(run) == 1 and set(lost(run)) == {("exact_duplicate", "duplicate")}
    count = iter(range(100))
    alike = {
        "write": lambda call: {"question": f"Explain why one, two and parts of Botany depend on {next(count)} others."}
    }
    run, _ = run_of(tmp_path / "near", alike, near_duplicates=0.7, questions_per_subject=1)
    assert len(run) == 1 and set(lost(run)) == {("min_hash_novelty", "near_duplicate")}


def test_two_answers_that_a_judge_ranks_alike_in_both_orders_are_a_preference(tmp_path):
    texts = iter(["Short.", "The long and right one."] * 9)
    longer = lambda call: {"better": "first" if len(call["first_answer"]) > len(call["second_answer"]) else "second"}  # noqa: E731
    answers = {"answer": lambda call: {"answer": next(texts)}, "compare": longer}
    run, calls = run_of(tmp_path / "a", answers, n=1, answers=2)
    pair = run.rows[0].to_preference()
    assert pair and (pair.chosen[0].content, pair.rejected[0].content) == ("The long and right one.", "Short.")
    assert len({call.seed for call in made(calls, "answer")}) == 2 == len(made(calls, "compare"))
    for name, verdict in (("b", {"better": "first"}), ("c", {"better": "equal"}), ("d", "none")):
        run, _ = run_of(tmp_path / name, {**answers, "compare": verdict}, n=1, answers=2)
        assert run.rows[0].to_preference() is None and run.rows[0].response == "Short."
    assert lost(run) == [("compare", "unparsable")]


def test_an_lm_error_is_raised(tmp_path):
    with pytest.raises(UnusableLMError, match="no such model"):
        run_of(tmp_path, {"list_subjects": ValueError("no such model")})


# 7 Decontamination


def test_rows_that_share_thirteen_words_with_an_evaluation_set_are_dropped(tmp_path):
    item = HARD
    path = tmp_path / "test.jsonl"
    path.write_text(json.dumps({"question": item.format("the things that are taught here")}))
    run, _ = run_of(tmp_path / "run", n=None, questions_per_subject=1, decontaminate=(path,))
    assert set(lost(run)) == {("decontamination", "contaminated")} and len(run) == 0
    other = tmp_path / "other.jsonl"
    other.write_text(json.dumps({"prompt": "A question about quite another matter."}))
    arguments = {"decontaminate": (other,), "decontaminate_field": "prompt"}
    assert len(run_of(tmp_path / "clean", n=2, **arguments)[0]) == 2


# The plan


def test_a_small_run_asks_for_no_more_of_the_tree_than_it_needs_and_takes_a_discipline_a_row(tmp_path):
    run, calls = run_of(tmp_path, taxonomy="disciplines", n=5)
    assert Counter(call.predictor for call in calls) == dict.fromkeys(
        ("list_subjects", "design", "write", "screen", "answer"), 5
    )
    assert len({row.field for row in run}) == 5 == len({row.discipline for row in run})


def test_disciplines_take_turns_so_that_one_with_many_subjects_does_not_dominate(tmp_path):
    def many(call):
        count = 30 if call["discipline"] == "Botany" else 1
        return {"subject_list": "\n".join(f"{i}. {call['discipline']} {i}: a, b." for i in range(1, count + 1))}

    run, _ = run_of(tmp_path, {"list_subjects": many}, n=60, max_subjects=None)
    assert Counter(row.discipline for row in run) == {"Botany": 30, "Carpentry": 30}


def test_the_tree_grows_when_the_combinations_of_a_subject_were_asked(tmp_path):
    run, calls = run_of(tmp_path, taxonomy=["Botany"], n=50, questions_per_subject=20)
    assert Counter(row.subject for row in run)["Botany one"] >= 20
    assert [call["subject"] for call in made(calls, "design")] == ["Botany one", "Botany two"]


def test_all_combinations_are_asked_once_and_then_the_run_says_so(tmp_path):
    answers = {"design": lambda call: {"syllabus": syllabus_of(call["subject"], 2, 2)}}
    run, calls = run_of(tmp_path, answers, taxonomy=["Botany"], n=1000, questions_per_subject=4)
    each = 3 + 3 + doubles(2, 2)
    assert len(run) == 2 * each == len(made(calls, "write"))
    assert len({(row.subject, row.key_concepts) for row in run}) == 2 * each
    assert run.stopped == f"{2 * each} of the {2 * each} combinations of 2 syllabi were asked" and run.complete


def test_the_whole_tree_is_grown_first_where_that_is_wanted(tmp_path):
    _, calls = run_of(tmp_path, n=1, grow="all", subject_queries=2)
    order = [call.predictor for call in calls]
    assert order == ["list_subjects"] * 4 + ["design"] * 4 + ["write", "screen", "answer"]


def test_without_a_target_one_pass_is_made(tmp_path):
    run, _ = run_of(tmp_path, questions_per_subject=3)
    assert len(run) == 2 * 2 * 3 and run.complete and run.stopped.startswith("12 of the ")


def test_lost_questions_are_replaced_by_other_combinations(tmp_path):
    count = iter(range(1000))
    answers = {"screen": lambda call: {"verdict": "harmful" if next(count) % 3 else "harmless"}}
    run, calls = run_of(tmp_path, answers, taxonomy=["Botany"], n=12, questions_per_subject=5)
    asked = [(call["syllabus"], call["key_concepts"]) for call in made(calls, "write")]
    assert len(run) == 12 and len(set(asked)) == len(asked) > 30


@pytest.mark.parametrize("concurrency", [1, 8])
def test_the_dataset_is_the_same_at_any_concurrency(concurrency, tmp_path):
    run, _ = run_of(tmp_path, taxonomy="disciplines", n=40, concurrency=concurrency, questions_per_subject=2)
    other, _ = run_of(tmp_path / "other", taxonomy="disciplines", n=40, concurrency=3, questions_per_subject=2)
    assert [row.record() for row in run] == [row.record() for row in other]


def test_an_interrupted_run_goes_on_and_ends_with_the_same_rows(tmp_path):
    whole, _ = run_of(tmp_path / "whole", n=30, questions_per_subject=4)
    budget = sw.Budget(calls=20)
    lm, generator = ScriptedLM(script()), lambda: GLAN(taxonomy=TREE, near_duplicates=None, subject_queries=1,
                                                       questions_per_subject=4)  # fmt: skip
    run = sw.generate(generator(), n=30, out=tmp_path / "again", lms=lm, budget=budget)
    assert not run.complete
    run = sw.generate(generator(), n=30, out=tmp_path / "again", lms=lm)
    assert [row.record() for row in run] == [row.record() for row in whole]


def test_seeds_are_disciplines_that_replace_the_taxonomy_and_rows_of_a_run_will_do(tmp_path):
    seeds = [{"discipline": "Optics", "field": "Physics"}, {"discipline": "optics"}, {"discipline": "Heraldry"}]
    run, calls = run_of(tmp_path / "a", seeds=seeds, n=2)
    assert [call["discipline"] for call in made(calls, "list_subjects")] == ["Optics", "Heraldry"] or {
        row.discipline for row in run
    } == {"Optics", "Heraldry"}
    again, _ = run_of(tmp_path / "b", seeds=[row.record() for row in run], n=2)
    assert {row.discipline for row in again} == {"Optics", "Heraldry"}
    for seed in ({"subject": "x"}, {"discipline": " "}, {"discipline": 3}):
        with pytest.raises(ConfigError, match="Seed 0 of GLAN"):
            list(GLAN().plan(Pool(seeds=[seed])))


def test_a_seed_with_a_step_is_asked_as_it_is(tmp_path):
    seed = {
        "step": "question",
        "discipline": "Optics",
        "syllabus": "Lenses.",
        "sessions": ["Lenses"],
        "key_concepts": ["focus"],
    }
    run, _ = run_of(tmp_path, seeds=[seed])
    assert run.rows[0].key_concepts == ("focus",) and run.funnel.asked == 1
    run, calls = run_of(tmp_path / "course", seeds=[{"step": "course", "discipline": "Optics"}])
    assert len(run) == 2 and [call.predictor for call in calls][:2] == ["list_subjects", "design"]


def test_wrong_steps_and_steps_without_a_discipline_are_refused():
    with pytest.raises(ConfigError, match="no step 'questoin'"):
        GLAN()(step="questoin")
    with pytest.raises(ConfigError, match="needs a `discipline`"):
        GLAN()(step="subjects")


def test_the_language_is_asked_for_in_every_text(tmp_path):
    _, calls = run_of(tmp_path, n=1, language="German")
    for name in ("list_subjects", "design", "write"):
        assert made(calls, name)[0]["language"] == "German"


# Quotas and coverage


def test_no_node_gets_more_rows_than_its_quota_and_the_others_go_on(tmp_path):
    quotas = {"Botany": 5, "Carpentry > Carpentry one": 3}
    run, _ = run_of(tmp_path, n=40, quotas=quotas, questions_per_subject=4)
    counts = Counter((row.discipline, row.subject) for row in run)
    assert sum(n for (discipline, _), n in counts.items() if discipline == "Botany") == 5
    assert counts["Carpentry", "Carpentry one"] == 3 and counts["Carpentry", "Carpentry two"] == 32


def test_a_quota_of_nothing_costs_nothing_and_full_quotas_end_the_run(tmp_path):
    run, calls = run_of(tmp_path, n=40, quotas={"Botany": 0, "Carpentry": 2})
    assert len(run) == 2 and {call["discipline"] for call in made(calls, "list_subjects")} == {"Carpentry"}
    assert run.complete


def test_lost_rows_do_not_count_against_a_quota(tmp_path):
    count = iter(range(1000))
    answers = {"screen": lambda call: {"verdict": "harmful" if next(count) % 2 else "harmless"}}
    run, _ = run_of(tmp_path, answers, taxonomy=["Botany"], n=40, quotas={"Botany": 5})
    assert len(run) == 5


def test_a_quota_that_names_no_node_is_refused_with_the_nearest(tmp_path):
    with pytest.raises(ConfigError, match=r"no node 'Botanny'.*Botany"):
        run_of(tmp_path, n=1, quotas={"Botanny": 5})
    with pytest.raises(ConfigError, match="quota of 'Botany'"):
        GLAN(quotas={"Botany": -1})


def test_coverage_says_how_much_of_the_curriculum_has_rows(tmp_path):
    run, _ = run_of(tmp_path, taxonomy="disciplines", n=3)
    report = coverage(run, grown(run, taxonomy="disciplines"))
    assert report.rows == 3 and report.hit["disciplines"] == 3 and report.total["disciplines"] == 126
    assert (report.hit["subjects"], report.total["subjects"]) == (3, 6)
    assert report.total["sessions"] == 9 and report.total["concepts"] == 45
    assert report.hit["concepts"] == sum(len(row.key_concepts) for row in run)
    assert report.share("disciplines") == pytest.approx(3 / 126)
    assert 0.2 < report.evenness < 0.25 and report.combinations == 3
    text = str(report)
    assert "| disciplines | 3 | 126 | 2.4% |" in text and "0 to 1 rows a discipline" in text


def test_coverage_of_no_rows_and_of_rows_that_the_tree_does_not_hold():
    assert coverage([], load_tree(TREE)).evenness == 0 == coverage([], load_tree(TREE)).share("subjects")
    row = HomeworkRow(
        discipline="Optics",
        subject="Lenses",
        level="",
        session_names=("a",),
        key_concepts=("b",),
        strategy="single",
        instruction="?",
        response="!",
    )
    report = coverage([row], load_tree(["Botany"]))
    assert (report.hit["disciplines"], report.total["disciplines"]) == (1, 2)
    assert list(report.by_discipline) == ["Optics", "Botany"]


# Export, data, declarations


def test_a_row_is_a_conversation_and_a_prompt_and_is_read_back_whole(tmp_path):
    run, _ = run_of(tmp_path, n=1)
    (row,) = run.rows
    messages, prompt = row.to_messages(), row.to_prompt()
    assert messages and [(m.role, m.content) for m in messages] == [
        ("user", row.instruction),
        ("assistant", row.response),
    ]
    assert prompt and [m.content for m in prompt] == [row.instruction] and row.to_preference() is None
    assert HomeworkRow.model_validate(row.record()) == row


def test_for_tuning_questions_need_no_answers(tmp_path):
    run, calls = run_of(tmp_path, n=1, answers=0)
    assert not made(calls, "answer") and run.rows[0].response == "" and run.rows[0].to_messages() is None


def everything():
    return GLAN("propose", panel=True, answers=2)


def test_shipped_demonstrations_fit_their_signatures_and_pass_the_checks():
    generator, demos = everything(), shipped("glan")
    predictors = generator.all_predictors()
    assert set(demos) == set(predictors)
    for name, examples in demos.items():
        fields = set(signature_of(predictors[name]).fields)
        assert len(examples) >= 3 and all(set(example) == fields for example in examples), name
    for demo in demos["list_subjects"]:
        found = read_subjects(demo["subject_list"])
        assert found and len(found) == demo["how_many"] and len(demo["subject_list"]) < 500
        assert all(level_of(s.level) == s.level and len(s.subtopics) == 3 for s in found)
    for demo in demos["design"]:
        found, read = read_sessions(demo["syllabus"]) or ([], "")
        assert read == demo["syllabus"] and list(merged_sessions(found)) == found and 3 <= len(found) <= 4
        assert all(len(session.key_concepts) == 3 for session in found)
    for demo in demos["extract"]:
        assert all(c in demo["syllabus"] for s in demo["sessions"] for c in (s["name"], *s["key_concepts"]))
    for demo in demos["structure"]:
        text = demo["subject_list"]
        assert all(part in text for s in demo["subjects"] for part in (s["name"], *s["subtopics"]))
    for demo in demos["write"]:
        concepts = {c for s in (read_sessions(demo["syllabus"]) or [()])[0] for c in s.key_concepts}
        assert set(demo["key_concepts"]) <= concepts
        faults = [CHECKS[name](demo["question"], demo["sessions"], demo["key_concepts"]) for name in CHECKS]
        assert not any(faults)
    assert {demo["verdict"] for demo in demos["screen"]} == {"harmless", "harmful"}
    assert {demo["vote"] for demo in demos["review"]} == {"keep", "remove"}
    assert {demo["better"] for demo in demos["compare"]} == {"first", "second", "equal"}


def test_tuning_seeds_are_of_three_kinds_and_disjoint_from_demonstrations_and_each_other():
    tuning = list(read_jsonl(data_path("../../optimizers/data/glan.jsonl")))
    assert Counter(record["split"] for record in tuning) == {"train": 20, "val": 16, "test": 26}
    by_split: dict[str, set[str]] = {}
    for record in tuning:
        by_split.setdefault(record["split"], set()).add(record["inputs"]["discipline"])
    train, val, test = by_split["train"], by_split["val"], by_split["test"]
    shown = {demo["discipline"] for demo in shipped("glan")["list_subjects"]}
    taxonomy = {d.node.name for d in load_tree("disciplines").disciplines}
    assert not (train & val or train & test or val & test or (train | val | test) & (shown | taxonomy))
    for record in tuning:
        inputs = record["inputs"]
        if inputs["step"] == "question":
            sessions = {s.name: s.key_concepts for s in (read_sessions(inputs["syllabus"]) or [()])[0]}
            taught = [concept for name in inputs["sessions"] for concept in sessions[name]]
            assert set(inputs["key_concepts"]) <= set(taught) and 1 <= len(inputs["key_concepts"]) <= 5
            assert len(inputs["sessions"]) == (2 if inputs["strategy"] == "double" else 1)
    assert {record["inputs"]["step"] for record in tuning} == {"question", "syllabus", "subjects"}


def test_practical_holds_the_defaults_and_faithful_the_numbers_of_the_paper():
    parameters = list(inspect.signature(GLAN.__init__).parameters.values())[1:]
    defaults = {p.name: p.default for p in parameters}
    assert dict(GLAN.presets["practical"]) == {**defaults, "quotas": {}}
    paper = GLAN.preset("faithful")
    assert (paper.taxonomy, paper.subject_queries, paper.sessions, paper.concepts) == ("propose", 10, (10, 30), 5)
    assert (paper.checks, paper.safety, paper.grow, paper.questions_per_subject) == ((), False, "all", None)
    assert paper.filters == () and paper.two_turns and not paper.read_outlines
    hot = {"temperature": 1.0, "top_p": 0.95}
    configs = {name: predictor.config for name, predictor in paper.all_predictors().items()}
    assert all(configs[name] == hot for name in ("propose", "list_subjects", "design", "write"))
    assert configs["answer"] == {"temperature": 0.7, "top_p": 0.95}


def test_what_only_converts_or_judges_is_frozen_and_roles_are_those_of_the_paper():
    generator = everything()
    assert set(generator.target_predictors()) == {"list_subjects", "design", "write"}
    roles = {name: generator.role_of(name) for name in generator.all_predictors()}
    assert roles == {
        **dict.fromkeys(("propose", "list_subjects", "structure", "design", "extract", "write"), "generator"),
        **dict.fromkeys(("review", "screen", "compare"), "judge"),
        "review_second": "second_judge",
        "review_third": "third_judge",
        "answer": "answerer",
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"taxonomy": "discipline"}, "No taxonomy 'discipline'.*disciplines"),
        ({"taxonomy": []}, "list of names of disciplines"),
        ({"grow": "some"}, "No `grow` 'some'"),
        ({"until": "rows"}, "No `until` 'rows'"),
        ({"checks": ("too_hard",)}, "no check 'too_hard'"),
        ({"sessions": (4, 3)}, "`sessions` is the fewest and the most"),
        ({"subject_queries": 0}, "`subject_queries` must be at least 1, got 0"),
        ({"double_share": 1.5}, "`double_share` must be at least 0 and at most 1, got 1.5"),
        ({"wordings": 5}, "`wordings` must be at least 1 and at most 4, got 5"),
        ({"answers": 3}, "`answers`"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        GLAN(**arguments)


def test_planning_knows_positions_from_turns_and_large_ones_are_split(tmp_path):
    node = {"name": "Roots", "syllabus": {"sessions": [{"name": "a", "key_concepts": list("bcdef")}]}}
    path = tmp_path / "tree.json"
    path.write_text(json.dumps({"disciplines": [{"name": f"D{i}", "subjects": [node]} for i in range(1100)]}))
    generator = GLAN(path, grow="all", questions_per_subject=2)
    seeds = list(generator.plan(Pool(target=10)))
    turns = [seed for seed in seeds if seed["step"] == "turn"]
    assert [len(turn["asked"]) for turn in turns] == [1000, 100] and len(seeds) == 2 + 2200
    made_turns = [Turn(asked=turn["asked"], round=0) for turn in turns]
    later = [s for s in generator.plan(Pool(target=10, artifacts=made_turns, round=1)) if s["step"] == "question"]
    first = [s for s in seeds if s["step"] == "question"]
    asked = [(s["discipline"], tuple(s["key_concepts"])) for s in (*first, *later)]
    assert len(set(asked)) == len(asked) == 4400


def test_a_query_that_failed_with_an_lm_error_is_not_taken_for_an_empty_list():
    artifacts = [SubjectList(discipline="Botany", query=0, subjects=())]
    seeds = list(GLAN(["Botany"], subject_queries=3).plan(Pool(target=1, artifacts=artifacts, round=1)))
    assert seeds == [{"step": "subjects", "field": "", "sub_field": "", "discipline": "Botany", "query": 1}]


# The real LM


@pytest.mark.embedded
def test_the_embedded_lm_lists_subjects_designs_a_syllabus_and_asks_and_answers_a_question(embedded, tmp_path):
    generator = GLAN(["Botany"], checks=(), safety=False, max_chars=160, check_answers=False)
    lists = sw.generate(
        generator, seeds=[{"step": "subjects", "discipline": "Botany"}], out=tmp_path / "a", lms=embedded
    )
    assert len(lists.artifacts(SubjectList)) == 1
    syllabus = (
        "Course on roots:\nSession 1: Growth. Key concepts: root cap, hair.\nSession 2: Food. Key concepts: starch."
    )
    about = {"discipline": "Botany", "syllabus": syllabus, "level": "beginner"}
    seeds = [
        {"step": "question", **about, "sessions": ["Food"], "key_concepts": ["starch"]},
        {"step": "question", **about, "sessions": ["Growth"], "key_concepts": ["root cap"]},
    ]
    run = sw.generate(generator, seeds=seeds, out=tmp_path / "b", lms=embedded)
    assert len(run) >= 1 and all(row.instruction and row.response for row in run)
