import asyncio
import inspect
import itertools
import json
from collections import Counter

import dspy
import pytest

import synthwright as sw
from synthwright.errors import ConfigError, UnusableLMError
from synthwright.pool import Pool
from synthwright.programs.base import data_path, read_jsonl
from synthwright.programs.evol_instruct import EvolInstruct
from synthwright.programs.evol_instruct_checks import asks, data_blocks, empty_response, scaffold_words, sorry
from synthwright.programs.prompts import signature_of
from synthwright.runs.demonstrations import shipped
from synthwright.signatures.evol_instruct import DATA_FORMATS, OPERATORS, EvolvedRow
from synthwright.testing import Reply, ScriptedLM

ROOT = "Describe a walk through a forest."
MORE = "Describe a walk through a forest at night, and name three sounds that only owls and foxes make there."
TABLE = "| day | km |\n|---|---|\n| Monday | 4 |"


def longer(inputs):
    """An evolution that always adds a demand: words about the number of words so far."""
    return {"evolved_instruction": f"{inputs['instruction']} Then explain step {len(inputs['instruction'])} again."}


def scripted(**answers):
    defaults = {
        **dict.fromkeys(OPERATORS, longer),
        "respond": lambda inputs: {"response": f"Answer to: {inputs['instruction']}"},
        "equal": {"equal": False},
        "rate": {"difficulty": 6},
    }
    return ScriptedLM({**defaults, **answers})


def evolved(text):
    return {"evolved_instruction": text}


def run_of(tmp_path, *, root=ROOT, n=None, seeds=None, answers=None, **arguments):
    lm = scripted(**(answers or {}))
    generator = EvolInstruct(**{"operators": ("add_constraints",), "rounds": 1, **arguments})
    return sw.generate(generator, seeds=seeds or [{"instruction": root}], n=n, out=tmp_path, lms=lm), lm


def lost(run):
    return [(stage, reason) for stage, reason, _ in run.funnel.lost]


def called(lm):
    return [call.predictor for call in lm.calls]


def prompt_of(predictor):
    return signature_of(EvolInstruct().all_predictors()[predictor]).instructions


def reject_of(tmp_path, text, *, parent=ROOT, operator="add_constraints", **arguments):
    """The reason why one evolved text is dropped, or None if it becomes a row."""
    run, _ = run_of(tmp_path, root=parent, operators=(operator,), answers={operator: evolved(text)}, **arguments)
    return lost(run)[0][1] if lost(run) else None


# Rows and lineage


def test_an_evolution_that_survives_becomes_a_row(tmp_path):
    run, _ = run_of(tmp_path, answers={"add_constraints": evolved(MORE)})
    (row,) = run.rows
    assert (row.instruction, row.response, row.parent) == (MORE, f"Answer to: {MORE}", ROOT)
    assert (row.operator, row.round, row.judged, row.difficulty, row.parent_ids) == (
        "add_constraints",
        1,
        True,
        None,
        (),
    )


def test_each_round_evolves_the_last_survivor(tmp_path):
    run, _ = run_of(tmp_path, rounds=3, max_added_words=None)
    first, second, third = run.rows
    assert [row.round for row in run] == [1, 2, 3]
    assert (second.parent, third.parent) == (first.instruction, second.instruction)
    assert (second.parent_ids, third.parent_ids) == ((first.id,), (second.id,))


def test_a_whole_lineage_has_one_root_id_so_that_it_stays_in_one_split(tmp_path):
    run, _ = run_of(
        tmp_path, rounds=2, seeds=[{"instruction": ROOT}, {"instruction": f" {ROOT}\n"}, {"instruction": "Why?"}]
    )
    assert len({row.root_id for row in run}) == 2


def test_after_a_failed_round_the_unevolved_parent_has_another_try_with_its_own_sample(tmp_path):
    answers = {"add_constraints": [evolved(ROOT), evolved(MORE)]}
    run, lm = run_of(tmp_path, rounds=2, answers=answers)
    (row,) = run.rows
    assert (row.round, row.parent, row.parent_ids) == (2, ROOT, ())
    first, second = (call for call in lm.calls if call.predictor == "add_constraints")
    assert first.inputs == second.inputs and first.seed != second.seed


