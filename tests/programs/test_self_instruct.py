import inspect
import itertools
import json
import os
import subprocess
import sys
from collections import Counter

import dspy
import pytest

import synthwright as sw
from synthwright.errors import ConfigError, UnusableLMError
from synthwright.lms.adapters import default_adapter
from synthwright.pool import Pool
from synthwright.programs.base import data_path, read_jsonl
from synthwright.programs.prompts import signature_of
from synthwright.programs.self_instruct import SelfInstruct
from synthwright.programs.self_instruct_checks import (
    CHECKS,
    complete_objects,
    complete_texts,
    filter_instances,
    instruction_failure,
    label_failure,
    says_yes,
    split_proposals,
    tidy_input,
)
from synthwright.programs.self_instruct_seeds import seed_tasks
from synthwright.runs.demonstrations import apply_shipped, shipped
from synthwright.signatures.evol_instruct import EvolvedRow
from synthwright.signatures.self_instruct import Proposed, Settled, TaskInstance, TaskRow
from synthwright.signatures.self_instruct_encodings import WITH_INPUT, WITHOUT_INPUT, encode, strip_field_name
from synthwright.testing import Reply, ScriptedLM

NOUNS = (
    "anchor bagel candle drum engine ferry glove hammer island jacket kettle lantern mirror needle oven piano".split()
)
VERBS = "Describe Praise Sketch Repair Weigh Sell Hide Compare Clean Insure Test Order".split()
SEEDS = [{"instruction": f"{verb} the {noun} in two lines."} for verb, noun in zip(VERBS, NOUNS, strict=False)]
TASK = "Rename every colour that the passage mentions."
QUESTION = "Is the passage about winter or summer?"


def fresh(call):
    """Seven proposals that no other request makes."""
    number = sum(map(ord, call["existing_instructions"]))
    return {"new_instructions": [f"Explain q{number}x{i} to a{number}y{i} with b{i}z{number}." for i in range(7)]}


def one_instance(call):
    return {"instances": [{"input": "", "output": f"Done: {call['instruction']}"}]}


def scripted(**answers):
    defaults = {
        "propose": fresh,
        "identify": {"is_classification": False},
        "input_first": one_instance,
        "output_first": {
            "class_labels": ["winter", "summer"],
            "instances": [
                {"class_label": "winter", "input": "Snow lay on the roofs."},
                {"class_label": "summer", "input": "The beach was full."},
            ],
        },
        "rewrite": lambda call: {"output": f"Better: {call['input']}"},
    }
    return ScriptedLM({**defaults, **answers})


def proposals(*texts):
    return {"new_instructions": list(texts)}


def instances(*pairs):
    return {"instances": [{"input": a, "output": b} for a, b in pairs]}


def run_of(tmp_path, *, n=None, seeds=SEEDS, preset="practical", answers=None, **arguments):
    lm = scripted(**(answers or {}))
    generator = SelfInstruct.preset(preset, **arguments)
    return sw.generate(generator, seeds=seeds, n=n, out=tmp_path, lms=lm), lm


def lost(run):
    return [(stage, reason) for stage, reason, _ in run.funnel.lost]


def called(lm):
    return [call.predictor for call in lm.calls]


def rejects(tmp_path):
    return list(read_jsonl(tmp_path / "rejected.jsonl"))


def settle(instruction=TASK, *, answers=None, preset="practical", generator=None, **seed):
    """What one instruction gives, outside a run."""
    generator = generator or SelfInstruct.preset(preset)
    with dspy.context(lm=scripted(**(answers or {})), adapter=default_adapter()):
        return generator(instruction=instruction, **seed)


def propose(*texts, preset="practical", answer=None, **arguments):
    """What one request gives, outside a run."""
    lm = scripted(propose=answer if answer is not None else proposals(*texts))
    with dspy.context(lm=lm, adapter=default_adapter()):
        return SelfInstruct.preset(preset, **arguments)(existing_instructions=["Why?"])


def settled(number, instruction, round=0, accepted=True):
    return Settled(number=number, instruction=instruction, accepted=accepted, round=round, row_ids=(f"row{number}",))


def proposed(instruction, round=0, request=0):
    return Proposed(instruction=instruction, round=round, request=request, parent_ids=("p",))


def planned(generator=None, artifacts=(), *, round=0, target=100, seeds=SEEDS):
    return list((generator or SelfInstruct()).plan(Pool(artifacts=artifacts, seeds=seeds, target=target, round=round)))


MACHINE = [
    (proposed(f"Machine task {i} of kind {word}."), settled(i, f"Machine task {i} of kind {word}."))
    for i, word in enumerate(NOUNS)
]
MACHINE_MADE = [artifact for pair in MACHINE for artifact in pair]


def shown_by_machine(seed):
    return [text for text in seed["existing_instructions"] if text.startswith("Machine task")]


# 1 and 2: the pool and the requests


