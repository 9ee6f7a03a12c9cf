import inspect
from collections import Counter

import dspy
import pytest

import synthwright as sw
from synthwright.errors import ConfigError, UnusableLMError
from synthwright.lms.adapters import default_adapter
from synthwright.pool import Pool
from synthwright.programs.prompts import signature_of
from synthwright.programs.targen import TarGEN
from synthwright.programs.targen_checks import CHECKS, problem
from synthwright.programs.targen_files import list_tasks, load_task
from synthwright.programs.targen_material import listed
from synthwright.programs.targen_tasks import Task
from synthwright.signatures.targen import Contexts, InstanceSeeds, LabelledRow
from synthwright.testing import Reply, ScriptedLM

SETTINGS = ["a harbour", "a bakery", "a school", "a farm", "a ship", "a tunnel", "a market", "a theatre"]


def two_premises(inputs):
    place = inputs["context"]
    return {"texts": [f"The owner of {place} sold it on Monday.", f"Visitors of {place} saw a fire at night."]}


def a_hypothesis(inputs):
    new = "The Monday news came from Spain." if inputs["label"] == "not_entailment" else "Something was seen on Monday."
    return {"hypothesis": f"{new} Visitors saw {inputs['context']}.", "explanation": f"for {inputs['label']}"}


def same_label(inputs):
    return {"corrected_explanation": "It holds.", "corrected_label": inputs["current_label"]}


def scripted(**answers):
    usual = {
        "contexts": {"contexts": SETTINGS},
        "instances": two_premises,
        "write": a_hypothesis,
        "correct": same_label,
    }
    return ScriptedLM({**usual, **answers})


def calls(lm, predictor):
    return [call for call in lm.calls if call.predictor == predictor]


def one_row(generator, lm, **seed):
    with dspy.context(lm=lm, adapter=default_adapter()):
        return generator(**seed)


PREMISE = "The ferry sank near the harbour on Monday morning."
ROW = {"step": "row", "context": "a harbour", "seed": PREMISE, "label": "entailment", "variant": 0}


# Rows and steps


def test_a_row_tells_its_whole_story(tmp_path):
    row = sw.generate(TarGEN(), n=1, out=tmp_path, lms=scripted()).rows[0]
    assert row.task == "rte"
    assert row.context in SETTINGS and row.context in row.instance_seed
    assert row.fields == {
        "premise": row.instance_seed,
        "hypothesis": f"Something was seen on Monday. Visitors saw {row.context}.",
    }
    assert (row.label, row.initial_label, row.was_corrected, row.flag) == ("entailment", "entailment", False, None)
    assert (row.explanation, row.corrected_explanation) == ("for entailment", "It holds.")
    assert row.text == f"premise: {row.instance_seed}\nhypothesis: {row.fields['hypothesis']}"
    assert row.solver_label is None


def test_contexts_are_made_once_for_all_rows_and_used_once_each(tmp_path):
    lm = scripted()
    run = sw.generate(TarGEN(), n=12, out=tmp_path, lms=lm)
    assert len(run) == 12
    assert len(calls(lm, "contexts")) == 1
    asked_in = [call.inputs["context"] for call in calls(lm, "instances")]
    assert sorted(asked_in) == sorted(set(asked_in)) and len(asked_in) == 6
    assert max(Counter(row.context for row in run).values()) == 2


def test_more_contexts_are_drawn_when_the_first_do_not_suffice(tmp_path):
    numbers = iter(range(1000))
    lm = scripted(contexts=lambda _: {"contexts": [f"place {next(numbers)}" for _ in range(8)]})
    assert len(sw.generate(TarGEN(), n=40, out=tmp_path, lms=lm)) == 40
    assert len(calls(lm, "contexts")) == 3  # 24 contexts for 20 pairs of seeds
    assert {call.inputs["theme"] for call in calls(lm, "contexts")} == set(load_task("rte").themes)


def test_labels_and_constraints_are_balanced_and_fixed_before_writing(tmp_path):
    lm = scripted()
    run = sw.generate(TarGEN(), n=8, out=tmp_path, lms=lm)
    assert Counter((row.initial_label, row.variant) for row in run) == {
        ("entailment", 0): 2,
        ("entailment", 1): 2,
        ("not_entailment", 0): 2,
        ("not_entailment", 1): 2,
    }
    requirements = {c.text: label.name for label in load_task("rte").labels for c in label.constraints}
    assert all(requirements[call.inputs["requirement"]] == call.inputs["label"] for call in calls(lm, "write"))


def test_labels_do_not_go_with_the_place_of_a_seed_in_its_list(tmp_path):
    run = sw.generate(TarGEN(), n=16, out=tmp_path, lms=scripted())
    first = Counter(row.label for row in run if "sold" in row.instance_seed)
    assert 0 < first["entailment"] < 8