def test_the_answer_sees_nothing_but_the_evolved_instruction(tmp_path):
    _, lm = run_of(tmp_path, answers={"add_constraints": evolved(MORE)})
    (call,) = (call for call in lm.calls if call.predictor == "respond")
    assert call.inputs == {"instruction": MORE}


def test_difficulty_is_rated_only_on_request(tmp_path):
    run, _ = run_of(tmp_path / "with", rate_difficulty=True)
    assert run.rows[0].difficulty == 6
    assert "rate" not in called(run_of(tmp_path / "without")[1])
    garbled, _ = run_of(tmp_path / "garbled", rate_difficulty=True, answers={"rate": "about seven"})
    assert garbled.rows[0].difficulty is None


def test_the_rating_of_the_parent_stands_beside_that_of_the_child(tmp_path):
    ratings = iter([3, 5, 7])
    run, lm = run_of(
        tmp_path, rate_difficulty=True, rounds=2, answers={"rate": lambda _: {"difficulty": next(ratings)}}
    )
    assert [(row.parent_difficulty, row.difficulty) for row in run] == [(3, 5), (5, 7)]
    assert next(call["instruction"] for call in lm.calls if call.predictor == "rate") == ROOT


def test_without_answers_and_judge_a_round_is_one_call_for_tuning(tmp_path):
    run, lm = run_of(tmp_path, answer=False, judge=False)
    assert called(lm) == ["add_constraints"]
    assert (run.rows[0].response, run.rows[0].judged) == ("", False)


# Operators


def test_operators_are_drawn_equally_often_and_by_root_draw_and_round_alone():
    generator = EvolInstruct(rounds=4)
    drawn = Counter(op for draw in range(300) for op, _ in generator.drawn(ROOT, draw))
    assert set(drawn) == set(OPERATORS) and all(150 < count < 250 for count in drawn.values())
    assert list(generator.drawn(ROOT, 5)) == list(EvolInstruct(rounds=4).drawn(ROOT, 5))
    assert list(EvolInstruct(rounds=4, seed=1).drawn(ROOT, 5)) != list(generator.drawn(ROOT, 5))


def test_weights_decide_how_often_an_operator_is_drawn():
    generator = EvolInstruct(operators=("deepen", "broaden"), weights=(0, 1), rounds=20)
    assert {operator for operator, _ in generator.drawn(ROOT, 0)} == {"broaden"}


def test_every_operator_has_a_prompt_of_its_own():
    assert tuple(EvolInstruct().target_predictors()) == OPERATORS
    assert len({prompt_of(operator) for operator in OPERATORS}) == 6


def test_only_the_operators_in_use_are_built():
    assert tuple(EvolInstruct(operators=("deepen",), judge=False, answer=False).all_predictors()) == ("deepen",)


def test_complicate_input_names_a_data_format_and_shows_one_example_of_each(tmp_path):
    answer = evolved(f"Which day was longest in this table, and how far did I walk on it?\n```sql\n{TABLE}\n```")
    run, lm = run_of(tmp_path, operators=("complicate_input",), answers={"complicate_input": answer})
    assert run.rows[0].instruction.endswith("```")
    call = lm.calls[0]
    assert call.inputs["data_format"] in DATA_FORMATS
    assert sum(message["role"] == "assistant" for message in call.messages) == 6
    examples = EvolInstruct().all_predictors()["complicate_input"].demos
    assert {example.data_format for example in examples} == set(DATA_FORMATS)


def test_the_worked_examples_of_complicate_input_pass_the_rules_themselves():
    generator = EvolInstruct()
    for example in generator.all_predictors()["complicate_input"].demos:
        evolution = example.evolved_instruction
        assert data_blocks(evolution)
        assert generator.failure_of_text("complicate_input", example.instruction, evolution) is None