def test_while_the_machine_pool_is_empty_all_eight_tasks_shown_are_by_people():
    seeds = planned()
    human = {seed["instruction"] for seed in SEEDS}
    assert len(seeds) == 5
    for seed in seeds:
        assert len(set(seed["existing_instructions"])) == 8 and set(seed["existing_instructions"]) <= human


def test_later_requests_show_six_tasks_by_people_and_two_by_the_machine_shuffled():
    seeds = planned(SelfInstruct(requests_per_round=40), MACHINE_MADE, round=2)
    assert all(len(seed["existing_instructions"]) == 8 and len(shown_by_machine(seed)) == 2 for seed in seeds)
    places = {seed["existing_instructions"].index(shown_by_machine(seed)[0]) for seed in seeds}
    assert len(places) >= 6


def test_one_machine_task_is_shown_beside_seven_by_people():
    (seed, *_) = planned(artifacts=MACHINE_MADE[:2], round=2)
    assert (len(seed["existing_instructions"]), len(shown_by_machine(seed))) == (8, 1)


def test_how_many_tasks_are_shown_can_be_set():
    (seed, *_) = planned(SelfInstruct(shown=3, machine_shown=1), MACHINE_MADE, round=2)
    assert (len(seed["existing_instructions"]), len(shown_by_machine(seed))) == (3, 1)


def test_requests_depend_on_seed_and_round_alone():
    assert planned() == planned() != planned(SelfInstruct(seed=1))
    assert planned()[0]["existing_instructions"] != planned(round=2)[0]["existing_instructions"]


def test_plans_are_the_same_in_every_process():
    code = (
        "import json; from synthwright.pool import Pool; from synthwright.programs.self_instruct import SelfInstruct;"
        "print(json.dumps(list(SelfInstruct().plan(Pool(target=9)))))"
    )

    def output(hash_seed):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment).stdout

    assert output("1") == output("2") != ""


def test_rounds_grow_with_the_pool_unless_told_otherwise():
    many = [settled(i, f"t{i}") for i in range(400)]
    waiting = [proposed(f"t{i}") for i in range(400)]
    assert len(planned(artifacts=waiting + many, round=2)) == 20
    assert len(planned(SelfInstruct.preset("faithful"), waiting + many, round=2)) == 5


def test_the_ids_of_the_tasks_shown_are_the_parents():
    seeds = [{**seed, "id": f"s{i}"} for i, seed in enumerate(SEEDS[:7])]
    (seed, *_) = planned(artifacts=MACHINE_MADE, round=2, seeds=seeds)
    assert len(seed["parent_ids"]) == 8
    for text, name in zip(seed["existing_instructions"], seed["parent_ids"], strict=True):
        source = name.startswith("row") if text.startswith("Machine") else SEEDS[int(name[1:])]["instruction"] == text
        assert source


def test_fewer_seeds_than_are_shown_are_all_shown(tmp_path):
    run, lm = run_of(tmp_path, seeds=SEEDS[:3], n=2)
    assert json.loads(lm.calls[0]["existing_instructions"]).__len__() == 3 and len(run) == 2


def test_seeds_of_one_kind_only_work(tmp_path):
    seeds = [{**seed, "is_classification": True} for seed in SEEDS]
    assert len(run_of(tmp_path, seeds=seeds, n=2)[0]) == 2


def test_classification_only_shows_classifications_and_asks_for_such(tmp_path):
    seeds = [{**seed, "is_classification": i % 2 == 0} for i, seed in enumerate(SEEDS)]
    generator = SelfInstruct(classification_only=True)
    wanted = {seed["instruction"] for seed in seeds if seed["is_classification"]}
    assert all(set(seed["existing_instructions"]) <= wanted for seed in planned(generator, seeds=seeds))
    asked = [signature_of(each.propose).instructions for each in (generator, SelfInstruct())]
    assert "labels" in asked[0] and asked[0] != asked[1]
    with pytest.raises(ConfigError, match="there are none"):
        planned(generator)


def test_rows_of_another_method_are_seeds_and_stay_parents(tmp_path):
    evolved = EvolvedRow(
        instruction="Describe a fern.",
        response="Green.",
        operator="deepen",
        round=1,
        root_id="r",
        parent="p",
        judged=True,
    )
    run, _ = run_of(tmp_path, seeds=[evolved.record()], n=1)
    assert run.rows[0].parent_ids == (evolved.id,)


def test_plain_text_seeds_are_instructions():
    assert SelfInstruct.seed_fields()[0] == "instruction"


def test_rows_of_a_run_are_seeds_of_the_next(tmp_path):
    first, _ = run_of(tmp_path / "first", n=3)
    second, _ = run_of(tmp_path / "second", n=1, seeds=[row.record() for row in first])
    assert set(second.rows[0].parent_ids) <= {row.id for row in first} and second.rows[0].parent_ids


# 2: proposals


def test_seven_proposals_are_taken_and_the_eighth_is_kept_as_a_reject():
    made = propose(*(f"Explain the {noun} to a {noun} again." for noun in NOUNS[:8]))
    assert [artifact.instruction for artifact in made.artifacts] == [
        f"Explain the {noun} to a {noun} again." for noun in NOUNS[:7]
    ]
    assert [(reject.reason, reject.content["instruction"][:18]) for reject in made.rejected] == [
        ("too_many", "Explain the hammer")
    ]


