import asyncio
import json
import logging
import re
from collections import Counter

import dspy
import numpy as np
import pytest

import synthwright as sw
from synthwright.errors import ConfigError, RetrievalError
from synthwright.lms.adapters import response_schema
from synthwright.pool import Pool
from synthwright.programs.base import data_path, read_jsonl
from synthwright.programs.prompts import signature_of
from synthwright.programs.sand_math import BRANCHES, SandMath
from synthwright.programs.sand_math_checks import false_sums, flaw, no_single_number, single_number
from synthwright.programs.sand_math_hiking import draw_ideas, hike_flaw
from synthwright.programs.sand_math_panel import solved
from synthwright.programs.sand_math_rewards import reward
from synthwright.programs.sand_math_seeds import given_seed
from synthwright.programs.sand_math_similarity import HashedWords, Remembered, benchmark_items, searcher
from synthwright.programs.sand_math_stats import curriculum, hardest, summary
from synthwright.programs.sand_math_taxonomy import Branch, Taxonomy, Theorem, load_taxonomy, names_theorem
from synthwright.retrieval import BM25, Passage, PassageList, Retriever
from synthwright.runs.demonstrations import shipped
from synthwright.signatures.sand_math import (
    LEVELS,
    Asked,
    Draft,
    Examined,
    GenerateEasyProblem,
    HikeProblem,
    SandMathRow,
    SolveProblem,
    boxed_text,
    half_points,
    whole,
)
from synthwright.testing import Reply, ScriptedLM

TUNING = data_path("../../optimizers/data/sand_math.jsonl")
ASKED = "Nora has 7 plums and picks 5 more. How many plums has she now?"
HARDER = "Nora has 7 plums, picks 5 more and shares all with two friends evenly. How many does each get?"


def says(*answers, solution="We count."):
    return [{"solution": f"{solution} {i}", "answer": answer} for i, answer in enumerate(answers)]


def rated(*ratings):
    return [{"summary": "One sum.", "rating": rating, "resembles": "AMC 8"} for rating in ratings]


def rate(call):
    """Harder versions are rated one point higher."""
    return rated(3.0 if "shares all" in call["question"] else 2.0)[0]


def solve(call):
    return says("4" if "shares all" in call["question"] else "12", solution=f"Draw {call.seed}.")[0]


def script(model="strong", **answers):
    usual = {
        "generate": {"question": ASKED, "solution": "7 + 5 = 12.", "answer": "12"},
        "solve": solve,
        "attempt": says("11", "12", "10", "13"),
        "compare": {"equal": True, "reason": "Both."},
        "judge_copy": {"same_problem": False},
        "rate": rate,
        "hike_problem": {"harder_question": HARDER, "solution": "12 / 3 = 4.", "answer": "4"},
    }
    return ScriptedLM({**usual, **answers}, model=model)


def sand(**arguments):
    """The method at a level whose answers are text."""
    return SandMath(**{"level": "school", "solutions": 2, **arguments})


def ask(lm=None, seed=None, emit=True, generator=None, **arguments):
    """The prediction for one seed, with one LM in all roles."""
    generator = generator or sand(**arguments)

    async def asked():
        with dspy.context(lm=lm or script(), adapter=dspy.JSONAdapter()):
            return await generator.acall(**(seed or {"branch": "algebra", "other_branch": "geometry"}), emit=emit)

    return asyncio.run(asked())


def reasons(pred):
    return [(reject.stage, reject.reason) for reject in pred.rejected]


def rejects(run):
    names = ("stage", "reason", "detail", "content")
    return [sw.Rejected(**{name: record[name] for name in names}) for record in read_jsonl(run.out / "rejected.jsonl")]


PLAIN = {"hike": "none", "ratings": 0, "known": None, "checks": False}
"""Only what a test is about."""


def made(number=0, **values):
    usual = {"branch": "algebra", "question": f"What is {number} + {number}?", "answer": str(2 * number)}
    return SandMathRow(**{**usual, "response": f"It is {2 * number}.", **values})


WORDS = ["plums", "horses", "lamps", "clouds", "rings", "boats", "keys", "drums", "coats", "nails", "ducks", "roads"]