def test_shipped_demonstrations_pass_the_rules_themselves():
    generator = EvolInstruct()
    for operator in OPERATORS:
        for demo in shipped("evol_instruct").get(operator, []):
            assert generator.failure_of_text(operator, demo["instruction"], demo["evolved_instruction"]) is None
    assert {demo["equal"] for demo in shipped("evol_instruct")["equal"]} == {True, False}


# The four rules of the paper


def test_no_information_gain_is_the_verdict_of_the_judge(tmp_path):
    run, lm = run_of(tmp_path, answers={"equal": {"equal": True}})
    assert lost(run) == [("equal", "no_information_gain")]
    judged = next(call for call in lm.calls if call.predictor == "equal")
    assert judged.inputs["first_instruction"] == ROOT and judged.temperature == 0


def test_a_short_response_with_sorry_is_eliminated(tmp_path):
    run, _ = run_of(tmp_path, answers={"respond": {"response": "Sorry, I cannot walk."}})
    assert lost(run) == [("respond", "sorry")]
    assert sorry("I am sorry. " + "word " * 80) is None and sorry("sorry " + "word " * 78) is not None


def test_sorry_is_allowed_where_the_task_is_an_apology(tmp_path):
    arguments = {
        "root": "Write an apology to a teacher.",
        "answers": {"respond": {"response": "I am so sorry, Ms Lee."}},
    }
    assert lost(run_of(tmp_path / "spared", **arguments)[0]) == []
    assert lost(run_of(tmp_path / "paper", spare_parent_words=False, **arguments)[0]) == [("respond", "sorry")]


@pytest.mark.parametrize("response", ["", "...", "It is.", "I am to the, and?", "!!!"])
def test_a_response_of_stop_words_and_punctuation_is_eliminated(response, tmp_path):
    run, _ = run_of(tmp_path, answers={"respond": {"response": response}})
    assert lost(run) == [("respond", "empty_response")]


@pytest.mark.parametrize("response", ["42", "Oslo", "これは", "∞", "π"])
def test_a_short_response_with_content_is_kept(response):
    assert empty_response(response) is None


@pytest.mark.parametrize("words", ["the given prompt", "#Rewritten Prompt#", "a Created Prompt", "evolved_instruction"])
def test_words_about_the_rewriting_eliminate_the_evolved_instruction(words, tmp_path):
    assert reject_of(tmp_path, f"{MORE} Also use {words} here.", checks=()) == "scaffold_words"


def test_scaffold_words_that_the_seed_has_itself_are_spared(tmp_path):
    parent = "Explain what a given prompt does to a language model."
    text = "Explain what a given prompt does to a language model, and compare two models of different size in it."
    assert reject_of(tmp_path / "spared", text, parent=parent) is None
    assert reject_of(tmp_path / "paper", text, parent=parent, spare_parent_words=False) == "scaffold_words"
    assert scaffold_words("Use the rewritten prompt.", parent) == "'rewritten prompt'"


def test_nothing_more_is_asked_about_what_is_eliminated(tmp_path):
    _, lm = run_of(tmp_path / "text", answers={"add_constraints": evolved(ROOT)})
    assert called(lm) == ["add_constraints"]
    _, lm = run_of(tmp_path / "judge", answers={"equal": {"equal": True}})
    assert called(lm) == ["add_constraints", "equal"]


# Edge cases


@pytest.mark.parametrize("instruction", ["", "  \n "])
def test_an_empty_seed_is_rejected_without_a_call(instruction, tmp_path):
    run, lm = run_of(tmp_path, root=instruction)
    assert lost(run) == [("seed", "empty_seed")] and lm.calls == []


def test_an_empty_evolution_is_rejected_in_every_preset(tmp_path):
    assert reject_of(tmp_path, " \n", checks=()) == "empty_instruction"


def test_an_evolution_equal_to_its_parent_after_normalization_is_rejected(tmp_path):
    assert reject_of(tmp_path, "describe a  walk, through a forest") == "unchanged"