def test_a_lost_row_is_asked_for_again_under_the_label_that_lacks(tmp_path):
    lost = iter([True, True])

    def copies_twice(inputs):
        if inputs["label"] == "not_entailment" and next(lost, False):
            return {"hypothesis": inputs["premise"], "explanation": "the same"}
        return a_hypothesis(inputs)

    run = sw.generate(TarGEN(), n=6, out=tmp_path, lms=scripted(write=copies_twice))
    assert Counter(row.label for row in run) == {"entailment": 3, "not_entailment": 3}
    assert ("checks", "restates", 2) in run.funnel.lost


def test_an_instance_seed_is_used_for_one_row_only(tmp_path):
    run = sw.generate(TarGEN(), n=10, out=tmp_path, lms=scripted())
    assert len({row.instance_seed for row in run}) == 10


def test_without_n_there_is_one_pass_over_one_call_of_contexts(tmp_path):
    lm = scripted()
    run = sw.generate(TarGEN(), out=tmp_path, lms=lm)
    assert len(run) == 16 and run.complete
    assert len(calls(lm, "contexts")) == 1
    assert Counter(row.label for row in run) == {"entailment": 8, "not_entailment": 8}


def test_the_run_is_the_same_at_any_concurrency(tmp_path):
    runs = [sw.generate(TarGEN(), n=9, out=tmp_path / str(c), lms=scripted(), concurrency=c) for c in (1, 5)]
    assert [row.id for row in runs[0]] == [row.id for row in runs[1]]


def test_a_larger_n_goes_on_without_counting_twice(tmp_path):
    lm = scripted()
    sw.generate(TarGEN(), n=3, out=tmp_path, lms=lm)
    run = sw.generate(TarGEN(), n=8, out=tmp_path, lms=lm)
    assert len({row.id for row in run}) == len(run) == len(calls(lm, "write")) == 8
    assert Counter(row.label for row in run) == {"entailment": 4, "not_entailment": 4}


# Edge cases of the specification


def test_fewer_seeds_than_asked_for_only_take_more_calls(tmp_path):
    lm = scripted(instances=lambda inputs: {"texts": two_premises(inputs)["texts"][:1]})
    assert len(sw.generate(TarGEN(), n=6, out=tmp_path, lms=lm)) == 6
    assert len(calls(lm, "instances")) == 6


def test_more_seeds_than_asked_for_are_cut(tmp_path):
    def many(inputs):
        return {"texts": [f"Text {i} about {inputs['context']} is long enough." for i in range(9)]}

    lm = scripted(instances=many)
    sw.generate(TarGEN(instances_per_context=3), n=6, out=tmp_path, lms=lm)
    assert len(calls(lm, "instances")) == 2


def test_numbered_entries_that_span_lines_are_put_together():
    assert listed(["1. A haunted\n   mansion by\nthe sea\n2) a  bus stop", "- a kiosk", "3. A Bus stop."]) == [
        "A haunted mansion by the sea",
        "a bus stop",
        "a kiosk",
    ]


def test_a_list_that_comes_as_one_numbered_text_is_read(tmp_path):
    lm = scripted(contexts={"contexts": "1. a harbour\n2. a bakery\n3. a school"})
    run = sw.generate(TarGEN(), n=6, out=tmp_path, lms=lm)
    assert {row.context for row in run} == {"a harbour", "a bakery", "a school"}


def test_a_seed_that_implies_the_opposite_is_relabelled_and_not_edited():
    lm = scripted(correct={"corrected_explanation": "It adds a ship.", "corrected_label": "not_entailment"})
    row = one_row(TarGEN(), lm, **ROW).rows[0]
    assert (row.initial_label, row.label, row.was_corrected) == ("entailment", "not_entailment", True)
    assert row.corrected_explanation == "It adds a ship."
    assert row.fields == {"premise": PREMISE, "hypothesis": "Something was seen on Monday. Visitors saw a harbour."}
    assert len(calls(lm, "correct")) == 1


@pytest.mark.parametrize(
    "reply", ["Not_Entailment", " not entailment. ", "NOT-ENTAILMENT", "'not_entailment'", "Neutral"]
)
def test_a_label_in_another_form_is_understood(reply):
    lm = scripted(correct={"corrected_explanation": "why", "corrected_label": reply})
    row = one_row(TarGEN(), lm, **ROW).rows[0]
    assert (row.label, row.was_corrected, row.flag) == ("not_entailment", True, None)


@pytest.mark.parametrize("reply", ["C2.", "c2", "Choice 2", "2"])
def test_a_slot_in_another_form_is_understood(reply):
    texts = {"premise": "It rained.", "question": "effect", "choice1": "A cat slept.", "choice2": "The road got wet."}
    lm = scripted(correct={"corrected_explanation": "why", "corrected_label": reply})
    assert one_row(TarGEN("copa"), lm, step="correct", fields=texts, label="C1").rows[0].label == "C2"


