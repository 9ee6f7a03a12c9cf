import inspect
import json
import logging
import random
from collections import Counter
from typing import Any

import dspy
import pytest

import synthwright as sw
from synthwright.errors import ConfigError, UnusableLMError
from synthwright.optimizers.metrics.codeclm import skills_f1
from synthwright.pool import Pool
from synthwright.programs.base import data_path, read_jsonl
from synthwright.programs.codeclm import CodecLM
from synthwright.programs.codeclm_checks import CHECKS, refusal
from synthwright.programs.codeclm_contrast import verdict
from synthwright.programs.codeclm_metadata import Metadata, listed, mixed, read_seeds, tidy_skills
from synthwright.programs.evol_instruct_checks import asks
from synthwright.programs.prompts import signature_of
from synthwright.runs.demonstrations import shipped
from synthwright.signatures.codeclm import Encoding, TailoredRow
from synthwright.signatures.rows import InstructionRow
from synthwright.testing import Reply, ScriptedLM

TOAST = {"use_case": "writing a toast", "skills": ["light humour"]}
BASIC = "Write a toast for a baker who retires after forty years."
HARDER = "Write a toast for a baker who retires after forty years, and turn serious in the middle of it."
RUBRICS = [{"criterion": f"criterion {n}", "action": f"Action number {n}."} for n in range(4)]


def longer(call):
    return {"improved_instruction": f"{call['instruction']} Then explain {call['action'][-2]} loaves."}


def points(strong, target):
    """A scorer that gives the answers that start with `strong` and `target` their points in any order."""

    def score(call):
        of = [strong if call[name].startswith("strong") else target for name in ("first_answer", "second_answer")]
        return {"first_score": of[0], "second_score": of[1]}

    return score


def script(**answers):
    return {
        "encode": lambda call: {"use_case": f"case of {call['instruction'].split()[-1]}", "skills": ["light humour"]},
        "vet": {"plausible": True},
        "decode": {"new_instructions": [BASIC]},
        "devise": {"rubrics": RUBRICS},
        "improve": longer,
        "answer_strong": lambda call: {"response": f"strong: {call['instruction']}"},
        "answer_target": lambda call: {"response": f"target: {call['instruction']}"},
        "score": points(9, 3),
        **answers,
    }


def lms_of(answers, *, one_lm=False):
    """LMs by role. Those of `generator` and `target` are two models unless told otherwise."""
    answers = script(**answers)
    lms = {"generator": ScriptedLM(answers, model="teacher")}
    return lms if one_lm else {**lms, "target": ScriptedLM(answers, model="student")}


def run_of(tmp_path, answers=None, *, seeds=(TOAST,), n=None, one_lm=False, **arguments):
    lms = lms_of(answers or {}, one_lm=one_lm)
    run = sw.generate(CodecLM(**arguments), seeds=list(seeds), n=n, out=tmp_path, lms=lms)
    return run, [call for lm in lms.values() for call in lm.calls]


def lost(run):
    return [(stage, reason) for stage, reason, count in run.funnel.lost for _ in range(count)]


def rejects(tmp_path):
    return [json.loads(line) for line in (tmp_path / "rejected.jsonl").read_text().splitlines()]


def made(calls, predictor):
    return [call for call in calls if call.predictor == predictor]


def alike(gaps):
    """Scores with the given gaps, one after another by the iteration: found by the number of added words."""

    def score(call):
        gap = gaps[call["instruction"].count("Then explain")]
        strong, target = (5 + gap // 2 + gap % 2, 5 - gap // 2)
        return points(strong, target)(call)

    return score


# 1 Encode


def test_an_instruction_is_encoded_into_a_use_case_and_skills(tmp_path):
    run, calls = run_of(tmp_path, seeds=[{"instruction": "Greet the baker"}])
    (row,) = run.rows
    assert (row.use_case, row.skills) == ("case of baker", ("light humour",))
    assert [call.predictor for call in calls][:3] == ["encode", "vet", "decode"]
    assert made(calls, "encode")[0].temperature == 0.7


def test_the_encoder_alone_shows_worked_examples_three_of_them():
    generator = CodecLM()
    assert {name: len(p.demos) for name, p in generator.all_predictors().items() if p.demos} == {"encode": 3}
    for example in generator.encode.demos:
        assert 1 <= len(example.skills) <= 3 and all(1 < len(skill.split()) < 5 for skill in example.skills)


def test_worked_examples_name_their_fields_as_the_signature_does():
    example = CodecLM().encode.demos[0]
    assert set(example.keys()) == {"instruction", "use_case", "skills"}


def test_more_than_three_skills_are_cut_and_empty_ones_and_copies_do_not_count(tmp_path):
    reply = {"use_case": "greeting", "skills": ["warm tone", " ", "Warm tone", "1. rhyme", "a wit", "local history"]}
    run, _ = run_of(tmp_path, {"encode": reply}, seeds=[{"instruction": "Greet"}], mix=False)
    assert run.rows[0].skills == ("warm tone", "rhyme", "a wit")


def test_the_words_skill_and_knowledge_are_taken_off_skills():
    assert tidy_skills(["reasoning skills", "knowledge", "Knowledge of law."], 3) == ("reasoning", "of law")


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ({"use_case": "greeting", "skills": []}, "no_skills"),
        ({"use_case": "greeting", "skills": ["", "skills"]}, "no_skills"),
        ({"use_case": " ", "skills": ["wit"]}, "no_use_case"),
        ({"use_case": "greet the BAKER.", "skills": ["wit"]}, "use_case_is_instruction"),
        ({"use_case": "greeting a baker who is very kind and who retires after forty years", "skills": ["wit"]},
         "wordy_use_case"),
        ({"use_case": "greeting", "skills": ["the ability to write a nice toast"]}, "wordy_skill"),
        ("Use case: greeting. Skills: wit", "unparsable"),
    ],
)  # fmt: skip
def test_an_encoding_that_is_no_metadata_is_dropped_and_nothing_stands_in_for_it(reply, reason, tmp_path):
    run, calls = run_of(tmp_path, {"encode": reply}, seeds=[{"instruction": "Greet the baker"}])
    assert lost(run) == [("encode", reason)] and not made(calls, "decode")