@pytest.mark.parametrize(
    "text",
    [
        "A walk through a forest is quiet, and the ground is soft with the needles of old pines.",
        "Sure! Describe a walk through a forest in winter.",
        "Describe a walk through a forest. The forest is dark and the path leads to a lake.",
        "Describe a walk through a forest in spring.\nAnswer: It is green and loud.",
    ],
)
def test_an_evolver_that_answers_the_task_is_caught(text, tmp_path):
    assert reject_of(tmp_path, text) == "answered"


def test_an_answer_pasted_into_the_instruction_breaks_the_word_budget(tmp_path):
    table = "Describe a walk through a forest, and fill this table.\n" + "| tree | height |\n" * 12
    assert reject_of(tmp_path, table) == "too_long"


@pytest.mark.parametrize(
    "text",
    [
        "1. Describe a walk through a wet forest.\n2. Explain a walk through a dark forest.",
        "Option 1: Describe a forest walk.\nOption 2: Describe a forest run.",
        "Describe a walk through a forest with:\n" + "\n".join(f"- tree {i}" for i in range(11)),
    ],
)
def test_several_alternatives_are_rejected(text, tmp_path):
    assert reject_of(tmp_path, text) == "alternatives"


def test_a_switch_to_another_script_is_rejected(tmp_path):
    assert reject_of(tmp_path, "Опишите прогулку по ночному лесу?") == "language_switch"


def test_a_switch_to_another_language_of_the_same_script_is_rejected(tmp_path):
    parent = "Explain how a city can keep its streets cool in summer."
    french = "Expliquez comment une ville peut garder ses rues fraîches pendant les étés très chauds."
    assert reject_of(tmp_path, french, parent=parent) == "language_switch"
    english = "Explain which trees keep the streets of a city cool in summer, and how much water they need."
    assert reject_of(tmp_path / "same", english, parent=parent) is None


def test_breadth_in_the_same_language_is_no_switch(tmp_path):
    parent = "Explain how a city can keep its streets cool in summer."
    text = "Compare three ways of storing rain water below public squares and their yearly costs."
    assert reject_of(tmp_path, text, parent=parent, operator="broaden") is None


def test_a_text_of_line_breaks_is_rejected(tmp_path):
    text = "Describe a walk through a forest." + "\n" * 30 + "Name a tree."
    assert reject_of(tmp_path, text) == "mostly_blank"


@pytest.mark.parametrize(
    "data",
    [
        "```python\nfor i in range(3):\n    print(i)\n```",
        TABLE,
        '{"name": "Ines", "age": 34}',
        "<plants>\n  <plant name='fern'/>\n</plants>",
    ],
)
def test_data_of_the_parent_must_be_there_in_depth_and_need_not_in_breadth(data, tmp_path):
    parent = f"Explain this data.\n{data}"
    assert reject_of(tmp_path / "lost", "Explain this data in two short sentences.", parent=parent) == "input_lost"
    kept = f"Explain this data in two short sentences:\n  {data}"
    assert reject_of(tmp_path / "kept", kept, parent=parent) is None
    broad = "Explain how a sundial shows the time."
    assert reject_of(tmp_path / "broad", broad, parent=parent, operator="broaden") is None


def test_a_concrete_fact_is_not_checked_but_can_be_audited_on_the_row(tmp_path):
    text = "Describe a walk through the forest of Grunewald, whose tallest oak measures ninety metres."
    run, _ = run_of(tmp_path, operators=("concretize",), answers={"concretize": evolved(text)})
    assert (run.rows[0].instruction, run.rows[0].parent) == (text, ROOT)
    assert "really exist" in prompt_of("concretize")


def test_a_question_about_data_needs_data(tmp_path):
    text = "Which of these walks through a forest is the longest one?"
    assert reject_of(tmp_path / "without", text, operator="complicate_input") == "no_data"
    assert reject_of(tmp_path / "with", f"{text}\n{TABLE}", operator="complicate_input") is None
    assert reject_of(tmp_path / "other", f"{text} Explain why.", operator="deepen") is None


