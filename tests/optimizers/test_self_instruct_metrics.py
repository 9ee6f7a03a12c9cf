import dspy
import pytest

import synthwright as sw
from synthwright.optimizers.metrics.self_instruct import HELD_OUT, METRIC
from synthwright.optimizers.seeds import no_overlap, shipped_seeds
from synthwright.programs.self_instruct import SelfInstruct
from synthwright.signatures.rows import Rejected
from synthwright.signatures.self_instruct import Proposed, TaskRow
from synthwright.testing import ScriptedLM

SHOWN = ["Write a haiku about a city in the rain.", "Sort the names by surname.", "What causes the tides?"]
GOOD = [
    "Explain how a zipper closes.",
    "Which of the two trains arrives first?",
    "Compose a lullaby for a whale.",
    "Rank these cheeses by their smell.",
    "Summarise the complaint in one sentence.",
    "Name four uses of beeswax.",
    "Plan a picnic on a budget of twenty euros.",
]
REQUEST = dspy.Example(existing_instructions=SHOWN).with_inputs("existing_instructions")
SEASON = dspy.Example(
    instruction="Is the passage about winter or summer?",
    is_classification=True,
    needs_input=True,
    classes=["winter", "summer"],
).with_inputs("instruction")
REVERSE = dspy.Example(
    instruction="Make the sentence a question.", is_classification=False, needs_input=True, classes=[]
).with_inputs("instruction")
POEM = dspy.Example(
    instruction="Write a line about snow.", is_classification=False, needs_input=False, classes=[]
).with_inputs("instruction")
UNREADABLE = Rejected(stage="propose", reason="unparsable", content={"reply": "oh"})


def proposed(text):
    return Proposed(instruction=text, round=0, request=0)


def dropped(text, reason="blacklist"):
    return Rejected(stage="instruction", reason=reason, content={"instruction": text})


def requested(metric, *made):
    artifacts = [proposed(m) if isinstance(m, str) else m for m in made if not isinstance(m, Rejected)]
    rejected = [m for m in made if isinstance(m, Rejected)]
    return metric(REQUEST, dspy.Prediction(rows=[], rejected=rejected, artifacts=artifacts), None, None, None)


def row(example, input, output, verdict=None):
    verdict = example.is_classification if verdict is None else verdict
    return TaskRow(instruction=example.instruction, input=input, output=output, is_classification=verdict)


def settled(metric, example, *made):
    rows = [m if isinstance(m, TaskRow) else row(example, *m) for m in made if not isinstance(m, Rejected)]
    rejected = [m for m in made if isinstance(m, Rejected)]
    return metric(example, dspy.Prediction(rows=rows, rejected=rejected, artifacts=[]), None, None, None)


WINTER, SUMMER = ("Snow lay on all the roofs.", "winter"), ("The beach was full of children.", "summer")


def test_new_and_varied_proposals_score_high_and_below_one():
    result = requested(METRIC, *GOOD)
    assert 0.85 < result.score < 1 and result.feedback == "All proposals are new and varied."
    assert requested(HELD_OUT, *GOOD).score > 0.9


BAD = {
    "asks for nothing": "The zipper closes with a slider.",
    "copies a task that it was shown": "Write a haiku about a village in the rain.",
    "copies another proposal": GOOD[1],
    "copies a demonstration": "Explain why bread goes stale.",
    "longer than 40 words": "Explain " + "slowly and with great patience " * 12 + "how a zipper closes.",
}


@pytest.mark.parametrize("fault", BAD)
def test_each_planted_fault_of_a_proposal_lowers_the_score_and_is_quoted(fault):
    result = requested(METRIC, *GOOD[1:], BAD[fault])
    assert result.score < requested(METRIC, *GOOD).score - 0.02
    assert fault in result.feedback and BAD[fault][:40] in result.feedback


def test_a_proposal_dropped_by_a_rule_scores_nothing():
    result = requested(METRIC, *GOOD[1:], dropped("Draw a zipper for me."))
    assert result.score < requested(METRIC, *GOOD).score and "dropped by a rule: 'Draw a zipper" in result.feedback


def test_too_few_proposals_and_unreadable_replies_lower_the_score():
    few = requested(METRIC, *GOOD[:3])
    assert few.score < requested(METRIC, *GOOD).score / 2 + 0.05 and "Only 3 proposals" in few.feedback
    assert requested(METRIC, *GOOD, UNREADABLE).score == pytest.approx(requested(METRIC, *GOOD).score / 2, abs=0.02)
    assert requested(METRIC, UNREADABLE).score == requested(METRIC).score == requested(HELD_OUT).score == 0


def test_proposals_that_open_alike_lose_the_share_of_diversity():
    alike = [f"Explain how a {noun} closes at night." for noun in "door lid gate box jar tap pen".split()]
    result = requested(METRIC, *alike)
    assert result.score < 0.6 * requested(METRIC, *GOOD).score and "vary verb and subject" in result.feedback
    assert requested(HELD_OUT, *alike).score < 0.5