def test_the_encoder_can_be_held_to_a_list_of_use_cases_and_skills(tmp_path):
    arguments: dict[str, Any] = {"use_cases": ("greeting", "planning"), "skills": ("wit", "rhyme")}
    good = {"use_case": "greeting", "skills": ["rhyme"]}
    run, _ = run_of(tmp_path / "in", {"encode": good}, seeds=[{"instruction": "Greet"}], **arguments)
    assert (run.rows[0].use_case, run.rows[0].skills) == ("greeting", ("rhyme",))
    other = {"use_case": "cooking", "skills": ["rhyme"]}
    run, _ = run_of(tmp_path / "out", {"encode": other}, seeds=[{"instruction": "Greet"}], **arguments)
    assert lost(run) == [("encode", "unparsable")]


# 2 Mix and match

KNOWN = [Metadata(f"case {n}", (f"skill {n}", f"art {n}"), (f"id{n}",)) for n in range(12)]


def test_mixes_draw_a_use_case_and_skills_from_the_unions_without_replacement():
    mixes = mixed(KNOWN, 200, 3, random.Random("x"))
    assert len(mixes) == 200
    assert len({(m.use_case, frozenset(m.skills)) for m in mixes}) == 200
    assert all(len(set(m.skills)) == len(m.skills) for m in mixes)
    assert {len(m.skills) for m in mixes} == {1, 2, 3}
    assert any(m.skills[0][-1] != m.use_case[-1] for m in mixes)
    assert mixes == mixed(KNOWN, 200, 3, random.Random("x"))


def test_fewer_skills_than_a_mix_may_have_give_smaller_and_fewer_mixes():
    mixes = mixed([Metadata("greeting", ("wit", "rhyme"))], 200, 3, random.Random(0))
    assert {frozenset(m.skills) for m in mixes} == {
        frozenset({"wit"}),
        frozenset({"rhyme"}),
        frozenset({"wit", "rhyme"}),
    }
    assert mixed([], 200, 3, random.Random(0)) == []


def test_a_mix_knows_the_rows_that_it_comes_from():
    (mix,) = mixed([Metadata("greeting", ("wit",), ("a",))], 1, 3, random.Random(0))
    assert mix.sources == ("a",)


def test_metadata_of_two_scripts_are_not_mixed():
    known = [Metadata("greeting", ("wit", "rhyme")), Metadata("приветствие", ("юмор", "рифма"))]
    for mix in mixed(known, 50, 3, random.Random(0)):
        assert len({text.isascii() for text in (mix.use_case, *mix.skills)}) == 1


def test_an_implausible_mix_is_dropped_by_the_judge_before_anything_is_written(tmp_path):
    run, calls = run_of(tmp_path, {"vet": {"plausible": False}})
    assert lost(run) == [("vet", "implausible")] and [call.predictor for call in calls] == ["vet"]
    run, calls = run_of(tmp_path / "off", {"vet": {"plausible": False}}, check_metadata=False)
    assert len(run) == 1 and not made(calls, "vet")


def test_a_plausibility_check_without_verdict_rules_nothing_out(tmp_path):
    assert len(run_of(tmp_path, {"vet": "perhaps"})[0]) == 1


# 3 Decode