def test_breadth_must_not_hold_its_parent(tmp_path):
    text = "Describe a walk through a forest, and describe another one through a swamp."
    assert reject_of(tmp_path / "breadth", text, operator="broaden") == "not_new"
    assert reject_of(tmp_path / "depth", text) is None


def test_a_constraint_that_contradicts_an_earlier_one_is_rejected(tmp_path):
    parent = "Describe a forest in at most 30 words."
    against = "Describe a forest in at most 30 words, with at least fifty trees and at least 100 words."
    assert reject_of(tmp_path / "no", against, parent=parent) == "contradiction"
    agrees = "Describe a forest in at most 30 words and at least 10 words, without any adjective."
    assert reject_of(tmp_path / "yes", agrees, parent=parent) is None


def test_breadth_may_leave_every_word_of_its_parent_and_depth_may_not(tmp_path):
    text = "Compare two ways of grafting apple shoots."
    assert reject_of(tmp_path / "depth", text) == "drifted"
    assert reject_of(tmp_path / "breadth", text, operator="broaden") is None
    assert "same field" in prompt_of("broaden")


def test_a_truncated_response_fails_the_round(tmp_path):
    run, _ = run_of(tmp_path, answers={"respond": Reply('{"response": "The forest', "length")})
    assert lost(run) == [("respond", "truncated")] and len(run) == 0


def test_a_judge_reply_that_is_no_verdict_eliminates_nothing_and_is_flagged(tmp_path):
    run, _ = run_of(tmp_path, answers={"equal": "They look alike to me."})
    assert lost(run) == [] and run.rows[0].judged is False


def test_a_root_whose_children_all_fail_leaves_no_row_and_every_reason(tmp_path):
    run, lm = run_of(tmp_path, rounds=4, answers={"add_constraints": evolved(ROOT)})
    assert len(run) == 0 and run.funnel.made == 4 and called(lm) == ["add_constraints"] * 4


def test_a_garbled_evolution_is_kept_as_a_reject_with_its_operator(tmp_path):
    run_of(tmp_path, answers={"add_constraints": "no json here"})
    (reject,) = map(json.loads, (tmp_path / "rejected.jsonl").read_text().splitlines())
    assert (reject["stage"], reject["reason"]) == ("add_constraints", "unparsable")
    assert reject["content"]["parent"] == ROOT and reject["content"]["reply"] == "no json here"


def test_an_lm_error_is_raised_and_not_taken_for_a_bad_evolution(tmp_path):
    with pytest.raises(UnusableLMError, match="no such model"):
        run_of(tmp_path, answers={"add_constraints": ValueError("no such model")})


def test_a_placeholder_of_the_prompt_is_rejected(tmp_path):
    assert reject_of(tmp_path, "Describe a walk: {instruction}") == "template_echo"


def test_the_word_budget_is_a_limit_in_code(tmp_path):
    text = ROOT[:-1] + " and explain" + " tree" * 40
    assert reject_of(tmp_path / "practical", text) == "too_long"
    assert reject_of(tmp_path / "wider", text, max_added_words=50) is None


def test_the_same_evolution_of_two_roots_is_kept_once(tmp_path):
    seeds = [{"instruction": ROOT}, {"instruction": "Describe a walk through a dark forest."}]
    run, _ = run_of(tmp_path, seeds=seeds, answers={"add_constraints": evolved(MORE)})
    assert len(run) == 1 and lost(run) == [("exact_duplicate", "duplicate")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("What causes thunder", True),
        ("In two sentences, explain rain.", True),
        ("Your task is to write a poem.", True),
        ("The three uses are baking and cleaning.", False),
        ("Is it? No.", True),
    ],
)
def test_a_request_is_told_from_a_statement(text, expected):
    assert asks(text) is expected


# Seeds and plan


def plan(generator, **pool):
    return list(itertools.islice(generator.plan(Pool(**pool)), 200))


def test_one_pass_over_the_shipped_seeds_without_a_target_and_endless_draws_with_one():
    once = plan(EvolInstruct())
    assert len(once) == 80 and plan(EvolInstruct(), round=1) == []
    endless = plan(EvolInstruct(), target=500)
    assert endless[:80] == once and len(endless) == 200
    assert endless[80] == {"instruction": once[0]["instruction"], "draw": 1}


