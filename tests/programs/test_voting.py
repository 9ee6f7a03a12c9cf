import pytest

from synthwright.errors import ConfigError
from synthwright.programs.voting import solve_rate, vote
from synthwright.verify import Choice, Number, Verdict

NUMBER, LETTER = Number(), Choice("ABCD")


def test_equal_answers_in_other_forms_are_one_vote():
    result = vote(["1/2", "0.5", r"\boxed{\frac12}", "2"], NUMBER)
    assert (result.winner, result.votes, result.n, result.distinct, result.margin) == ("1/2", 3, 4, 2, 2)
    assert result.members == (0, 1, 2) and result.reason == "majority" and result.agreement == 0.75
    assert vote(["A", "A.", "(a)", "B"], LETTER).votes == 3


def test_zero_is_an_answer_that_can_win():
    assert vote(["0", "Answer: 0", "3"], NUMBER).winner == "0"


def test_a_tie_has_no_winner_unless_the_policy_says_so():
    replies = ["B", "A", "A", "B", "C"]
    none = vote(replies, LETTER)
    assert (none.winner, none.reason, none.members, none.votes, none.margin) == (None, "tie", (), 2, 0)
    first = vote(replies, LETTER, ties="first")
    assert (first.winner, first.members) == ("B", (0, 3))


def test_a_random_tie_is_fixed_by_the_seed_and_takes_each_side():
    winners = {seed: vote(["B", "A"], LETTER, ties="random", seed=str(seed)).winner for seed in range(40)}
    assert set(winners.values()) == {"A", "B"}
    assert winners[7] == vote(["A", "B"], LETTER, ties="random", seed="7").winner  # the order of draws is no matter


def test_unreadable_draws_lower_the_agreement():
    result = vote(["A", "A and B", None, "who knows", "A"], LETTER)
    assert (result.winner, result.votes, result.n, result.readable, result.agreement) == ("A", 2, 5, 2, 0.4)
    assert vote(["A", None, None], LETTER, min_agreement=0.5).reason == "too_few_votes"
    assert vote(["A", "A", None, None], LETTER, min_agreement=0.5).winner == "A"


def test_a_margin_can_be_demanded():
    assert vote(["A", "A", "B"], LETTER, min_margin=2).reason == "small_margin"
    assert vote(["A", "A", "A", "B"], LETTER, min_margin=2).winner == "A"
    assert vote(["A", "B"], LETTER, ties="first", min_margin=1).winner is None


@pytest.mark.parametrize("replies", [[], [None], ["who knows"]])
def test_without_an_answer_nothing_wins(replies):
    result = vote(replies, LETTER)
    assert (result.winner, result.reason, result.votes, result.agreement) == (None, "no_answer", 0, 0)


def test_identical_draws_are_flagged():
    assert vote(["A", "A"], LETTER).identical and not vote(["A", "A."], LETTER).identical
    assert not vote(["A"], LETTER).identical


@pytest.mark.parametrize("policy", [{"ties": "last"}, {"min_agreement": 2}, {"min_margin": -1}])
def test_wrong_policies_are_named(policy):
    with pytest.raises(ConfigError, match=next(iter(policy))):
        vote(["A"], LETTER, **policy)


def test_a_solve_rate_reports_its_draws_and_its_distinct_answers():
    rate = solve_rate(["4", "Answer: 4", "5", "four", None], "4.0", NUMBER)
    assert (rate.n, rate.correct, rate.distinct, rate.rate) == (5, 2, 2, 0.4)
    assert rate.reliable and not rate.identical


@pytest.mark.parametrize(("reply", "rate"), [("4", 1.0), ("5", 0.0)])
def test_identical_draws_make_a_rate_unreliable(reply, rate):
    result = solve_rate([reply] * 8, "4", NUMBER)
    assert result.rate == rate and result.identical and not result.reliable


def test_one_draw_is_no_rate_to_rely_on():
    assert not solve_rate(["4"], "4", NUMBER).reliable
    with pytest.raises(ConfigError, match="one draw or more"):
        solve_rate([], "4", NUMBER)


def test_draws_about_which_nothing_is_known_do_not_count():
    class Crashing:
        def canonical(self, text):
            return text

        def __call__(self, reply, answer):
            return Verdict(reply == answer, "equal", undecided=reply.startswith("crash"))

    rate = solve_rate(["4", "5", "crash 1", "crash 2"], "4", Crashing())
    assert (rate.n, rate.correct, rate.rate, rate.reliable) == (2, 1, 0.5, True)
    none = solve_rate(["crash 1", "crash 2"], "4", Crashing())
    assert (none.n, none.rate, none.reliable) == (0, 0.0, False)
