import asyncio

import dspy
import pytest

import synthwright as sw
from synthwright.lms.adapters import default_adapter
from synthwright.optimizers.metrics.sand_math import HELD_OUT, METRIC, hard_and_sound, well_posed
from synthwright.optimizers.metrics.sand_math_judges import (
    calibration,
    copies,
    equality_pairs,
    judge_copies,
    judge_equality,
    levels,
    rate_levels,
    theorem_dependence,
)
from synthwright.optimizers.metrics.verdicts import score_verdicts
from synthwright.optimizers.seeds import no_overlap, shipped_seeds
from synthwright.programs.base import data_path, read_jsonl
from synthwright.programs.sand_math import SandMath
from synthwright.programs.sand_math_checks import VERIFIER, false_sums, single_number
from synthwright.programs.sand_math_panel import solved
from synthwright.runs.demonstrations import shipped
from synthwright.signatures.rows import Rejected
from synthwright.signatures.sand_math import SandMathRow, half_points
from synthwright.testing import ScriptedLM

EXAMPLE = dspy.Example(branch="algebra")


def row(question, answer="12", **values):
    usual = {"branch": "algebra", "response": "Plums are added: 7 + 5 = 12.", "solutions_n": 3, "solutions_distinct": 1}
    usual |= {"solver_pass_rate": 0.0, "attempts_n": 4, "difficulty_rating": 2.0}
    return SandMathRow(**{**usual, "question": question, "answer": answer, **values})


def harder(parent, rating=3.0, **values):
    question = "Nora shares her plums among three friends evenly. How many plums does each friend get?"
    return row(question, "4", hiked_from=parent.id, difficulty_rating=rating, **values)


def graded(metric, *rows, rejected=()):
    return metric(EXAMPLE, dspy.Prediction(rows=list(rows), rejected=list(rejected)))


GOOD = row("Nora has 7 plums and picks 5 more plums. How many plums has she now?")
BEST = (GOOD, harder(GOOD))


def test_the_optimized_metric_and_the_check_are_different():
    assert METRIC is hard_and_sound and HELD_OUT is well_posed


@pytest.mark.parametrize("metric", [hard_and_sound, well_posed])
def test_good_rows_score_near_one_and_never_one(metric):
    assert 0.95 < graded(metric, *BEST).score < 1


def lost(stage, reason, **content):
    return Rejected(stage=stage, reason=reason, detail="Why.", content=content)


@pytest.mark.parametrize(
    ("rows", "rejected", "words"),
    [
        ([GOOD.model_copy(update={"solver_pass_rate": 0.5})], [], "right in 0.50 of 4 draws"),
        ([GOOD], [], "All are hard"),
        ([GOOD, harder(GOOD, 2.0)], [], "not rated higher"),
        ([GOOD], [lost("hike", "names_theorem", question="By Vieta?")], "No harder version (hike, names_theorem)"),
        ([GOOD], [lost("hiked_consistency", "inconsistent", question="Hm?")], "(hiked_consistency, inconsistent)"),
        ([GOOD.model_copy(update={"flags": ("identical_solutions",)})], [], "All solutions are one text"),
        ([], [lost("generate", "several_answers", question="Which?")], "No problem (generate, several_answers)"),
        ([], [lost("consistency", "inconsistent", votes=1, n=3)], "(consistency, inconsistent)"),
        ([], [lost("solver", "too_easy", **GOOD.record())], "(solver, too_easy)"),
        ([], [], "All are hard"),
    ],
)
def test_a_planted_fault_costs_and_is_quoted(rows, rejected, words):
    judged = graded(hard_and_sound, *rows, rejected=rejected)
    assert judged.score < graded(hard_and_sound, *BEST).score - 0.2
    assert words in judged.feedback


def test_a_problem_without_agreement_earns_nothing_for_being_hard():
    none = graded(hard_and_sound, rejected=[lost("consistency", "inconsistent", votes=1, n=3)]).score
    some = graded(hard_and_sound, rejected=[lost("consistency", "inconsistent", votes=2, n=3)]).score
    assert none == 0 < some < 0.2


def test_without_a_solver_nothing_is_taken_off():
    unasked = GOOD.model_copy(update={"attempts_n": 0, "solver_pass_rate": None})
    assert graded(hard_and_sound, unasked).score == graded(hard_and_sound, GOOD).score