def test_a_label_in_another_form_is_understood_in_the_chat_format():
    text = "[[ ## corrected_explanation ## ]]\nIt adds.\n\n[[ ## corrected_label ## ]]\nNot entailment.\n"
    seed = {
        **ROW,
        "step": "correct",
        "fields": {"premise": PREMISE, "hypothesis": "It was a ship."},
        "explanation": "x",
    }
    del seed["seed"]
    with dspy.context(lm=scripted(correct=text), adapter=dspy.ChatAdapter(use_json_adapter_fallback=False)):
        row = TarGEN()(**seed).rows[0]
    assert (row.label, row.corrected_explanation) == ("not_entailment", "It adds.")


@pytest.mark.parametrize(
    "reply",
    [
        {"corrected_explanation": "?", "corrected_label": "banana"},
        {"corrected_explanation": "no label"},
        "I am not sure.",
        Reply('{"corrected_explanation": "It', "length"),
    ],
)
def test_without_a_label_of_the_set_the_original_stays_and_is_flagged(reply):
    row = one_row(TarGEN(), scripted(correct=reply), **ROW).rows[0]
    assert (row.label, row.was_corrected, row.flag) == ("entailment", False, "label_not_checked")


def test_a_hypothesis_that_restates_the_seed_is_dropped(tmp_path):
    lm = scripted(write=lambda inputs: {"hypothesis": inputs["premise"].upper(), "explanation": "e"})
    run = sw.generate(TarGEN(patience=2), n=2, out=tmp_path, lms=lm)
    assert len(run) == 0 and {(stage, reason) for stage, reason, _ in run.funnel.lost} == {("checks", "restates")}
    assert not calls(lm, "correct")


def test_a_label_word_in_the_text_is_dropped(tmp_path):
    text = "This visitors' owner is not entailment on Monday, and is entailment."
    run = sw.generate(
        TarGEN(patience=2), n=2, out=tmp_path, lms=scripted(write={"hypothesis": text, "explanation": "e"})
    )
    assert ("checks", "label_leaks") in {(stage, reason) for stage, reason, _ in run.funnel.lost}


def test_a_seed_that_comes_in_two_contexts_is_used_once(tmp_path):
    def one_shared(inputs):
        return {"texts": ["A fire broke out here on Monday.", f"Visitors of {inputs['context']} saw it on Monday."]}

    run = sw.generate(TarGEN(), out=tmp_path, lms=scripted(instances=one_shared))
    assert len(run) == len(SETTINGS) + 1
    assert sum(row.instance_seed.startswith("A fire") for row in run) == 1


def test_copa_puts_the_plausible_choice_in_each_place_equally_often_and_never_says_which(tmp_path):
    lm = ScriptedLM(
        {
            "contexts": {"contexts": SETTINGS},
            "instances": lambda i: {"texts": [f"The roof of {i['context']} fell in.", f"A dog ran to {i['context']}."]},
            "write": lambda i: {
                "plausible": f"Likely {i['question']}: {i['premise']}",
                "implausible": f"Unlikely {i['question']}: {i['premise']}",
                "explanation": "e",
            },
            "correct": same_label,
        }
    )
    run = sw.generate(TarGEN("copa"), n=12, out=tmp_path, lms=lm)
    cells = Counter((row.label, row.fields["question"]) for row in run)
    assert cells == {("C1", "cause"): 3, ("C1", "effect"): 3, ("C2", "cause"): 3, ("C2", "effect"): 3}
    for row in run:
        likely, other = ("choice1", "choice2") if row.label == "C1" else ("choice2", "choice1")
        assert row.fields[likely].startswith("Likely") and row.fields[other].startswith("Unlikely")
        assert list(row.fields) == ["premise", "question", "choice1", "choice2"]
    assert all("label" not in call.inputs and "C1" not in str(call.messages) for call in calls(lm, "write"))


def test_copa_with_two_plausible_choices_is_left_to_the_solver(tmp_path):
    write = {"plausible": "The road was wet.", "implausible": "The street was wet.", "explanation": "e"}
    lm = scripted(write=write, solve={"label": "C2"})
    seed = {"step": "row", "seed": "It rained.", "label": "C1", "variant": 1}
    reject = one_row(TarGEN("copa", solver=True, require_agreement=True), lm, **seed).rejected[0]
    assert (reject.stage, reject.reason, reject.detail) == ("solve", "solver_disagrees", "C2, not C1")


def test_record_drops_an_answer_that_is_absent_or_there_twice():
    checks = load_task("record").checks
    passage = "Mayor Ann Lee met Bo Fry in Rome. Later Ann Lee left."
    fields = {"passage": passage, "query": "The visitor of @placeholder left.", "entity": "Rome"}
    assert problem(checks, fields) is None
    assert problem(checks, {**fields, "entity": "Ann Lee"}) == "occurs_2_times: 'Ann Lee'"
    assert problem(checks, {**fields, "entity": "Paris"}) == "absent: 'Paris'"


