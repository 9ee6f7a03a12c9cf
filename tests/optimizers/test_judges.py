"""Judges on labelled sets: planted errors must show, and a judge that always says the same must earn chance."""

import ast
import asyncio
import re
from collections import Counter
from pathlib import Path

import dspy
import pytest

from synthwright.errors import ConfigError
from synthwright.optimizers.metrics import codeclm_judges
from synthwright.optimizers.metrics.blocks import balanced_accuracy
from synthwright.optimizers.metrics.evol_instruct_judges import (
    equality_verdicts,
    judge_equality,
    ladders,
    order_agreement,
    pairs,
    rate_ladders,
)
from synthwright.optimizers.metrics.magpie import on_domain, tag_accuracy, weighted_kappa
from synthwright.optimizers.seeds import shipped_seeds
from synthwright.programs.base import data_path, read_jsonl
from synthwright.programs.codeclm import CodecLM
from synthwright.programs.evol_instruct import EvolInstruct
from synthwright.programs.magpie import Magpie
from synthwright.runs.demonstrations import shipped
from synthwright.signatures.magpie import MagpieRow
from synthwright.signatures.rows import Message, Rejected
from synthwright.testing import ScriptedLM

# Every judge has a labelled set

LABELLED = {  # signature of a judge or a verifier: file of its labelled set, and the field of the label
    "backtranslation.JudgePair": ("programs/data/backtranslation/labelled.jsonl", "level"),
    "bonito.JudgeResponse": ("optimizers/data/bonito_planted.jsonl", "gold"),
    "codeclm.JudgeMetadata": ("optimizers/data/codeclm_metadata.jsonl", "plausible"),
    "codeclm.ScoreAnswers": ("optimizers/data/codeclm_answers.jsonl", None),  # each has a good and a bad answer
    "condor.PreferAnswer": ("optimizers/data/condor_preferences.jsonl", "better"),
    "evol_instruct.JudgeEquality": ("optimizers/data/evol_instruct_equality.jsonl", "equal"),
    "evol_instruct.RateDifficulty": ("optimizers/data/evol_instruct_difficulty.jsonl", "step"),
    "glan.CompareAnswers": ("optimizers/data/glan_compare.jsonl", "better"),
    "glan.ReviewNode": ("optimizers/data/glan_review.jsonl", "vote"),
    "glan.ScreenQuestion": ("optimizers/data/glan_screen.jsonl", "verdict"),
    "magpie.ClassifyQuery": ("optimizers/data/magpie.jsonl", "expected"),
    "magpie.RateDifficulty": ("optimizers/data/magpie.jsonl", "expected"),
    "magpie.RateQuality": ("optimizers/data/magpie.jsonl", "expected"),
    "persona_hub.PickPersona": ("optimizers/data/persona_hub_items.jsonl", "right"),
    "persona_hub.RatePersona": ("optimizers/data/persona_hub_specificity.jsonl", "step"),
    "sand_math.CompareAnswers": ("optimizers/data/sand_math_equality.jsonl", "equal"),
    "sand_math.JudgeCopy": ("optimizers/data/sand_math_copies.jsonl", "same_problem"),
    "sand_math.RateDifficulty": ("optimizers/data/sand_math_levels.jsonl", "rating"),
    "self_instruct.IdentifyClassification": ("optimizers/data/self_instruct.jsonl", "is_classification"),
    "targen.SelfCorrect": ("optimizers/data/targen_flips.jsonl", "gold"),
    "targen.StructuredCorrect": ("optimizers/data/targen_flips.jsonl", "gold"),
}
JUDGING = re.compile(r"(Judge(?!Sentiment)|Rate|Score|Compare|Prefer|Pick|Review|Screen|Identify|Classify|\w+Correct$)")
"""Bonito's `JudgeSentiment` is a task that it writes, not a judge."""

ROOT = Path(__file__).parents[2]