@pytest.mark.parametrize(
    "text",
    ["9. Explain the tides.", "9) Explain the tides.", "Task 9: Explain the tides.", "- Explain the tides.",
     "(9) Explain the tides.", "* Explain\n the   tides.", "Instruction 12. Explain the tides."],
)  # fmt: skip
def test_numbers_at_the_start_go_and_white_space_is_collapsed(text):
    assert split_proposals([text]) == ["Explain the tides."]


@pytest.mark.parametrize("text", ["3D printing: explain it.", "1.5 litres of milk cost what?", "24 hours: plan them."])
def test_numbers_that_belong_to_the_task_stay(text):
    assert split_proposals([text]) == [text]


def test_a_numbered_list_in_one_text_is_several_proposals_and_a_task_with_a_list_is_one():
    assert split_proposals(["9. Name a bird.\n10. Name a fish."]) == ["Name a bird.", "Name a fish."]
    assert split_proposals(["Which is larger?\n1. a cat\n2. a dog"]) == ["Which is larger? 1. a cat 2. a dog"]


def test_names_and_acronyms_keep_their_case():
    text = "explain to NASA why Dr. McCoy likes DNA"
    assert propose(text).artifacts[0].instruction == text


def test_a_list_cut_by_its_length_is_dropped_whole(tmp_path):
    cut = Reply('{"new_instructions": ["Explain the tides to me.", "Name a', "length")
    run, lm = run_of(tmp_path, answers={"propose": cut}, requests_per_round=1)
    assert lost(run) == [("propose", "truncated")] and called(lm) == ["propose"]
    assert "Explain the tides" in rejects(tmp_path)[0]["content"]["reply"]


@pytest.mark.parametrize("reply", ["", "I have no ideas.", '{"new_instructions": "none"}'])
def test_a_reply_that_is_no_list_is_kept_as_a_reject(reply):
    made = propose(answer=reply)
    assert [(reject.stage, reject.reason) for reject in made.rejected] == [("propose", "unparsable")]


def test_an_empty_list_of_proposals_is_a_reject():
    assert [reject.reason for reject in propose(answer=proposals()).rejected] == ["no_proposals"]


# 3: instruction filters


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("  \n ", "empty"),
        ("Name three birds.", "too_short"),
        ("Explain " + "very " * 150 + "slowly.", "too_long"),
        ("Describe the image in words.", "blacklist"),
        ("Name the FILES in the folder.", "blacklist"),
        ("Draw a house with words.", "blacklist"),
        ("Plot the sales of May.", "blacklist"),
        ("Find how to go to Rome.", "blacklist"),
        ("Write a program that sorts.", "banned_opening"),
        ("'Explain' the word to me.", "odd_first_character"),
        ("\u201cExplain\u201d the word to me.", "odd_first_character"),
    ],
)
def test_each_rule_drops_its_proposals_in_both_presets(text, reason):
    for preset in ("faithful", "practical"):
        made = propose(text, preset=preset)
        assert [(reject.stage, reject.reason) for reject in made.rejected] == [("instruction", reason)]


@pytest.mark.parametrize(
    "text",
    [
        "Name four birds here.",
        "Explain " + "very " * 148 + "slowly.",
        "Explain what a flowchart is.",
        "Describe a mapmaker and a paragraph.",
        "Explain drawing to a plotter.",
        "Write a programme for a concert.",
        "Please write a program that sorts.",
    ],
)
def test_what_only_resembles_a_dropped_proposal_is_kept(text):
    for preset in ("faithful", "practical"):
        assert [artifact.instruction for artifact in propose(text, preset=preset).artifacts] == [text]


def test_rules_apply_in_the_order_of_the_released_code():
    rules = {"min_words": 4, "max_words": 150, "blacklist": ("image",), "banned_openings": ("Write a program",)}
    failing = ["", "! image", "! image " + "x " * 150, "! image of it all", "Write a program now", "! write it all now"]
    reasons = [instruction_failure(text, ascii_first=True, **rules) for text in failing]
    assert [reason[0] for reason in reasons if reason] == [
        "empty",
        "too_short",
        "too_long",
        "blacklist",
        "banned_opening",
        "odd_first_character",
    ]


def test_other_scripts_are_dropped_by_the_paper_and_kept_by_default():
    text = "Опиши утро в тихой деревне."
    assert propose(text, preset="faithful").rejected[0].reason == "odd_first_character"
    assert propose(text).artifacts[0].instruction == text


def test_a_statement_is_dropped_by_our_check_only():
    text = "The sea is blue and deep."
    assert propose(text).rejected[0].reason == "asks_nothing"
    assert propose(text, preset="faithful").artifacts[0].instruction == text


# 3: novelty