def test_one_label_is_an_error_that_names_the_line(tmp_path):
    text = task_text().replace(SECOND_LABEL, "")
    with pytest.raises(ConfigError, match=r"my\.yaml, line 10: labels: a task needs two labels or more, got 1"):
        load_task(write_task(tmp_path, text))


def test_twelve_labels_get_their_quota_although_rows_are_lost(tmp_path):
    labels = [
        {"name": f"L{i}", "definition": f"kind {i}", "constraints": [{"text": f"Write kind {i}."}]} for i in range(12)
    ]
    task = Task.model_validate({**MINIMAL, "labels": labels})
    lost = iter(range(5))

    def write(inputs):
        if next(lost, None) is not None:
            return "not json"
        return {"answer": f"{inputs['label']} about {inputs['text']}", "explanation": "e"}

    numbers = iter(range(1000))
    lm = scripted(write=write, contexts=lambda _: {"contexts": [f"place {next(numbers)}" for _ in range(8)]})
    run = sw.generate(TarGEN(task, self_correct=False), n=30, out=tmp_path, lms=lm)
    counts = Counter(row.label for row in run)
    assert len(run) == 30 and set(counts.values()) == {2, 3} and len(counts) == 12


def test_quotas_weigh_labels():
    task = load_task("rte").model_copy(update={"quotas": {"entailment": 3.0}})
    cells = task.quota(10)
    assert [cells["entailment", 0] + cells["entailment", 1], sum(cells.values())] == [8, 10]
    assert sum(load_task("cb").quota(100_000).values()) == 100_000


# Faults of the official code that are not repeated


def test_a_reply_that_cannot_be_read_is_no_row(tmp_path):
    replies = iter(["no json", Reply('{"hypothesis": "cut', "length"), {"hypothesis": " ", "explanation": "e"}])
    lm = scripted(write=lambda inputs: next(replies, None) or a_hypothesis(inputs))
    run = sw.generate(TarGEN(), n=4, out=tmp_path, lms=lm)
    assert len(run) == 4
    assert {(stage, reason) for stage, reason, _ in run.funnel.lost} == {
        ("write", "unparsable"),
        ("write", "truncated"),
        ("write", "empty"),
    }


def test_empty_texts_are_dropped_in_the_faithful_preset_too(tmp_path):
    lm = scripted(write={"hypothesis": "", "explanation": "e"})
    assert one_row(TarGEN.preset("faithful"), lm, **ROW).rejected[0].reason == "empty"


def test_a_task_with_a_single_constraint_per_label_works(tmp_path):
    run = sw.generate(TarGEN(Task.model_validate(MINIMAL)), n=4, out=tmp_path, lms=scripted(write=minimal_answer))
    assert Counter(row.label for row in run) == {"good": 2, "bad": 2}


# When material is short


def test_an_lm_that_repeats_itself_ends_the_run(tmp_path):
    lm = scripted(contexts={"contexts": ["a harbour"]}, instances={"texts": ["The same old ferry sank on Monday."]})
    run = sw.generate(TarGEN(patience=5), n=10, out=tmp_path, lms=lm)
    assert len(run) == 1 and not run.funnel.failed
    assert len(calls(lm, "instances")) < 30


def test_contexts_are_used_again_when_no_new_ones_come(tmp_path):
    numbers = iter(range(1000))
    fresh = lambda inputs: {"texts": [f"Visitors of {inputs['context']} saw fire {next(numbers)} on Monday."]}  # noqa: E731
    run = sw.generate(
        TarGEN(), n=9, out=tmp_path, lms=scripted(contexts={"contexts": ["a harbour", "a farm"]}, instances=fresh)
    )
    assert len(run) == 9
    assert Counter(row.context for row in run).keys() == {"a harbour", "a farm"}


def test_an_lm_that_cannot_be_read_is_an_error(tmp_path):
    lm = ScriptedLM({"*": "hello"})
    with pytest.raises(UnusableLMError, match="Not one reply"):
        sw.generate(TarGEN(), n=5, out=tmp_path, lms=lm)


def test_unreadable_instance_seeds_end_the_run(tmp_path):
    lm = scripted(instances="hello")
    run = sw.generate(TarGEN(patience=3), n=4, out=tmp_path, lms=lm)
    assert len(run) == 0 and ("instances", "unparsable", len(calls(lm, "instances"))) in run.funnel.lost


