"""Blocks that metrics share: each must put planted bad cases below good ones."""

import math
from types import SimpleNamespace
from typing import Any

import dspy
import pytest

import synthwright as sw
from synthwright.errors import ConfigError
from synthwright.optimizers.metrics.archive import Archive
from synthwright.optimizers.metrics.difficulty import difficulty_score, instruction_following_difficulty
from synthwright.optimizers.metrics.pairwise import Verdict, both_orders, win_rate
from synthwright.optimizers.metrics.redundancy import (
    compression_ratio,
    repeated_templates,
    template_rate,
    variety_by_compression,
)
from synthwright.testing import ScriptedLM

POOL = [
    "Write a short poem about the sea in winter.",
    "Explain how a lock on a canal lifts a boat.",
    "List four birds that cannot fly.",
    "Translate the menu of a small café into plain English.",
]
TEMPLATED = [
    "Write a poem about the sea for a friend.",
    "Write a letter about the garden for a neighbour.",
    "Write a story about the mountain for a child.",
    "Write a speech about the harvest for a mayor.",
]

# Novelty against a frozen archive


def test_copies_of_the_archive_are_worth_nothing_and_new_texts_nearly_all():
    archive = Archive(POOL)
    assert archive.novelty(POOL[1]) == 0 and archive.novelty("Compare two recipes for lentil soup.") > 0.7
    near = archive.novelty("Write a short poem about the sea in summer.")
    assert near < 0.2 and archive.nearest("Write a short poem about the sea in summer.")[1] == POOL[0]
    assert archive.gain("Compare two recipes for lentil soup.", 0.5) > archive.gain(POOL[0], 0.99)


def test_an_archive_stands_still_and_says_which_it_is():
    texts = list(POOL)
    archive = Archive(texts)
    before = archive.fingerprint, archive.novelty("Name a star.")
    texts.append("Name a star.")
    assert (archive.fingerprint, archive.novelty("Name a star.")) == before
    assert Archive(texts).fingerprint != archive.fingerprint and Archive(POOL).fingerprint == archive.fingerprint


def test_a_large_archive_is_sampled_in_the_same_way_each_time():
    texts = [f"text number {i}" for i in range(1000)]
    assert len(Archive(texts, sample=50)) == 50
    assert Archive(texts, sample=50).texts == Archive(texts, sample=50).texts != Archive(texts, sample=50, seed=1).texts
    with pytest.raises(ValueError, match="`sample` must be at least 1, got 0"):
        Archive(texts, sample=0)


def test_draws_that_say_the_same_new_thing_add_it_once():
    archive = Archive(POOL)
    new = "Compare two recipes for lentil soup."
    varied = archive.mean_novelty([new, "Draw a map of your street."])
    assert archive.mean_novelty([new, new]) < 0.55 < 0.8 < varied
    assert archive.mean_novelty([]) == 0 and Archive([]).novelty(new) == 1 and Archive([]).nearest(new) == (0.0, "")


# Compression and templates


def test_repeated_texts_compress_more():
    assert compression_ratio(POOL * 5) > 2 * compression_ratio(POOL) and compression_ratio([]) == 1
    assert variety_by_compression(POOL) > 0.7 > variety_by_compression(TEMPLATED)
    assert variety_by_compression([POOL[0]] * 8) < 0.3
    assert variety_by_compression(["", " "]) == variety_by_compression([POOL[0]]) == 1


def test_texts_on_one_template_are_found_and_the_template_is_named():
    assert template_rate(TEMPLATED) == 1 and template_rate(POOL) == 0 and template_rate(TEMPLATED[:1]) == 0
    assert template_rate([*TEMPLATED, *POOL]) == 0.5
    found = repeated_templates(TEMPLATED)
    assert next(iter(found)) == "_ a _ about the _" and next(iter(found.values())) == [0, 1, 2, 3]


def test_runs_of_content_words_are_no_template():
    assert repeated_templates(["Copper kettles boil water fast today", "Wooden ships cross oceans slow tonight"]) == {}
    with pytest.raises(ValueError, match="`length` must be at least 2, got 1"):
        repeated_templates(POOL, 1)


# Pairwise judges


def longer(first, second):
    return "first" if len(first) > len(second) else "second" if len(second) > len(first) else "tie"


