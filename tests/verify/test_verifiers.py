import random
import time
from dataclasses import FrozenInstanceError

import pytest

from synthwright.errors import ConfigError
from synthwright.sandbox import canonical, equal
from synthwright.verify import Choice, Label, Math, Number, Value, Verdict, options_of
from synthwright.verify.places import boxes, places

QUESTION = "Which city?\nA) London\nB) Rome\nC) Paris\nD) a dog\nAnswer:"
CITIES = Choice("ABCD", tuple(options_of(QUESTION).values()))
LABELS = Label(("yes", "no"), (("true", "yes"), ("false", "no")))
FAST = [Number(), Number(anywhere=True), Choice(), CITIES, LABELS, Value()]


# Every kind


@pytest.mark.parametrize("verifier", [*FAST, Math()], ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("reply", [None, 5, b"5", [], "", "\0", "\ud83d", "\\", "{", "\\boxed", "$", "```", "<answer>"])
def test_nothing_raises(verifier, reply):
    assert isinstance(verifier(reply, "5"), Verdict) and not verifier(reply, "5").ok
    assert not verifier("5", reply).ok
    assert verifier.canonical(reply) is None or isinstance(reply, str)


@pytest.mark.parametrize("verifier", FAST, ids=lambda each: type(each).__name__)
def test_random_text_never_raises(verifier):
    rng = random.Random(0)
    parts = [
        "\\boxed{",
        "}",
        "answer is ",
        "<answer>",
        "</answer>",
        "#### ",
        "\n",
        "A",
        "(",
        ")",
        "1,",
        "-",
        "2/",
        "%",
        "$",
    ]
    parts += ["\\frac", "e9", ".", "yes", "not ", "'", "[", "```", "π", "½", "\\text{", "= ", " ", "x"]
    for _ in range(1500):
        reply = "".join(rng.choices(parts, k=rng.randint(1, 25)))
        verdict = verifier(reply, rng.choice(["1", "A", "yes", ""]))
        assert isinstance(verdict.reason, str) and verdict.reason
        verifier.canonical(reply)


LONG = 200_000


@pytest.mark.parametrize("verifier", [*FAST, Math()], ids=lambda each: type(each).__name__)
@pytest.mark.parametrize(
    "unit",
    [
     "a", " ", "\n", "1", "1,", "1 ", "-", "(", "\\boxed{", "{", "}", "<answer>", "answer is ", "answer ", "#### ",
     "\\frac", "A and ", "not ", "$", "```\n", "\\text{", "(A", "yes ", "**", "\\sqrt{1}", "'", "١", "=",
     "answer: 1\n"],
)  # fmt: skip
def test_a_very_long_reply_is_read_in_little_time(verifier, unit):
    started = time.process_time()
    verifier(unit * (LONG // len(unit)), "1")
    assert time.process_time() - started < 2


def test_only_the_end_of_a_very_long_reply_counts():
    assert Number()("x " * LONG + "\\boxed{42}", "42").ok
    assert not Number()("\\boxed{42}" + " x" * LONG, "42").ok


def test_verifiers_are_values():
    assert Number() == Number() and Choice("AB") != Choice("ABC") and hash(Math()) == hash(Math())
    with pytest.raises(FrozenInstanceError):
        Number().tolerance = 1.0  # pyright: ignore[reportAttributeAccessIssue]: that it fails is the test


def test_a_verdict_says_what_was_taken_as_the_answer():
    assert Number()("First \\boxed{41}, then \\boxed{42 cm}.", "42") == Verdict(True, "equal", "42 cm")
    assert Choice()("The answer is (C) since it fits.", "B") == Verdict(False, "different", "(C) since it fits")
    assert Number()("Nothing here.", "42") == Verdict(False, "no_answer", None)
    assert Number().extract("Answer: 7 cm") == "7 cm"


def test_the_prompt_never_counts_since_only_the_reply_is_given():
    prompt, reply = "Write <answer>yes or no</answer>. Is 7 prime?", "I cannot say."
    assert LABELS(reply, "yes").reason == "no_answer"
    assert LABELS(prompt + reply, "yes").reason == "ambiguous"  # what scoring prompt and reply together would read
    assert LABELS(f"{prompt} <answer>no</answer>", "yes").reason == "different"


def test_places_are_found_in_order():
    text = "The answer is 1. \\boxed{2} <answer>3</answer>\n#### 4\nAnswer 5"
    assert [(place.kind, place.text) for place in places(text, ("answer",))] == [
        ("phrase", "1"),
        ("formal", "2"),
        ("formal", "3"),
        ("bare", "4"),
        ("bare", "5"),
    ]


def test_boxes_are_balanced():
    text = r"\boxed{\frac{1}{2}} \boxed{\{1, 2\}} \boxed{a\}b} \boxed 7 \fbox{8} \boxed{\boxed{9}} \boxed{open"
    contents = [content for _, content in boxes(text)]
    assert contents == [r"\frac{1}{2}", r"\{1, 2\}", r"a\}b", "7", "8", r"\boxed{9}", "9", None]


# Numbers


def test_a_tolerance_is_relative_below_one_and_absolute_above():
    assert not Number(tolerance=0.009)("0.33", "1/3").ok and Number(tolerance=0.02)("0.33", "1/3").ok
    assert not Number(tolerance=0.5)("1000001", "1000000").ok
    assert Number(tolerance=0)("0.5", "1/2").ok and not Number(tolerance=0)("0.3333333333", "1/3").ok


def test_percent_and_units_can_be_strict_or_ignored():
    assert not Number(percent="exact")("50", "50%").ok and Number(percent="exact")("0.5", "50%").ok
    assert Number(units=False)("5 cm", "5 m").ok


def test_the_last_number_of_a_reply_counts_on_request():
    reply = "She has 3 boxes with 4 each.\nThat makes 12 apples."
    assert Number()(reply, "12").reason == "no_answer"
    assert Number(anywhere=True)(reply, "12").ok
    assert not Number(anywhere=True)(f"\\boxed{{11}}. {reply}", "12").ok


def test_canonical_numbers_are_exact_fractions():
    assert [Number().canonical(text) for text in ("0.50", "-3/6", "1,000", "50%", "1e-2", "none")] == [
        "1/2",
        "-1/2",
        "1000",
        "1/2",
        "1/100",
        None,
    ]


def test_a_wrong_tolerance_is_named():
    with pytest.raises(ConfigError, match="`tolerance` of Number must be in"):
        Number(tolerance=-1)


# Choices


def test_options_are_read_from_a_question():
    assert options_of(QUESTION) == {"A": "London", "B": "Rome", "C": "Paris", "D": "a dog"}
    assert options_of("(A) 1\n(B) 2") == {"A": "1", "B": "2"}
    assert options_of("No options. A) one only") == options_of("B) Rome\nC) Paris") == {}


@pytest.mark.parametrize(
    ("reply", "letter"),
    [
        ("Paris", "C"),
        ("paris.", "C"),
        ("The answer is Paris.", "C"),
        ("a dog", "D"),
        ("Answer: a dog", "D"),
        ("C) Paris", "C"),
        ("\\boxed{\\text{Rome}}", "B"),
        ("Berlin", None),
        ("Paris or Rome", None),
    ],
)
def test_the_text_of_an_option_stands_for_its_letter(reply, letter):
    assert CITIES.canonical(reply) == letter
    assert CITIES("C", "Paris").ok


def test_two_options_with_one_text_stand_for_neither():
    assert Choice("AB", ("Rome", "rome.")).canonical("Rome") is None


@pytest.mark.parametrize("arguments", [{"letters": ""}, {"letters": "AAB"}, {"letters": "ab"}, {"options": ("one",)}])
def test_wrong_letters_and_options_are_named(arguments):
    with pytest.raises(ConfigError, match="Choice"):
        Choice(**arguments)


# Labels


@pytest.mark.parametrize(
    ("reply", "label"),
    [("TRUE", "yes"), ("false.", "no"), ("Yes, because there is no doubt.", "yes"), ("I know nothing", None),
     ("yes and no", None), ("Verdict: no", "no"), ("Not true", None), ("yesterday", None)],
)  # fmt: skip
def test_aliases_stand_for_labels(reply, label):
    assert LABELS.canonical(reply) == label


@pytest.mark.parametrize(
    "arguments",
    [{"labels": ("yes",)}, {"labels": ("yes", "Yes")}, {"labels": ("a", "b"), "aliases": (("c", "d"),)},
     {"labels": ("a", "b"), "aliases": (("A", "b"),)}],
)  # fmt: skip
def test_wrong_labels_are_named(arguments):
    with pytest.raises(ConfigError, match=r"[Ll]abel"):
        Label(**arguments)


# Values


def test_equality_is_typed():
    assert equal([1, (2.0, {"a": {3}})], [1, (2.0, {"a": {3}})])
    for other in (True, 1.0, "1", None, [1], 1 + 0j):
        assert not equal(1, other)
    assert not equal({1: 0}, {True: 0}) and not equal([1], (1,)) and not equal(frozenset({1}), {1})
    for pair in (("1", "True"), ("1", "1.0"), ("[1]", "(1,)")):
        assert not Value()(*pair).ok


def test_floats_may_have_a_tolerance_and_nan_a_policy():
    assert not Value()("0.3", "0.30000000000000004").ok and Value(tolerance=1e-9)("[0.3]", "[0.30000000000000004]").ok
    close = Value(tolerance=1e-9)
    assert close("{0.30000000000000004, 1.0}", "{1.0, 0.3}").ok and not close("{1.0, 2.0}", "{1.0, 3.0}").ok
    assert close("1", "1.0").ok and not close("True", "1.0").ok  # with a tolerance an int may stand for a float
    for text in ("nan", "[nan]", "{nan}"):
        assert Value()(text, text).ok and not Value(nan_equal=False)(text, text).ok


@pytest.mark.parametrize(
    "value", [{3, 1, 2}, {"b": 1, "a": {2, 1}}, (1,), [], (), set(), frozenset({2, 1}), 1.5, "a'b", b"x", None]
)
def test_a_shown_value_can_be_read_again(value):
    shown = Value().canonical(canonical(value))
    assert shown is not None and Value()(shown, canonical(value)).ok and canonical(value) == shown


def test_limits_are_reasons():
    for text, reason in (
        ("[" * 60 + "]" * 60, "too_long"),
        ("[" * 300 + "]" * 300, "too_long"),
        ("1" * 30_000, "too_long"),
        ("1 +", "unreadable"),
    ):
        assert Value()(text, "1").reason == reason


def test_an_unknown_escape_is_read_as_python_reads_it():
    assert Value()(r"'\d'", r"'\\d'").ok