def test_instance_seeds_of_the_wrong_kind_are_dropped_with_the_reason():
    shown = load_task("rte").labels[0].illustrations[0].fields["premise"]
    texts = [
        "a harbour in the cold morning fog",
        "Short.",
        shown.replace("on Monday ", ""),
        "The owner sold the harbour on Monday.",
    ]
    lm = scripted(instances={"texts": texts})
    seed = {"step": "instances", "context": "A harbour in the cold  morning fog.", "round": 1, "kept": 0}
    made = one_row(TarGEN(instances_per_context=4, illustrations=("instances",)), lm, **seed)
    assert [(r.stage, r.reason) for r in made.rejected] == [
        ("instances", "restates_context"),
        ("instances", "wrong_length"),
        ("instances", "copies_demonstration"),
    ]
    assert made.artifacts[0].seeds == (texts[3],)
    assert one_row(TarGEN.preset("faithful"), lm, **seed).artifacts[0].seeds == (texts[0],)


def test_an_instance_seed_that_begins_with_a_demonstration_is_a_copy_of_it():
    shown = load_task("rte").labels[0].illustrations[0].fields["premise"]
    lm = scripted(instances={"texts": [f"{shown} It was a long and quiet night for all the people of the island."]})
    made = one_row(TarGEN(illustrations=("instances",)), lm, step="instances", context="a bay", round=1, kept=0)
    assert [reject.reason for reject in made.rejected] == ["copies_demonstration"]


def test_a_plan_is_a_function_of_the_pool():
    artifacts = [
        Contexts(contexts=("a harbour", "a farm"), draw=0, round=0),
        InstanceSeeds(context="a harbour", seeds=("One long text.", "Another long text."), round=1, kept=0),
    ]
    plans = [list(TarGEN().plan(Pool(artifacts=artifacts, target=2, round=2))) for _ in range(2)]
    assert plans[0] == plans[1] and [seed["step"] for seed in plans[0]] == ["row", "row"]
    assert [s["context"] for s in TarGEN().plan(Pool(artifacts=artifacts, target=2, round=3))] == ["a farm"]


# Seeds of the user


def test_contexts_of_the_user_are_used_instead_of_the_lms(tmp_path):
    lm = scripted()
    run = sw.generate(TarGEN(), seeds=[{"context": "a zoo"}, {"context": "a lab"}], n=4, out=tmp_path, lms=lm)
    assert {row.context for row in run} == {"a zoo", "a lab"} and len(run) == 4
    assert not calls(lm, "contexts")


def test_instance_seeds_of_the_user_are_used_as_they_are(tmp_path):
    lm = scripted()
    seeds = [{"seed": f"Visitors saw fire number {i} on Monday.", "context": "a zoo"} for i in range(4)]
    run = sw.generate(TarGEN(), seeds=seeds, out=tmp_path, lms=lm)
    assert sorted(row.instance_seed for row in run) == sorted(seed["seed"] for seed in seeds)
    assert Counter(row.label for row in run) == {"entailment": 2, "not_entailment": 2}
    assert not calls(lm, "contexts") and not calls(lm, "instances")


def test_a_users_instance_seed_is_tried_three_times_and_no_more(tmp_path):
    lm = scripted(write={"hypothesis": "Pigs fly.", "explanation": "e"})
    run = sw.generate(TarGEN(), seeds=[{"seed": PREMISE}], n=5, out=tmp_path, lms=lm)
    assert len(run) == 0 and len(calls(lm, "write")) == 3
    assert ("checks", "off_topic", 3) in run.funnel.lost


def test_any_labelled_instance_can_be_rechecked(tmp_path):
    fields = {"hypothesis": "A ship sank.", "premise": PREMISE}
    seeds = [{"step": "correct", "fields": fields, "label": "Not entailment", "explanation": "no ship"}]
    lm = scripted(correct={"corrected_explanation": "A ferry is a ship.", "corrected_label": "entailment"})
    row = sw.generate(TarGEN(), seeds=seeds, out=tmp_path, lms=lm).rows[0]
    assert (row.initial_label, row.label, row.instance_seed) == ("not_entailment", "entailment", PREMISE)
    assert calls(lm, "correct")[0].inputs["explanation"] == "no ship"
    assert list(row.fields) == ["premise", "hypothesis"]