def test_a_lost_draw_halves_the_score_of_two_and_copies_cost():
    alone = graded(hard_and_sound, GOOD).score
    assert graded(hard_and_sound, GOOD, rejected=[lost("generate", "empty")]).score == pytest.approx(alone / 2)
    twins, others = GOOD.model_copy(update={"branch": "x"}), row("A box of six pencils costs 4 coins. What do 3 cost?")
    copied = graded(hard_and_sound, GOOD, twins)
    assert copied.score < graded(hard_and_sound, GOOD, others).score and "repeat each other" in copied.feedback


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (row("Nora has 7 plums and picks 5 more plums today."), "asks nothing"),
        (row("How many plums has Nora after the first day in the passage?"), "leans on something"),
        (row("How many plums now?"), "too short"),
        (row(GOOD.question, "7 or 12"), "no single number"),
        (row(GOOD.question, response="It is clear."), "not what its solution speaks of"),
        (row(GOOD.question, reference_solution="7 + 5 = 13."), "a false sum in its solution (7 + 5 = 13)"),
    ],
)
def test_badly_posed_problems_score_less_and_are_quoted(bad, words):
    judged = graded(well_posed, bad)
    assert judged.score < graded(well_posed, GOOD).score and words in judged.feedback


def test_the_check_does_not_look_at_agreement_pass_rates_and_ratings():
    other = GOOD.model_copy(update={"solver_pass_rate": 1.0, "difficulty_rating": 1.0, "solutions_n": 1})
    assert graded(well_posed, GOOD).score == graded(well_posed, other).score
    assert graded(well_posed, rejected=[lost("generate", "empty")]).score == 0


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("2 + 3 = 5 and 2 + 3 * 4 = 14, 1/2 + 1/3 = 5/6, 10 / 3 = 3.33, 5 - 7 = -2, 100 * 0.2 = 20.", []),
        ("So 2 + 3 * 4 = 20.", ["2 + 3 * 4 = 20"]),
        ("12 - 5 = 7. Then 7 * 2 = 15.", ["7 * 2 = 15"]),
        ("4 × 6 = 25 and 10 ÷ 4 = 3", ["4 × 6 = 25", "10 ÷ 4 = 3"]),
        ("1 / 0 = 0", ["1 / 0 = 0"]),
        ("x + 2 = 5; 2x + 3 = 9; 3^2 + 4 = 13; 2(3 + 4) = 14; (2 + 3) * 4 = 20; 3 + 4 = 7x; 2 + 2 = 4 + 1", []),
        ("1,200 + 300 = 1,500", []),
    ],
)
def test_false_sums_are_found_and_others_left_alone(text, wrong):
    assert false_sums(text) == wrong


def test_shipped_solutions_have_no_false_sums():
    texts = [demo["solution"] for demos in shipped("sand_math").values() for demo in demos if "solution" in demo]
    assert len(texts) >= 15 and not [text for text in texts if false_sums(text)]
    assert not [problem for problem in levels() if false_sums(problem["solution"])]


# Judges on labelled sets


def test_the_labelled_sets_are_balanced_and_of_many_kinds():
    assert [pair["equal"] for pair in equality_pairs()].count(True) == 21 and len(equality_pairs()) == 44
    assert [pair["same_problem"] for pair in copies()].count(True) == 12 and len(copies()) == 24
    assert len({pair["kind"] for pair in equality_pairs()}) >= 10 and len({pair["kind"] for pair in copies()}) >= 7


def test_the_ladders_grow_are_on_the_grid_and_have_single_numbers():
    ladders = {problem["ladder"] for problem in levels()}
    assert len(ladders) == 6 and len(levels()) == 24
    for name in ladders:
        ratings = [problem["rating"] for problem in levels() if problem["ladder"] == name]
        assert len(ratings) == 4 and ratings == sorted(set(ratings))
    for problem in levels():
        assert half_points(problem["rating"]) == problem["rating"]
        assert single_number(solved(problem["solution"], "").answer)


def test_labelled_problems_are_in_no_other_set():
    known = {record["problem"] for record in read_jsonl(data_path("sand_math/known.jsonl"))}
    known |= {demo["question"] for demos in shipped("sand_math").values() for demo in demos if "question" in demo}
    assert not known & ({pair["question"] for pair in copies()} | {problem["question"] for problem in levels()})


def test_labels_of_answers_agree_with_the_verifier_where_it_can_read_both():
    """A second reading by machine: no pair that the verifier calls equal is labelled different."""
    sure = [pair for pair in equality_pairs() if pair["first"] and pair["second"] and pair["kind"] != "words"]
    for pair in sure:
        if VERIFIER(rf"\boxed{{{pair['first']}}}", rf"\boxed{{{pair['second']}}}").ok:
            assert pair["equal"] or pair["kind"] == "unit", pair


def test_a_right_judge_scores_one_a_constant_one_a_half_and_planted_errors_show_by_kind():
    labelled = equality_pairs()
    right = [pair["equal"] for pair in labelled]
    assert score_verdicts(labelled, "equal", right).balanced_accuracy == 1.0
    assert score_verdicts(labelled, "equal", [False] * 44).balanced_accuracy == 0.5
    planted = [not said if pair["kind"] == "root" else said for pair, said in zip(labelled, right, strict=True)]
    found = score_verdicts(labelled, "equal", planted)
    assert found.by_kind["root"] == 0 and {pair["kind"] for pair in found.wrong} == {"root"}
    assert score_verdicts(labelled, "equal", [None] * 44).balanced_accuracy == 0.0