def test_as_many_instructions_are_decoded_as_wanted_without_examples(tmp_path):
    texts = [f"Write a toast for baker number {n}." for n in range(4)]
    run, calls = run_of(tmp_path, {"decode": {"new_instructions": texts}}, instructions_per_metadata=3)
    assert [row.instruction for row in run] == texts[:3]
    assert lost(run) == [("decode", "surplus")] and rejects(tmp_path)[0]["content"]["instruction"] == texts[3]
    (call,) = made(calls, "decode")
    assert call["how_many"] == "3" and [m["role"] for m in call.messages] == ["system", "user"]


def test_fewer_instructions_than_wanted_are_taken_and_none_at_all_is_a_reject(tmp_path):
    assert len(run_of(tmp_path / "one", instructions_per_metadata=5)[0]) == 1
    run, _ = run_of(tmp_path / "none", {"decode": {"new_instructions": [" "]}})
    assert lost(run) == [("decode", "no_instructions")]


def test_numbers_and_labels_are_taken_off_and_a_numbered_text_is_taken_apart():
    assert listed(["1. Write a toast.", "Instruction 2: Sing.", "- Task: Dance."]) == [
        "Write a toast.",
        "Sing.",
        "Dance.",
    ]
    assert listed(["1) Write a toast.\n2) Sing a song."]) == ["Write a toast.", "Sing a song."]
    assert listed(["Sort these: 1. a 2. b"]) == ["Sort these: 1. a 2. b"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Sure! Write a toast to the baker.", "holds_answer"),
        ("Write a toast.\nAnswer: To the baker of the town!", "holds_answer"),
        ("The baker is kind and has a warm oven for all of the town.", "asks_nothing"),
        ("Summarise the following article about bread.", "material_missing"),
        ("What can be seen in this picture of a bakery?", "material_missing"),
        ("Use case: writing a toast for the baker", "names_metadata"),
        ("Write a toast. " * 60, "too_long"),
    ],
)
def test_a_decoded_text_that_is_no_sound_instruction_is_dropped(text, reason, tmp_path):
    run, calls = run_of(tmp_path, {"decode": {"new_instructions": [text]}})
    assert lost(run) == [("decode", reason)] and not made(calls, "answer_strong")


@pytest.mark.parametrize(
    "text",
    [
        "Summarise the following text: The bakery in the old town closes on Mondays and opens at five on other days.",
        'Which word is wrong in the given text? "The bakers is late and the oven are cold."',
        "Explain the following code.\n```python\nprint(1 + 1)\n```",
        "Überlege dir einen Trinkspruch für eine Bäckerin.",
    ],
)
def test_an_instruction_that_holds_what_it_speaks_of_is_sound(text):
    assert CodecLM().fault(text) is None


def test_repeated_instructions_are_dropped_within_and_across_metadata(tmp_path):
    other = {"use_case": "greeting", "skills": ["wit"]}
    reply = {"new_instructions": [BASIC, BASIC.upper()]}
    run, _ = run_of(tmp_path, {"decode": reply}, seeds=[TOAST, other])
    assert len(run) == 1
    assert Counter(lost(run)) == {("decode", "repeated"): 2, ("exact_duplicate", "duplicate"): 1}


# 4 and 5 Self-Rubrics and improving


def test_the_basic_instruction_meets_the_filter_before_anything_is_improved(tmp_path):
    run, calls = run_of(tmp_path)
    (row,) = run.rows
    assert (row.instruction, row.iteration, row.action, row.parent, row.trace) == (BASIC, 1, "", "", ())
    assert not made(calls, "devise") and not made(calls, "improve")


def test_rubrics_belong_to_the_metadata_and_are_written_once(tmp_path):
    texts = {"new_instructions": [BASIC, "Write a toast for a tired fireman."]}
    _, calls = run_of(tmp_path, {"decode": texts, "score": points(5, 5)})
    (call,) = made(calls, "devise")
    assert call.inputs == {"use_case": "writing a toast", "skills": '["light humour"]', "how_many": "4"}
    assert len(made(calls, "improve")) == 6


def test_four_iterations_count_the_basic_one_and_no_action_is_drawn_twice(tmp_path):
    run, calls = run_of(tmp_path, {"score": points(5, 5)})
    actions = [call["action"] for call in made(calls, "improve")]
    assert len(actions) == 3 == len(set(actions)) and set(actions) <= {r["action"] for r in RUBRICS}
    assert len(made(calls, "answer_strong")) == len(made(calls, "answer_target")) == 4
    assert lost(run) == [("contrast", "gap_too_small")]


def test_what_stays_within_the_threshold_to_the_end_is_no_row_and_keeps_its_trace(tmp_path):
    run_of(tmp_path, {"score": points(5, 5)})
    (reject,) = rejects(tmp_path)
    assert reject["detail"] == "+0 of 3 points after 4 tries"
    assert [trial["iteration"] for trial in reject["content"]["trace"]] == [1, 2, 3]
    assert reject["content"]["iteration"] == 4 and reject["content"]["gap"] == 0


