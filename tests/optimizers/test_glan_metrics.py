import asyncio
from collections import Counter

import dspy
import pytest

from synthwright.errors import ConfigError
from synthwright.optimizers import optimize
from synthwright.optimizers.metrics.glan import (
    HELD_OUT,
    METRIC,
    combines_concepts,
    labelled_nodes,
    labelled_questions,
    review_accuracy,
    screen_accuracy,
)
from synthwright.optimizers.metrics.glan_judges import judge_answers, labelled_answers, verdicts_on
from synthwright.programs.glan import GLAN
from synthwright.signatures.glan import HomeworkRow, Session, Subject, SubjectList, Syllabus
from synthwright.signatures.rows import Rejected
from synthwright.testing import ScriptedLM

SYLLABUS = "Session 1: Malting. Key concepts: germination.\nSession 2: Mashing. Key concepts: enzyme, warm water."
ASKED = {"step": "question", "discipline": "Brewing", "syllabus": SYLLABUS, "key_concepts": ["germination", "enzyme"]}
GOOD = (
    "A brewer stops the germination of barley two days early. How does that change the work of each enzyme in the pot?"
)
ALSO_GOOD = (
    "Compare two farmers: one dries seeds before germination, one after. Whose flour holds more of the enzyme, and why?"
)


def row(question=GOOD, **fields):
    given = {"discipline": "Brewing", "subject": "Malt", "level": "", "session_names": ("Malting", "Mashing")}
    made = {"key_concepts": ("germination", "enzyme"), "strategy": "double", "response": "", **fields}
    return HomeworkRow(**given, instruction=question, **made)


def reject(question=GOOD, stage="write", reason="no_concept"):
    content = {"question": question, "key_concepts": ["germination", "enzyme"]}
    return Rejected(stage=stage, reason=reason, detail="why", content=content)


def syllabus(*sessions):
    made = tuple(Session(name=name, key_concepts=list(concepts)) for name, concepts in sessions)
    return Syllabus(discipline="Brewing", subject="Malt", level="", text="t", sessions=made)


def judged(metric, *made, pred_name=None, **example):
    prediction = dspy.Prediction(
        rows=[m for m in made if isinstance(m, HomeworkRow)],
        rejected=[m for m in made if isinstance(m, Rejected)],
        artifacts=[m for m in made if isinstance(m, Syllabus | SubjectList)],
    )
    return metric(dspy.Example(**{**ASKED, **example}), prediction, None, pred_name, None)


BAD = {
    "asks for nothing": "The germination of barley and the work of the enzyme are important for a brewer of beer.",
    "leans on what its reader does not have": "How does germination help each enzyme that this session is about?",
    "80 wanted": "Germination, enzyme: why?",
    "does not use ['germination']": "How does the temperature of a pot change the work of each enzyme in it?",
    "does not use ['germination', 'enzyme']": "Why do ships of iron float on water although iron is heavier?",
    "copies '2 mashing key concepts enzyme warm'": "Explain 2: mashing, key concepts enzyme, warm, and germination.",
    "repeats itself": "Why is germination and the enzyme and the enzyme and the enzyme and the enzyme so?",
    "gives the answer away": f"{GOOD}\nAnswer: the enzyme is made during germination.",
}


def test_good_questions_score_high_and_below_one():
    result = judged(METRIC, row(), row(ALSO_GOOD))
    assert 0.85 < result.score < 1 and result.feedback == "All of it is sound coursework."


@pytest.mark.parametrize("failure", BAD)
def test_each_planted_fault_lowers_the_score_and_is_quoted(failure):
    result = judged(METRIC, row(BAD[failure]))
    assert result.score < 0.85 * judged(METRIC, row()).score
    assert failure in result.feedback and BAD[failure][:40] in result.feedback


def test_a_dropped_question_scores_nothing_and_its_reason_is_given():
    result = judged(METRIC, row(), reject(ALSO_GOOD))
    assert result.score < 0.55 * judged(METRIC, row(), row(ALSO_GOOD)).score
    assert "dropped (no_concept: why)" in result.feedback


def test_a_question_whose_answer_failed_is_scored_like_that_of_a_row():
    assert judged(METRIC, reject(stage="answer", reason="empty_answer")).score == judged(METRIC, row()).score
    assert judged(METRIC, row(), reject(stage="compare", reason="unparsable")).score == judged(METRIC, row()).score


def test_an_unreadable_reply_counts_as_a_failure():
    unread = Rejected(stage="extract", reason="unparsable", content={"reply": "{"})
    assert judged(METRIC, unread).score == judged(HELD_OUT, unread).score == 0
    assert "design: unparsable" in judged(METRIC, unread).feedback and judged(METRIC, row(), unread).score < 0.6