@pytest.mark.parametrize(
    ("seed", "message"),
    [
        ({"contxt": "a zoo"}, "Did you mean 'context'"),
        ({"seed": 3}, "must be a text, got 3"),
        ({}, "is empty"),
        ({"step": "rwo", "label": "entailment"}, "no step 'rwo'. Did you mean 'row'"),
        ({"step": "row", "seed": PREMISE, "label": "entailing"}, "no label 'entailing'. Did you mean 'entailment'"),
        ({"step": "correct", "fields": {"premise": "x"}, "label": "entailment"}, "are premise, hypothesis"),
    ],
)
def test_a_wrong_seed_is_refused_with_a_hint(seed, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        sw.generate(TarGEN(), seeds=[seed], out=tmp_path, lms=scripted())


# Options


def test_self_correction_can_be_left_out():
    lm = scripted()
    row = one_row(TarGEN(self_correct=False), lm, **ROW).rows[0]
    assert row.corrected_explanation == "" and not calls(lm, "correct")


def test_corrected_rows_can_be_dropped():
    lm = scripted(correct={"corrected_explanation": "It adds.", "corrected_label": "not_entailment"})
    made = one_row(TarGEN(drop_corrected=True), lm, **ROW)
    assert made.rows == []
    assert (made.rejected[0].stage, made.rejected[0].reason) == ("correct", "label_corrected")
    assert made.rejected[0].detail == "entailment -> not_entailment: It adds."


def test_the_solver_sees_no_label_and_its_own_is_stored(tmp_path):
    lm, solver = scripted(), ScriptedLM({"solve": {"label": "not_entailment"}}, model="other")
    run = sw.generate(TarGEN(solver=True), n=2, out=tmp_path, lms={"generator": lm, "solver": solver})
    assert [row.solver_label for row in run] == ["not_entailment"] * 2
    assert {row.label for row in run} == {"entailment", "not_entailment"}
    assert {tuple(call.inputs) for call in solver.calls} == {("task", "premise", "hypothesis")}


def test_agreement_with_the_solver_can_be_required(tmp_path):
    replies = {"solve": [{"label": "entailment"}, {"label": "banana"}]}
    generator = TarGEN(solver=True, require_agreement=True, self_correct=False)
    lm = scripted(**replies)
    assert one_row(generator, lm, **ROW).rows[0].solver_label == "entailment"
    assert one_row(generator, lm, **ROW).rejected[0].reason == "unparsable"
    with pytest.raises(ConfigError, match="need a solver"):
        TarGEN(require_agreement=True)


def test_an_unreadable_solver_is_no_reason_to_drop_a_row_unless_it_is_required():
    assert one_row(TarGEN(solver=True), scripted(solve="?"), **ROW).rows[0].solver_label is None


@pytest.mark.parametrize("name", ["contexts_per_call", "instances_per_context", "patience"])
def test_counts_must_be_positive(name):
    with pytest.raises(ConfigError, match=f"`{name}` must be at least 1, got 0"):
        TarGEN.preset("practical", **{name: 0})


def test_practical_is_the_default_and_faithful_adds_nothing():
    defaults = {n: p.default for n, p in inspect.signature(TarGEN.__init__).parameters.items()}
    assert all(defaults[name] == value for name, value in TarGEN.presets["practical"].items())
    faithful = TarGEN.preset("faithful")
    assert isinstance(faithful, TarGEN)
    assert faithful.filters == () and faithful.self_correct and not faithful.solver
    assert faithful.instances_per_context == 1


def test_the_arguments_are_recorded_with_the_whole_task():
    params = TarGEN("cb", seed=3).params()
    assert params["seed"] == 3 and params["task"].label_names == ("entailment", "contradiction", "neutral")


def test_optimizers_see_the_writer_and_the_corrector_only():
    generator = TarGEN()
    assert list(generator.target_predictors()) == ["write", "correct"]
    assert "solve" not in {name for name, _ in generator.named_predictors()}
    assert set(generator.all_predictors()) == {"contexts", "instances", "write", "correct", "solve"}
    assert [generator.role_of(name) for name in ("write", "solve")] == ["generator", "solver"]


def test_prompts_can_be_saved_and_loaded(tmp_path):
    generator = TarGEN()
    write = generator.all_predictors()["write"]
    write.signature = signature_of(write).with_instructions("Write it.")
    generator.save_prompts(tmp_path / "p.json")
    other = TarGEN()
    other.load_prompts(tmp_path / "p.json")
    assert other.prompts_hash() == generator.prompts_hash() != TarGEN().prompts_hash()
    with pytest.raises(ConfigError, match="write"):
        TarGEN("copa").load_prompts(tmp_path / "p.json")


def test_illustrations_are_shown_with_both_verdicts_and_both_labels():
    demos = TarGEN().all_predictors()["correct"].demos
    verdicts = {(demo["current_label"] == demo["corrected_label"], demo["corrected_label"]) for demo in demos}
    assert len(verdicts) == 4
    instances, plain = TarGEN(illustrations=("instances",)).all_predictors()["instances"], TarGEN().all_predictors()
    assert instances.demos[0]["texts"] == [plain["write"].demos[0]["premise"]] and not plain["instances"].demos
    faithful = TarGEN.preset("faithful").all_predictors()
    assert [name for name, predictor in faithful.items() if predictor.demos] == ["write"]
    with pytest.raises(ConfigError, match=r"no step 'wriet'\. Did you mean 'write'"):
        TarGEN(illustrations=("wriet",))


# Task files

MINIMAL = {
    "name": "mini",
    "definition": "Say whether the answer is good.",
    "themes": ["anything"],
    "seed": "a sentence",
    "seed_field": "text",
    "fields": {"text": "a sentence", "answer": "an answer"},
    "labels": [
        {"name": "good", "definition": "it is good", "constraints": [{"text": "Write a good one."}]},
        {"name": "bad", "definition": "it is bad", "constraints": [{"text": "Write a bad one."}]},
    ],
}

SECOND_LABEL = """  - name: bad
    definition: it is bad
    constraints:
      - text: Write a bad one.
"""


def minimal_answer(inputs):
    return {"answer": f"In {inputs['context']} they call it {inputs['label']}.", "explanation": "e"}


def task_text():
    return f"""name: mini
definition: Say whether the answer is good.
themes: [anything]
seed: a sentence
seed_field: text
seed_words: [3, 30]
fields:
  text: a sentence
  answer: an answer
labels:
  - name: good
    definition: it is good
    constraints:
      - text: Write a good one.
{SECOND_LABEL}checks:
  not_a_copy: [answer, text]
"""


def write_task(folder, text):
    path = folder / "my.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_eight_tasks_of_superglue_and_a_structured_one_are_shipped():
    assert list_tasks() == ["announcement", "axg", "boolq", "cb", "copa", "record", "rte", "wic", "wsc"]


@pytest.mark.parametrize("name", list_tasks())
def test_a_shipped_task_is_complete(name):
    task, generator = load_task(name), TarGEN(name, illustrations=("instances", "write", "correct"))
    assert task.name == name and len(task.labels) >= (1 if task.answers else 2)
    for label in task.labels:
        assert label.illustrations
        for illustration in label.illustrations:
            assert problem(task.checks, illustration.fields, label.name) is None
    for predictor in (generator.all_predictors()[step] for step in ("instances", "write", "correct")):
        assert predictor.demos
        for demo in predictor.demos:
            assert set(demo.keys()) == set(signature_of(predictor).fields)


def test_a_task_file_of_the_user_runs(tmp_path):
    path = write_task(tmp_path, task_text())
    run = sw.generate(TarGEN(str(path)), n=2, out=tmp_path / "run", lms=scripted(write=minimal_answer))
    assert [row.task for row in run] == ["mini", "mini"]


@pytest.mark.parametrize("name", ["seed", "fields_", "stage", "found", "variant", "step", "kind_of_text", "how_many"])
def test_a_field_may_have_any_other_name(name, tmp_path):
    path = write_task(tmp_path, task_text().replace("answer", name))
    lm = scripted(write=lambda inputs: {name: "", "explanation": "e"})
    seed = {"step": "row", "context": "c", "seed": "One two three four.", "label": "good"}
    assert one_row(TarGEN(path), lm, **seed).rejected[0].detail == name


def test_an_editor_can_be_given_the_schema():
    schema = Task.model_json_schema()
    assert schema["additionalProperties"] is False and "seed_field" in schema["required"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("definition: Say", "definitoin: Say", r"line 1: definition: this key is missing"),
        ("definition: Say", "definitoin: Say", r"line 2: unknown key 'definitoin'. Did you mean 'definition'"),
        ("      - text: Write a bad", "      - txt: Write a bad", r"line 18: unknown key 'txt'. Did you mean 'text'"),
        ("name: bad", "name: no", r"line 15: labels\[1\].name: YAML reads this as False.*put it in quotes"),
        ("name: bad", "name: Good", r"line 15: labels\[1\].name: the label 'Good' is there already, as 'good'"),
        ("name: bad", 'name: ""', r"line 15: labels\[1\].name"),
        ("seed_field: text", "seed_field: txt", r"line 5: seed_field: no field 'txt'. Did you mean 'text'"),
        ("seed_words: [3, 30]", "seed_words: [9, 3]", r"line 6: seed_words: need 1 <= fewest <= most words"),
        (
            "  answer: an answer",
            "  context: an answer",
            r"line 9: fields.context: the field 'context' has a name that the",
        ),
        ("  answer: an answer", "  demos: an answer", r"line 9: fields.demos: the field 'demos' has a name that the"),
        ("  answer: an answer", "  items: an answer", r"line 9: fields.items: .*choose another, such as 'my_items'"),
        ("  answer: an answer", "  class: an answer", r"line 9: fields.class: .*lower-case identifier"),
        ("  answer: an answer", "  Answer: an answer", r"line 9: fields.Answer: .*lower-case identifier"),
        ("  answer: an answer\n", "", r"line 7: fields"),
        ("  answer: an answer", "  text: an answer", r"line 9: the key 'text' is there twice"),
        ("  not_a_copy", "  not_a_cpy", r"line 20: checks.not_a_cpy: no check 'not_a_cpy'. Did you mean 'not_a_copy'"),
        ("[answer, text]", "[answer]", r"line 20: checks.not_a_copy: .*takes 2 or more fields, got 1"),
        ("[answer, text]", "[answer, txt]", r"line 20: checks.not_a_copy: no field 'txt'. Did you mean 'text'"),
        ("checks:", "quotas: {goood: 2}\nchecks:", r"line 19: quotas.goood: no label 'goood'. Did you mean 'good'"),
        ("checks:", "quotas: {good: 0}\nchecks:", r"line 19: quotas.good: .*positive number, got 0"),
        ("checks:", "slots: {right: {good: answer}}\nchecks:", r"line 19: slots.right: give 'right' one of"),
        ("name: mini", "name: [mini", r"my\.yaml, line \d+: not YAML"),
        ("name: mini", "- mini", r"my\.yaml, line \d+: not YAML"),
        ("a bad one.", "a bad one.\n        given: {tone: dry}", r"no field 'tone' to give"),
        ("a bad one.", "a bad one.\n        given: {answer: dry}", r"line 14: .*every constraint must give the same"),
    ],
)
def test_a_wrong_task_file_is_refused_with_its_line(old, new, message, tmp_path):
    assert old in task_text()
    with pytest.raises(ConfigError, match=message):
        load_task(write_task(tmp_path, task_text().replace(old, new)))