def novelty_of(*texts, artifacts=(), **arguments):
    number = 1 + max((a.number for a in artifacts if isinstance(a, Settled)), default=-1)
    waiting = [proposed(f"Filler number {i} of nothing.") for i in range(number)] + [proposed(text) for text in texts]
    return planned(SelfInstruct(**arguments), [*waiting, *artifacts], round=1)


def test_every_waiting_proposal_is_settled_once_in_order():
    seeds = novelty_of("Explain the tides.", "Fold a boat of paper.", artifacts=[settled(0, "Old task of ours.")])
    assert [(seed["number"], seed["instruction"]) for seed in seeds] == [
        (1, "Explain the tides."),
        (2, "Fold a boat of paper."),
    ]


def test_a_proposal_like_a_seed_an_accepted_task_or_one_before_it_is_not_novel():
    texts = [SEEDS[0]["instruction"], "Explain the old tides.", "Fold a boat.", "Fold a boat.", "Sing to a horse."]
    seeds = novelty_of(*texts, artifacts=[settled(0, "Explain the old tides!")])
    assert [seed["not_novel"] is None for seed in seeds] == [False, False, True, False, True]
    assert "Describe the anchor" in seeds[0]["not_novel"]


def test_a_proposal_that_repeats_a_task_it_was_shown_is_dropped_without_a_call(tmp_path):
    run, lm = run_of(tmp_path, answers={"propose": proposals(SEEDS[0]["instruction"])}, requests_per_round=1)
    assert lost(run) == [("novelty", "not_novel")] and called(lm) == ["propose"]
    assert rejects(tmp_path)[0]["detail"].startswith("ROUGE-L 1.00")


@pytest.mark.parametrize(
    ("arguments", "kept"),
    [({}, False), ({"keep_boundary": True}, True), ({"threshold": 0.71}, True), ({"threshold": 0.69}, False)],
)
def test_a_rouge_of_exactly_seven_tenths_is_new_in_the_released_code_and_not_in_the_paper(arguments, kept):
    seeds = [{"instruction": "a b c d e f g h i j"}]
    (seed,) = planned(SelfInstruct(**arguments), [proposed("a b c d e f g x y z")], round=1, seeds=seeds)
    assert seed["most_similar"] == [[0.7, "a b c d e f g h i j"]]
    assert (seed["not_novel"] is None) == kept


def test_the_presets_stand_on_the_side_of_the_paper_at_the_boundary():
    assert not SelfInstruct.preset("faithful").keep_boundary and not SelfInstruct.preset("practical").keep_boundary
    assert SelfInstruct.preset("code").keep_boundary and SelfInstruct.preset("code").admit == "at_once"


def test_a_row_records_the_ten_nearest_instructions(tmp_path):
    run, _ = run_of(tmp_path, answers={"propose": proposals("Describe the anchor in two or three short pages.")})
    row = run.rows[0]
    scores = [near.score for near in row.most_similar]
    assert len(scores) == 10 and scores == sorted(scores, reverse=True)
    assert row.most_similar[0].instruction == "Describe the anchor in two lines."
    assert scores[0] == pytest.approx(2 * 5 / (9 + 6), abs=1e-4)
    assert row.mean_similarity == pytest.approx(sum(scores) / 10)


def test_without_neighbours_novelty_is_still_checked():
    seeds = novelty_of(SEEDS[0]["instruction"], "Sing to a horse.", neighbours=0)
    assert [(seed["most_similar"], seed["not_novel"] is None) for seed in seeds] == [([], False), ([], True)]


def test_a_proposal_copied_from_a_demonstration_is_not_novel_by_default():
    for preset, known in (("practical", True), ("faithful", False)):
        generator = SelfInstruct.preset(preset)
        generator.all_predictors()["propose"].demos = [
            dspy.Example(existing_instructions=["x"], new_instructions=["Fold a boat of paper."])
        ]
        (seed,) = planned(generator, [proposed("Fold a boat of paper.")], round=1)
        assert (seed["not_novel"] is not None) == known


def test_a_task_joins_the_pool_with_its_first_instance_or_at_once(tmp_path):
    empty = {"input_first": instances(), "propose": proposals("Explain the tides to me.")}
    run, lm = run_of(tmp_path / "figure", answers=empty, n=1, requests_per_round=1, patience=3)
    assert called(lm).count("propose") == 3 and ("novelty", "not_novel") not in lost(run)
    assert "(0 are in the pool)" in run.stopped
    run, lm = run_of(tmp_path / "code", answers=empty, n=1, requests_per_round=1, patience=3, admit="at_once")
    assert ("novelty", "not_novel") in lost(run) and "(1 are in the pool)" in run.stopped


# Rounds and their end


def test_without_a_target_there_is_one_round_of_requests_and_one_of_instances(tmp_path):
    run, lm = run_of(tmp_path)
    assert called(lm).count("propose") == 5 and len(run) == 35
    assert run.stopped == "there is nothing more to ask" and run.complete


