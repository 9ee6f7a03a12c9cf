import copy
import pickle

import pytest

import synthwright as sw
from synthwright.errors import ConfigError
from synthwright.filters import ExactDuplicate, Filter, Length, RougeNovelty, SpecialTokens, as_filter
from synthwright.filters.base import text_of
from synthwright.filters.duplicates import rouge_l, rouge_tokens


class Task(sw.Row):
    instruction: str
    tags: list[str] = []


def task(text, **more):
    return Task(instruction=text, **more)


def kept(test, texts):
    """What of some texts a filter against the pool keeps, one after another."""
    keep = []
    for text in texts:
        if test.check(task(text)) is None:
            test.add(task(text))
            keep.append(text)
    return keep


# Against the pool


def test_exact_copies_are_found_whatever_their_case_and_space():
    texts = ["Do it", "do  IT\n", "Do it.", "Do it"]
    assert kept(ExactDuplicate(("instruction",)), texts) == ["Do it", "Do it."]


def test_without_fields_the_whole_content_counts():
    test = ExactDuplicate()
    test.add(task("a", tags=["x"]))
    assert test.check(task("a", tags=["x"])) == "duplicate" and test.check(task("a")) is None
    assert test.check(Task(instruction="a", tags=["x"], parent_ids=("p",))) == "duplicate"


def test_fields_do_not_run_into_each_other():
    class Pair(sw.Row):
        a: str
        b: str

    test = ExactDuplicate(("a", "b"))
    test.add(Pair(a="x y", b="z"))
    assert test.check(Pair(a="x", b="y z")) is None


def test_a_filter_that_knows_rows_can_be_copied_and_pickled():
    test = ExactDuplicate(("instruction",))
    test.add(task("a"))
    for twin in (copy.deepcopy(test), pickle.loads(pickle.dumps(test))):
        twin.add(task("b"))
        assert twin.check(task("A")) and twin.check(task("b")) and test.check(task("b")) is None


def test_exact_copies_are_found_among_thousands():
    test = ExactDuplicate(("instruction",))
    for i in range(5000):
        assert test.check(task(f"text {i}")) is None
        test.add(task(f"text {i}"))
    assert all(test.check(task(f"Text  {i}")) == "duplicate" for i in range(5000))


@pytest.mark.parametrize(
    ("a", "b", "score"),
    [
        ("the cat sat", "the cat sat", 1.0),
        ("the cat sat", "the dog sat", 2 / 3),
        ("a b c d", "d c b a", 0.25),
        ("The CAT!", "the-cat", 1.0),
        ("", "x", 0.0),
        ("山", "山", 0.0),
    ],
)
def test_rouge_l_is_that_of_the_rouge_score_package(a, b, score):
    assert rouge_l(rouge_tokens(a), rouge_tokens(b)) == pytest.approx(score)


def test_rouge_novelty_drops_from_the_threshold_on():
    texts = ["a b c d e f g h i j", "a b c d e f g x y z", "a b c d e f x y z w", "q r s"]
    assert kept(RougeNovelty("instruction", 0.7), texts) == [texts[0], texts[2], texts[3]]
    test = RougeNovelty("instruction")
    test.add(task(texts[0]))
    assert test.check(task(texts[1])) == "not_novel: ROUGE-L 0.70 with 'a b c d e f g h i j'"


@pytest.mark.parametrize("threshold", [0, -1, 1.1])
def test_rouge_novelty_needs_a_threshold_in_range(threshold):
    with pytest.raises(ConfigError, match=r"must be in \(0, 1\]"):
        RougeNovelty("instruction", threshold)


# The interface


def test_a_function_is_a_filter_named_after_itself():
    def no_digits(row):
        return "digit" if any(c.isdigit() for c in row.instruction) else None

    test = as_filter(no_digits)
    assert test.name == "no_digits" and test.check(task("a1")) == "digit" and test.check(task("a")) is None
    assert repr(test).endswith("test_filters.no_digits")
    assert test.add(task("a")) is None


@pytest.mark.parametrize("value", [Length, "length", 3, None])
def test_what_is_no_filter_is_named(value):
    with pytest.raises(
        ConfigError, match=r"A filter is a Filter object or a function of a row, got .*filters=\[Length"
    ):
        as_filter(value)


def test_filters_are_named_in_snake_case_and_shown_with_their_settings():
    test = Length("response", 20, 2000)
    assert as_filter(test) is test and test.name == "length" and ExactDuplicate().name == "exact_duplicate"
    assert repr(test) == "Length(field='response', min_words=20, max_words=2000)"
    used = RougeNovelty("instruction")
    used.add(task("a b"))
    assert repr(used) == repr(RougeNovelty("instruction")), "an index is not a setting"


def test_a_field_that_does_not_exist_is_named():
    with pytest.raises(ConfigError, match="Task rows have no field 'response'; their fields: parent_ids, provenance, "):
        Length("response").check(task("x"))


@pytest.mark.parametrize("cls", [ExactDuplicate, SpecialTokens])
def test_one_name_where_a_list_is_wanted_is_not_read_letter_by_letter(cls):
    with pytest.raises(ConfigError, match=r"is a list, got 'text': write \('text',\)"):
        cls("text")


def test_fields_that_are_no_text_are_read_as_text():
    assert text_of(task("x", tags=["a", "b"]), "tags") == "['a', 'b']"


def test_a_filter_of_ones_own_needs_only_a_check():
    class Odd(Filter):
        def check(self, row):
            return None if len(row.instruction) % 2 else "even"

    assert Odd().check(task("ab")) == "even" and Odd().name == "odd"


def test_an_object_that_can_be_called_goes_by_its_own_name():
    class Watch:
        name = "watch"

        def __call__(self, row):
            return None

    class Nameless:
        def __call__(self, row):
            return None

    assert as_filter(Watch()).name == "watch" and as_filter(Nameless()).name == "Nameless"