def test_it_is_a_row_that_says_so_if_that_is_wanted(tmp_path):
    run, _ = run_of(tmp_path, {"score": points(5, 5)}, keep_unaccepted=True)
    (row,) = run.rows
    assert (row.accepted, row.iteration, row.response_by) == (False, 4, "strong")
    assert row.to_preference() is None and row.to_messages() is not None


def test_an_instruction_is_improved_until_the_answers_differ(tmp_path):
    run, calls = run_of(tmp_path, {"score": alike([0, 2, 6])})
    (row,) = run.rows
    first, second = row.trace
    assert (row.iteration, row.gap, row.accepted) == (3, 6, True)
    assert (first.instruction, first.gap, second.gap) == (BASIC, 0, 2)
    assert row.parent == second.instruction and row.instruction.startswith(row.parent)
    assert (
        row.action == made(calls, "improve")[1]["action"]
        and row.criterion == row.action.replace("Action number", "criterion")[:-1]
    )


@pytest.mark.parametrize("count", [2, 6])
def test_fewer_rubrics_mean_fewer_tries_and_more_are_cut(count, tmp_path):
    rubrics = [{"criterion": "c", "action": f"Action number {n}."} for n in range(count)]
    _, calls = run_of(tmp_path, {"score": points(5, 5), "devise": {"rubrics": rubrics}})
    actions = {call["action"] for call in made(calls, "improve")}
    assert len(actions) == min(3, count) and actions <= {f"Action number {n}." for n in range(4)}


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ({"rubrics": []}, "no_actions"),
        ({"rubrics": [{"criterion": "c", "action": " "}]}, "no_actions"),
        ({"rubrics": [{"criterion": "c"}]}, "unparsable"),
        ("Rubrics: length. Actions: make it longer.", "unparsable"),
    ],
)
def test_without_actions_a_try_is_all_there_is(reply, reason, tmp_path):
    run, calls = run_of(tmp_path, {"score": points(5, 5), "devise": reply})
    assert sorted(lost(run)) == sorted([("devise", reason), ("contrast", "gap_too_small")])
    assert len(made(calls, "devise")) == 1 and not made(calls, "improve")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (BASIC.lower(), "unchanged"),
        (BASIC + " Describe the bread." * 60, "too_long"),
        (f"{BASIC} Then put three facts about the person in.", "quotes_action"),
        ("Explain how glaciers move over rock in summer.", "drifted"),
        ("Напишите тост для пекаря?", "language_switch"),
        ("Sure! Write a toast for a baker.", "holds_answer"),
        (f"{BASIC} The baker is a kind and gentle person.", "holds_answer"),
        ("", "empty_instruction"),
        ("{improved_instruction} Write a toast for a baker.", "names_metadata"),
    ],
)
def test_an_improvement_that_is_none_is_dropped_and_its_parent_tried_with_the_next_action(text, reason, tmp_path):
    rubrics = [{"criterion": "c", "action": f"Put three facts about the person in {n}."} for n in range(4)]
    answers = {"score": points(5, 5), "devise": {"rubrics": rubrics}, "improve": {"improved_instruction": text}}
    run, calls = run_of(tmp_path, answers)
    assert lost(run).count(("improve", reason)) == 3 and lost(run)[-1] == ("contrast", "gap_too_small")
    assert {call["instruction"] for call in made(calls, "improve")} == {BASIC}
    assert len(made(calls, "answer_strong")) == 1


def test_an_unreadable_improvement_is_kept_as_a_reject_with_its_action(tmp_path):
    run, _ = run_of(tmp_path, {"score": points(5, 5), "improve": "no"}, iterations=2)
    assert lost(run)[0] == ("improve", "unparsable")
    assert rejects(tmp_path)[0]["content"]["parent"] == BASIC


# 6 to 8 Answers, scores, contrast


def test_both_lms_answer_each_instruction_by_itself(tmp_path):
    _, calls = run_of(tmp_path)
    for name in ("answer_strong", "answer_target"):
        (call,) = made(calls, name)
        assert call.inputs == {"instruction": BASIC}


def test_scores_are_means_over_both_orders_of_the_answers(tmp_path):
    def first_is_better(call):
        bonus = 2 if call["first_answer"].startswith("strong") else 0
        return {"first_score": 7 + bonus, "second_score": 3}

    run, calls = run_of(tmp_path, {"score": first_is_better}, threshold=0.5)
    (row,) = run.rows
    assert (row.strong_score, row.target_score, row.gap, row.orders_agree) == (6, 5, 1, False)
    orders = [(call["first_answer"][:6], call["second_answer"][:6]) for call in made(calls, "score")]
    assert orders == [("strong", "target"), ("target", "strong")]
    assert {call.temperature for call in made(calls, "score")} == {0}


