"""Metrics of Persona Hub: good draws rank above planted faults, and feedback quotes what was wrong."""

import asyncio
from collections import Counter
from typing import Any

import dspy
import pytest

import synthwright as sw
from synthwright.errors import ConfigError
from synthwright.optimizers.metrics.persona_hub import HELD_OUT, METRIC, specificity, vague_words
from synthwright.optimizers.metrics.persona_hub_judges import (
    adherence,
    choices_of,
    labelled_items,
    order_agreement,
    picked,
    rate_ladders,
    specificity_ladders,
)
from synthwright.optimizers.seeds import no_overlap, shipped_seeds
from synthwright.programs.base import data_path, read_jsonl
from synthwright.programs.persona_hub import PersonaHub
from synthwright.programs.persona_hub_personas import CHECKS, problem_of, text_problem
from synthwright.runs.demonstrations import shipped
from synthwright.signatures.persona_hub import DATA_TYPES, Persona, PersonaRow, Tool, ToolParameter
from synthwright.signatures.rows import Rejected
from synthwright.testing import ScriptedLM

RECORDS = list(read_jsonl(data_path("../../optimizers/data/persona_hub.jsonl")))
TEXT = next(r["inputs"]["text"] for r in RECORDS if "avalanche dog" in r["inputs"].get("text", ""))
TUNER = next(r["inputs"]["persona"] for r in RECORDS if "piano tuner" in r["inputs"].get("persona", ""))
BAKER = next(r["inputs"]["persona"] for r in RECORDS if "bread from a bicycle" in r["inputs"].get("persona", ""))

OF_TEXT = dspy.Example(text=TEXT, action="write")
OF_PERSONA = dspy.Example(persona=TUNER, relation="client")
OF_TYPE = dspy.Example(persona=BAKER, data_type="math")

GOOD = {
    "text": "A mountain rescue handler who trains an avalanche dog to dig for strangers in snow holes.",
    "persona": "A headmistress whose island school owns one piano that nobody has tuned for ten years.",
    "math": "A baker carries 48 loaves on a bicycle. On 3 market days she sells 40, 36 and 45 of them and gives the "
    "rest of each day to a shelter that shares them among 9 people. How many does each of them get in 12 such weeks?",
}


def persona(text, origin: Any = "text"):
    return Persona(persona=text, origin=origin)


def row(text, data_type: Any = "math", of=BAKER, **fields):
    return PersonaRow(persona=of, data_type=data_type, text=text, **fields)


def lost(stage="describe", reason="generic", **content):
    return Rejected(
        stage=stage, reason=reason, detail="only 'reading'", content={"persona": "Someone who reads", **content}
    )


def judged(metric, example, *made):
    return metric(
        example,
        dspy.Prediction(
            rows=[each for each in made if isinstance(each, PersonaRow)],
            artifacts=[each for each in made if isinstance(each, Persona)],
            rejected=[each for each in made if isinstance(each, Rejected)],
        ),
        None,
        None,
        None,
    )


def score(example, *made):
    return judged(METRIC, example, *made).score


# The metric


@pytest.mark.parametrize(
    ("example", "made"),
    [(OF_TEXT, persona(GOOD["text"])), (OF_PERSONA, persona(GOOD["persona"], "persona")), (OF_TYPE, row(GOOD["math"]))],
)
def test_what_is_good_scores_high_and_below_one(example, made):
    assert 0.75 < score(example, made) < 1 and 0.9 < judged(HELD_OUT, example, made).score < 1


@pytest.mark.parametrize(
    ("worse", "complaint"),
    [
        (persona("A passionate person who loves many different things and topics in the world."), "vague: passionate"),
        (persona("A pastry chef who glazes almond cakes for weddings in Lisbon."), "nothing of the text"),
        (persona("A person with an interest in snow."), "vague: person, interest"),
        (lost(), "Lost (describe, generic): only 'reading' 'Someone who reads'"),
    ],
)
def test_each_fault_of_a_persona_of_a_text_lowers_the_score_and_is_named(worse, complaint):
    result = judged(METRIC, OF_TEXT, worse)
    assert result.score < score(OF_TEXT, persona(GOOD["text"])) - 0.2 and complaint in result.feedback


@pytest.mark.parametrize(
    ("worse", "complaint"),
    [
        (
            persona("A piano tuner who travels between island schools by a boat for mail.", "persona"),
            "much like its parent",
        ),
        (
            persona("A pastry chef who glazes almond cakes for weddings in Lisbon.", "persona"),
            "no sign of the relation",
        ),
        (persona("An expert who enjoys music and various other interests.", "persona"), "vague: expert"),
        (lost("relate", "repeats_parent"), "Lost (relate, repeats_parent)"),
    ],
)
def test_each_fault_of_a_related_persona_lowers_the_score_and_is_named(worse, complaint):
    result = judged(METRIC, OF_PERSONA, worse)
    assert result.score < score(OF_PERSONA, persona(GOOD["persona"], "persona")) - 0.2 and complaint in result.feedback


