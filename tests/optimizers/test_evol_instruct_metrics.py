import dspy
import pytest

from synthwright.optimizers.metrics.evol_instruct import HELD_OUT, METRIC
from synthwright.signatures.evol_instruct import EvolvedRow, Operator
from synthwright.signatures.rows import Rejected

ROOT = "Describe a walk through a forest."
GOOD = "Describe a walk through a forest at dawn in under ninety words, and name two birds that sing there."
ALSO_GOOD = (
    "Describe a walk through a forest after heavy rain from the viewpoint of a tired beetle, in the present tense."
)


def row(instruction, operator: Operator = "add_constraints", parent=ROOT):
    return EvolvedRow(
        instruction=instruction, response="", operator=operator, round=1, root_id="r", parent=parent, judged=False
    )


def reject(instruction, reason="answered", detail="asks for nothing", operator="add_constraints"):
    content = {"operator": operator, "parent": ROOT, "instruction": instruction}
    return Rejected(stage=operator, reason=reason, detail=detail, content=content)


def judged(metric, *made, pred_name=None):
    rows = [m for m in made if isinstance(m, EvolvedRow)]
    rejected = [m for m in made if isinstance(m, Rejected)]
    return metric(dspy.Example(instruction=ROOT), dspy.Prediction(rows=rows, rejected=rejected), None, pred_name, None)


BAD = {
    "asks for nothing": "A walk through a forest is calm, and the ground is soft with needles of old and tall pines.",
    "words added": "Describe a walk through a forest briefly.",
    "words that say what it is about": "Explain how a lighthouse keeper cleans the lamp, and why he does it at night.",
    "repeats itself": "Describe a walk through a forest and a tree and a tree and a tree and a tree and a tree.",
    "copies a demonstration": "Describe a walk through a forest at 3,000 metres of altitude without a timer or a map.",
    "speaks of the prompt": "Describe a walk through a forest, as the given prompt says, in ninety short words.",
}


def test_good_evolutions_score_high_and_below_one():
    result = judged(METRIC, row(GOOD), row(ALSO_GOOD))
    assert 0.9 < result.score < 1 and result.feedback.startswith("Every evolution asks for more")


@pytest.mark.parametrize("failure", BAD)
def test_each_planted_fault_lowers_the_score_and_is_quoted(failure):
    result = judged(METRIC, row(BAD[failure]))
    assert result.score < 0.85 * judged(METRIC, row(GOOD)).score
    assert failure in result.feedback and BAD[failure][:60] in result.feedback


def test_an_eliminated_evolution_scores_nothing_and_its_reason_is_given():
    result = judged(METRIC, row(GOOD), reject("The forest is calm."))
    assert result.score == pytest.approx(judged(METRIC, row(GOOD)).score / 2, abs=0.1)
    assert "eliminated (answered: asks for nothing): 'The forest is calm.'" in result.feedback


def test_an_unreadable_reply_counts_as_a_failure():
    unread = Rejected(stage="deepen", reason="truncated", content={"operator": "deepen", "parent": ROOT, "reply": "{"})
    assert judged(METRIC, unread).score == judged(HELD_OUT, unread).score == 0
    assert "truncated" in judged(METRIC, unread).feedback


def test_nothing_made_scores_nothing():
    assert judged(METRIC).score == judged(HELD_OUT).score == 0


def test_draws_that_add_the_same_words_lose_the_share_of_diversity():
    same, varied = judged(METRIC, row(GOOD), row(GOOD)), judged(METRIC, row(GOOD), row(ALSO_GOOD))
    assert same.score < varied.score and "vary what is demanded" in same.feedback


def test_lost_data_lowers_the_score():
    parent = "Which day was longest?\n| day | km |\n| Monday | 4 |"
    kept = f"Which day was longest, and by how many metres did it beat the mean of all other days?\n{parent[23:]}"
    lost = "Which day was longest, and by how many metres did it beat the mean of all other days?"
    assert judged(METRIC, row(kept, parent=parent)).score > judged(METRIC, row(lost, parent=parent)).score
    assert "loses the data" in judged(METRIC, row(lost, parent=parent)).feedback


def test_breadth_is_scored_for_another_instruction_of_the_same_length():
    other = judged(METRIC, row("Describe how moss grows in a damp forest.", "broaden"))
    same = judged(METRIC, row("Describe a long walk through a forest.", "broaden"))
    assert other.score > 0.9 > same.score and "still the same instruction" in same.feedback


def test_complicated_input_needs_data_and_may_be_longer_than_a_demand():
    trees = ", ".join(f'{{"tree": "{tree}", "metres": {n}}}' for n, tree in enumerate(("oak", "fir", "ash", "elm"), 20))
    question = "Describe a walk through a forest where only these trees grow, from the tallest one to the smallest one."
    text = f"{question}\n```json\n[{trees}, {trees}]\n```"
    assert judged(METRIC, row(text, "complicate_input")).score > 0.9 > judged(METRIC, row(text)).score
    assert "attaches no data" in judged(METRIC, row(question, "complicate_input")).feedback


def test_feedback_for_one_predictor_speaks_of_its_operator_alone_and_scores_the_same():
    made = (reject("It is calm."), reject("It is calm.", operator="deepen"))
    result = judged(METRIC, *made, pred_name="deepen")
    assert "deepen" in result.feedback and "add_constraints" not in result.feedback
    assert result.score == judged(METRIC, *made).score


def test_feedback_is_short():
    assert len(judged(METRIC, *[reject(f"It is calm {i}.") for i in range(20)]).feedback.splitlines()) == 6


# The held-out check


def test_the_held_out_check_wants_a_request_with_new_words():
    result = judged(HELD_OUT, row(GOOD), row(ALSO_GOOD))
    assert 0.9 < result.score < 1 and result.feedback == "Every demand is new."


@pytest.mark.parametrize(
    ("text", "failure"),
    [
        (ROOT, "only 0 new content words"),
        ("The forest walk begins at a rusty gate beside the river.", "does not open like a request"),
        (f"{ROOT} Use moss. Use bark. Use fern. Use stone.", "is no longer one request"),
        ("Describe a walk through a forest at 3,000 metres of altitude without a timer.", "copies a demonstration"),
    ],
)
def test_the_held_out_check_finds_what_games_the_metric(text, failure):
    result = judged(HELD_OUT, row(text))
    assert result.score < 0.4 and failure in result.feedback


def test_the_held_out_check_does_not_trust_the_rules_that_the_metric_uses():
    assert judged(HELD_OUT, reject(GOOD)).score == judged(HELD_OUT, row(GOOD)).score