def test_a_scorer_that_likes_the_first_place_makes_no_gap():
    assert verdict((8, 2), (2, 8)).gap == 0 and not verdict((8, 2), (2, 8)).orders_agree
    assert verdict((8, 2), (9, 5)).gap == 5 and verdict((8, 2), (9, 5)).orders_agree
    assert verdict((4, 4), (6, 6)).orders_agree


def test_a_gap_of_exactly_the_threshold_is_too_small(tmp_path):
    assert len(run_of(tmp_path / "3", {"score": points(8, 5)}, iterations=1)[0]) == 0
    assert len(run_of(tmp_path / "4", {"score": points(9, 5)}, iterations=1)[0]) == 1


def test_a_large_negative_gap_keeps_the_answer_of_the_target(tmp_path):
    run, _ = run_of(tmp_path, {"score": points(2, 9)})
    (row,) = run.rows
    assert (row.response_by, row.gap, row.accepted) == ("target", -7, True)
    assert row.response == f"target: {BASIC}" and row.other_response == f"strong: {BASIC}"


@pytest.mark.parametrize(
    "reply", ["Answer 1 is better.", {"first_score": 8}, {"first_score": 11, "second_score": 4}, "8 4"]
)
def test_a_reply_without_two_scores_in_range_drops_the_instruction(reply, tmp_path):
    run, calls = run_of(tmp_path, {"score": reply})
    assert lost(run) == [("score", "unparsable")] and not made(calls, "improve")
    assert rejects(tmp_path)[0]["content"]["strong_response"] == f"strong: {BASIC}"


def test_scores_in_another_order_of_fields_are_read_by_name(tmp_path):
    def reversed_fields(call):
        return dict(reversed(points(9, 3)(call).items()))

    assert run_of(tmp_path, {"score": reversed_fields})[0].rows[0].gap == 6


def test_two_empty_answers_drop_the_instruction_without_a_score(tmp_path):
    empty = {"response": " "}
    run, calls = run_of(tmp_path, {"answer_strong": empty, "answer_target": empty})
    assert lost(run) == [("contrast", "both_empty")] and not made(calls, "score")


def test_two_refusals_drop_the_instruction_without_a_score(tmp_path):
    refused = {"response": "I'm sorry, but I can't help with that."}
    answers = {"answer_strong": refused, "answer_target": refused}
    run, calls = run_of(tmp_path, answers)
    assert lost(run) == [("contrast", "both_refuse")] and not made(calls, "score")
    assert made(run_of(tmp_path / "paper", answers, drop_refusals=False)[1], "score")


def test_a_refusal_may_lose_and_must_not_win(tmp_path):
    refused = {"answer_target": {"response": "I cannot answer this."}}
    assert run_of(tmp_path / "loses", refused)[0].rows[0].other_response == "I cannot answer this."
    run, _ = run_of(tmp_path / "wins", {**refused, "score": points(1, 8)})
    assert lost(run) == [("contrast", "refused")]


def test_an_empty_answer_must_not_win(tmp_path):
    run, _ = run_of(tmp_path, {"answer_target": {"response": ""}, "score": points(1, 8)})
    assert lost(run) == [("contrast", "empty_response")]


def test_a_long_text_that_opens_with_an_apology_is_no_refusal():
    assert refusal("As an AI I do not eat.") and refusal("Sorry, no.")
    assert refusal("I can’t say.") and refusal("I'm afraid not.")
    assert (
        refusal("Sorry, " + "word " * 80) is None and refusal("I cannot stress enough that yeast" + " x" * 60) is None
    )


def test_the_better_of_two_bad_answers_is_not_good_enough(tmp_path):
    run, _ = run_of(tmp_path / "bound", {"score": points(4, 1)}, threshold=2)
    assert lost(run) == [("contrast", "low_score")]
    assert len(run_of(tmp_path / "paper", {"score": points(4, 1)}, threshold=2, min_score=None)[0]) == 1


@pytest.mark.parametrize("who", ["answer_strong", "answer_target"])
def test_a_cut_answer_drops_the_instruction(who, tmp_path):
    run, calls = run_of(tmp_path, {who: Reply('{"response": "To the', "length")})
    assert lost(run) == [(who, "truncated")] and not made(calls, "score")


def test_an_lm_error_is_raised(tmp_path):
    with pytest.raises(UnusableLMError, match="no such model"):
        run_of(tmp_path, {"score": ValueError("no such model")})


# One LM in both roles


def test_one_lm_in_both_roles_is_refused_by_the_paper_s_preset(tmp_path):
    lms = lms_of({}, one_lm=True)
    with pytest.raises(ConfigError, match=r"`strong` and `target` are one LM \('teacher'\).*role `target`"):
        sw.generate(CodecLM.preset("faithful"), seeds=[TOAST], out=tmp_path, lms=lms)
    assert not lms["generator"].calls