@pytest.mark.parametrize(
    ("worse", "complaint"),
    [
        (row("What is 2 plus 3, if the sum is doubled then?"), "too simple"),
        (
            row("Two trains of 100 metres each pass in 9 seconds at 20 and 25 metres. How long is the tunnel?"),
            "little of the",
        ),
        (lost("write_math", "gives_the_answer"), "Lost (write_math, gives_the_answer)"),
    ],
)
def test_each_fault_of_an_item_lowers_the_score_and_is_named(worse, complaint):
    result = judged(METRIC, OF_TYPE, worse)
    assert result.score < score(OF_TYPE, row(GOOD["math"])) - 0.1 and complaint in result.feedback


def test_a_copy_of_a_worked_example_scores_nothing():
    copied = shipped("persona_hub")["write_math"][0]["problem"]
    result = judged(METRIC, OF_TYPE, row(copied))
    assert result.score == 0 and "copies a worked example" in result.feedback
    copied = shipped("persona_hub")["describe"][0]["persona"]
    assert score(OF_TEXT, persona(copied)) == 0


def test_draws_that_repeat_each_other_cost_something():
    other = "A shepherd who lends her collie to the mountain rescue for avalanche training in snow holes."
    varied, same = (score(OF_TEXT, persona(GOOD["text"]), persona(text)) for text in (other, GOOD["text"]))
    assert same < varied - 0.1
    assert "repeat each other" in judged(METRIC, OF_TEXT, persona(GOOD["text"]), persona(GOOD["text"])).feedback


def test_a_lost_draw_costs_its_share():
    assert score(OF_TEXT, persona(GOOD["text"]), lost()) == pytest.approx(
        score(OF_TEXT, persona(GOOD["text"])) / 2, abs=0.01
    )


@pytest.mark.parametrize("data_type", DATA_TYPES)
def test_a_rich_item_of_each_type_beats_a_thin_one(data_type):
    rich = "bread bicycle market days sells baker " + " ".join(f"word{n} {n}" for n in range(120))
    many = tuple(ToolParameter(name=f"p{n}") for n in range(3))
    tools = [Tool(name="T", description="d", function_name="f", parameters=p) for p in (many, many[:1])]
    tool = {"rich": tools[0], "thin": tools[1]} if data_type == "tool" else {}
    good = row(rich, data_type, tool=tool.get("rich"))
    thin = row("The baker sells bread on market days.", data_type, tool=tool.get("thin"))
    assert score(OF_TYPE, good) > score(OF_TYPE, thin) + 0.1


@pytest.mark.parametrize("metric", [METRIC, HELD_OUT])
def test_nothing_made_scores_nothing(metric):
    assert judged(metric, OF_TEXT).score == 0 and judged(metric, OF_TEXT, lost()).score == 0


def test_feedback_is_short():
    made = [persona(f"A passionate person number {n} who loves things") for n in range(20)]
    assert len(judged(METRIC, OF_TEXT, *made).feedback.splitlines()) == 6


def test_specificity_counts_what_is_said_and_takes_off_what_fits_anybody():
    assert vague_words("A passionate person who tunes pianos") == ["passionate", "person"]
    assert specificity(GOOD["text"]) == 1.0 and specificity("A person") == 0.0
    assert specificity("A nurse who mends radios") < specificity("A night nurse who mends old radios in a clinic")


# The held-out check


@pytest.mark.parametrize(
    ("example", "made"),
    [
        (OF_TEXT, persona("A pastry chef who glazes almond cakes for weddings in Lisbon.")),
        (OF_TEXT, persona("A person who wants to know more about it.")),
        (OF_PERSONA, persona("A dental technician who carves puppets out of porcelain.", "persona")),
        (OF_TYPE, row("A crane driver loads 3 wind turbine blades onto each of 4 barges. How many are that?")),
    ],
)
def test_what_does_not_show_its_source_is_not_recognised(example, made):
    result = judged(HELD_OUT, example, made)
    assert result.score == 0 and "Does not show that it comes from" in result.feedback


def test_a_repeated_draw_and_a_lost_one_are_not_recognised():
    good = persona(GOOD["text"])
    assert judged(HELD_OUT, OF_TEXT, good, good).score == 0.5 == judged(HELD_OUT, OF_TEXT, good, lost()).score


def test_the_held_out_check_is_not_fooled_by_vague_but_grounded_words_alone_nor_moved_by_them():
    plain = persona("A handler who lets a dog dig in avalanche snow.")
    vague = persona("A passionate enthusiast who loves a dog and various avalanche snow topics.")
    assert judged(HELD_OUT, OF_TEXT, plain).score == judged(HELD_OUT, OF_TEXT, vague).score
    assert score(OF_TEXT, plain) > score(OF_TEXT, vague)


# Seeds


