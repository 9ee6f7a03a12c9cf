import copy
import threading

import numpy as np
import pytest

import synthwright as sw
from synthwright.errors import ConfigError
from synthwright.filters import (
    EmbeddingNovelty,
    EndsWith,
    ExactDuplicate,
    Filter,
    Length,
    RougeNovelty,
    SpecialTokens,
    as_filter,
)
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


# Single rows


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("", "too_short: 0 words"),
        ("one", "too_short: 1 words"),
        ("one two", None),
        ("one, two; three!", None),
        ("one two three four", "too_long: 4 words"),
        ("größer 山 ok", None),
    ],
)
def test_length_counts_words(text, verdict):
    assert Length("instruction", 2, 3).check(task(text)) == verdict


@pytest.mark.parametrize("bounds", [(-1, None), (5, 4)])
def test_length_needs_bounds_in_order(bounds):
    with pytest.raises(ConfigError, match="need 0 <= min_words <= max_words"):
        Length("instruction", *bounds)


@pytest.mark.parametrize(
    ("text", "verdict"),
    [("Do this:", "ends_with: ':'"), ("Do this: \n", "ends_with: ':'"), ("Do: this", None), ("", None)],
)
def test_an_ending_is_seen_behind_white_space(text, verdict):
    assert EndsWith("instruction").check(task(text)) == verdict


def test_an_ending_may_have_several_characters():
    test = EndsWith("instruction", ("...", "etc."))
    assert test.check(task("and so on etc.")) == "ends_with: 'etc.'"
    assert test.check(task("and so on.")) is None
    assert EndsWith("instruction", ("",)).check(task("x")) is None


@pytest.mark.parametrize(
    "token",
    [
        *("<|im_start|>", "<|endoftext|>", "<|start_header_id|>", "<start_of_turn>", "</s>", "<eos>"),
        *("[INST]", "[/INST]", "<<SYS>>", "<</SYS>>", "[[ ## answer ## ]]"),
    ],
)
def test_markers_of_templates_are_found(token):
    assert SpecialTokens(("instruction",)).check(task(f"Say {token} now")) == f"special_token: {token!r} in instruction"


@pytest.mark.parametrize("text", ["a < b | c > d", "<b>bold</b>", "[[1, 2]]", "x[INSTANCE]", "<|", "|>"])
def test_ordinary_text_has_no_markers(text):
    assert SpecialTokens(("instruction",)).check(task(text)) is None


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


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.7, 0.9, 1.0])
def test_the_bounds_of_rouge_novelty_change_no_verdict(threshold):
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(list("abcdefgh"), size=rng.integers(1, 12))) for _ in range(60)]
    slow = []
    for text in texts:
        if all(rouge_l(rouge_tokens(text), rouge_tokens(other)) < threshold for other in slow):
            slow.append(text)
    assert kept(RougeNovelty("instruction", threshold), texts) == slow


@pytest.mark.parametrize("threshold", [0, -1, 1.1])
def test_rouge_novelty_needs_a_threshold_in_range(threshold):
    with pytest.raises(ConfigError, match=r"must be in \(0, 1\]"):
        RougeNovelty("instruction", threshold)


def vectors(texts):
    return [[1.0, 0.0] if text.startswith("a") else [float(len(text)), 100.0] for text in texts]


def test_embedding_novelty_compares_directions():
    texts = ["apple", "avocado", "pear", "pears"]
    assert kept(EmbeddingNovelty("instruction", vectors), texts) == ["apple", "pear"]
    test = EmbeddingNovelty("instruction", vectors)
    test.add(task("apple"))
    assert test.check(task("avocado")) == "near_duplicate: squared distance 0.000"


def test_an_index_of_embeddings_grows():
    test = EmbeddingNovelty(
        "instruction", lambda texts: [[float(np.cos(int(t))), float(np.sin(int(t)))] for t in texts], 1e-5
    )
    assert len(kept(test, [str(i) for i in range(300)])) == 300
    assert all(test.check(task(str(i))) for i in range(300)) and test.check(task("300")) is None


@pytest.mark.parametrize("threshold", [0, 4.1])
def test_embedding_novelty_needs_a_threshold_in_range(threshold):
    with pytest.raises(ConfigError, match=r"must be in \(0, 4\]"):
        EmbeddingNovelty("instruction", vectors, threshold)


def test_runs_share_the_model_behind_an_embedding_and_not_the_index():
    class Model:
        def __init__(self):
            self.lock = threading.Lock()  # cannot be copied, as in most models

        def embed(self, texts):
            return vectors(texts)

    model = Model()
    test = EmbeddingNovelty("instruction", model.embed, 0.1)
    test.add(task("apple"))
    twin = copy.deepcopy(test)
    twin.add(task("pear"))
    assert twin.embed.__self__ is model and twin.threshold == 0.1  # pyright: ignore[reportFunctionMemberAccess]
    assert test.check(task("pear")) is None and twin.check(task("pear")) is not None


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


def test_fields_that_are_no_text_are_read_as_text():
    assert text_of(task("x", tags=["a", "b"]), "tags") == "['a', 'b']"


def test_a_filter_of_ones_own_needs_only_a_check():
    class Odd(Filter):
        def check(self, row):
            return None if len(row.instruction) % 2 else "even"

    assert Odd().check(task("ab")) == "even" and Odd().name == "odd"