def test_with_a_target_rounds_follow_and_later_requests_show_machine_tasks(tmp_path):
    run, lm = run_of(tmp_path, n=50)
    requests = [json.loads(call["existing_instructions"]) for call in lm.calls if call.predictor == "propose"]
    machine = [sum(text.startswith("Explain q") for text in shown) for shown in requests]
    assert machine == [0] * 5 + [2] * 5
    assert len(run) == 50 and {row.round for row in run} == {0, 2}


def test_a_run_ends_with_a_reason_when_rounds_bring_nothing_new(tmp_path):
    run, lm = run_of(tmp_path, n=9, answers={"propose": proposals("Fold a boat of paper.")}, requests_per_round=2)
    assert len(run) == 1 and called(lm).count("propose") == 2 * 6
    assert run.stopped == "5 rounds of requests in a row brought no new task (1 are in the pool)"


def test_rounds_whose_proposals_all_break_a_rule_count_as_well(tmp_path):
    run, lm = run_of(tmp_path, n=9, answers={"propose": proposals("Hi.")}, requests_per_round=1, patience=4)
    assert called(lm) == ["propose"] * 4
    assert run.stopped.startswith("4 rounds of requests in a row brought no new task")
    again, lm = run_of(tmp_path, n=9, answers={"propose": proposals("Hi.")}, requests_per_round=1, patience=4)
    assert lm.calls == [] and again.stopped == run.stopped


def test_an_lm_that_never_answers_in_form_is_an_error(tmp_path):
    with pytest.raises(UnusableLMError, match="Not one reply"):
        run_of(tmp_path, n=9, answers={"propose": "Sure!"}, patience=50)


def test_the_dataset_is_the_same_at_any_concurrency_and_after_a_stop(tmp_path):
    def rows(path, n, concurrency):
        run = sw.generate(
            SelfInstruct(), seeds=SEEDS, n=n, out=tmp_path / path, lms=scripted(), concurrency=concurrency
        )
        return [row.record() for row in run]

    whole = rows("whole", 50, 1)
    assert rows("many", 50, 16) == whole
    rows("stopped", 20, 4)
    assert rows("stopped", 50, 4) == whole


# 4: classification


def test_the_verdict_decides_the_branch(tmp_path):
    answers = {
        "propose": proposals(TASK, QUESTION),
        "identify": lambda call: {"is_classification": call["instruction"] == QUESTION},
    }
    run, lm = run_of(tmp_path, answers=answers, requests_per_round=1)
    assert called(lm) == ["propose", "identify", "input_first", "identify", "output_first"]
    assert [(row.instruction, row.is_classification) for row in run] == [
        (TASK, False),
        (QUESTION, True),
        (QUESTION, True),
    ]


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [("Yes.", True), ("YES!", True), ("", False), ("No.", False), ("Yes and no.", False), ("Perhaps", False)],
)
def test_a_verdict_that_is_not_typed_counts_as_yes_only_if_it_says_so(reply, verdict):
    assert says_yes(reply) == verdict
    made = settle(QUESTION, answers={"identify": reply})
    assert {row.is_classification for row in made.rows} == {verdict}


# 5: instances


def test_a_task_may_need_no_input():
    (row,) = settle(answers={"input_first": instances((" ", " Done. "))}).rows
    assert (row.input, row.output) == ("", "Done.")


def test_an_input_that_holds_field_names_is_not_split():
    text = "Input: 4\nOutput: 5\n\nExample 2\nOutput: 6"
    (row,) = settle(answers={"input_first": instances((text, "fine"))}).rows
    assert (row.input, row.output) == (text, "fine")


def test_output_first_takes_the_label_as_output():
    made = settle(QUESTION, answers={"identify": {"is_classification": True}})
    assert [(row.input, row.output) for row in made.rows] == [
        ("Snow lay on the roofs.", "winter"),
        ("The beach was full.", "summer"),
    ]
    assert made.rows[0].class_labels == ("winter", "summer")


def labelled(labels, *pairs):
    written = [{"class_label": label, "input": text} for label, text in pairs]
    return {
        "identify": {"is_classification": True},
        "output_first": {"class_labels": labels, "instances": written},
    }


def reasons(made):
    return [(reject.stage, reject.reason) for reject in made.rejected or []]


def test_a_label_outside_the_list_is_dropped_by_our_check_only():
    answers = labelled(["good", "bad"], ("Good.", "a"), ("bad", "b"), ("ugly", "c"))
    made = settle("Is it any good?", answers=answers)
    assert [row.output for row in made.rows] == ["Good.", "bad"]
    assert reasons(made) == [("instance", "label_not_listed")]
    assert len(settle("Is it any good?", answers=answers, preset="faithful").rows) == 3


def test_a_label_that_the_instruction_does_not_name_is_dropped_if_it_names_others():
    answers = labelled(["winter", "summer", "autumn"], ("winter", "a"), ("autumn", "b"))
    made = settle(QUESTION, answers=answers)
    assert [row.output for row in made.rows] == ["winter"] and reasons(made) == [("instance", "label_not_named")]
    assert label_failure("Name the season.", ["winter", "autumn"], "autumn", CHECKS) is None