def test_one_lm_with_other_sampling_is_still_one(tmp_path):
    lms = {
        "generator": ScriptedLM(script(), model="a", temperature=0.2),
        "target": ScriptedLM(script(), model="a"),
    }
    with pytest.raises(ConfigError, match="are one LM"):
        sw.generate(CodecLM(contrast="required"), seeds=[TOAST], out=tmp_path, lms=lms)


def test_by_default_rows_are_made_without_contrast_then_and_say_so(tmp_path, caplog):
    with caplog.at_level(logging.WARNING, "synthwright"):
        run, calls = run_of(tmp_path, one_lm=True)
    (row,) = run.rows
    assert (row.accepted, row.gap, row.other_response, row.orders_agree) == (None, None, "", None)
    assert row.response == f"strong: {row.instruction}" and row.to_preference() is None
    assert not made(calls, "answer_target") and not made(calls, "score")
    assert len(caplog.records) == 1 and "one LM" in caplog.text


def test_two_lms_are_contrasted_by_default_without_a_warning(tmp_path, caplog):
    assert run_of(tmp_path)[0].rows[0].accepted and not caplog.records


def test_one_lm_can_be_contrasted_with_itself(tmp_path):
    run, calls = run_of(tmp_path, one_lm=True, contrast="always")
    assert run.rows[0].accepted and len(made(calls, "score")) == 2


def test_without_contrast_instructions_are_improved_a_drawn_number_of_times(tmp_path):
    texts = [f"Write a toast for baker number {n} of the town." for n in range(30)]
    answers = {"decode": {"new_instructions": texts}}
    run, _ = run_of(tmp_path, answers, contrast="never", instructions_per_metadata=30)
    assert set(Counter(row.iteration for row in run)) == {1, 2, 3, 4}
    assert all(row.instruction.count("Then explain") == row.iteration - 1 for row in run)


def test_without_contrast_no_target_is_built_nor_asked_for():
    generator = CodecLM(contrast="never")
    assert not {"answer_target", "score"} & set(generator.all_predictors())


def test_for_tuning_instructions_need_no_answers(tmp_path):
    run, calls = run_of(tmp_path, answer=False, iterations=1, check_metadata=False)
    assert [call.predictor for call in calls] == ["decode"] and run.rows[0].response == ""


def test_without_contrast_refusals_and_unreadable_answers_are_dropped(tmp_path):
    for name, reply, reason in (("a", {"response": "Sorry, no."}, "refused"), ("b", "x", "unparsable")):
        run, _ = run_of(tmp_path / name, {"answer_strong": reply}, contrast="never")
        assert lost(run) == [("answer_strong", reason)]


def test_the_program_called_outside_a_run_sees_its_lms_too():
    lm = lms_of({})["generator"]
    with dspy.context(lm=lm, adapter=dspy.JSONAdapter()), pytest.raises(ConfigError, match="are one LM"):
        CodecLM(contrast="required")(**TOAST)


# Seeds and plan


def plan(generator=None, **pool):
    return list((generator or CodecLM()).plan(Pool(**pool)))


def encodings(count):
    return [Encoding(instruction=f"Task {n}", use_case=f"case {n}", skills=(f"skill {n}",)) for n in range(count)]


def test_metadata_written_by_the_user_enters_after_the_encoder(tmp_path):
    _, calls = run_of(tmp_path, seeds=[TOAST, {"use_case": "greeting", "skills": "wit"}])
    assert not made(calls, "encode")
    assert [(call["use_case"], call["skills"]) for call in made(calls, "decode")] == [
        ("writing a toast", '["light humour"]'),
        ("greeting", '["wit"]'),
    ]


def test_written_metadata_is_asked_as_it_is_beside_mixes_of_the_instructions():
    seeds = [TOAST, {"instruction": "Task 0"}, {"instruction": "Task 1"}]
    assert plan(seeds=seeds) == [{"instruction": f"Task {n}", "sources": []} for n in range(2)]
    asked = plan(seeds=seeds, artifacts=encodings(2), round=1)
    assert asked[0] == {**TOAST, "sources": []} and len(asked) == 1 + 2 * 3
    assert all("humour" not in str(seed) for seed in asked[1:])


def test_one_pass_without_a_target_and_pass_after_pass_with_one():
    seeds = [{"instruction": "Task 0"}, {"instruction": "Task 1"}]
    assert plan(seeds=seeds, artifacts=encodings(2), round=2) == []
    first = plan(seeds=seeds, artifacts=encodings(2), round=1, target=50)
    assert first == plan(seeds=seeds, artifacts=encodings(2), round=2, target=50) and len(first) == 6
    assert plan(seeds=[TOAST], round=1) == []


def test_all_seeds_are_encoded_by_the_paper_and_as_many_as_rows_are_wanted_by_default():
    seeds = [{"instruction": f"Task {n}"} for n in range(40)]
    assert len(plan(seeds=seeds, target=3)) == 8 and len(plan(seeds=seeds, target=20)) == 20
    assert len(plan(seeds=seeds)) == len(plan(CodecLM(encode_all=True), seeds=seeds, target=3)) == 40
    numbers = [int(seed["instruction"].split()[1]) for seed in plan(seeds=seeds, target=3)]
    assert numbers == sorted(numbers) != list(range(8))


