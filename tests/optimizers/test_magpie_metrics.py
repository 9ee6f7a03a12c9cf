import dspy
import pytest

from synthwright.optimizers.metrics.magpie import HELD_OUT, METRIC, exact_tags, tag_agreement, usable_queries
from synthwright.optimizers.seeds import no_overlap, shipped_metrics, shipped_seeds
from synthwright.programs.base import data_path, read_jsonl
from synthwright.programs.magpie import Magpie
from synthwright.programs.prompts import signature_of
from synthwright.runs.demonstrations import shipped
from synthwright.signatures.magpie import MagpieRow
from synthwright.signatures.rows import Message, Rejected

QUERY = "Plan a week of meals for a vegan family of four with a budget of 80 euros."
EXAMPLE = dspy.Example(
    instruction=QUERY,
    response="Monday: lentil soup.",
    expected={"difficulty": "medium", "quality": "good", "category": "planning"},
).with_inputs("instruction", "response")
GOOD = {
    "intent": "The user wants vegan meals for four on 80 euros.",
    "knowledge": "Cooking and prices.",
    "difficulty": "medium",
    "quality_assessment": "Family, budget and week are given.",
    "quality": "good",
    "category": "planning",
    "other_categories": ("advice seeking",),
}


def row(instruction=QUERY, response="Lentil soup.", **tags):
    talk = (Message(role="user", content=instruction), Message(role="assistant", content=response))
    return MagpieRow(instruction=instruction, response=response, messages=talk, **tags)


def score(*rows, metric=tag_agreement, rejected=()):
    return metric(EXAMPLE, dspy.Prediction(rows=list(rows), rejected=list(rejected)))


def tagged(**changes):
    return row(**{**GOOD, **changes})


def test_tags_that_agree_score_best_and_stay_below_one():
    assert score(tagged()).score == 0.99
    assert score(tagged()).feedback == "All tags agree with the labels."


@pytest.mark.parametrize(
    ("changes", "quoted"),
    [
        ({"difficulty": "hard"}, "difficulty is 'hard', the label is 'medium' (1 levels apart)"),
        ({"difficulty": "very easy"}, "difficulty is 'very easy', the label is 'medium' (2 levels apart)"),
        ({"quality": "very poor"}, "quality is 'very poor', the label is 'good' (3 levels apart)"),
        ({"category": "math", "other_categories": ()}, "category is 'math', the label is 'planning'"),
        (
            {"intent": "The user wants a cover letter.", "quality_assessment": "It names no subject."},
            "the intent and the assessment hardly mention the query: 'The user wants a cover letter.",
        ),
        ({"intent": QUERY, "quality_assessment": "good"}, "hardly mention"),
        (
            {"quality_assessment": shipped("magpie")["rate_quality"][2]["quality_assessment"]},
            "copied from a demonstration: 'The goal is clear, but the size of the balcony",
        ),
        ({"intent": None, "quality_assessment": None}, "hardly mention"),
    ],
)
def test_each_kind_of_error_costs_and_is_quoted(changes, quoted):
    result = score(tagged(**changes))
    assert result.score < 0.95
    assert quoted in result.feedback and QUERY in result.feedback


def test_the_next_level_costs_less_than_one_further_away():
    near, far = score(tagged(quality="average")).score, score(tagged(quality="poor")).score
    assert 0.99 > near > far


def test_the_label_among_the_other_categories_earns_half_but_not_in_a_list_of_all():
    others = ("editing", "math", "reasoning", "planning")
    second = score(tagged(category="math", other_categories=("planning",))).score
    assert second > score(tagged(category="math", other_categories=others)).score


def test_a_reply_that_could_not_be_read_counts_as_no_agreement():
    lost = Rejected(stage="classify", reason="truncated")
    result = score(tagged(), rejected=[lost])
    assert result.score == pytest.approx(0.5, abs=0.01)
    assert "classify: truncated" in result.feedback


@pytest.mark.parametrize("metric", [tag_agreement, exact_tags, usable_queries])
def test_nothing_made_scores_nothing(metric):
    assert score(metric=metric).score == 0.0


def test_exact_tags_gives_no_credit_for_near_misses():
    assert score(tagged(difficulty="hard"), metric=exact_tags).score == pytest.approx(2 / 3)
    assert score(tagged(), metric=exact_tags).score == 0.99


def test_usable_and_different_queries_beat_copies_and_assistant_talk():
    a, b = row("How is bread baked?"), row("Where does the Elbe end?")
    bad = row("Sure, I can help with bread.")
    assert score(a, b, metric=usable_queries).score > 0.9
    assert score(a, a, metric=usable_queries).score == 0.0
    result = score(a, bad, metric=usable_queries)
    assert result.score == 0.5 and "assistant_voiced: 'Sure, I can help with bread.'" in result.feedback


def test_always_the_middle_does_not_pay_on_the_shipped_seeds():
    middle = {**GOOD, "difficulty": "medium", "quality": "average", "category": "information seeking"}

    def mean(metric):
        scores = []
        for example in shipped_seeds(Magpie())["test"]:
            pred = dspy.Prediction(rows=[row(example.instruction, **{**middle, "other_categories": ()})], rejected=[])
            scores.append(metric(example, pred).score)
        return sum(scores) / len(scores)

    assert mean(METRIC) < 0.4 and mean(HELD_OUT) < 0.25


def test_the_shipped_seeds_are_disjoint_labelled_and_balanced():
    seeds = shipped_seeds(Magpie())
    assert {name: len(examples) for name, examples in seeds.items()} == {"train": 20, "val": 12, "test": 20}
    no_overlap(seeds)
    for example in seeds["train"] + seeds["val"] + seeds["test"]:
        assert set(example.inputs().keys()) == {"instruction", "response"}
        tags = {**GOOD, **example.expected}
        assert MagpieRow.model_validate({**row(example.instruction).record(), **tags}).category == tags["category"]
    for name in ("train", "test"):
        for tag in ("difficulty", "quality"):
            levels = [example.expected[tag] for example in seeds[name]]
            assert {levels.count(level) for level in levels} == {4}


def test_the_shipped_demonstrations_fit_their_signatures_and_are_not_seeds():
    queries = {r["inputs"]["instruction"] for r in read_jsonl(data_path("../../optimizers/data/magpie.jsonl"))}
    predictors = Magpie().all_predictors()
    for name, demos in shipped("magpie").items():
        for demo in demos:
            assert set(demo) == set(signature_of(predictors[name]).fields)
            assert demo["query"] not in queries
    assert set(shipped("magpie")) == {"rate_difficulty", "rate_quality", "classify"}


def test_the_metric_that_is_optimized_is_not_the_held_out_one():
    assert shipped_metrics(Magpie()) == (METRIC, HELD_OUT) and METRIC is not HELD_OUT