def counting(call):
    """A problem of its own for each draw."""
    seed = call.seed or 0
    noun, other = WORDS[seed % 12], WORDS[seed // 12 % 12]
    a, b = seed % 1000 + 1, seed // 1000 % 1000
    question = f"{a} {noun} and {b} {other} with {seed} {noun[::-1]}: how many {noun} or {other}?"
    return {"question": question, "solution": "We add.", "answer": str(a + b)}


def adding(call):
    a, b = re.findall(r"\d+", call["question"])[:2]
    return {"solution": f"Draw {call.seed}.", "answer": str(int(a) + int(b))}


# Whole runs


def test_a_run_writes_solves_compares_rates_and_hikes(tmp_path):
    lm = script(generate=counting, solve=adding, hike_problem={"harder_question": "", "solution": "", "answer": ""})
    run = sw.generate(sand(), n=3, lms=lm, out=tmp_path)
    assert len(run.rows) == 3 and len({row.branch for row in run.rows}) == 3
    for row in run.rows:
        assert row.solutions_n == 3 and row.solutions_distinct == 1 and row.difficulty_rating == 2.0
        assert row.response.endswith(rf"\boxed{{{row.answer}}}$.") and (row.novelty_max_sim or 0) < 0.85


def test_the_same_run_gives_the_same_rows_at_any_concurrency(tmp_path):
    ids = []
    for width in (1, 8):
        lm = script(generate=counting, solve=adding)
        run = sw.generate(sand(ratings=1), n=4, lms=lm, out=tmp_path / str(width), concurrency=width)
        ids.append([row.id for row in run.rows])
    assert ids[0] == ids[1] and len(ids[0]) == 4


def test_a_run_goes_on_where_it_ended(tmp_path):
    def run(n, out):
        lm = script(generate=counting, solve=adding)
        return sw.generate(sand(ratings=0, hike="none", per_round=2), n=n, lms=lm, out=tmp_path / out)

    first = [row.id for row in run(2, "a").rows]
    more, whole = ([row.id for row in run(5, out).rows] for out in ("a", "b"))
    assert more[:2] == first and more == whole and len(set(more)) == 5


def test_the_funnel_is_in_the_papers_order(tmp_path):
    tests = tmp_path / "tests.jsonl"
    tests.write_text('{"problem": "How many ducks?"}\n', encoding="utf-8")
    lm = script(
        generate=counting,
        solve=lambda call: adding(call) if (call.seed or 0) % 8 else {"solution": "", "answer": str(call.seed)},
        judge_copy=lambda call: {"same_problem": "boats" in call["question"]},
        hike_problem="no",
    )
    solver = script("weak", attempt=lambda call: says("0" if (call.seed or 0) % 3 else adding(call)["answer"])[0])
    generator = sand(against=[tests], per_round=30, max_pass_rate=0.25, cycles=2)
    run = sw.generate(generator, n=12, lms={"generator": lm, "judge": lm, "solver": solver}, out=tmp_path / "run")
    order = list(dict.fromkeys(stage for stage, _, _ in run.funnel.lost))
    assert order.index("consistency") < order.index("decontaminate") and {"solver", "hike"} <= set(order)
    assert all(row.decontaminated and "boats" not in row.question for row in run.rows)
    assert all((row.solver_pass_rate or 0) <= 0.25 and row.attempts_n == 4 for row in run.rows)


def test_without_enough_rows_the_run_ends_and_says_why(tmp_path):
    lm = script(solve=says("1", "2"))
    run = sw.generate(sand(cycles=2, per_round=3), n=2, lms=lm, out=tmp_path)
    assert not run.rows and sum(call.predictor == "generate" for call in lm.calls) == 6
    notes = [Asked(draw=i, round=i) for i in range(2)]
    with pytest.raises(StopIteration) as end:
        next(sand(cycles=2).plan(Pool(artifacts=notes, target=3, round=2)))
    assert "2 rounds of writing gave 0 rows" in end.value.value


def test_a_round_that_fails_altogether_is_not_asked_for_ever():
    with pytest.raises(StopIteration):
        next(sand(cycles=2).plan(Pool(target=3, round=4)))


def test_without_a_target_one_round_is_written(tmp_path):
    lm = script(generate=counting, solve=adding)
    run = sw.generate(sand(**PLAIN), lms=lm, out=tmp_path)
    assert len(run.rows) == 8 == sum(call.predictor == "generate" for call in lm.calls)


# 1: branches, concepts, writing


def test_branches_take_turns_and_another_is_mixed_in():
    seeds = list(sand().plan(Pool(target=12)))
    assert [Counter(s["branch"] for s in seeds[i : i + 6]) for i in (0, 6)] == [Counter(BRANCHES)] * 2
    assert all(seed["other_branch"] in BRANCHES and seed["other_branch"] != seed["branch"] for seed in seeds)
    assert [s["branch"] for s in seeds[:6]] != [s["branch"] for s in seeds[6:]]
    assert seeds == list(sand().plan(Pool(target=12))) != list(sand(seed=1).plan(Pool(target=12)))


def test_concepts_fit_branch_and_level_and_can_be_left_out():
    taxonomy = load_taxonomy()
    for level, easy in (("easy", True), ("contest", False)):
        for seed in sand(level=level).plan(Pool(target=12)):
            topics = [topic for topic in taxonomy[seed["branch"]].topics if topic.easy == easy]
            assert seed["concept"] in [concept for topic in topics for concept in topic.concepts]
    assert all(seed["concept"] == "" for seed in sand(topics=False).plan(Pool(target=6)))


def test_the_writer_is_told_branches_concept_and_level():
    lm = script()
    ask(lm, {"branch": "algebra", "other_branch": "geometry", "concept": "coins"}, level="contest", **PLAIN)
    assert (lm.calls[0]["branch"], lm.calls[0]["concept"]) == ("algebra", "coins")
    assert lm.calls[0]["level"] == LEVELS["contest"] and lm.calls[0].temperature == 0.7


def test_the_easy_level_mixes_nothing_and_takes_whole_numbers_alone():
    assert {seed["other_branch"] for seed in SandMath().plan(Pool(target=12))} == {""}
    easy = script(
        generate_easy={
            "story": " Nora has 7 plums and picks 5 more.",
            "question": "How many?",
            "solution": "Sum.",
            "answer": 12,
        }
    )
    generator = SandMath(known=None, ratings=0, hike="none")
    (row,) = ask(easy, {"branch": "algebra", "concept": "plums"}, generator=generator).rows
    assert row.question == "Nora has 7 plums and picks 5 more. How many?" and row.answer == "12"
    assert row.solutions_n == 2 and list(easy.calls[0].inputs) == ["concept"]
    words = script(generate_easy={"story": "", "question": ASKED, "solution": "So.", "answer": "a dozen"})
    assert reasons(ask(words, generator=generator)) == [("generate_easy", "unparsable")]


def test_one_branch_alone_is_mixed_with_itself():
    (seed,) = sand(branches=["algebra"]).plan(Pool(target=1))
    assert seed["branch"] == seed["other_branch"] == "algebra"


@pytest.mark.parametrize(
    ("question", "answer", "reason"),
    [
        ("", "12", "empty"),
        (ASKED, "", "no_answer"),
        ("What is 2?", "2", "too_short"),
        ("What is it? " * 201, "2", "too_long"),
        ("Which number is even?\nA) 3\nB) 4\nC) 5", "4", "multiple_choice"),
        ("Prove that the sum of two odd numbers is even.", "2", "proof"),
        ("In the figure, how long is the side AB?", "2", "needs_figure"),
        ("Nora has 7 plums and picks 5 more plums.", "12", "asks_nothing"),
        (ASKED, "3 or 12", "several_answers"),
        (ASKED, "(1, 2)", "several_answers"),
        (ASKED, "[0, 12]", "several_answers"),
        (ASKED, r"\pm 12", "several_answers"),
        (ASKED, "12x", "not_a_number"),
        (ASKED, "a dozen", "not_a_number"),
    ],
)
def test_a_flawed_problem_is_dropped_before_it_is_solved(question, answer, reason):
    lm = script(generate={"question": question, "solution": "So.", "answer": answer})
    assert reasons(ask(lm)) == [("generate", reason)]
    assert [call.predictor for call in lm.calls] == ["generate"]


def test_a_false_sum_in_a_solution_is_found_before_and_after_solving():
    wrong = script(generate={"question": ASKED, "solution": "7 + 5 = 13, so 12.", "answer": "12"})
    assert reasons(ask(wrong)) == [("generate", "false_sum")]
    later = script(solve=says("12", solution="So 7 + 5 = 13. Draw"))
    assert reasons(ask(later)) == [("consistency", "false_sum")]


def test_without_checks_only_what_cannot_go_on_is_dropped():
    lm = script(generate={"question": "In the figure, what is AB?", "solution": "So.", "answer": "12"})
    assert ask(lm, **PLAIN).rows
    empty = script(generate={"question": " ", "solution": "So.", "answer": "12"})
    assert reasons(ask(empty, **PLAIN)) == [("generate", "empty")]


@pytest.mark.parametrize(
    "answer", ["12", "-7", "0", "1/2", "0.5", r"\frac{3}{4}", r"2\sqrt3", r"\frac{\pi}{6}", "1,000", "25%", "12 cm",
               "30 degrees", "x = 3", "10^{10}", r"\binom{5}{2}", r"\boxed{0}", "$5", "5!"],
)  # fmt: skip
def test_a_single_number_may_have_any_form(answer):
    assert single_number(answer)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [("", "not_a_number"), ("yes", "not_a_number"), ("n^2", "not_a_number"), ("A", "not_a_number"),
     ("x > 3", "several_answers"), (r"\{1, 2\}", "several_answers"), ("6 and 8", "several_answers"),
     (r"\infty", "several_answers"), ("x=1 or x=2", "several_answers")],
)  # fmt: skip
def test_what_is_no_single_number_is_called_so(answer, reason):
    assert no_single_number(answer) == reason


