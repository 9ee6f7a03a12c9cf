"""Filters on single rows: lengths, beginnings, endings, keywords, markers, languages."""

import pytest

import synthwright as sw
from synthwright.errors import ConfigError
from synthwright.filters import EndsWith, Keywords, Language, Length, SpecialTokens, Start
from synthwright.filters.language import language_of


class Task(sw.Row):
    instruction: str


def task(text):
    return Task(instruction=text)


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


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("Write a poem.", None),
        ("  3 apples", None),
        ("", None),
        ("- a list item", "starts_with_punctuation: '-'"),
        (" (a) Explain", "starts_with_punctuation: '('"),
        ("\u00bfQu\u00e9 es?", "starts_with_non_ascii: '\u00bf'"),
        ("\u5199\u4e00\u9996\u8bd7", "starts_with_non_ascii: '\u5199'"),
    ],
)
def test_a_start_is_seen_behind_white_space(text, verdict):
    assert Start("instruction").check(task(text)) == verdict


def test_each_rule_of_a_start_can_be_left_out():
    assert Start("instruction", punctuation=False).check(task("- item")) is None
    assert Start("instruction", non_ascii=False).check(task("\u5c71")) is None


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("Describe the image.", "keyword: 'image'"),
        ("GO  TO the shop", "keyword: 'GO TO'"),
        ("go\nto", "keyword: 'go to'"),
        ("Draw a pie chart", "keyword: 'pie chart'"),
        ("Eat the pie", "keyword: 'pie'"),
        ("Write c++ code", "keyword: 'c++'"),
        ("Imagine images of reimaged imagery", None),
        ("got to", None),
    ],
)
def test_keywords_are_whole_words_in_any_case(text, verdict):
    assert Keywords("instruction", ("image", "pie", "pie chart", "go to", "c++")).check(task(text)) == verdict


@pytest.mark.parametrize("denied", [(), "image", ("a", " ")])
def test_keywords_need_words(denied):
    with pytest.raises(ConfigError, match="must be a list of words, got"):
        Keywords("instruction", denied)


def test_many_keywords_are_recorded_by_number_and_hash():
    test = Keywords("instruction", [f"word{i}" for i in range(300)])
    assert repr(test).startswith("Keywords(field='instruction', denied=<300 texts, sha256 ") and len(repr(test)) < 90
    assert repr(Keywords("instruction", ["image", "map"])) == "Keywords(field='instruction', denied=('image', 'map'))"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Write a short story about a lighthouse keeper and her dog.", "en"),
        ("Schreibe eine kurze Geschichte \u00fcber einen Leuchtturmw\u00e4rter.", "de"),
        ("\u00c9cris une courte histoire sur un gardien de phare et son chien.", "fr"),
        ("Escribe un cuento corto sobre un farero y su perro.", "es"),
        ("Напиши короткий рассказ о смотрителе маяка.", "ru"),
        ("写一个关于灯塔看守人和他的狗的短故事并且给出一个标题。", "zh"),
    ],
)
def test_languages_are_told_apart(text, code):
    assert language_of(text) == code
    assert Language("instruction", (code,)).check(task(text)) is None
    assert Language("instruction", ("sw",)).check(task(text)) == f"language: {code}"


def test_code_is_no_language():
    text = "Erkl\u00e4re diese Funktion in einfachen Worten:\n```python\nfor item in the_whole_list: print(item)\n```"
    assert language_of(text) == "de"


def test_short_texts_are_not_judged():
    assert Language("instruction").check(task("2 + 2 = ? Hola!")) is None
    assert Language("instruction", shortest=1).check(task("\u041f\u0440\u0438\u0432\u0435\u0442")) is not None


@pytest.mark.parametrize("allowed", ["en", ()])
def test_languages_are_a_list_of_codes(allowed):
    with pytest.raises(ConfigError, match="must be codes such as"):
        Language("instruction", allowed)