def test_nothing_made_scores_nothing():
    assert judged(METRIC).score == judged(HELD_OUT).score == 0


def test_draws_that_are_the_same_lose_the_share_of_diversity():
    same, varied = judged(METRIC, row(), row()), judged(METRIC, row(), row(ALSO_GOOD))
    assert same.score < 0.7 * varied.score and "nearly the same" in same.feedback


DESIGNED = (
    ("Steeping", ("moisture", "aeration")),
    ("Kilning", ("airflow", "colour", "curing")),
    ("Storing", ("silo", "pests")),
)
BAD_SYLLABI = {
    "1 sessions": DESIGNED[:1],
    "concepts a session": tuple((name, concepts[:1]) for name, concepts in DESIGNED),
    "concepts that are sentences": tuple(
        (name, tuple(f"how the {c} changes over a long time" for c in concepts)) for name, concepts in DESIGNED
    ),
    "does not cover ['drying floor', 'airing']": tuple((n, tuple(c.upper()[::-1] for c in cs)) for n, cs in DESIGNED),
    "sessions are named alike": tuple((f"Malt in the house {i}", cs) for i, (_, cs) in enumerate(DESIGNED)),
    "copies a demonstration: ['melt', 'crystal', 'dissolved gas']": (
        ("Steeping", ("melt", "crystal")),
        ("Kilning", ("dissolved gas", "viscosity")),
        ("Storing", ("fracture", "density")),
    ),
}  # fmt: skip


def test_a_good_syllabus_scores_high():
    result = judged(METRIC, syllabus(*DESIGNED), step="syllabus", subtopics=["moistening", "colour"])
    assert result.score > 0.9 and result.feedback == "All of it is sound coursework."


@pytest.mark.parametrize("failure", BAD_SYLLABI)
def test_each_planted_fault_of_a_syllabus_lowers_the_score_and_is_quoted(failure):
    subtopics = ["drying floor", "airing"] if "cover" in failure else []
    result = judged(METRIC, syllabus(*BAD_SYLLABI[failure]), step="syllabus", subtopics=subtopics)
    assert result.score < 0.85 and failure in result.feedback


def listed(*subjects):
    made = tuple(Subject(name=n, level=level, subtopics=list(topics)) for n, level, topics in subjects)
    return SubjectList(discipline="Brewing", query=0, subjects=made)


LISTED = (
    ("Malting", "beginner", ("steeping", "kilning")),
    ("Hops", "intermediate", ("oils", "bitterness")),
    ("Yeast", "advanced", ("strains", "cell count")),
)
BAD_LISTS = {
    "1 subjects": LISTED[:1],
    "no subtopics: ['Malting', 'Hops', 'Yeast']": tuple((n, level, ()) for n, level, _ in LISTED),
    "no level": tuple((n, "", topics) for n, _, topics in LISTED),
    "named like the discipline: ['brewing']": (("brewing", "beginner", ("a", "b")), *LISTED[:2]),
    "copies a demonstration: ['Magma']": (("Magma", "beginner", ("a", "b")), *LISTED[:2]),
}


def test_a_good_list_of_subjects_scores_high():
    assert judged(METRIC, listed(*LISTED), step="subjects").score > 0.9


@pytest.mark.parametrize("failure", BAD_LISTS)
def test_each_planted_fault_of_a_list_lowers_the_score_and_is_quoted(failure):
    result = judged(METRIC, listed(*BAD_LISTS[failure]), step="subjects")
    assert result.score < 0.85 and failure in result.feedback


def test_feedback_for_one_predictor_speaks_of_it_alone_and_the_score_is_the_same():
    made = (row(BAD["asks for nothing"]), listed(*LISTED[:1]))
    result = judged(METRIC, *made, pred_name="list_subjects")
    assert "list_subjects:" in result.feedback and "write:" not in result.feedback
    assert result.score == judged(METRIC, *made).score


def test_feedback_is_short():
    assert len(judged(METRIC, *[reject(f"It is germination {i}.") for i in range(20)]).feedback.splitlines()) == 6


# The held-out check


def test_the_held_out_check_wants_questions_with_content_of_their_own():
    result = judged(HELD_OUT, row(), row(ALSO_GOOD))
    assert 0.9 < result.score < 1 and result.feedback == "All of it has content."


@pytest.mark.parametrize(
    ("text", "failure"),
    [
        ("The farmer Olga dries fresh grain on wide wooden floors before winter.", "is no question and no request"),
        ("Explain malting, mashing, germination, enzyme, temperature.", "words of its own"),
        ("Which erupts more violently, and why does the pinion turn per hour?", "words of its own"),
    ],
)
def test_the_held_out_check_finds_what_games_the_metric(text, failure):
    result = judged(HELD_OUT, row(text))
    assert result.score < 0.6 and failure in result.feedback