def test_a_copy_of_a_demonstration_is_dropped():
    generator = sand()
    generator.all_predictors()["generate"].demos = [dspy.Example(question=ASKED + " ", solution="12", answer="12")]
    assert reasons(ask(generator=generator)) == [("generate", "copies_example")]


def test_an_unreadable_reply_is_kept_among_the_rejects():
    pred = ask(script(generate="Here is a problem: ..."))
    assert reasons(pred) == [("generate", "unparsable")] and "Here is" in pred.rejected[0].content["reply"]
    cut = ask(script(generate=Reply('{"question": "What', finish_reason="length")), emit=False)
    assert reasons(cut) in ([("generate", "truncated")], [("generate", "unparsable")])


# 2: solutions and their agreement


def test_all_solutions_and_the_reference_must_agree():
    (row,) = ask(**PLAIN).rows
    assert row.final_answers == ("12", "12", "12") and row.solutions_n == 3
    assert row.reference_solution.startswith("7 + 5 = 12.")
    pred = ask(script(generate={"question": ASKED, "solution": "So.", "answer": "13"}), **PLAIN)
    assert reasons(pred) == [("consistency", "inconsistent")]
    assert pred.rejected[0].detail.startswith("2 of 3 answers agree, 2 different")


def test_without_the_reference_fresh_solutions_alone_decide():
    lm = script(generate={"question": ASKED, "solution": "So.", "answer": "13"})
    (row,) = ask(lm, **PLAIN, with_reference=False).rows
    assert row.final_answers == ("12", "12") and "13" in row.reference_solution
    assert reasons(ask(script(solve=says("12", "11")), **PLAIN, with_reference=False)) == [
        ("consistency", "inconsistent")
    ]


def test_one_solution_needs_a_reference():
    (row,) = ask(**PLAIN, solutions=1).rows
    assert row.solutions_n == 2
    with pytest.raises(ConfigError, match="nothing to agree with"):
        sand(solutions=1, with_reference=False)
    alone = ask(seed={"question": ASKED}, **PLAIN, solutions=1)
    assert reasons(alone) == [("consistency", "nothing_to_compare")]


@pytest.mark.parametrize("other", ["1/2", "0.5", r"\frac12", "50%", "x = 0.5", r"\boxed{1/2}"])
def test_equal_forms_agree_without_a_judge(other):
    lm = script(solve=says("0.5", other))
    (row,) = ask(lm, **PLAIN, with_reference=False).rows
    assert row.solutions_distinct == 1 and "compare" not in {call.predictor for call in lm.calls}


def test_numbers_that_differ_need_no_judge_and_no_judge_can_save_them():
    lm = script(solve=says("1/3", "0.33"))
    assert reasons(ask(lm, **PLAIN, with_reference=False)) == [("consistency", "inconsistent")]
    assert "compare" not in {call.predictor for call in lm.calls}


def test_the_judge_is_asked_where_the_verifier_is_unsure():
    lm = script(solve=says("a dozen", "12"))
    (row,) = ask(lm, **PLAIN, with_reference=False).rows
    assert row.solutions_distinct == 1 and [c.predictor for c in lm.calls].count("compare") == 1
    assert lm.calls[-1].temperature == 0.0
    never = ask(script(solve=says("a dozen", "12")), **PLAIN, with_reference=False, equality="verifier")
    assert reasons(never) == [("consistency", "inconsistent")]


def test_the_judge_can_be_asked_always_as_in_the_released_code():
    lm = script()
    assert ask(lm, **PLAIN, equality="judge").rows
    assert [call.predictor for call in lm.calls].count("compare") == 2


@pytest.mark.parametrize("verdict", ["no, although yes in part", "perhaps", "", {"equal": "maybe", "reason": ""}])
def test_a_verdict_that_is_none_does_not_pass(verdict):
    pred = ask(script(solve=says("a dozen", "12"), compare=verdict), **PLAIN, with_reference=False)
    assert reasons(pred) == [("consistency", "no_verdict")]


@pytest.mark.parametrize("reply", [{"solution": "It goes on.", "answer": ""}, "garbage"])
def test_a_solution_without_an_answer_agrees_with_nothing(reply):
    pred = ask(script(solve=[says("12")[0], reply]), **PLAIN)
    assert reasons(pred) == [("consistency", "no_answer")]


def test_the_last_box_after_the_thinking_is_the_answer():
    assert solved(r"<think>\boxed{3}</think> So \boxed{4}, no, \boxed{5}.", "").answer == "5"
    assert solved(r"<think>It is \boxed{3}", "").answer == ""
    assert solved("No box.", "").answer == "" and solved(r"\boxed{7", "").answer == ""
    assert solved("Plain.", r"\boxed{8}").answer == "8"
    assert solved("Plain.", "<think>9?</think> 8").answer == "8"


def test_a_solution_whose_box_contradicts_its_answer_has_none():
    assert solved(r"So \boxed{4}.", "5").answer == ""
    assert solved(r"So \boxed{\frac12}.", "0.5").answer == "0.5"


def test_solutions_end_in_one_box():
    assert boxed_text("2 + 2.", "4") == "2 + 2.\n\nThe answer is $\\boxed{4}$."
    assert boxed_text(r"So \boxed{4}.", "4") == r"So \boxed{4}." and boxed_text("So.", "") == "So."


def test_identical_solutions_are_flagged():
    (row,) = ask(script(solve={"solution": "Sum.", "answer": "12"}), **PLAIN).rows
    assert row.flags == ("identical_solutions", "one_lm")


def test_each_draw_has_a_sampling_seed_of_its_own(tmp_path):
    lm = script(generate=counting, solve=adding)
    sw.generate(sand(ratings=3), n=1, lms=lm, out=tmp_path)
    for name in ("solve", "rate"):
        seeds = [call.seed for call in lm.calls if call.predictor == name]
        assert None not in seeds and len(set(seeds)) == len(seeds) > 1