def test_the_held_out_check_sees_words_that_were_shown_before():
    stale = ["Write a haiku about rain.", "Sort the names.", "What causes it?", *GOOD[:4]]
    assert requested(HELD_OUT, *stale).score < requested(HELD_OUT, *GOOD).score
    assert "nothing new: 'Sort the names.'" in requested(HELD_OUT, *stale).feedback


def test_right_instances_score_high_and_below_one():
    for example, made in (
        (SEASON, (WINTER, SUMMER)),
        (REVERSE, (("The bus is late.", "Is the bus late?"),)),
        (POEM, (("", "All night it fell without a word."),)),
    ):
        result = settled(METRIC, example, *made)
        assert 0.9 < result.score < 1 and result.feedback == "Every instance is what the task asks."


@pytest.mark.parametrize(
    ("example", "made", "fault"),
    [
        (SEASON, (WINTER, ("The beach was full.", "autumn")), "not one of ['summer', 'winter']"),
        (SEASON, (WINTER, ("It snowed.", "winter")), "Labels without an example: summer"),
        (SEASON, (row(SEASON, *WINTER, verdict=False), row(SEASON, *SUMMER, verdict=False)), "is a classification"),
        (REVERSE, (row(REVERSE, "It rains.", "Does it?", verdict=True),), "is not a classification"),
        (REVERSE, (("", "Is the bus late?"),), "has no input, and the task needs one"),
        (POEM, (("snow", "All night it fell without a word."),), "has an input, and the task needs none"),
        (REVERSE, (("The bus is late.", "The bus is late"),), "repeats its input"),
        (REVERSE, (("The bus is late.", "is it is it is it is it is it"),), "repeats itself"),
        (REVERSE, (("The bus is late.", "Make the sentence a question."),), "repeats the instruction"),
        (REVERSE, (("walk", "walked"),), "copies a demonstration"),
    ],
)  # fmt: skip
def test_each_planted_fault_of_an_instance_lowers_the_score_and_is_named(example, made, fault):
    good = {id(SEASON): (WINTER, SUMMER), id(POEM): (("", "All night it fell without a word."),)}
    best = settled(METRIC, example, *good.get(id(example), (("The bus is late.", "Is the bus late?"),)))
    result = settled(METRIC, example, *made)
    assert result.score < 0.85 * best.score and fault in result.feedback


def test_dropped_instances_and_lost_replies_count():
    lost = Rejected(stage="instance", reason="empty_output", content={"input": "x", "is_classification": True})
    unread = Rejected(stage="output_first", reason="unparsable", content={"reply": ""})
    for reject in (lost, unread):
        result = settled(METRIC, SEASON, WINTER, SUMMER, reject)
        assert result.score < 0.75 * settled(METRIC, SEASON, WINTER, SUMMER).score
        assert f"dropped ({reject.reason})" in result.feedback
    assert settled(METRIC, SEASON).score == settled(HELD_OUT, SEASON).score == 0
    wrong_branch = Rejected(stage="input_first", reason="unparsable", content={})
    assert settled(METRIC, SEASON, wrong_branch).score == 0


def test_the_held_out_check_wants_outputs_of_their_own():
    own = settled(HELD_OUT, REVERSE, ("The bus left.", "Did it leave already?"), ("He sings.", "Who knows this song?"))
    twice = settled(HELD_OUT, REVERSE, ("The bus left.", "Why?"), ("He sings.", "Why?"))
    copied = settled(HELD_OUT, REVERSE, ("The old bus left town.", "The old bus left town now"))
    cut = settled(HELD_OUT, POEM, ("", "All night it fell without one single word and then"))
    assert (own.score, twice.score, copied.score, cut.score) == (0.99, 0.5, 0, 0)


def test_shipped_seeds_are_of_both_kinds_in_every_set_and_do_not_overlap():
    split = shipped_seeds(SelfInstruct())
    no_overlap(split)
    for examples in split.values():
        kinds = ["existing_instructions" in example for example in examples]
        assert sum(kinds) == len(kinds) / 2
        assert {e.is_classification for e in examples if "instruction" in e} == {True, False}


def test_an_optimizer_raises_the_metric_by_demonstrations_of_requests():
    def answer(call):
        shown = any(message["role"] == "assistant" for message in call.messages)
        lucky = (call.seed or 0) % 3 == 0
        return {"new_instructions": GOOD if shown or lucky else ["Explain how a zipper closes."] * 7}

    requests = [{"inputs": {"existing_instructions": [f"Name {i} birds of the sea."]}} for i in range(18)]
    lm = ScriptedLM({"propose": answer})
    tuned = sw.optimize(SelfInstruct(), trainset=requests, lms=lm, targets=["propose"], budget=300, draws=1)
    assert tuned.metric.after > tuned.metric.before + 0.3
    assert tuned.held_out is not None and tuned.held_out.after > tuned.held_out.before
    assert tuned.generator.all_predictors()["propose"].demos