def test_an_input_is_put_below_its_instruction_and_no_white_space_trails():
    seeds = [{"instruction": "Sort these. ", "input": "3, 1, 2\n"}, {"instruction": "Wait.", "input": ""}]
    assert [seed["instruction"] for seed in plan(EvolInstruct(), seeds=seeds)] == ["Sort these.\n3, 1, 2", "Wait."]


@pytest.mark.parametrize(
    "seed", [{"text": "x"}, {"instruction": 3}, {"instruction": "x", "topic": "y"}, {"instruction": "x", "draw": "1"}]
)
def test_a_seed_without_an_instruction_or_with_other_fields_is_refused(seed):
    with pytest.raises(ConfigError, match=r"Seed 0 is .* has an `instruction`"):
        plan(EvolInstruct(), seeds=[seed])


def test_rows_of_another_run_are_seeds_as_they_are_and_stay_in_the_lineage(tmp_path):
    made = {"id": "a1", "provenance": None, "instruction": "Sort these. ", "input": "3, 1", "output": "1, 3"}
    grown = {"id": "b2", "provenance": None, "instruction": ROOT, "response": "Yes.", "root_id": "r7", "round": 3}
    assert plan(EvolInstruct(), seeds=[made, grown]) == [
        {"instruction": "Sort these.\n3, 1", "draw": 0, "parent_ids": ["a1"]},
        {"instruction": ROOT, "draw": 0, "parent_ids": ["r7", "b2"]},
    ]
    run, _ = run_of(tmp_path, seeds=[grown])
    assert run.rows[0].parent_ids == ("r7", "b2") and run.rows[0].parent == ROOT


def test_a_row_without_an_instruction_is_refused():
    with pytest.raises(ConfigError, match="Seed 0 is a row without an `instruction`; it has id, provenance, riddle"):
        plan(EvolInstruct(), seeds=[{"id": "a1", "provenance": None, "riddle": "?"}])


def test_rows_are_exported_as_conversations_and_without_answers_as_prompts(tmp_path):
    (row,) = run_of(tmp_path / "with")[0].rows
    assert [m.content for m in row.to_messages() or []] == [row.instruction, row.response]
    (bare,) = run_of(tmp_path / "without", answer=False)[0].rows
    assert bare.to_messages() is None and [m.content for m in bare.to_prompt() or []] == [bare.instruction]
    assert row.to_preference() is None


def test_a_second_pass_draws_other_operators_and_makes_other_rows(tmp_path):
    run, _ = run_of(
        tmp_path, operators=OPERATORS, n=6, checks=(), answers={op: evolved(f"{MORE} {op}") for op in OPERATORS}
    )
    assert len({row.operator for row in run}) > 2


def test_shipped_seeds_tuning_seeds_and_demonstrations_are_disjoint_and_clean():
    seeds = [record["instruction"] for record in read_jsonl(data_path("evol_instruct.jsonl"))]
    tuning = list(read_jsonl(data_path("../../optimizers/data/evol_instruct.jsonl")))
    demos = [d["instruction"] for name in OPERATORS for d in shipped("evol_instruct").get(name, [])]
    demos += [demo.instruction for demo in EvolInstruct().all_predictors()["complicate_input"].demos]
    texts = seeds + [record["inputs"]["instruction"] for record in tuning] + list(dict.fromkeys(demos))
    assert len(set(texts)) == len(texts)
    assert Counter(record["split"] for record in tuning) == {"train": 20, "val": 12, "test": 20}
    assert sum(bool(data_blocks(seed)) for seed in seeds) >= 10
    assert all(asks(text) for text in texts)
    assert not any(scaffold_words(text) or text != text.strip() for text in texts)


def test_tuning_seeds_use_every_operator_in_every_split():
    drawn = {
        (r["split"], next(EvolInstruct().drawn(**_drawn(r)))[0])
        for r in read_jsonl(data_path("../../optimizers/data/evol_instruct.jsonl"))
    }
    assert len(drawn) == 18