def test_a_server_that_caches_is_found_out_instead_of_giving_a_false_hundred_percent(tmp_path):
    cache = {}

    def cached(call):  # answers by the prompt alone, as a caching server does, whatever the seed
        return cache.setdefault((call.predictor, call["question"]), says("12", solution=f"Seed {call.seed}.")[0])

    lm = script(solve=cached, attempt=cached)
    run = sw.generate(sand(**PLAIN, cycles=1, solver_filter="always"), n=1, lms=lm, out=tmp_path)
    (reject,) = rejects(run)
    assert (reject.stage, reject.reason, reject.content["solver_pass_rate"]) == ("solver", "too_easy", 1.0)
    assert reject.content["flags"] == ["identical_solutions", "identical_attempts"]


# 3: near-duplicates


def test_near_duplicates_of_earlier_problems_are_dropped_before_any_further_call(tmp_path):
    lm = script()
    run = sw.generate(sand(per_round=3, cycles=1), n=3, lms=lm, out=tmp_path)
    found = [(reject.stage, reject.reason) for reject in rejects(run)]
    assert found.count(("deduplicate", "near_duplicate")) == 2
    assert [call.predictor for call in lm.calls].count("hike_problem") == 1


def test_drafts_are_compared_with_those_of_earlier_rounds():
    first, twin = Draft.model_validate(made(3).record()), Draft.model_validate(made(3, branch="geometry").record())
    notes = [Asked(draw=0, round=0, draft=first.id), Asked(draw=1, round=2, draft=twin.id)]
    artifacts = [first, notes[0], Examined(draft=first.id, unique=True), twin, notes[1]]
    (seed,) = sand().plan(Pool(artifacts=artifacts, target=2, round=3))
    assert seed["step"] == "examine" and seed["like"].startswith("near_duplicate: cosine 1.000")


def test_a_draft_and_its_row_have_one_id():
    row = made(3)
    assert Draft.model_validate(row.record()).id == row.id


def test_the_threshold_is_a_cosine_of_the_embedder(tmp_path):
    def angle(texts):
        turns = [0.12 * ("boats" in text) + 1.2 * ("ducks" in text) for text in texts]
        return np.array([[np.cos(t), np.sin(t)] for t in turns])

    nouns = iter(["keys", "boats", "ducks"])

    def generate(call):
        return {"question": f"How many {next(nouns)} are 7 and 5 of them?", "solution": "Sum.", "answer": "12"}

    for threshold, kept in ((0.99, 2), (0.995, 3)):
        nouns = iter(["keys", "boats", "ducks"])
        generator = sand(**PLAIN, embedder=angle, max_duplicate=threshold, per_round=3, cycles=1)
        run = sw.generate(generator, n=3, lms=script(generate=generate), out=tmp_path / str(threshold))
        assert len(run.rows) == kept


def test_hashed_words_compare_wording_and_numbers():
    a, b, c, d = HashedWords()([ASKED, ASKED.replace("5", "6"), "What is the area of a circle?", ""])

    def cosine(x, y):
        return float(x @ y / np.linalg.norm(x) / np.linalg.norm(y))

    assert 0.8 < cosine(a, b) < 0.95 < cosine(a, a) + 0.01 and cosine(a, c) < 0.4 and not d.any()


def test_a_text_is_embedded_once():
    asked = []

    def embed(texts):
        asked.extend(texts)
        return np.ones((len(texts), 2))

    remembered = Remembered(embed)
    assert remembered(["a", "b", "a"]).shape == (3, 2) and remembered(["b"]).shape == (1, 2)
    assert asked == ["a", "b"]


# 4: test sets


@pytest.mark.parametrize("column", ["question", "problem", "instruction", "Problem"])
def test_test_sets_may_call_their_field_what_they_like(tmp_path, column):
    path = tmp_path / "t.jsonl"
    path.write_text(json.dumps({"id": 1, column: ASKED}) + "\n", encoding="utf-8")
    assert [item.text for item in benchmark_items([path])] == [ASKED]


def test_an_empty_test_set_and_one_without_a_known_field_are_errors(tmp_path):
    empty, other = tmp_path / "e.jsonl", tmp_path / "o.jsonl"
    empty.write_text("\n", encoding="utf-8")
    other.write_text('{"text": "x"}\n', encoding="utf-8")
    with pytest.raises(ConfigError, match="has no items"):
        sand(against=[empty])
    with pytest.raises(ConfigError, match="Looked for: question, problem"):
        sand(against=[other])


def test_the_judge_sees_the_five_nearest_items_and_one_copy_is_enough(tmp_path):
    path = tmp_path / "t.txt"
    path.write_text("\n".join([*(f"Nora has {i} plums today" for i in range(9)), "A circle"]), encoding="utf-8")
    lm = script()
    (row,) = ask(lm, **PLAIN, against=[path]).rows
    asked = [call["test_item"] for call in lm.calls if call.predictor == "judge_copy"]
    assert row.decontaminated is True and len(asked) == 5 and "A circle" not in asked
    copied = script(judge_copy=lambda call: {"same_problem": "has 3" in call["test_item"]})
    path.write_text("Nora has 3 plums today\n", encoding="utf-8")
    pred = ask(copied, **PLAIN, against=[path])
    assert reasons(pred) == [("decontaminate", "contaminated")] and pred.rejected[0].detail == "Nora has 3 plums today"


@pytest.mark.parametrize("verdict", ["no, although yes in part", "hm"])
def test_a_judge_of_copies_that_gives_no_verdict_does_not_acquit(tmp_path, verdict):
    path = tmp_path / "t.txt"
    path.write_text("Nora has plums", encoding="utf-8")
    assert reasons(ask(script(judge_copy=verdict), **PLAIN, against=[path])) == [("decontaminate", "no_verdict")]


def test_without_test_sets_nothing_is_said_about_contamination():
    assert ask(**PLAIN).rows[0].decontaminated is None


# 5: the weaker solver


def strong_and_weak(tmp_path, attempt, **arguments):
    strong, weak = script(), script("weak", attempt=attempt)
    generator = sand(**{**PLAIN, "cycles": 1, "per_round": 1, **arguments})
    return sw.generate(generator, n=1, lms={"generator": strong, "judge": strong, "solver": weak}, out=tmp_path), weak


def test_what_the_weaker_solver_can_do_is_dropped(tmp_path):
    run, _ = strong_and_weak(tmp_path, says("12", "12", "12", "9"))
    (reject,) = rejects(run)
    assert (reject.stage, reject.reason) == ("solver", "too_easy")
    assert reject.detail == "0.75 of 4 draws, 2 answers"