def asked(coroutine, answer):
    async def run():
        with dspy.context(lm=ScriptedLM({"*": answer}), adapter=dspy.JSONAdapter()):
            return await coroutine

    return asyncio.run(run())


def test_the_judges_of_a_generator_are_asked_about_each_pair():
    known = {(p["first_solution"], p["second_solution"]): p["equal"] for p in equality_pairs()}

    def equal(call):
        return {"equal": known[call["first_solution"], call["second_solution"]], "reason": "So."}

    assert asked(judge_equality(SandMath()), equal).balanced_accuracy == 1.0
    assert asked(judge_equality(SandMath(), equality_pairs()[:2]), "hm").balanced_accuracy == 0.0
    same = {(p["question"], p["test_item"]): p["same_problem"] for p in copies()}

    def copied(call):
        return {"same_problem": same[call["question"], call["test_item"]]}

    assert asked(judge_copies(SandMath()), copied).balanced_accuracy == 1.0


def test_a_rater_is_scored_by_order_and_by_error():
    problems = levels()
    right = [problem["rating"] for problem in problems]
    assert calibration(problems, right) == type(calibration(problems, right))(order=1.0, error=0.0, rated=1.0)
    constant = calibration(problems, [3.0] * 24)
    assert constant.order == 0.5 and (constant.error or 0) > 0.5
    assert calibration(problems, [11 - each for each in right]).order == 0.0
    missing = calibration(problems, [None] * 24)
    assert (missing.order, missing.error, missing.rated) == (0.5, None, 0.0)


def test_the_rater_of_a_generator_rates_the_ladders():
    known = {problem["question"]: problem["rating"] for problem in levels()}

    def rate(call):
        return {"summary": "S.", "rating": known[call["question"]], "resembles": "AMC 8"}

    found = asked(rate_levels(SandMath(ratings=2)), rate)
    assert (found.order, found.error, found.rated) == (1.0, 0.0, 1.0)


def test_a_theorem_that_helps_shows_by_the_hint():
    def attempt(call):
        return {"solution": "So.", "answer": "4" if "Hint: Sums." in call["question"] else "5"}

    found = asked(theorem_dependence(SandMath(), [("How many?", "4", "Sums.")] * 2, draws=3), attempt)
    assert (found.alone, found.hinted, found.n) == (0.0, 1.0, 2)


def test_shipped_seeds_are_disjoint_and_give_rows():
    split = shipped_seeds(SandMath())
    assert {name: len(seeds) for name, seeds in split.items()} == {"train": 20, "val": 12, "test": 20}
    no_overlap(split)
    lm = ScriptedLM(
        {
            "generate_easy": {"story": "", "question": GOOD.question, "solution": "7 + 5 = 12.", "answer": 12},
            "solve": lambda call: {
                "solution": f"{call.seed}",
                "answer": "4" if "friends" in call["question"] else "12",
            },
            "rate": lambda call: {"summary": "", "rating": 2 + ("friends" in call["question"]), "resembles": "x"},
            "hike_problem": {"harder_question": BEST[1].question, "solution": "12 / 3 = 4", "answer": "4"},
        }
    )

    async def pred_of(example):
        with dspy.context(lm=lm, adapter=default_adapter()):
            return await SandMath().acall(**example.inputs())

    for example in split["test"][:3]:
        pred = asyncio.run(pred_of(example))
        assert len(pred.rows) == 2 and 0.9 < hard_and_sound(example, pred).score < 1


def test_optimize_lifts_a_writer_that_only_follows_examples():
    """A scripted LM: without demonstrations its own answers are wrong, so that its solutions do not agree."""

    def write(call):
        taught = len(call.messages) > 2
        seed = call.seed or 0
        story = f"Nora has {seed % 90 + 1} {call['concept']} today. She gets {seed % 7 + 2} {call['concept']} more."
        answer = seed % 90 + 1 + seed % 7 + 2 + (0 if taught else 1 + seed % 3)
        return {"story": story, "question": "How many has she now?", "solution": "So.", "answer": answer}

    def solve(call):
        first, second = (int(word) for word in call["question"].split() if word.isdigit())
        return {"solution": f"Draw {call.seed}.", "answer": first + second}

    gold = {"generate_easy": [{"concept": "cups", "story": "A.", "question": "B?", "solution": "C.", "answer": 1}]}
    tuned = sw.optimize(
        SandMath(ratings=0, hike="none"),
        optimizer="bootstrap",
        lms=ScriptedLM({"generate_easy": write, "solve": solve}),
        gold=gold,
        draws=1,
        rounds=1,
        budget=200,
    )
    assert tuned.metric.low > 0.2
    assert tuned.generator.all_predictors()["generate_easy"].demos