def test_a_classification_with_one_label_is_dropped_by_our_check_only():
    answers = labelled(["spam"], ("spam", "a"), ("spam", "b"))
    made = settle("Is it spam or not?", answers=answers)
    assert not made.rows and reasons(made) == [("instance", "one_label")] * 2
    assert len(settle("Is it spam or not?", answers=answers, preset="faithful").rows) == 2


@pytest.mark.parametrize("branch", ["input_first", "output_first"])
def test_a_reply_without_instances_keeps_the_task_out_of_the_pool(branch):
    verdict = {"is_classification": branch == "output_first"}
    empty = {"instances": [], **({"class_labels": ["a", "b"]} if branch == "output_first" else {})}
    made = settle(QUESTION, answers={"identify": verdict, branch: empty})
    assert reasons(made) == [(branch, "no_instances")] and not made.rows
    assert [artifact.accepted for artifact in made.artifacts] == [False]


@pytest.mark.parametrize("branch", ["input_first", "output_first"])
@pytest.mark.parametrize("reply", ["", "None", "I cannot."])
def test_a_reply_that_cannot_be_read_makes_no_row(branch, reply):
    made = settle(answers={"identify": {"is_classification": branch == "output_first"}, branch: reply})
    assert reasons(made) == [(branch, "unparsable")] and not made.rows


def test_no_instruction_makes_no_call():
    assert reasons(settle("  ")) == [("seed", "empty_seed")]


# 6: instance filters


def kept_of(*pairs, checks=(), instruction=TASK, examples=()):
    made = [TaskInstance(input=a, output=b) for a, b in pairs]
    given = [TaskInstance(input=a, output=b) for a, b in examples]
    kept, dropped = filter_instances(instruction, made, checks, "key", given)
    return [(each.input, each.output) for each in kept], [reason for _, reason, _ in dropped]


@pytest.mark.parametrize(
    ("pair", "reason"),
    [
        (("a", ""), "empty_output"),
        (("same", "same"), "input_is_output"),
        (("The list:", "b"), "ends_with_colon"),
        (("a", "It is:"), "ends_with_colon"),
    ],
)
def test_each_instance_rule_drops_its_instances(pair, reason):
    assert kept_of(pair, ("c", "d")) == ([("c", "d")], [reason])
    made = settle(answers={"input_first": instances(pair, ("c", "d"))}, preset="faithful")
    assert [row.input for row in made.rows] == ["c"] and reasons(made) == [("instance", reason)]


def test_one_input_with_two_outputs_drops_the_whole_task():
    kept, dropped = kept_of(("a", "1"), ("b", "2"), ("a", "3"))
    assert (kept, dropped) == ([], ["conflicting_outputs"] * 3)


def test_no_input_with_two_outputs_is_no_conflict():
    assert kept_of(("", "A poem."), ("", "Another poem."))[0] == [("", "A poem."), ("", "Another poem.")]


def test_copies_of_an_instance_are_dropped():
    assert kept_of(("a", "1"), ("a", "1"), ("b", "2")) == ([("a", "1"), ("b", "2")], ["repeated_instance"])


def test_five_instances_are_kept_at_random_and_always_the_same():
    pairs = [(str(i), f"out {i}") for i in range(9)]
    kept, dropped = kept_of(*pairs)
    assert len(kept) == 5 and dropped == ["too_many_instances"] * 4
    assert kept == kept_of(*pairs)[0] == sorted(kept) != pairs[:5]


def cut_run(tmp_path, text, **answers):
    branch = "output_first" if "identify" in answers else "input_first"
    answers = {"propose": proposals("Is it x or is it y?"), branch: Reply(text, "length"), **answers}
    return run_of(tmp_path, answers=answers, requests_per_round=1)[0]


def test_a_reply_cut_by_its_length_loses_its_last_instance_only(tmp_path):
    whole = '{"input": "a", "output": "1, 2]"}, {"input": "b", "output": "2"}'
    run = cut_run(tmp_path, f'{{"instances": [{whole}, {{"input": "c", "output": "thr')
    assert [(row.input, row.output) for row in run] == [("a", "1, 2]"), ("b", "2")]
    assert lost(run) == [("input_first", "truncated")]


def test_a_cut_reply_with_labels_is_read_past_the_list_of_labels(tmp_path):
    text = '{"class_labels": ["x", "y"], "instances": [{"class_label": "x", "input": "a"}, {"class_label": "y", "inp'
    run = cut_run(tmp_path, text, identify={"is_classification": True})
    assert [(row.input, row.output, row.class_labels) for row in run] == [("a", "x", ("x", "y"))]
    assert lost(run) == [("output_first", "truncated")]
    assert complete_texts('["x", "y"') == complete_texts("[1]") == complete_texts("none") == ()
    assert complete_objects('["a", "b"]') == complete_objects("no list") == complete_objects("[{1: 2}]") == []


