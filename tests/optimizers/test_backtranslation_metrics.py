import dspy
import pytest

import synthwright as sw
from synthwright.optimizers.metrics.backtranslation import (
    HELD_OUT,
    METRIC,
    agreement,
    curation,
    judge_quality,
    judge_seeds,
)
from synthwright.optimizers.seeds import no_overlap, shipped_metrics, shipped_seeds
from synthwright.programs.backtranslation import Backtranslation
from synthwright.programs.backtranslation_pairs import labelled_pairs
from synthwright.signatures.backtranslation import BacktranslatedRow
from synthwright.signatures.rows import Rejected
from synthwright.testing import ScriptedLM

TEXT = (
    "Basil comes from warm countries and suffers below ten degrees, so keep it indoors until the nights are mild. A "
    "bright window without a cold draught is best. Water it from below: put the pot in a bowl for ten minutes and pour "
    "away what is left. To harvest, cut the whole tip just above a pair of leaves, and two new shoots will grow there."
)
BASIL = shipped_seeds(Backtranslation())["train"][0].text
GOOD = "How do I keep a pot of basil alive on my window, and how should I harvest its leaves?"


def row(instruction, score: float | None = 5.0, text=TEXT):
    return BacktranslatedRow(instruction=instruction, response=text, score=score, scores=(5,), reasoning="Fits well.")


def reject(instruction, stage="write", reason="copied", score=None):
    content = {"instruction": instruction, "text": TEXT, "score": score, "reasoning": "It rambles."}
    return Rejected(stage=stage, reason=reason, detail="why", content=content)


def judged(metric, *made, **example):
    rows = [each for each in made if isinstance(each, BacktranslatedRow)]
    rejected = [each for each in made if isinstance(each, Rejected)]
    return metric(
        dspy.Example(**{"text": TEXT, **example}), dspy.Prediction(rows=rows, rejected=rejected), None, None, None
    )


BAD = {
    "points at a text": "What does the passage say about basil on a window?",
    "of it is copied": "Keep it indoors until the nights are mild, with a bright window without a cold draught?",
    "words are about the text": "How can I renew my passport quickly when the office is closed?",
    "characters, 20 to 240 wanted": f"{GOOD} {GOOD} {GOOD} {GOOD} {GOOD}",
    "does not open like a request": "Basil on my window, its leaves and the harvest.",
}


def test_good_instructions_score_high_and_below_one():
    result = judged(METRIC, row(GOOD), row("What does basil need to grow indoors, and how is it cut?"))
    assert 0.9 < result.score < 1 and result.feedback.startswith("Every instruction is one")


@pytest.mark.parametrize("failure", BAD)
def test_each_planted_fault_lowers_the_score_and_is_quoted(failure):
    result = judged(METRIC, row(BAD[failure]))
    assert result.score < 0.85 * judged(METRIC, row(GOOD)).score
    assert failure in result.feedback and BAD[failure][:60] in result.feedback


def test_an_instruction_dropped_by_a_rule_scores_nothing_and_its_reason_is_given():
    result = judged(METRIC, row(GOOD), reject("Basil, basil?"))
    assert result.score == pytest.approx(judged(METRIC, row(GOOD)).score / 2, abs=0.02)
    assert "dropped (copied: why)" in result.feedback


def test_the_frozen_judges_rating_weighs_in_with_its_reasoning():
    low = judged(METRIC, reject(GOOD, stage="score", reason="low_score", score=1.0))
    assert low.score == pytest.approx(0.4) and "the judge gives 1.0: It rambles." in low.feedback
    unrated = judged(METRIC, row(GOOD, score=None))
    assert unrated.score == judged(METRIC, row(GOOD)).score


def test_texts_that_were_no_segments_say_nothing_about_the_writing():
    alone = judged(METRIC, Rejected(stage="segment", reason="too_short", content={"text": "x"}))
    assert (alone.score, alone.feedback) == (0.0, "No instruction was written.")
    both = judged(METRIC, row(GOOD), Rejected(stage="segment", reason="too_short", content={"text": "x"}))
    assert both.score == judged(METRIC, row(GOOD)).score


def test_an_unreadable_reply_scores_nothing():
    unread = Rejected(stage="write", reason="unparsable", detail="no JSON", content={"text": TEXT, "reply": "?"})
    assert judged(METRIC, unread).score == judged(HELD_OUT, unread).score == 0.0
    assert "unparsable: no JSON" in judged(METRIC, unread).feedback


def test_equal_draws_lose_a_tenth():
    equal, one = judged(METRIC, row(GOOD), row(GOOD)), judged(METRIC, row(GOOD))
    assert equal.score == pytest.approx(0.9 * one.score, abs=0.01)


def test_an_instruction_that_finds_its_text_among_all_scores_high():
    assert judged(HELD_OUT, row(GOOD, text=BASIL)).score == 0.99
    assert judged(HELD_OUT, row("What is it, and why is that so?", text=BASIL)).score < 0.5


@pytest.mark.parametrize("instruction", [TEXT[:120], "What does the text say about basil?", "How do I fix a tap?"])
def test_copies_pointers_and_other_subjects_recover_nothing(instruction):
    result = judged(HELD_OUT, row(instruction))
    assert result.score < 0.3 and "its text" in result.feedback


def test_leniency_of_the_rules_does_not_move_the_held_out_check():
    kept, dropped = judged(HELD_OUT, row(GOOD)), judged(HELD_OUT, reject(GOOD))
    assert kept.score == dropped.score