def test_every_signature_that_judges_has_a_labelled_set():
    found = {
        f"{path.stem}.{node.name}"
        for path in (ROOT / "signatures").glob("*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef)
        and any(isinstance(base, ast.Attribute) and base.attr == "Signature" for base in node.bases)
        and JUDGING.match(node.name)
    }
    assert found == set(LABELLED)


@pytest.mark.parametrize(("path", "label"), sorted({entry for entry in LABELLED.values()}, key=str))
def test_a_labelled_set_has_several_labels_and_enough_cases_of_each(path, label):
    records = [record for record in read_jsonl(ROOT / path) if label is None or label in record]
    assert len(records) >= 12
    if label is not None:
        counts = Counter(str(record[label]) for record in records)
        assert len(counts) >= 2 and (label in ("expected", "rating") or min(counts.values()) >= 3)


# Balanced accuracy


def test_balanced_accuracy_is_the_mean_recall_over_the_labels():
    assert balanced_accuracy([True] * 9 + [False], [True] * 10) == 0.5
    assert balanced_accuracy([True, True, False], [True, False, False]) == 0.75
    assert balanced_accuracy("abc", "abc") == 1.0 and balanced_accuracy([], []) == 0.0


def test_a_verdict_that_is_none_is_wrong():
    assert balanced_accuracy([True, False], [None, False]) == 0.5


def test_as_many_verdicts_as_labels_are_needed():
    with pytest.raises(ValueError, match="shorter"):
        balanced_accuracy([True, False], [True])


# The judge of equality


def test_the_pairs_are_balanced_at_every_length_and_of_many_kinds():
    labels = [pair["equal"] for pair in pairs()]
    assert len(labels) == 40 and labels == [True, False] * 20
    assert len({pair["kind"] for pair in pairs()}) == 13
    texts = [pair[name] for pair in pairs() for name in ("first_instruction", "second_instruction")]
    assert len(set(texts)) == 80


def test_pairs_and_ladders_are_no_seeds_and_no_demonstrations():
    used = {record["instruction"] for record in read_jsonl(data_path("evol_instruct.jsonl"))}
    used |= {
        record["inputs"]["instruction"] for record in read_jsonl(data_path("../../optimizers/data/evol_instruct.jsonl"))
    }
    for demos in shipped("evol_instruct").values():
        used |= {text for demo in demos for text in demo.values() if isinstance(text, str)}
    texts = {pair[name] for pair in pairs() for name in ("first_instruction", "second_instruction")}
    assert not used & (texts | {text for ladder in ladders().values() for text in ladder})


def test_a_right_judge_scores_one_a_constant_one_a_half_and_planted_errors_show_by_kind():
    labelled = pairs()
    right = [pair["equal"] for pair in labelled]
    assert equality_verdicts(labelled, right).balanced_accuracy == 1.0
    assert equality_verdicts(labelled, [False] * 40).balanced_accuracy == 0.5
    planted = [verdict if pair["kind"] != "depth" else True for pair, verdict in zip(labelled, right, strict=True)]
    found = equality_verdicts(labelled, planted)
    assert found.balanced_accuracy == pytest.approx(0.9) and found.by_kind["depth"] == 0
    assert {pair["kind"] for pair in found.wrong} == {"depth"} and len(found.wrong) == 4


def context(**answers):
    return dspy.context(lm=ScriptedLM(answers), adapter=dspy.JSONAdapter())


def test_the_judge_of_a_generator_is_asked_about_each_pair():
    known = {pair["second_instruction"]: pair["equal"] for pair in pairs()}
    with context(**{"*": lambda inputs: {"equal": known[inputs["second_instruction"]]}}):
        found = asyncio.run(judge_equality(EvolInstruct()))
    assert found.balanced_accuracy == 1.0 and not found.wrong


def test_a_reply_that_is_no_verdict_counts_as_wrong():
    with context(**{"*": "They look alike."}):
        found = asyncio.run(judge_equality(EvolInstruct(), pairs()[:2]))
    assert found.balanced_accuracy == 0.0 and [pair["verdict"] for pair in found.wrong] == [None, None]


def test_a_generator_without_judge_or_rating_is_refused():
    with pytest.raises(ConfigError, match="judge=True"):
        asyncio.run(judge_equality(EvolInstruct(judge=False)))
    with pytest.raises(ConfigError, match="rate_difficulty=True"):
        asyncio.run(rate_ladders(EvolInstruct()))


# The rating of difficulty


def test_each_ladder_has_four_rungs_that_grow():
    assert len(ladders()) == 8 and {len(ladder) for ladder in ladders().values()} == {4}
    for ladder in ladders().values():
        lengths = [len(text.split()) for text in ladder]
        assert lengths == sorted(lengths)


@pytest.mark.parametrize(
    ("ratings", "agreement"),
    [([1, 4, 6, 9], 1.0), ([5, 5, 5, 5], 0.5), ([9, 6, 4, 1], 0.0), ([1, None, 6, 9], 0.75), ([1, 6, 4, 9], 5 / 6)],
)
def test_ratings_agree_as_far_as_they_put_harder_above_easier(ratings, agreement):
    assert order_agreement({"bread": ratings}) == pytest.approx(agreement)


def test_the_ladders_are_rated_rung_by_rung():
    def by_length(inputs):
        return {"difficulty": min(10, 1 + len(inputs["instruction"]) // 25)}

    with context(**{"*": by_length}):
        rated = asyncio.run(rate_ladders(EvolInstruct(rate_difficulty=True)))
    assert set(rated) == set(ladders()) and order_agreement(rated) > 0.9


# The taggers of Magpie


def tagged(query, **tags):
    talk = (Message(role="user", content=query), Message(role="assistant", content="So."))
    return MagpieRow(instruction=query, response="So.", messages=talk, **tags)


def labelled():
    return [example for split in ("train", "test") for example in shipped_seeds(Magpie())[split]]


def test_a_right_tagger_scores_one_and_a_constant_one_a_fifth_on_the_levels():
    expected = [example.expected for example in labelled()]
    right = [tagged(example.instruction, **example.expected) for example in labelled()]
    assert tag_accuracy(expected, right) == {"difficulty": 1.0, "quality": 1.0, "category": 1.0}
    same = [tagged(example.instruction, difficulty="medium", quality="good", category="math") for example in labelled()]
    found = tag_accuracy(expected, same)
    assert found["difficulty"] == found["quality"] == pytest.approx(0.2)
    assert found["category"] == pytest.approx(1 / len({labels["category"] for labels in expected}))


def test_errors_planted_in_one_tag_show_in_that_tag_alone_and_lost_rows_in_all():
    expected = [example.expected for example in labelled()]
    rows = [tagged(example.instruction, **{**example.expected, "quality": "average"}) for example in labelled()]
    assert tag_accuracy(expected, rows) == {"difficulty": 1.0, "quality": pytest.approx(0.2), "category": 1.0}
    found = tag_accuracy(expected, [None] * len(expected))
    assert set(found.values()) == {0.0}


def test_garbled_queries_are_labelled_very_poor_whatever_their_subject():
    garbled = [example for example in labelled() if example.expected["quality"] == "very poor"]
    assert Counter(example.expected["difficulty"] for example in garbled)["hard"] >= 2


def test_weighted_kappa_knows_agreement_chance_and_distance():
    levels = ("low", "middle", "high")
    labels = ["low", "middle", "high"] * 2
    assert weighted_kappa(labels, labels, levels) == 1.0
    assert weighted_kappa(labels, ["middle"] * 6, levels) == 0.0
    near = weighted_kappa(labels, ["middle", "middle", "high"] * 2, levels)
    far = weighted_kappa(labels, ["high", "middle", "high"] * 2, levels)
    assert 1 > near > far and weighted_kappa(["low"], ["low"], levels) == 1.0


def test_queries_of_the_domain_beat_others_poor_ones_and_copies():
    example = dspy.Example(category="math")

    def score(*rows, rejected=()):
        return on_domain(example, dspy.Prediction(rows=list(rows), rejected=list(rejected)))

    maths = [tagged("Solve x + 2 = 5.", category="math", quality="good"), tagged("What is a prime?", category="math")]
    assert score(*maths).score > 0.9
    mixed = score(maths[0], tagged("Write a haiku.", category="creative writing"))
    assert mixed.score == 0.5 and "'creative writing' instead of 'math'" in mixed.feedback
    poor = score(maths[0], tagged("sum the of", category="math", quality="poor"))
    assert poor.score == 0.5 and "of poor quality" in poor.feedback
    assert score(maths[0], maths[0]).score == 0.0 and score().score == 0.0
    assert score(maths[0], rejected=[Rejected(stage="query", reason="empty")]).score == 0.5


# The judges of CodecLM


def test_metadata_is_balanced_and_each_use_case_has_both_labels():
    cases = codeclm_judges.metadata()
    labels = [case["plausible"] for case in cases]
    assert len(cases) == 28 and labels == [True, False] * 14
    assert {case["kind"] for case in cases} == {"usual", "unusual", "planted_skill", "all_foreign"}
    assert all(a["use_case"] == b["use_case"] for a, b in zip(cases[::2], cases[1::2], strict=True))
    shown = {demo["use_case"] for demo in shipped("codeclm")["vet"]}
    assert not shown & {case["use_case"] for case in cases}


def test_a_judge_of_metadata_is_worth_what_it_finds():
    cases = codeclm_judges.metadata()
    right = [case["plausible"] for case in cases]
    assert codeclm_judges.metadata_verdicts(cases, right).balanced_accuracy == 1
    assert codeclm_judges.metadata_verdicts(cases, [True] * 28).balanced_accuracy == 0.5
    strict = [case["kind"] == "usual" for case in cases]
    found = codeclm_judges.metadata_verdicts(cases, strict)
    assert found.by_kind == {"usual": 1.0, "planted_skill": 1.0, "unusual": 0.0, "all_foreign": 1.0}
    assert codeclm_judges.metadata_verdicts(cases, [None] * 28).balanced_accuracy == 0


def test_the_judge_of_metadata_is_asked_about_each_case():
    use_cases = {case["use_case"] for case in codeclm_judges.metadata()}
    planted = {case["skills"][-1] for case in codeclm_judges.metadata() if not case["plausible"]}
    lm = ScriptedLM({"*": lambda call: {"plausible": not any(skill in call["skills"] for skill in planted)}})
    with dspy.context(lm=lm):
        found = asyncio.run(codeclm_judges.judge_metadata(CodecLM()))
    assert found.balanced_accuracy == 1 and {call["use_case"] for call in lm.calls} == use_cases
    with dspy.context(lm=ScriptedLM({"*": "perhaps"})):
        assert asyncio.run(codeclm_judges.judge_metadata(CodecLM())).balanced_accuracy == 0
    with pytest.raises(ConfigError, match="check_metadata=True"):
        asyncio.run(codeclm_judges.judge_metadata(CodecLM(check_metadata=False)))


def test_the_judge_of_answers_is_asked_in_both_orders():
    good = {case["good"] for case in codeclm_judges.answers()}

    def knows(call):
        return {"first_score": 9 if call["first_answer"] in good else 3, "second_score": 6}

    def places(call):
        return {"first_score": 9, "second_score": 3}

    with dspy.context(lm=ScriptedLM({"*": knows})):
        found = asyncio.run(codeclm_judges.judge_answers(CodecLM(contrast="always")))
    assert found.rate == 1 and found.consistent == 1 and found.pairs == 12
    with dspy.context(lm=ScriptedLM({"*": places})):
        found = asyncio.run(codeclm_judges.judge_answers(CodecLM(contrast="always")))
    assert found.rate == 0.5 and found.consistent == 0 and found.first == 1
    with dspy.context(lm=ScriptedLM({"*": "nine"})):
        assert asyncio.run(codeclm_judges.judge_answers(CodecLM(contrast="always"))).rate == 0.5
    with pytest.raises(ConfigError, match="answer=True"):
        asyncio.run(codeclm_judges.judge_answers(CodecLM(answer=False)))