def test_the_held_out_check_does_not_trust_the_checks_that_the_metric_uses():
    assert judged(HELD_OUT, reject()).score == judged(HELD_OUT, row()).score


def test_the_same_words_in_another_draw_are_not_its_own():
    assert judged(HELD_OUT, row(), row()).score < 0.2


def test_the_held_out_check_reads_syllabi_and_lists_too():
    assert judged(HELD_OUT, syllabus(*DESIGNED), step="syllabus").score > 0.9
    assert judged(HELD_OUT, listed(("Malting", "", ("enzyme", "kiln"))), step="subjects").score < 0.3


# Figures of a run, and labelled sets for the judges


def test_figures_of_a_run_say_whether_questions_use_their_concepts():
    figures = combines_concepts([row(), row(BAD["does not use ['germination']"], response="Yes it does.")])
    assert (figures["concept_use"], figures["all_concepts"], figures["both_sessions"]) == (0.75, 0.5, 0.5)
    assert figures["answer_words"] == 1.5 and combines_concepts([]) == {}
    assert "both_sessions" not in combines_concepts([row(strategy="single")])


def test_the_labelled_sets_are_balanced_and_constant_verdicts_earn_a_half():
    votes, verdicts = [n["vote"] for n in labelled_nodes()], [q["verdict"] for q in labelled_questions()]
    assert len(votes) == 24 == len(verdicts) and votes.count("keep") == 12 == verdicts.count("harmless")
    assert review_accuracy(votes) == 1 == screen_accuracy(verdicts)
    assert review_accuracy(["keep"] * 24) == 0.5 == screen_accuracy(["harmful"] * 24)
    assert review_accuracy([None] * 24) == 0


def test_pairs_of_answers_reward_neither_length_nor_place():
    pairs = labelled_answers()
    labels = [pair["better"] for pair in pairs]
    assert (
        Counter(labels) == {"first": 8, "second": 8, "equal": 8} and verdicts_on(pairs, labels).balanced_accuracy == 1
    )
    longer = ["first" if len(pair["first_answer"]) > len(pair["second_answer"]) else "second" for pair in pairs]
    assert verdicts_on(pairs, longer).balanced_accuracy < 1 / 3
    for constant in ("first", "second", "equal", None):
        assert verdicts_on(pairs, [constant] * 24).balanced_accuracy <= 1 / 3 + 1e-9
    lenient = ["equal" if pair["kind"] == "padding" else pair["better"] for pair in pairs]
    assert verdicts_on(pairs, lenient).by_kind["padding"] == 0 and len(verdicts_on(pairs, lenient).wrong) == 2


def test_the_judge_of_answers_is_asked_in_both_orders():
    def ask(answer):
        with dspy.context(lm=ScriptedLM({"*": answer})):
            return asyncio.run(judge_answers(GLAN(answers=2)))

    better = {pair[f"{pair['better']}_answer"] for pair in labelled_answers() if pair["better"] != "equal"}

    def knows(call):
        first, second = call["first_answer"] in better, call["second_answer"] in better
        return {"better": "first" if first else "second" if second else "equal"}

    assert ask(knows).balanced_accuracy == 1 and ask(knows).wrong == []
    assert ask({"better": "first"}).balanced_accuracy == pytest.approx(1 / 3)  # by place alone: all are equal
    assert ask("Both are fine.").balanced_accuracy == 0
    with pytest.raises(ConfigError, match="answers=2"):
        asyncio.run(judge_answers(GLAN()))


# Tuning


def writing(call):
    """An LM that asks about its concepts once it has seen a demonstration, and else now and then."""
    if len(call.messages) == 2 and call.seed % 3:
        return {"question": "This is a lesson of great value to all of the students in the town."}
    town = ["Oslo", "Bergen", "Turku", "Narvik"][call.seed % 4]
    return {
        "question": f"Explain to a visitor from {town} how {call['key_concepts']} matter to a person at work there."
    }


def test_a_search_lifts_the_metric_for_questions():
    lm = ScriptedLM({"write": writing})
    program = GLAN(answers=0, safety=False, drop_copies=False)
    seeds = [
        {"step": "question", "discipline": f"D{i}", "sessions": ["x"], "key_concepts": [f"thing{i}", f"part{i}"]}
        for i in range(60)
    ]
    split = (seeds[:20], seeds[20:36], seeds[36:])
    tuned = optimize(
        program, trainset=split[0], valset=split[1], testset=split[2], targets=["write"], lms=lm, budget=400
    )
    assert tuned.metric.low > 0.1 and tuned.generator.all_predictors()["write"].demos