def test_instructions_that_could_not_be_encoded_are_tried_again_after_each_pass():
    seeds = [{"instruction": f"Task {n}"} for n in range(3)]
    known = {"seeds": seeds, "artifacts": encodings(2), "target": 5}
    assert "use_case" in plan(**known, round=1)[0]
    assert plan(**known, round=2) == [{"instruction": "Task 2", "sources": []}]


def test_a_target_is_reached_over_several_passes(tmp_path):
    count = iter(range(1000))
    answers = {"decode": lambda call: {"new_instructions": [f"Write a toast for baker {next(count)}."]}}
    run, calls = run_of(tmp_path, answers, seeds=[{"instruction": "Greet the baker"}], n=4)
    assert len(run) == 4 and len(made(calls, "encode")) == 1 and len(made(calls, "decode")) == 4


def test_without_mixing_a_seed_is_encoded_and_decoded_in_one_go(tmp_path):
    run, calls = run_of(tmp_path, seeds=[{"instruction": "Greet the baker"}], mix=False)
    assert [call.predictor for call in calls][:3] == ["encode", "vet", "decode"]
    assert run.rows[0].use_case == "case of baker" and run.funnel.asked == 1


def test_rows_of_another_run_are_seeds_and_their_ids_are_kept(tmp_path):
    seed = InstructionRow(instruction="Greet the baker", response="Good morning!")
    run, _ = run_of(tmp_path / "a", seeds=[seed.record()])
    assert run.rows[0].parent_ids == (seed.id,)
    again, calls = run_of(tmp_path / "b", seeds=[row.record() for row in run])
    assert again.rows[0].parent_ids == (run.rows[0].id,) and not made(calls, "encode")


def test_an_input_stands_below_its_instruction_and_copies_are_encoded_once():
    material = read_seeds([{"instruction": "Sort: ", "input": "3, 1\n"}, {"instruction": "Sort:\n3, 1"}])
    assert [seed["instruction"] for seed in material.instructions] == ["Sort:\n3, 1"]


@pytest.mark.parametrize(
    "seed",
    [
        {"text": "x"},
        {"instruction": 3},
        {"instruction": " "},
        {"use_case": "greeting"},
        {"use_case": "greeting", "skills": [""]},
        {"use_case": "greeting", "skills": [3]},
        {"skills": ["wit"]},
    ],
)
def test_a_seed_that_says_too_little_is_refused(seed):
    with pytest.raises(ConfigError, match=r"Seed 0 of CodecLM .* A seed has an `instruction`"):
        plan(seeds=[seed])


def test_an_empty_instruction_is_rejected_without_a_call(tmp_path):
    lm = lms_of({})["generator"]
    with dspy.context(lm=lm):
        prediction = CodecLM()(instruction=" ")
    assert prediction.rejected[0].reason == "empty_seed" and not lm.calls


# Export


def test_a_row_is_a_conversation_a_prompt_and_a_pair_with_the_gap_as_its_margin(tmp_path):
    run, _ = run_of(tmp_path, {"score": points(2, 9)})
    (row,) = run.rows
    messages, prompt, pair = row.to_messages(), row.to_prompt(), row.to_preference()
    assert messages and prompt and pair
    assert [(m.role, m.content) for m in messages] == [("user", BASIC), ("assistant", f"target: {BASIC}")]
    assert [m.content for m in prompt] == [BASIC]
    assert (pair.prompt[0].content, pair.chosen[0].content, pair.rejected[0].content, pair.margin) == (
        BASIC,
        f"target: {BASIC}",
        f"strong: {BASIC}",
        7,
    )


def test_a_stored_row_is_read_back_whole(tmp_path):
    run, _ = run_of(tmp_path, {"score": alike([0, 6])})
    (line,) = (tmp_path / "rows.jsonl").read_text().splitlines()
    assert TailoredRow.model_validate(json.loads(line)) == run.rows[0] and len(run.rows[0].trace) == 1


# Data


def test_shipped_seeds_have_gold_metadata_and_are_sound_and_disjoint_from_examples():
    seeds = list(read_jsonl(data_path("codeclm.jsonl")))
    examples = [example["instruction"] for example in read_jsonl(data_path("codeclm_encode.jsonl"))]
    texts = [seed["instruction"] for seed in seeds] + examples
    assert len(seeds) >= 40 and len(set(texts)) == len(texts)
    assert all(asks(text) and CodecLM().fault(text) is None for text in texts)
    for seed in seeds:
        assert tidy_skills(seed["gold_skills"], 3) == tuple(seed["gold_skills"]) and seed["gold_use_case"]
        assert skills_f1(seed["gold_skills"], seed["gold_skills"]) == 1