def test_a_judge_that_sees_quality_decides_whatever_the_order():
    assert both_orders(longer, "long text", "short") == Verdict(1.0, True, ("first", "second"))
    assert both_orders(longer, "short", "long text").score == 0
    assert both_orders(longer, "same", "same") == Verdict(0.5, True, ("tie", "tie"))


def test_a_judge_that_sees_place_alone_earns_a_half_and_is_found_out():
    verdicts = [both_orders(lambda a, b: "first", text, "x") for text in POOL]
    found = win_rate(verdicts)
    assert found.rate == 0.5 and found.consistent == 0 and found.first == 1 and found.pairs == 4
    fair = win_rate([both_orders(longer, text, "x") for text in POOL])
    assert fair.rate == 1 and fair.consistent == 1 and fair.first == 0.5
    assert win_rate([both_orders(lambda a, b: "tie", "a", "b")]).first is None


def test_half_an_opinion_is_no_win():
    once = iter(["first", "tie"])
    assert both_orders(lambda a, b: next(once), "a", "b") == Verdict(0.5, False, ("first", "tie"))  # pyright: ignore


def test_a_judge_that_fails_or_says_something_else_raises():
    with pytest.raises(ValueError, match=r"must answer one of .* got 'A'"):
        both_orders(lambda a, b: "A", "a", "b")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ZeroDivisionError):
        both_orders(lambda a, b: 1 / 0, "a", "b")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="no verdicts"):
        win_rate([])


# Instruction-following difficulty


def scoring_lm(loss) -> Any:
    """An LM whose engine scores prompts: `loss(text, continuation)` in nats a token."""
    engine = SimpleNamespace(
        prompt_logprobs=lambda text, continuation: [SimpleNamespace(logprob=-loss(text, continuation))] * 3
    )
    return SimpleNamespace(model="scoring", engine=engine)


def test_an_instruction_that_says_nothing_of_its_response_scores_one():
    knows = scoring_lm(lambda text, response: 0.5 if "rain" in text and "cloud" in response else 2.0)
    assert instruction_following_difficulty(knows, "Why does it rain?", "From clouds.") == 0.25
    assert instruction_following_difficulty(knows, "Name a bird.", "From clouds.") == 1


def test_only_the_instruction_differs_between_the_two_askings():
    asked = []
    lm = scoring_lm(lambda text, response: asked.append((text, response)) or 1.0)
    instruction_following_difficulty(lm, "Say {this}.", "Yes.", template="Q: {instruction}\nA: ")
    assert asked[0] == ("Q: Say {this}.\nA: ", "Yes.") and asked[-1] == ("Q: \nA: ", "Yes.")


def test_difficulty_as_a_term_wants_neither_giveaways_nor_strangers():
    scores = [difficulty_score(value) for value in (0.0, 0.1, 0.6, 1.0, 1.3)]
    assert scores[0] == 0 == scores[4] and scores[2] == 1 and 0 < scores[1] < 0.5 and 0 < scores[3] < 1
    for bad in (math.nan, 0.5):
        with pytest.raises(ValueError, match="0 < low <= high < end"):
            difficulty_score(bad, high=2.0)


def test_an_lm_that_cannot_score_prompts_is_refused_with_what_would():
    with pytest.raises(ConfigError, match="vLLM or SGLang"):
        instruction_following_difficulty(ScriptedLM({}), "a", "b")
    with pytest.raises(ConfigError, match="vLLM or SGLang"):
        instruction_following_difficulty(dspy.LM("openai/x"), "a", "b")
    with pytest.raises(ConfigError, match="response is empty"):
        instruction_following_difficulty(scoring_lm(lambda *a: 1.0), "a", " ")
    with pytest.raises(ConfigError, match=r"must hold \{instruction\}"):
        instruction_following_difficulty(scoring_lm(lambda *a: 1.0), "a", "b", template="x")


def test_it_is_measured_on_a_server_that_echoes(stub_server):
    lm = sw.openai_lm("stub", stub_server.base)
    difficulty = instruction_following_difficulty(lm, "Why does it rain?", "Because clouds are full of water.")
    assert difficulty > 0 and math.isfinite(difficulty)
