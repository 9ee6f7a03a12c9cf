"""LMs repeat themselves until their token limit: no check may take minutes over that, or fail."""

import contextlib
import signal
from types import SimpleNamespace
from typing import Any

import pytest

from synthwright.programs.absolute_zero_rewards import answer_of
from synthwright.programs.backtranslation_checks import CHECKS as BACKTRANSLATION
from synthwright.programs.backtranslation_checks import new_numbers
from synthwright.programs.evol_instruct_checks import CHECKS as EVOLVED
from synthwright.programs.evol_instruct_checks import data_blocks
from synthwright.programs.glan_checks import holds_answer, read_sessions, read_subjects
from synthwright.programs.magpie_queries import sanitize
from synthwright.programs.persona_hub_items import ITEM_CHECKS, clean_item, gives_the_answer
from synthwright.programs.sand_math_checks import false_sums
from synthwright.programs.self_instruct_checks import complete_objects, complete_texts
from synthwright.programs.targen_material import listed


class TooSlow(Exception):
    pass


@contextlib.contextmanager
def seconds(limit):
    """Stops what takes more processor time."""

    def stop(*_):
        raise TooSlow(f"more than {limit} seconds")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, limit)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def item(text, data_type="math") -> Any:
    return SimpleNamespace(
        text=text, data_type=data_type, persona="a nurse", title="", tool=None, interaction="", response=""
    )


BLANKS = "It is.\n" + "\n" * 10_000 + "Yes."
SPACES = " " * 5_000


@pytest.mark.parametrize(
    "check",
    [
        lambda: [check("Write a poem.", BLANKS) for check in EVOLVED.values()],
        lambda: [check(BLANKS, BLANKS) for check in EVOLVED.values()],
        lambda: [check(BLANKS, "A text.") for check in BACKTRANSLATION.values()],
        lambda: new_numbers(BLANKS, "1"),
        lambda: listed([BLANKS]),
        lambda: sanitize(BLANKS),
        lambda: sanitize(f"1. {BLANKS}"),
        lambda: sanitize(f"Question{SPACES}Why?"),
        lambda: holds_answer(BLANKS, (), ()),
        lambda: read_subjects(f"1. Harmony{SPACES}of chords"),
        lambda: read_sessions(f"Session 1: Chords{SPACES}. and more"),
        lambda: clean_item(f"Problem{SPACES}{':' * 5_000}"),
        lambda: [check(item("." * 10_000)) for check in ITEM_CHECKS.values()],
        lambda: gives_the_answer(item("so it is " * 2_000 + "?")),
        lambda: false_sums("1" + "/2" * 2_000),
        lambda: data_blocks("{" * 10_000),
        lambda: answer_of("<answer>" * 4_000),
    ],
)
def test_a_reply_of_one_thing_over_and_over_is_looked_through_in_time(check):
    with seconds(4):
        check()


def test_brackets_without_end_are_no_data():
    assert data_blocks("[" * 10_000) == [] == complete_objects('[{"input": ' + "[" * 10_000)
    assert complete_texts("[" * 10_000) == ()
    assert data_blocks('Sort [3, 1] by {"key": "size"}.') == ["[3, 1]", '{"key": "size"}']


def test_a_chain_of_fractions_is_reckoned_as_before():
    assert false_sums("1/2/2 = 1/4, and 8 - 2/2 = 7") == []
    assert false_sums("1/2/2 = 3 and 2 + 3 * 4 = 20") == ["1/2/2 = 3", "2 + 3 * 4 = 20"]


@pytest.mark.parametrize(
    "text, found",
    [
        ("How many are left? So there are 5.", "'So there are 5.'"),
        ("Thus, the sum is 5. How many are left?", None),
        ("So it goes. How many are left? So they say.", None),
        ("How many are left?\n\nAnswer: 5. So it is.", "'? Answer:'"),
        ("So it is done.\nAnswer: 5", "'So it is done. Answer: 5'"),
    ],
)
def test_a_conclusion_counts_after_the_last_question_only(text, found):
    assert gives_the_answer(item(text)) == found