@pytest.mark.parametrize(
    ("pair", "reason"),
    [
        (("", TASK.upper()), "echo"),
        (("[your text here]", "red"), "placeholder"),
        (("a red car", "<output>"), "placeholder"),
        (("a red car", "..."), "placeholder"),
    ],
)
def test_our_checks_of_instances_are_off_in_the_faithful_preset(pair, reason):
    answers = {"input_first": instances(pair)}
    assert reasons(settle(answers=answers)) == [("instance", reason)]
    assert len(settle(answers=answers, preset="faithful").rows) == 1


def test_an_instance_copied_from_a_demonstration_is_dropped():
    generator = SelfInstruct()
    generator.input_first.demos = [dspy.Example(instruction="x", instances=[{"input": "a", "output": "b"}])]
    made = settle(generator=generator, answers={"input_first": instances(("a", "b"), ("a", "c"))})
    assert [row.output for row in made.rows] == ["c"] and reasons(made) == [("instance", "copied_example")]
    shown, copied = ("tea", "Ten herbs, one quiet evening."), ("My tea", "ten herbs, one quiet evening")
    assert kept_of(copied, checks=CHECKS, examples=[shown]) == ([], ["copied_example"])
    assert kept_of(("Snow fell.", "winter"), checks=CHECKS, examples=[("It snowed.", "winter")])[1] == []


@pytest.mark.parametrize("text", ["N/A", "<noinput>", "None", "no input", "(none)", "not applicable."])
def test_placeholders_for_no_input_become_no_input(text):
    assert tidy_input(TASK, text) == ""
    answers = {"input_first": instances((text, "red"))}
    assert settle(answers=answers).rows[0].input == ""
    assert settle(answers=answers, preset="faithful").rows[0].input == text


def test_an_input_that_stands_in_the_instruction_is_not_repeated():
    instruction = "Translate the sentence 'The soup is cold.' into Dutch."
    assert tidy_input(instruction, "The soup is cold.") == ""
    assert tidy_input(instruction, "The soup is hot.") == "The soup is hot."
    assert tidy_input("Write a rhyme for the word.", "word") == "word"


def test_equal_rows_of_two_tasks_are_kept_once(tmp_path):
    answers = {"propose": proposals(TASK), "input_first": instances(("a", "b"))}
    run, _ = run_of(tmp_path, answers=answers, requests_per_round=2, threshold=1.0, keep_boundary=True)
    assert len(run) == 1 and lost(run) == [("exact_duplicate", "duplicate")]


def test_outputs_can_be_written_anew_by_a_stronger_lm(tmp_path):
    weak, strong = scripted(input_first=instances(("a", "b"))), scripted()
    run = sw.generate(
        SelfInstruct(rewrite_output=True), seeds=SEEDS, n=1, out=tmp_path, lms={"generator": weak, "strong": strong}
    )
    assert [(row.input, row.output) for row in run] == [("a", "Better: a")]
    assert set(called(strong)) == {"rewrite"} and "rewrite" not in called(weak)
    provenance = run.rows[0].provenance
    assert provenance is not None and provenance.lms["strong"] == "scripted"


def test_an_output_that_could_not_be_written_anew_is_dropped():
    generator = SelfInstruct(rewrite_output=True)
    made = settle(generator=generator, answers={"input_first": instances(("a", "b")), "rewrite": "oh"})
    assert not made.rows and reasons(made) == [("rewrite", "unparsable")]
    assert made.rejected[0].content["output"] == "b"


# 7: encodings and export


def row_of(instruction=TASK, input="a red car", output="red"):
    return TaskRow(instruction=instruction, input=input, output=output, is_classification=False)


def test_a_row_is_a_prompt_with_its_completion():
    row = row_of()
    user, assistant = row.to_messages() or []
    assert (user.role, assistant.role, assistant.content) == ("user", "assistant", "red")
    assert TASK in user.content and "a red car" in user.content
    assert [message.content for message in row.to_prompt() or []] == [user.content]
    assert row.to_preference() is None


def test_all_forms_occur_with_an_input_and_without_and_never_change():
    assert (len(WITH_INPUT), len(WITHOUT_INPUT)) == (7, 6)
    for forms, input in ((WITH_INPUT, "x"), (WITHOUT_INPUT, "")):
        drawn = Counter(encode(f"Do {i}.", input).replace(f"Do {i}.", "{instruction}") for i in range(700))
        wanted = {form.replace("{input}", input) for form in forms}
        assert set(drawn) == wanted and min(drawn.values()) > 50
    assert encode(TASK, "x") == encode(TASK, "x")


def test_braces_in_a_task_are_text():
    text = encode("Fix {input} and {0}.", "{instruction} {x!r}")
    assert "Fix {input} and {0}." in text and "{instruction} {x!r}" in text


def test_half_of_the_inputs_lose_a_lone_field_name_and_blank_lines():
    stripped = sum("Sentence:" not in encode(f"Do {i}.", "Sentence: It\n\nrains.") for i in range(400))
    assert 150 < stripped < 250
    assert strip_field_name("Sentence: It rains.") == "It rains."