def test_draws_and_different_answers_are_reported(tmp_path):
    run, weak = strong_and_weak(tmp_path, says("12", "9", "8", "12"))
    (row,) = run.rows
    assert (row.solver_pass_rate, row.attempts_n, row.attempts_distinct) == (0.5, 4, 3) and not row.flags
    assert row.attempts_right == (True, False, False, True)
    assert {call.predictor for call in weak.calls} == {"attempt"} and weak.calls[0].temperature == 0.7


def test_the_paper_keeps_what_one_draw_gets_wrong(tmp_path):
    run, _ = strong_and_weak(tmp_path, says("9"), attempts=1, max_pass_rate=0.0)
    assert run.rows[0].solver_pass_rate == 0.0 and run.rows[0].flags == ("one_attempt",)


def test_a_solver_whose_answers_cannot_be_read_is_flagged(tmp_path):
    run, _ = strong_and_weak(tmp_path, ["hm", "no", "what", "so"])
    assert "unreadable_attempts" in run.rows[0].flags


def test_identical_draws_of_the_solver_are_flagged(tmp_path):
    run, _ = strong_and_weak(tmp_path, {"solution": "I guess.", "answer": "9"})
    assert "identical_attempts" in run.rows[0].flags


def test_one_lm_as_generator_and_solver_is_warned_about_and_not_asked(tmp_path, caplog):
    lm = script()
    with caplog.at_level(logging.WARNING, "synthwright"):
        run = sw.generate(sand(**PLAIN, cycles=1), n=1, lms=lm, out=tmp_path)
    assert "generator and solver are one LM" in caplog.text and run.rows[0].flags == ("one_lm",)
    assert "attempt" not in {call.predictor for call in lm.calls}


def test_the_paper_refuses_one_lm_as_generator_and_solver(tmp_path):
    with pytest.raises(ConfigError, match="Generator and solver are one LM"):
        sw.generate(sand(solver_filter="required"), n=1, lms=script(), out=tmp_path)


def test_one_lm_can_be_asked_all_the_same_or_never(tmp_path):
    for policy, asked in (("always", True), ("never", False)):
        lm = script(attempt=says("9"))
        run = sw.generate(sand(**PLAIN, cycles=1, solver_filter=policy), n=1, lms=lm, out=tmp_path / policy)
        assert ("attempt" in {call.predictor for call in lm.calls}) is asked
        assert ("one_lm" in run.rows[0].flags) is False


# 6: known problems


def test_known_problems_are_dropped_above_the_threshold_only():
    library = PassageList([Passage(text=ASKED), Passage(text="What is a circle?")])
    pred = ask(**{**PLAIN, "known": library})
    assert reasons(pred) == [("novelty", "known")] and pred.rejected[0].detail == "cosine 1.000"
    (row,) = ask(**{**PLAIN, "known": library, "max_known": 1.0}).rows
    assert row.novelty_max_sim == 1.0  # 1.0 is not above 1.0


def test_our_known_problems_are_searched_by_default():
    seventy = [record["problem"] for record in read_jsonl(data_path("sand_math/known.jsonl"))]
    assert len(seventy) == len(set(seventy)) == 70
    lm = script(generate={"question": seventy[0], "solution": "So.", "answer": "12"})
    assert reasons(ask(lm, **{**PLAIN, "known": "shipped"})) == [("novelty", "known")]


def test_a_search_client_is_a_function_from_a_query_to_texts():
    queries = []

    def client(query):
        queries.append(query)
        return ["Nora has 7 plums.", 3, " "]

    (row,) = ask(**{**PLAIN, "known": client}).rows
    assert queries == [ASKED] and 0.3 < row.novelty_max_sim < 0.85


def empty(query):
    return []


def limited(query):
    raise RuntimeError("429: too many searches")


class Away(Retriever):
    def _search_all(self, queries, k):
        raise RetrievalError("the search cannot be reached")


@pytest.mark.parametrize("client", [empty, limited, Away()])
def test_a_search_that_finds_nothing_or_fails_leaves_novelty_unknown(client):
    (row,) = ask(**{**PLAIN, "known": client}).rows
    assert row.novelty_max_sim is None and "novelty_unknown" in row.flags


def test_what_can_be_searched(tmp_path):
    path = tmp_path / "known.txt"
    path.write_text("A circle has a centre.\n", encoding="utf-8")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "known.md").write_text("A circle has a centre. " * 40, encoding="utf-8")
    for known in (str(path), "shipped", tmp_path / "folder"):
        assert isinstance(searcher(known), BM25)
    assert searcher(None) is None
    with pytest.raises(ConfigError, match="`known` takes"):
        searcher(3)  # pyright: ignore[reportArgumentType]: what is tested


# 7: ratings


def test_ratings_are_averaged_and_unreadable_ones_do_not_count_as_zero():
    lm = script(rate=[rated(4.0)[0], "hm", rated(5.0)[0]])
    (row,) = ask(lm, **{**PLAIN, "ratings": 3}).rows
    assert row.ratings == (4.0, 5.0) and row.difficulty_rating == 4.5 == row.difficulty_bucket
    assert lm.calls[-1].temperature == 0.5


@pytest.mark.parametrize(
    ("rating", "read"),
    [(1, 1.0), (10, 10.0), (4.3, 4.5), (4.2, 4.0), (5.25, 5.5), (0.9, None), (10.5, None), (0, None), (-3, None),
     (float("nan"), None), (float("inf"), None)],
)  # fmt: skip
def test_ratings_are_on_the_half_point_grid_and_in_range(rating, read):
    assert half_points(rating) == read


def test_a_problem_nobody_could_rate_is_kept_and_flagged():
    (row,) = ask(script(rate=rated(99.0)), **{**PLAIN, "ratings": 2}).rows
    assert row.difficulty_rating is None and row.ratings == () and "unrated" in row.flags
    assert row.difficulty_bucket is None


# 8: hiking


HIKE = {**PLAIN, "hike": "add", "ratings": 1}
CHECKED = {"checks": True}


def test_a_harder_version_is_written_solved_and_rated_and_names_its_parent():
    lm = script()
    row, harder = ask(lm, **HIKE).rows
    assert harder.question == HARDER and harder.hiked_from == row.id and harder.parent_ids == (row.id,)
    assert (row.difficulty_rating, harder.hiked_rating, harder.difficulty_rating) == (2.0, 2.0, 3.0)
    assert harder.final_answers == ("4", "4") and harder.secondary_branch != harder.branch == "algebra"
    call = next(call for call in lm.calls if call.predictor == "hike_problem")
    assert call["rating"] == "2.0 of 10" and call["theorem"].startswith(harder.supporting_theorem)
    assert call["concept"] == harder.supporting_concept


