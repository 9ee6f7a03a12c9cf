import dspy
import pytest

from synthwright.optimizers.metrics.evol_instruct import HELD_OUT, METRIC, Attempt, _terms
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


# What depth adds: a demand, or only a statement behind the repeated task

PICNIC = "Write an invitation to a picnic."
FOREST = ROOT
FRIDGE = "Explain how a fridge cools food."
SOFA = "Give advice on buying used furniture."
STATED = [
    (PICNIC, "The picnic has been cancelled because of the weather and all guests have been told."),
    (PICNIC, "It was a sunny afternoon and everybody had a wonderful time by the river."),
    (PICNIC, "Picnics are meals that are eaten outdoors, in a park or on a meadow."),
    (PICNIC, "I hope that you enjoy the food and the company of your old friends."),
    (PICNIC, "I have written the invitation and sent it by post early this morning."),
    (FOREST, "The forest is calm and the ground is soft with needles of old pines."),
    (FOREST, "The walk began at a rusty gate and ended beside the quiet river."),
    (FOREST, "Forests cover a large part of the land, and they clean the air."),
    (FRIDGE, "A fridge has a compressor that pumps a gas through long and thin tubes."),
    (FRIDGE, "Given the heat, most families have bought one since the end of the war."),
    (SOFA, "My uncle bought a table and sold it to his neighbour only a week later."),
    (SOFA, "Used furniture is popular, and the shops in our town are full of it."),
]
DEMANDED = [
    (PICNIC, "The picnic must not cost more than ten euros for each of the guests."),
    (PICNIC, "My guests are vegetarians, and two of them come in a wheelchair each."),
    (PICNIC, "It is for children of six who cannot read any long words as yet."),
    (FOREST, "My reader is a child of six who has never seen a tree."),
    (FOREST, "The narrator is blind, so there is no word of colour in the text."),
    (FOREST, "In the last sentence, reveal who is watching the walker from the old oak."),
    (FOREST, "What does the walker hear, and what does she begin to fear at dusk?"),
    (FRIDGE, "I have only twenty minutes and a class of nine-year-olds in front of me."),
    (FRIDGE, "Then compare it with an ice box, and say which one wastes less energy."),
    (SOFA, "My flat is on the fifth floor of a house that lacks a lift."),
    (SOFA, "I live alone, I am seventy, and my car is a small two-seater."),
    (SOFA, "My dog chews on wood and my cat sleeps on everything that is soft."),
]


STATEMENT = "adds a statement that asks for nothing"


def demand_kept(parent, added):
    """What is left of the score for what the added text demands, all other terms being equal."""
    terms = _terms(Attempt("deepen", parent, f"{parent} {added}"))
    return next(value for name, value in terms.items() if STATEMENT in name)


@pytest.mark.parametrize(("parent", "added"), STATED)
def test_the_task_repeated_with_a_plain_statement_scores_little_and_the_statement_is_quoted(parent, added):
    result = judged(METRIC, row(f"{parent} {added}", "deepen", parent))
    assert result.score < 0.3 and f"{STATEMENT}: {added[:20]!r}"[:-1] in result.feedback


@pytest.mark.parametrize(("parent", "added"), DEMANDED)
def test_a_demand_in_the_form_of_a_statement_keeps_its_score(parent, added):
    assert demand_kept(parent, added) >= 0.9
    assert judged(METRIC, row(f"{parent} {added}", "deepen", parent)).score > 0.9


def test_a_statement_before_the_task_or_joined_to_it_is_a_statement_still():
    fact = "the picnic has been cancelled because of the weather and all guests have been told."
    assert judged(METRIC, row(f"{fact.capitalize()} {PICNIC}", "deepen", PICNIC)).score < 0.3
    assert judged(METRIC, row(f"{PICNIC[:-1]}, and {fact}", "deepen", PICNIC)).score < 0.3
    child = "but my reader is a child of six who has never seen a blanket or a basket."
    assert judged(METRIC, row(f"{PICNIC[:-1]}, {child}", "deepen", PICNIC)).score > 0.9


def test_background_beside_a_demand_is_not_held_against_it():
    assert demand_kept(PICNIC, "Name the hour and the bridge where we meet. The old one was lost.") == 1
    assert 0.2 < demand_kept(PICNIC, "Name the hour. The bridge was lost in the flood and a ferry was bought.") < 0.9


def test_statements_of_the_task_itself_and_other_languages_are_no_fault():
    assert demand_kept("The oven was broken. Suggest a dessert.", "Name the hour.") == 1
    assert demand_kept("Beschreibe einen Wald.", "Der Wald war still und dunkel.") == 1


def test_attached_data_may_be_introduced_by_a_statement():
    text = f'{PICNIC} The guests were counted.\n```json\n{{"guests": 12, "cars": 3}}\n```'
    assert STATEMENT not in judged(METRIC, row(text, "complicate_input", PICNIC)).feedback


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
        (f"{ROOT} The old pines were felled in spring and the birds have left.", "only 1 new content words"),
        ("Describe a walk through a forest at 3,000 metres of altitude without a timer.", "copies a demonstration"),
    ],
)
def test_the_held_out_check_finds_what_games_the_metric(text, failure):
    result = judged(HELD_OUT, row(text))
    assert result.score < 0.4 and failure in result.feedback


def test_the_held_out_check_does_not_trust_the_rules_that_the_metric_uses():
    assert judged(HELD_OUT, reject(GOOD)).score == judged(HELD_OUT, row(GOOD)).score