def test_the_shipped_metrics_and_seeds_are_found_and_disjoint():
    assert shipped_metrics(Backtranslation()) == (METRIC, HELD_OUT)
    split = shipped_seeds(Backtranslation())
    no_overlap(split)
    assert {name: len(examples) for name, examples in split.items()} == {"train": 20, "val": 12, "test": 20}


# The judge


def verdicts(scores):
    """A judge that gives each labelled pair what `scores` says of it."""
    known = {pair.response: scores(pair) for pair in labelled_pairs()}

    def answer(call):
        score = known[call["response"]]
        return {"reasoning": "So it is.", "score": score} if score else "no idea"

    return ScriptedLM({"score": answer})


def quality_of(tmp_path, scores, split="all", **arguments):
    generator = Backtranslation(iterations=1, **arguments)
    run = sw.generate(generator, seeds=judge_seeds(split), lms=verdicts(scores), out=tmp_path)
    return judge_quality(run, run.rejects())


def test_a_perfect_judge_has_precision_and_recall_of_one(tmp_path):
    quality = quality_of(tmp_path, lambda pair: pair.level)
    assert (quality.precision, quality.recall, quality.f1, quality.validity) == (1.0, 1.0, 1.0, 1.0)
    assert (quality.pairs, quality.let_through, quality.balanced_accuracy) == (40, {}, 1.0)


def test_a_judge_that_keeps_everything_has_the_precision_of_chance(tmp_path):
    quality = quality_of(tmp_path, lambda pair: 5)
    assert (quality.precision, quality.recall, quality.balanced_accuracy) == (0.2, 1.0, 0.5)
    assert sum(quality.let_through.values()) == 32 and quality.let_through["injection"] == 2


def test_a_judge_that_keeps_nothing_has_no_precision(tmp_path):
    quality = quality_of(tmp_path, lambda pair: 2)
    assert (quality.precision, quality.recall, quality.f1) == (None, 0.0, 0.0)
    assert quality.balanced_accuracy == 0.5


def test_what_a_judge_lets_through_is_counted_by_the_planted_error(tmp_path):
    quality = quality_of(tmp_path, lambda pair: 5 if pair.good or pair.violation == "promotion" else 1)
    assert quality.precision == pytest.approx(8 / 11) and quality.recall == 1.0
    assert quality.let_through == {"promotion": 3}


def test_at_four_articles_pass_that_four_and_a_half_stops(tmp_path):
    def lenient(pair):
        return 5 if pair.good else 4 if pair.violation == "article_excerpt" else 1

    assert quality_of(tmp_path / "a4", lenient, threshold=4).let_through == {"article_excerpt": 3}
    assert quality_of(tmp_path / "a5", lenient).precision == 1.0


def test_unreadable_ratings_lower_validity_and_recall(tmp_path):
    quality = quality_of(tmp_path, lambda pair: None if pair.split == "test" else pair.level)
    assert (quality.validity, quality.recall, quality.precision, quality.balanced_accuracy) == (0.5, 0.5, 1.0, 0.5)


def test_pairs_without_a_label_are_left_out():
    quality = judge_quality([row(GOOD)], [reject("Why?", stage="score", reason="low_score")])
    assert (quality.pairs, quality.precision, quality.recall, quality.validity) == (0, None, None, 0.0)


def test_judges_are_tuned_and_reported_on_different_subjects():
    dev, test = judge_seeds("dev"), judge_seeds("test")
    assert len(dev) == len(test) == 20 and len(judge_seeds("all")) == 40
    assert not {seed["instruction"] for seed in dev} & {seed["instruction"] for seed in test}


def test_agreement_punishes_a_bad_pair_that_is_kept_most():
    pairs = labelled_pairs()
    good, bad = next(p for p in pairs if p.good), next(p for p in pairs if p.violation == "personal_blog")

    def score(pair, rating):
        example = {"instruction": pair.instruction, "text": pair.response}
        if rating >= 4.5:
            made = BacktranslatedRow(instruction=pair.instruction, response=pair.response, score=rating)
        else:
            made = Rejected(stage="score", reason="low_score", content={"score": rating})
        return judged(agreement, made, **example)

    assert score(good, 5.0).score == score(bad, 1.0).score == 0.99
    assert score(bad, 5.0).score == 0.0 < score(good, 1.0).score < score(good, 4.0).score < 0.5
    assert "level 1 and must be dropped: personal blog" in score(bad, 5.0).feedback
    assert "deserves to be kept" in score(good, 3.0).feedback
    assert judged(agreement, row(GOOD), instruction="Why?").score == 0.0


def test_the_judge_can_be_drawn_like_any_target():
    generator = Backtranslation(tune_judge=True, iterations=1, samples=1)
    with dspy.context(lm=verdicts(lambda pair: pair.level)):
        scores = [agreement(dspy.Example(**seed), generator(**seed)).score for seed in judge_seeds("dev")]
    assert min(scores) > 0.9


def test_curation_reports_what_was_kept_and_how_long_it_is():
    made = [row("How is basil cut?"), BacktranslatedRow(instruction="Seed?", response="So.", source="seed")]
    low = reject(GOOD, stage="score", reason="low_score", score=2.0)
    unread = reject(GOOD, stage="score", reason="unparsable")
    pointing = reject("What does the text say?", reason="points_at_text")
    report = curation(made, [low, unread, pointing])
    assert (report.candidates, report.kept_share, report.validity) == (3, 1 / 3, pytest.approx(2 / 3))
    assert report.kept_chars == 17 < report.all_chars and report.pointing_share == 0.25
    assert 0 <= report.copied < 0.5
    assert curation([], []).kept_share == 0.0