@pytest.mark.parametrize("text", ["Name: Ann\nAge: 4", "It rains: take a coat with you", "12:30", "Title:", "plain"])
def test_other_inputs_keep_their_names(text):
    expected = text if text != "It rains: take a coat with you" else "take a coat with you"
    assert strip_field_name(text) == expected


# Presets, roles, prompts


def test_the_practical_preset_holds_the_defaults_of_the_constructor():
    defaults = {p.name: p.default for p in inspect.signature(SelfInstruct.__init__).parameters.values()}
    defaults.pop("self")
    assert SelfInstruct.presets["practical"] == defaults
    assert SelfInstruct().params() == SelfInstruct.preset().params()


def test_the_faithful_preset_has_the_numbers_of_the_paper():
    faithful = SelfInstruct.preset("faithful").params()
    assert (faithful["shown"], faithful["machine_shown"], faithful["threshold"]) == (8, 2, 0.7)
    assert (faithful["temperature"], faithful["top_p"], faithful["presence_penalty"]) == (0.7, 0.5, 2.0)
    assert (faithful["instance_temperature"], faithful["instance_presence_penalty"]) == (0.0, 1.5)
    assert (faithful["checks"], faithful["tidy_inputs"], faithful["growth"]) == ((), False, 0.0)


def test_the_faithful_preset_runs_and_shows_the_worked_examples(tmp_path):
    run, lm = run_of(tmp_path, preset="faithful", n=2)
    assert len(run) == 2
    shown = {call.predictor: sum(m["role"] == "assistant" for m in call.messages) for call in lm.calls}
    assert shown == {"propose": 0, "identify": 31, "input_first": 11}
    assert {call.predictor: call.temperature for call in lm.calls} == {"propose": 0.7, "identify": 0, "input_first": 0}


def test_optimizers_see_the_four_predictors_and_not_the_rewriting():
    expected = ["propose", "identify", "input_first", "output_first"]
    assert list(SelfInstruct(rewrite_output=True).target_predictors()) == expected
    assert SelfInstruct(rewrite_output=True).role_of("rewrite") == "strong"
    assert "rewrite" not in SelfInstruct().all_predictors()


def test_every_predictor_has_demonstrations_for_weak_lms():
    demos = shipped("self_instruct")
    generator = SelfInstruct(rewrite_output=True)
    assert set(demos) == set(generator.all_predictors())
    for name, predictor in generator.all_predictors().items():
        fields = set(signature_of(predictor).fields)
        assert len(demos[name]) >= 3 and all(set(demo) == fields for demo in demos[name])
    assert {demo["is_classification"] for demo in demos["identify"]} == {True, False}
    assert any(not each["input"] for demo in demos["input_first"] for each in demo["instances"])


def test_seeds_for_tuning_are_apart_from_what_prompts_show():
    known = {
        demo["instruction"] for demos in shipped("self_instruct").values() for demo in demos if "instruction" in demo
    }
    for name in ("identify", "input_first", "output_first"):
        known |= {each["instruction"] for each in read_jsonl(data_path(f"self_instruct/exemplars_{name}.jsonl"))}
    records = list(read_jsonl(data_path("../../optimizers/data/self_instruct.jsonl")))
    assert Counter(record["split"] for record in records) == {"train": 20, "val": 12, "test": 20}
    used = [
        (record["split"], text)
        for record in records
        for text in record["inputs"].get("existing_instructions") or [record["inputs"]["instruction"]]
    ]
    assert len({text for _, text in used}) == len(used) and not {text for _, text in used} & known


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"checks": ("ech",)}, "no check 'ech'. Did you mean 'echo'"),
        ({"admit": "later"}, "`admit` must be one of with_instance, at_once, got 'later'"),
        ({"shown": 0}, "`shown` must be at least 1, got 0"),
        ({"machine_shown": 9}, "`machine_shown` must be at least 0 and at most 8, got 9"),
        ({"threshold": 1.5}, "`threshold`"),
        ({"patience": 0}, "`patience`"),
        ({"min_words": 200}, "`min_words`"),
        ({"growth": 2}, "`growth`"),
        ({"temperature": 3}, "`temperature`"),
        ({"presence_penalty": 5}, "`presence_penalty`"),
    ],
)
def test_a_wrong_argument_is_an_error_that_says_what_is_right(arguments, message):
    with pytest.raises(ConfigError, match=message):
        SelfInstruct(**arguments)


# The real thing


@pytest.mark.embedded
def test_the_embedded_lm_proposes_and_settles(embedded):
    generator = SelfInstruct()
    apply_shipped(generator, {"generator": embedded, "strong": embedded})
    with dspy.context(lm=embedded, adapter=default_adapter(), disable_history=True, max_trace_size=0):
        shown = [task.instruction for task in itertools.islice(seed_tasks(), 100, 104)]
        asked = generator(existing_instructions=shown)
        made = generator(instruction="Explain what a volcano is.")
    assert len(asked.get("artifacts") or []) + len(asked.rejected) >= 1
    assert len(made.rows) + len(made.rejected) >= 1
    assert [artifact.accepted for artifact in made.artifacts] == [bool(made.rows)]