def test_the_harder_version_can_take_the_place_of_the_problem():
    assert [row.question for row in ask(**{**HIKE, "hike": "replace"}).rows] == [HARDER]
    (row,) = ask(script(hike_problem="no"), **{**HIKE, "hike": "replace"}).rows
    assert row.question == ASKED


@pytest.mark.parametrize(
    ("reply", "arguments", "reason"),
    [
        ("garbage", {}, ("hike", "unparsable")),
        ({"harder_question": ASKED, "solution": "So.", "answer": "12"}, {}, ("hike", "not_rewritten")),
        ({"harder_question": " ", "solution": "So.", "answer": "12"}, {}, ("hike", "empty")),
        ({"harder_question": HARDER, "solution": "So.", "answer": ""}, {}, ("hike", "no_answer")),
        ({"harder_question": HARDER, "solution": "So.", "answer": "5"}, {}, ("hiked_consistency", "inconsistent")),
        ({"harder_question": HARDER, "solution": "So.", "answer": "4 or 5"}, CHECKED, ("hike", "several_answers")),
        ({"harder_question": ASKED + " Say.", "solution": "S.", "answer": "12"}, CHECKED, ("hike", "not_rewritten")),
        ({"harder_question": "Nora has 7. How many?", "solution": "S.", "answer": "12"}, {}, ("hike", "not_harder")),
    ],
)  # fmt: skip
def test_if_the_harder_version_is_none_the_problem_stays(reply, arguments, reason):
    pred = ask(script(hike_problem=reply), **{**HIKE, **arguments})
    assert [row.question for row in pred.rows] == [ASKED] and reasons(pred) == [reason]


def test_the_paper_does_not_ask_for_a_higher_rating():
    reply = {"harder_question": "Nora picks 7 plums. How many?", "solution": "S.", "answer": "12"}
    assert len(ask(script(hike_problem=reply), **HIKE, require_harder=False).rows) == 2


def test_the_theorem_must_not_be_named():
    vieta = Theorem(name="Vieta's formulas", statement="Sums of roots.", marks=("Vieta",))
    assert hike_flaw("Use VIETA to find x.", "Find x.", vieta) == "names_theorem: Vieta"
    assert (hike_flaw("Use vieta\u2019s formulas now.", "Find x.", vieta) or "").startswith("names_theorem")
    assert hike_flaw("Use the sum of all roots here.", "Find x.", vieta) is None
    assert hike_flaw("Use Vieta to find x.", "Find x.", vieta, checks=False) is None
    euler = Theorem(name="Euler's formula", statement="E.", marks=("Euler's",))
    assert names_theorem("Walk through Eulerton.", euler) == ""


def test_only_problems_rated_below_the_gate_are_made_harder_and_several_times():
    assert len(ask(**HIKE, hike_below=2.0).rows) == 1
    assert len(ask(**HIKE, hike_below=2.5).rows) == 2
    number = iter(range(9))

    def hike(call):
        again = f"Nora shares all {next(number)} of {call['question'].split()[-1]} plums with friends. How many?"
        return {"harder_question": again, "solution": "S.", "answer": "4"}

    ratings = iter([2.0, 3.0, 4.0, 6.0, 7.0])
    lm = script(hike_problem=hike, rate=lambda call: rated(next(ratings))[0])
    rows = ask(lm, **HIKE, hike_rounds=5, hike_below=6.0).rows
    assert [row.difficulty_rating for row in rows] == [2.0, 3.0, 4.0, 6.0]
    assert [row.hiked_from for row in rows[1:]] == [row.id for row in rows[:-1]]


def test_harder_versions_are_checked_again_unless_told(tmp_path):
    library = PassageList([Passage(text=HARDER)])
    pred = ask(**{**HIKE, "known": library})
    assert reasons(pred) == [("hiked_novelty", "known")] and len(pred.rows) == 1
    assert len(ask(**{**HIKE, "known": library}, recheck=False).rows) == 2


def test_theorems_come_from_the_branch_and_concepts_from_another():
    taxonomy = load_taxonomy()
    for index in range(20):
        ideas = draw_ideas(taxonomy, "geometry", "contest", str(index))
        assert ideas.theorem in taxonomy["geometry"].theorems and ideas.concept_branch != "geometry"
        assert ideas.concept in taxonomy[ideas.concept_branch].concepts("contest")
    assert draw_ideas(taxonomy, "geometry", "easy", "1") == draw_ideas(taxonomy, "geometry", "easy", "1")


def test_an_unknown_branch_or_one_without_theorems_takes_those_of_another():
    taxonomy = load_taxonomy()
    known = {theorem.name for branch in taxonomy for theorem in branch.theorems}
    assert draw_ideas(taxonomy, "topology", "contest", "1").theorem.name in known
    bare = Taxonomy(branches=(Branch(branch="sets"),))
    ideas = draw_ideas(bare, "sets", "contest", "1")
    assert (ideas.theorem.name, ideas.concept, ideas.concept_branch) == ("none in particular", "any", "sets")
    assert len(ask(seed={"branch": "topology"}, **HIKE).rows) == 2


# The order of the released code


def test_the_released_order_looks_for_test_items_first_and_asks_no_solver(tmp_path):
    path = tmp_path / "t.txt"
    path.write_text("Nora has plums", encoding="utf-8")
    library = PassageList([Passage(text=ASKED)])
    lm = script(attempt=says("12"))
    generator = sand(funnel="code", against=[path], known=library, per_round=2, cycles=1, solver_filter="always")
    run = sw.generate(generator, n=2, lms=lm, out=tmp_path / "run")
    names = [call.predictor for call in lm.calls]
    assert names.index("judge_copy") < names.index("rate") and "attempt" not in names
    assert names.count("judge_copy") == 3  # both drafts before one was found to repeat the other, and the harder one
    assert [row.question for row in run.rows] == [ASKED, HARDER] and run.rows[0].novelty_max_sim is None


def test_short_solutions_can_be_dropped_as_the_released_code_does(tmp_path):
    run = sw.generate(sand(**PLAIN, min_words=500, cycles=1), n=1, lms=script(), out=tmp_path)
    assert not run.rows and rejects(run)[-1].stage == "length"


# Seeds of users


def test_problems_of_a_user_are_solved_and_go_through_the_funnel(tmp_path):
    seeds = [{"problem": ASKED, "answer": 12, "branch": "algebra"}, {"question": HARDER}]
    lm = script()
    run = sw.generate(sand(**PLAIN), seeds=seeds, n=2, lms=lm, out=tmp_path)
    assert [row.question for row in run.rows] == [ASKED, HARDER] and run.rows[0].solutions_n == 3
    assert run.rows[1].solutions_n == 2 and "generate" not in {call.predictor for call in lm.calls}