def _drawn(record):
    return {"root": record["inputs"]["instruction"], "draw": record["inputs"]["draw"]}


# Declarations


def test_practical_holds_the_defaults_and_faithful_the_numbers_of_the_paper():
    parameters = list(inspect.signature(EvolInstruct.__init__).parameters.values())[1:]
    assert dict(EvolInstruct.presets["practical"]) == {p.name: p.default for p in parameters}
    paper = EvolInstruct.preset("faithful")
    assert (paper.rounds, paper.operators, paper.weights, paper.judge, paper.answer) == (4, OPERATORS, None, True, True)
    assert (paper.checks, paper.max_added_words, paper.spare_parent_words) == ((), None, False)
    expected = {"temperature": 1.0, "top_p": 0.9, "max_tokens": 2048}
    assert all(paper.all_predictors()[name].config == expected for name in (*OPERATORS, "respond"))


def test_the_judge_has_its_own_role_and_optimizers_do_not_see_it():
    generator = EvolInstruct(rate_difficulty=True)
    assert generator.all_roles() == ("generator", "judge")
    assert {name: generator.role_of(name) for name in ("equal", "rate", "respond", "deepen")} == {
        "equal": "judge",
        "rate": "judge",
        "respond": "generator",
        "deepen": "generator",
    }
    assert {name for name, _ in generator.named_predictors()} == {*OPERATORS, "respond"}


def test_judges_answer_from_their_own_lm(tmp_path):
    judge = scripted(equal={"equal": True})
    generator = EvolInstruct(operators=("deepen",), rounds=1)
    run = sw.generate(
        generator, seeds=[{"instruction": ROOT}], out=tmp_path, lms={"generator": scripted(), "judge": judge}
    )
    assert called(judge) == ["equal"] and len(run) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"operators": ()}, "`operators` is empty"),
        ({"operators": ("deepening",)}, "no operator 'deepening'. Did you mean 'deepen'"),
        ({"operators": ("deepen", "deepen")}, "names one twice"),
        ({"weights": (1.0,)}, "`weights` must be 6 numbers"),
        ({"operators": ("deepen",), "weights": (0,)}, "not all 0"),
        ({"rounds": 0}, "`rounds` must be at least 1, got 0"),
        ({"checks": ("unchangd",)}, "no check 'unchangd'. Did you mean 'unchanged'"),
        ({"max_added_words": -1}, "`max_added_words` must be at least 0"),
        ({"temperature": 3}, "`temperature` must be"),
        ({"top_p": 0}, "`top_p` must be"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ConfigError, match=message):
        EvolInstruct(**arguments)


def test_arguments_survive_a_copy_and_are_recorded():
    generator = EvolInstruct(rounds=3, operators=["deepen"], weights=[1])
    assert generator.params()["operators"] == ("deepen",)
    assert generator.deepcopy().params() == generator.params()
    result = asyncio.run(_acall(generator))
    assert [type(row) for row in result.rows] == [EvolvedRow] * 3


async def _acall(generator):
    with dspy.context(lm=scripted(), adapter=dspy.JSONAdapter()):
        return await generator.acall(instruction=ROOT)


# The embedded LM


@pytest.mark.embedded
def test_the_embedded_lm_makes_a_dataset_with_the_defaults(tmp_path, embedded):
    run = sw.generate(EvolInstruct(), n=1, out=tmp_path, lms=embedded)
    assert len(run) == 1 and "add_constraints" in run.shipped
    for row in run:
        assert row.instruction != row.parent and row.response and row.operator in OPERATORS and len(row.root_id) == 20


@pytest.mark.embedded
def test_one_operator_can_be_tuned_cheaply_on_the_embedded_lm(tmp_path, embedded):
    generator = EvolInstruct(operators=("add_constraints",), rounds=1, judge=False, answer=False)
    run = sw.generate(generator, n=3, out=tmp_path, lms=embedded)
    assert len(run) == 3 and {predictor for _, predictor in run.usage} == {"add_constraints"}