def test_tuning_seeds_are_metadata_that_nothing_else_uses():
    tuning = list(read_jsonl(data_path("../../optimizers/data/codeclm.jsonl")))
    assert Counter(record["split"] for record in tuning) == {"train": 20, "val": 12, "test": 20}
    used = [record["inputs"]["use_case"] for record in tuning]
    shown = {demo["use_case"] for name in ("vet", "decode") for demo in shipped("codeclm")[name]}
    gold = {seed["gold_use_case"] for seed in read_jsonl(data_path("codeclm.jsonl"))}
    assert len(set(used)) == 52 and not set(used) & (shown | gold)
    assert all(1 <= len(record["inputs"]["skills"]) <= 3 for record in tuning)


def test_shipped_demonstrations_fit_their_signatures_and_pass_the_checks():
    generator, demos = CodecLM(), shipped("codeclm")
    predictors = generator.all_predictors()
    assert set(demos) == set(predictors) - {"encode"}
    for name, examples in demos.items():
        fields = set(signature_of(predictors[name]).fields)
        assert len(examples) >= 3 and all(set(example) == fields for example in examples)
    for demo in demos["decode"]:
        assert len(demo["new_instructions"]) == demo["how_many"]
        assert all(generator.fault(text) is None for text in demo["new_instructions"])
    for demo in demos["improve"]:
        assert generator.fault(demo["improved_instruction"], demo["instruction"], demo["action"]) is None
    assert {demo["plausible"] for demo in demos["vet"]} == {True, False}
    gaps = [demo["first_score"] - demo["second_score"] for demo in demos["score"]]
    assert max(gaps) > 0 > min(gaps) and 0 in gaps


# Declarations


def test_practical_holds_the_defaults_and_faithful_the_numbers_of_the_paper():
    parameters = list(inspect.signature(CodecLM.__init__).parameters.values())[1:]
    assert dict(CodecLM.presets["practical"]) == {p.name: p.default for p in parameters}
    paper = CodecLM.preset("faithful")
    assert (paper.threshold, paper.iterations, paper.rubrics, paper.mixes, paper.max_skills) == (3, 4, 4, 200, 3)
    assert (paper.contrast, paper.encode_all, paper.checks, paper.min_score) == ("required", True, (), None)
    warm = {"temperature": 0.7}
    assert all(paper.all_predictors()[name].config == warm for name in ("encode", "decode", "devise", "improve"))
    answers = [paper.all_predictors()[name].config for name in ("answer_strong", "answer_target")]
    assert answers == [{**warm, "max_tokens": 2048}] * 2


def test_strong_target_and_judge_are_roles_and_judges_are_frozen():
    generator = CodecLM()
    roles = {name: generator.role_of(name) for name in generator.all_predictors()}
    assert roles == {
        **dict.fromkeys(("encode", "decode", "devise", "improve"), "generator"),
        "answer_strong": "strong",
        "answer_target": "target",
        "vet": "judge",
        "score": "judge",
    }
    assert set(generator.target_predictors()) == {"encode", "decode", "devise", "improve"}


def test_a_third_lm_can_judge(tmp_path):
    lms = {**lms_of({}), "judge": ScriptedLM({"vet": {"plausible": True}, "score": points(3, 9)}, model="third")}
    run = sw.generate(CodecLM(), seeds=[TOAST], out=tmp_path, lms=lms)
    assert run.rows[0].response_by == "target" and len(lms["judge"].calls) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"contrast": "sometimes"}, "No `contrast` 'sometimes'"),
        ({"contrast": "always", "answer": False}, "needs answers"),
        ({"checks": ("too_hard",)}, "no check 'too_hard'"),
        ({"threshold": 10}, "`threshold` must be at least 0 and at most 9, got 10"),
        ({"iterations": 0}, "`iterations` must be at least 1, got 0"),
        ({"min_score": 11}, "`min_score`"),
        ({"max_skills": 0}, "`max_skills`"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        CodecLM(**arguments)


def test_every_check_is_named_for_what_it_finds():
    assert tuple(CHECKS) == CodecLM().checks


# The real LM


@pytest.mark.embedded
def test_the_embedded_lm_decodes_metadata_answers_twice_and_scores_both_orders(embedded, tmp_path):
    arguments = {"instructions_per_metadata": 1, "iterations": 1, "checks": (), "check_metadata": False}
    generator = CodecLM(contrast="always", min_score=None, keep_unaccepted=True, drop_refusals=False, **arguments)
    seeds = [TOAST, {"use_case": "asking for advice", "skills": ["plain language"]}]
    run = sw.generate(generator, seeds=seeds, out=tmp_path, lms=embedded)
    scores = [score or 0 for row in run for score in (row.strong_score, row.target_score)]
    assert scores and all(1 <= score <= 10 for score in scores)