def test_rows_of_other_methods_fit_and_stay_parents(tmp_path):
    seed = {"id": "abc", "instruction": ASKED, "response": r"It is \boxed{12}.", "operator": "deepen"}
    run = sw.generate(sand(**PLAIN), seeds=[seed], lms=script(), out=tmp_path)
    assert run.rows[0].parent_ids == ("abc",) and run.rows[0].reference_solution == r"It is \boxed{12}."


def test_a_flaw_in_a_users_problem_is_found_too():
    pred = ask(
        seed={"question": "In the figure, how many plums are there?", "answer": "12"}, **{**PLAIN, "checks": True}
    )
    assert reasons(pred) == [("consistency", "needs_figure")]


def test_a_wrong_seed_is_an_error_that_says_so():
    with pytest.raises(ConfigError, match="unknown field 'quesion'"):
        given_seed({"quesion": "x"}, 0)
    with pytest.raises(ConfigError, match="has a `question`"):
        given_seed({"answer": "x"}, 3)
    assert given_seed({"question": "What is 0?", "answer": 0}, 0)["answer"] == "0"
    assert given_seed({"branch": "algebra"}, 0) == {"branch": "algebra"}


def test_an_unknown_step_is_an_error():
    with pytest.raises(ConfigError, match="no step 'walk'"):
        ask(seed={"step": "walk"})


# The taxonomy


def test_the_taxonomy_has_a_few_hundred_concepts_and_theorems_without_repetition():
    taxonomy = load_taxonomy()
    assert {branch.branch for branch in taxonomy} == set(BRANCHES)
    concepts = [concept for branch in taxonomy for topic in branch.topics for concept in topic.concepts]
    theorems = [theorem for branch in taxonomy for theorem in branch.theorems]
    assert len(concepts) == len(set(concepts)) == 252 and len(theorems) == 106
    assert len({theorem.name for theorem in theorems}) == len({theorem.statement for theorem in theorems}) == 106


@pytest.mark.parametrize("name", BRANCHES)
def test_each_branch_is_whole(name):
    branch = load_taxonomy()[name]
    assert len(branch.topics) == 7 and sum(topic.easy for topic in branch.topics) == 1 and len(branch.theorems) >= 16
    assert len({topic.topic for topic in branch.topics}) == 7
    for theorem in branch.theorems:
        assert theorem.statement.endswith((".", "...")) and 3 <= len(theorem.statement.split()) <= 60
        assert theorem.statement.isascii() and not names_theorem(theorem.statement, theorem)
        assert names_theorem(f"By {theorem.name}, x = 1.", theorem)


def test_a_taxonomy_of_ones_own_is_a_folder_or_a_file(tmp_path):
    (tmp_path / "a.yaml").write_text("branch: sets\ntopics: [{topic: unions, concepts: [two sets]}]\n", "utf-8")
    generator = sand(level="contest", branches=["sets"], taxonomy=tmp_path)
    assert next(generator.plan(Pool(target=1)))["concept"] == "two sets"
    assert load_taxonomy(tmp_path / "a.yaml")["sets"].theorems == ()


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "has no .yaml files"),
        ({"a": "branch: sets\nfoo: 1"}, "not a branch"),
        ({"a": "branch: ["}, "not a branch"),
        ({"a": "branch: sets", "b": "branch: sets"}, "there twice"),
    ],
)
def test_a_mistake_in_a_taxonomy_is_an_error_that_names_the_file(tmp_path, files, message):
    for name, text in files.items():
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        load_taxonomy(tmp_path)
    with pytest.raises(ConfigError, match="Cannot read"):
        load_taxonomy(tmp_path / "none.yaml")


# Exports, rewards, statistics


def test_a_row_is_a_conversation_a_prompt_and_with_a_wrong_attempt_a_preference():
    row = made(3, attempts=("It is 6.", "It is 7."), attempts_right=(True, False))
    messages, prompt, pair = row.to_messages(), row.to_prompt(), row.to_preference()
    assert messages and prompt and pair
    assert [message.role for message in messages] == ["user", "assistant"] and prompt[0].content == row.question
    assert (pair.chosen[0].content, pair.rejected[0].content) == (row.response, "It is 7.")
    assert made(3).to_preference() is None


def test_prompts_with_answer_difficulty_and_branch_are_exported_for_rewards(tmp_path):
    lm = script(generate=counting, solve=adding)
    run = sw.generate(sand(**{**PLAIN, "ratings": 1}), n=2, lms=lm, out=tmp_path / "run")
    run.export("prompt-only", str(tmp_path / "g.jsonl"), columns=["answer", "difficulty_rating", "branch"])
    records = list(read_jsonl(tmp_path / "g.jsonl"))
    texts = [rf"So \boxed{{{record['answer']}}}." for record in records]
    columns = {name: [record[name] for record in records] for name in ("difficulty_rating", "branch")}
    assert reward(texts, [record["answer"] for record in records], **columns) == [1.0, 1.0]


def test_a_reward_reads_the_last_answer_after_the_thinking():
    texts = [r"\boxed{1/2}", r"<think>\boxed{0.5}</think> \boxed{3}", "The answer is 0.5.", "no", r"\boxed{0.5"]
    assert reward(texts, ["0.5"] * 5) == [1, 0, 1, 0, 0]
    assert reward([[{"role": "assistant", "content": r"\boxed{0}"}]], ["0"]) == [1]
    calls_a_tool = {"role": "assistant", "content": None, "tool_calls": []}
    assert reward([[calls_a_tool, {"role": "tool", "content": r"\boxed{1}"}]], ["1"]) == [0]


def test_a_curriculum_goes_from_easy_to_hard_and_short_to_long():
    rows = [made(1, difficulty_rating=4.0), made(2), made(3, difficulty_rating=2.0, response="a b c d e f")]
    rows.append(made(4, difficulty_rating=2.0))
    assert [row.question for row in curriculum(rows)] == [rows[i].question for i in (1, 3, 2, 0)]
    assert hardest(rows, 1) == [rows[0]]