def test_an_illustration_must_pass_the_checks_of_its_task(tmp_path):
    added = """    illustrations:
      - context: c
        fields: {text: one two three, answer: One two three!}
        explanation: e
"""
    with pytest.raises(ConfigError, match=r"line 21: .*the illustration breaks a check of the task: restates"):
        load_task(write_task(tmp_path, task_text().replace("checks:", added + "checks:")))


def test_a_task_that_is_not_there_is_named_with_the_nearest(tmp_path):
    with pytest.raises(ConfigError, match=r"No task 'rtee'\. Did you mean 'rte'"):
        TarGEN("rtee")
    with pytest.raises(ConfigError, match="Cannot read the task file"):
        TarGEN(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="a task file is a mapping"):
        load_task(write_task(tmp_path, "- one\n- two\n"))


# Checks


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        ("absent", ["Rome", "She went home."], ["Rome", "She went to rome."]),
        ("all_contain", ["carry", "He carries it.", "They carried on."], ["bank", "A river.", "The bank."]),
        ("differ", ["A cat.", "A dog."], ["A cat.", "a  cat"]),
        ("has_gendered_pronoun", ["The nurse said she left."], ["The nurse left."]),
        ("has_gendered_pronoun", ["He left."], ["He told her."]),
        ("has_names", ["Later Ann met Bo Fry."], ["Later they met Bo."]),
        ("has_pronoun", ["The dog ate it."], ["You and I ate."]),
        ("hides_label", ["A fine text."], ["It is bad label."]),
        ("is_pronoun", ["She"], ["the nurse"]),
        ("no_jargon", ["It rained."], ["The premise says that it rained."]),
        ("not_a_copy", ["A cat sat.", "A dog ran home."], ["A dog ran home", "A dog ran home."]),
        ("occurs", ["it", "The dog", "Then the dog ate it."], ["cat", "The cats ate."]),
        ("occurs_once", ["Ann", "Then Ann left."], ["Ann", "Ann saw Ann."]),
        ("placeholder", ["Then @placeholder left."], ["Then Ann left."]),
        ("question", ["Is it so?"], ["It is so."]),
        ("shares_words", ["The ferry sank.", "A ferry."], ["The cat sat.", "The ferry sank."]),
        ("swaps_pronouns", ["Then she ate his pie.", "Then he ate her pie."], ["Then she ate.", "Then he slept."]),
    ],
)
def test_a_check_tells_good_from_bad(check, good, bad):
    assert CHECKS[check][0](good, "bad_label") is None
    assert CHECKS[check][0](bad, "bad_label") is not None