def test_the_seeds_are_of_all_kinds_apart_and_usable():
    split = shipped_seeds(PersonaHub())
    assert {name: len(examples) for name, examples in split.items()} == {"train": 18, "val": 18, "test": 25}
    no_overlap(split)
    for examples in split.values():
        kinds = [tuple(sorted(example.inputs().keys())) for example in examples]
        assert {"action", "relation", "data_type"} <= {name for kind in kinds for name in kind}
        first = {name for kind in kinds[:6] for name in kind}
        assert {"action", "relation", "data_type"} <= first  # a cut from the end leaves all kinds
    for record in RECORDS:
        inputs = record["inputs"]
        if "text" in inputs:
            assert text_problem(inputs["text"], "en") is None
        else:
            assert problem_of(inputs["persona"], "", CHECKS, "en") is None
    for split_name in ("val", "test"):
        types = {r["inputs"].get("data_type") for r in RECORDS if r["split"] == split_name}
        assert types >= set(DATA_TYPES)


def test_optimize_finds_demonstrations_that_make_personas_particular(tmp_path):
    """An LM that is vague until it is shown an example; what it says comes from its own input."""

    def describe(call):
        shown = len(call.messages) > 2
        said = " ".join(word for word in call["text"].split() if len(word) > 5)[:70]
        return {
            "persona": f"A worker with {said}" if shown or call.seed % 3 == 0 else "A passionate person of many topics"
        }

    texts = [{"text": r["inputs"]["text"], "action": r["inputs"]["action"]} for r in RECORDS if "text" in r["inputs"]]
    tuned = sw.optimize(
        PersonaHub(checks=(), language=None),
        trainset=texts[:6],
        valset=texts[6:12],
        testset=texts[12:],
        lms=ScriptedLM({"describe": describe}),
        targets=["describe"],
        budget=200,
        draws=1,
    )
    assert tuned.metric.after > tuned.metric.before and tuned.generator.all_predictors()["describe"].demos


# Judges


def context(**answers):
    return dspy.context(lm=ScriptedLM(answers), adapter=dspy.JSONAdapter())


def test_the_ladders_grow_and_the_right_letters_are_spread():
    ladders = specificity_ladders()
    assert len(ladders) == 8 and {len(rungs) for rungs in ladders.values()} == {3}
    for rungs in ladders.values():
        scores = [specificity(persona) for persona in rungs]
        assert scores == sorted(scores) and len(set(scores)) == 3
    cases = labelled_items()
    assert Counter(case["right"] for case in cases) == dict.fromkeys("ABCD", 4)
    assert all(len(set(case["personas"])) == 4 for case in cases)


def test_a_right_judge_agrees_a_planted_error_shows_and_a_constant_one_is_chance():
    hub = PersonaHub(min_specificity=1)
    right = {persona: 2 * step + 1 for rungs in specificity_ladders().values() for step, persona in enumerate(rungs)}
    with context(**{"*": lambda call: {"particular": right[call["persona"]]}}):
        assert order_agreement(asyncio.run(rate_ladders(hub))) == 1.0
    planted = right | {specificity_ladders()["music"][0]: 5}
    with context(**{"*": lambda call: {"particular": planted[call["persona"]]}}):
        assert order_agreement(asyncio.run(rate_ladders(hub))) == (24 - 1.5) / 24
    with context(**{"*": {"particular": 3}}):
        assert order_agreement(asyncio.run(rate_ladders(hub))) == 0.5
    with context(**{"*": "No JSON."}):
        assert order_agreement(asyncio.run(rate_ladders(hub))) == 0.5
    with pytest.raises(ConfigError, match="min_specificity=1"):
        asyncio.run(rate_ladders(PersonaHub()))


def test_a_right_picker_scores_one_a_constant_one_a_quarter_and_garbage_nothing():
    right = {case["item"]: case["right"] for case in labelled_items()}
    with context(**{"*": lambda call: {"answer": right[call["item"]]}}):
        assert asyncio.run(picked(labelled_items())) == 1.0
    with context(**{"*": {"answer": "B"}}):
        assert asyncio.run(picked(labelled_items())) == 0.25
    with context(**{"*": "No JSON."}):
        assert asyncio.run(picked(labelled_items())) == 0.0


def test_adherence_puts_a_rows_persona_among_three_others_of_the_run():
    rows = [row(f"How many {n} loaves?", of=f"A baker of village {n} who sells loaves.") for n in range(8)]
    cases = choices_of(rows)
    for made, case in zip(rows, cases, strict=True):
        assert case["personas"]["ABCD".index(case["right"])] == made.persona and len(set(case["personas"])) == 4
    right = {case["item"]: case["right"] for case in cases}
    with context(**{"*": lambda call: {"answer": right[call["item"]]}}):
        assert asyncio.run(adherence(rows)) == 1.0
    with pytest.raises(ConfigError, match="4 personas or more, got 1"):
        choices_of(rows[:1])