def test_the_summary_has_the_figures_of_the_funnel():
    first = made(1, difficulty_rating=3.0, solver_pass_rate=0.25, attempts_n=4)
    leak = made(
        2, question="By Vieta, what is x?", hiked_from=first.id, hiked_rating=3.0, difficulty_rating=4.0,
        supporting_theorem="Vieta's formulas", flags=("one_attempt",),
    )  # fmt: skip
    equal = made(3, hiked_from=first.id, hiked_rating=3.0, difficulty_rating=3.0, answer="x")
    lost = [sw.Rejected(stage="consistency", reason="inconsistent"), sw.Rejected(stage="solver", reason="too_easy")]
    lost += [sw.Rejected(stage="hiked_consistency", reason="inconsistent")]
    found = summary([first, leak, equal], lost)
    assert found.agreement == pytest.approx(2 / 3) and found.hiked_agreement == pytest.approx(2 / 3)
    assert (found.rating, found.hiked, found.hiked_rise, found.hiked_rises) == (3.0, 2, 0.5, 0.5)
    assert found.names_theorem == 1.0 and found.pass_rates == {"0.3": 1} and found.flagged == {"one_attempt": 1}
    assert found.single_numbers == pytest.approx(2 / 3) and 0 < (found.largest_similarity or 0) < 1
    assert found.lost["solver: too_easy"] == 1
    assert summary([]).agreement is None and summary([]).rating is None


# Arguments, roles


def test_presets_are_the_defaults_and_the_papers_numbers():
    practical, faithful = SandMath.preset().params(), SandMath.preset("faithful").params()
    assert practical == SandMath().params()
    assert (faithful["solutions"], faithful["with_reference"], faithful["max_duplicate"]) == (2, False, 0.99)
    assert (faithful["attempts"], faithful["max_pass_rate"], faithful["max_known"]) == (1, 0.0, 0.85)
    assert (faithful["level"], faithful["ratings"], faithful["hike_rounds"]) == ("contest", 3, 1)
    assert (faithful["funnel"], faithful["solver_filter"], faithful["hike_below"]) == ("paper", "required", None)


def test_the_faithful_preset_runs(tmp_path):
    strong, weak = script(generate=counting, solve=adding, hike_problem="no"), script("weak", attempt=says("0"))
    generator = SandMath.preset("faithful", embedder="words")
    run = sw.generate(generator, n=2, lms={"generator": strong, "judge": strong, "solver": weak}, out=tmp_path)
    assert {row.solutions_n for row in run.rows} == {2} and {row.attempts_n for row in run.rows} == {1}
    assert {row.novelty_max_sim for row in run.rows} == {None}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"level": "hard"}, "`level`"),
        ({"funnel": "mine"}, "`funnel`"),
        ({"branches": []}, "`branches`"),
        ({"branches": ["a", "a"]}, "`branches`"),
        ({"solutions": 0}, "`solutions`"),
        ({"attempts": True}, "`attempts`"),
        ({"ratings": -1}, "`ratings`"),
        ({"equality": "some"}, "`equality`"),
        ({"embedder": "bert"}, "`embedder`"),
        ({"max_duplicate": 0}, "`max_duplicate`"),
        ({"max_known": 1.5}, "`max_known`"),
        ({"max_pass_rate": 2}, "`max_pass_rate`"),
        ({"solver_filter": "no"}, "`solver_filter`"),
        ({"hike": "all"}, "`hike`"),
        ({"hike_below": 11}, "`hike_below`"),
        ({"hike_below": 6, "ratings": 0}, "needs ratings"),
        ({"temperature": 0}, "`temperature`"),
        ({"solve_temperature": 0}, "`solve_temperature`"),
        ({"rating_temperature": -1}, "`rating_temperature`"),
        ({"per_round": 0}, "`per_round`"),
        ({"known": 3}, "`known`"),
    ],
)
def test_a_bad_argument_is_an_error_that_names_it(arguments, message):
    with pytest.raises(ConfigError, match=message):
        sand(**arguments)


def test_optimizers_see_writing_and_hiking_but_neither_solvers_nor_judges():
    assert set(SandMath().target_predictors()) == {"generate_easy", "hike_problem"}
    assert set(sand().target_predictors()) == {"generate", "hike_problem"}
    assert sand().all_roles() == ("generator", "judge", "solver")
    assert sand().role_of("rate") == "judge" and sand().role_of("solve") == "generator"


EASY = {"generate_easy": GenerateEasyProblem, "solve": whole(SolveProblem), "hike_problem": whole(HikeProblem)}.items()


def test_demonstrations_fit_the_predictors_and_pass_the_checks():
    demos = shipped("sand_math")
    predictors = {**sand().all_predictors(), **SandMath().all_predictors()}
    assert set(demos) == set(predictors) and all(len(each) == 3 for each in demos.values())
    for name, each in demos.items():
        fields = set(signature_of(predictors[name]).fields)
        assert all(set(demo) == fields for demo in each)
    known = [record["problem"] for record in read_jsonl(data_path("sand_math/known.jsonl"))]
    for demo in [*demos["generate"], *demos["generate_easy"], *demos["solve"], *demos["attempt"]]:
        assert flaw(f"{demo.get('story', '')} {demo['question']}", str(demo["answer"]), demo["solution"], known) is None
        assert not false_sums(demo["solution"])
    for name, signature in EASY:
        schema = response_schema(signature)["properties"]
        patterns = {field: schema[field]["pattern"] for field in schema if "pattern" in schema[field]}
        for demo in demos[name]:
            assert all(re.search(pattern, demo[field]) for field, pattern in patterns.items()) and patterns
    for demo in demos["hike_problem"]:
        theorem = Theorem(name=demo["theorem"].partition(":")[0], statement="S.")
        assert flaw(demo["harder_question"], str(demo["answer"]), demo["solution"], known) is None
        assert hike_flaw(demo["harder_question"], demo["question"], theorem) is None
    assert {demo["level"] for demo in demos["generate"]} == {LEVELS["school"]}


def test_tuning_seeds_are_apart_from_the_taxonomy_and_the_demonstrations():
    concepts = {record["inputs"]["concept"] for record in read_jsonl(TUNING)}
    taxonomy = {concept for branch in load_taxonomy() for topic in branch.topics for concept in topic.concepts}
    demos = {demo["concept"] for name in ("generate_easy", "hike_problem") for demo in shipped("sand_math")[name]}
    assert len(concepts) == 52 and not concepts & (taxonomy | demos)


# The embedded LM


@pytest.mark.embedded
def test_the_embedded_lm_solves_compares_and_rates(embedded, tmp_path):
    generator = SandMath(ratings=1, hike="none", known=None, checks=False)
    seeds = [{"question": "A bag holds 3 red and 4 blue balls. How many balls are in it?", "answer": "7"}] * 2
    run = sw.generate(generator, seeds=seeds, lms=embedded, out=tmp_path)
    assert run.funnel.asked >= 2 and run.funnel.made >= 1
    for row in run.rows:
        assert row.solutions_n == 2 and (row.difficulty_rating is None or 1 <= row.difficulty_rating <= 10)