def test_every_check_has_a_test():
    marks = getattr(test_a_check_tells_good_from_bad, "pytestmark")  # noqa: B009  pytest sets it
    assert {case[0] for case in marks[0].args[1]} == set(CHECKS)


# The real LM


@pytest.mark.embedded
def test_the_embedded_lm_takes_every_step_of_the_default_task(tmp_path, embedded):
    run = sw.generate(TarGEN(), n=1, out=tmp_path, lms=embedded, budget=sw.Budget(calls=60))
    row = run.rows[0]
    assert isinstance(row, LabelledRow) and row.label in ("entailment", "not_entailment")
    assert row.context and row.fields["premise"] == row.instance_seed
    assert len(row.fields["hypothesis"]) > 5 and row.explanation
    assert {predictor for _, predictor in run.usage} == {"contexts", "instances", "write", "correct"}


@pytest.mark.embedded
def test_the_embedded_lm_fills_the_slots_of_another_task(tmp_path, embedded):
    seeds = [{"seed": "The baker dropped all the eggs."}, {"seed": "The bus came an hour late."}]
    run = sw.generate(TarGEN("copa"), seeds=seeds, out=tmp_path, lms=embedded)
    assert 1 <= len(run) <= 2
    for row in run:
        assert row.fields["question"] in ("cause", "effect") and row.fields["choice1"] != row.fields["choice2"]
