"""Filters on what a text says."""

import pytest

import synthwright as sw
from synthwright.errors import ConfigError
from synthwright.filters import Refusal, Repetition, SelfContainment


class Task(sw.Row):
    instruction: str
    context: str = ""


def task(text, **more):
    return Task(instruction=text, **more)


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't help with that.",
        "I\u2019m sorry, I cannot do this.",
        "I am afraid that I can't answer.",
        "I cannot provide medical advice.",
        "As an AI language model, I do not have feelings.",
        "I'm unable to open files.",
        "Sorry, I can't do that",
        "Unfortunately, I am not able to access the internet.",
        "I apologize, but that is against my guidelines.",
        "I am just an AI and cannot feel.",
        "Thanks for asking! However, I can't assist with that request.",
        "This request violates our content policy.",
    ],
)
def test_refusals_are_found(text):
    verdict = Refusal("instruction").check(task(text))
    assert verdict is not None and verdict.startswith("refusal: ")


@pytest.mark.parametrize(
    "text",
    [
        "Dear Anna, I'm sorry for your loss.",
        "I'm sorry to hear that you are ill; here is what may help.",
        "Subject: Monday. I am sorry I missed the meeting.",
        "I can't help but smile when I think of it.",
        "I cannot stress enough how useful tests are.",
        "Unfortunately, the train was late.",
        "The bank apologizes for the delay.",
        "AI can translate text.",
        "You cannot help everyone.",
        "She said she could not read his writing.",
        "Paris. " * 60 + "I cannot help with that.",
        "",
    ],
)
def test_what_only_sounds_like_a_refusal_is_kept(text):
    assert Refusal("instruction").check(task(text)) is None


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("Summarize the passage above.", "the passage above"),
        ("According to the text, who won the race?", "According to the text"),
        ("What is the main idea of the passage?", "of the passage"),
        (
            "Read.\nAccording to the article, why did the river flood the old town?",
            "According to the article",
        ),
        ("As mentioned above, cats purr. Why?", "As mentioned above"),
        ("What does the attached document say?", None),
        ("In this session, which concepts did we learn?", "In this session"),
        ("Summarize the following article.", "the following article"),
        ("Translate the given sentence into French.", "the given sentence"),
        ("Refer to the table below and compute the mean.", "table below"),
        ("Label the parts of the cell as shown in the figure.", "as shown in the figure"),
        ("What trend do you see in the chart above?", "the chart above"),
        ("Describe the image below: a cat sits on the mat and looks at the bird outside.", "the image below"),
        ("Using the image provided, tell a story.", "the image provided"),
    ],
)
def test_references_to_what_is_not_there_are_found(text, named):
    verdict = SelfContainment("instruction").check(task(text))
    assert verdict is not None and verdict.startswith("not_self_contained: ")
    if named:
        assert verdict == f"not_self_contained: {named!r}"


@pytest.mark.parametrize(
    "text",
    [
        "Summarize the following article: The council met on Monday and decided to build a new bridge over the river.",
        "Passage: The council met and decided on a new bridge.\nQuestion: According to the passage, who met?",
        "Sort the following list: 3, 1, 2",
        'Translate the following sentence into French: "I run."',
        "Fix the code below.\n```python\nfor i in range(10) print(i)\nx = 3 + 4 + 5\n```",
        "Write a passage about the sea.",
        "Explain how a figure skater spins.",
        "What is a bar chart?",
        "In the context of climate change, what is albedo?",
        "Explain the role of the document object model.",
        "Write a story in the style of the text message.",
        "How is the story of Romeo and Juliet told?",
        "Draw a diagram of the water cycle in ASCII.",
        "",
    ],
)
def test_texts_that_bring_along_what_they_speak_of_are_kept(text):
    assert SelfContainment("instruction").check(task(text)) is None


def test_material_may_stand_in_another_field_but_pictures_may_not():
    test = SelfContainment("instruction", material=("context",))
    assert test.check(task("Summarize the passage above.", context="It rained.")) is None
    assert test.check(task("Summarize the passage above.", context=" ")) is not None
    assert test.check(task("Describe the picture below.", context="It rained.")) is not None


PROSE = (
    "The lighthouse stood at the end of a long pier. Every evening its keeper climbed ninety steps, trimmed the lamp "
    "and wrote the weather into a book. In winter the sea froze near the shore, and boys skated as far as they dared. "
    "Nobody remembers when the lamp was replaced by a motor, but the book is still kept in the town hall."
)


@pytest.mark.parametrize(
    "text",
    [
        "I think that the answer is yes. " * 12,
        PROSE + " and so on" * 120,
        "ha" * 300,
        "The sea is blue and the sky is blue. " * 3,
        "\u5927\u6d77\u662f\u84dd\u8272\u7684\u3002" * 30,
    ],
)
def test_loops_are_found(text):
    verdict = Repetition("instruction").check(task(text))
    assert verdict is not None and verdict.startswith("repetitive: ")


@pytest.mark.parametrize(
    "text",
    [
        PROSE,
        "\n".join(f"{i}. Item number {i} costs {i * 37 % 101} euros" for i in range(1, 30)),
        "def add(a, b):\n    return a + b\n\n\ndef subtract(a, b):\n    return a - b\n",
        "yes yes yes",
        "",
    ],
)
def test_prose_lists_and_code_are_no_loops(text):
    assert Repetition("instruction").check(task(text)) is None


def test_a_repeated_phrase_is_named_with_its_share():
    text = "one two three four " * 6
    assert Repetition("instruction").check(task(text)) == (
        "repetitive: 81% of its 4-grams were there before, such as 'one two three four'"
    )
    assert Repetition("instruction", max_share=0.9).check(task(text)) is None


@pytest.mark.parametrize("arguments", [{"ngram": 0}, {"max_share": 1.5}, {"max_ratio": 0.5}])
def test_repetition_needs_arguments_in_range(arguments):
    with pytest.raises(ConfigError, match="Repetition needs"):
        Repetition("instruction", **arguments)
