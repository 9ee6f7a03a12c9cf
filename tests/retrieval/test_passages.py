import pytest
from pydantic import ValidationError

from synthwright.retrieval import Passage, PassageList
from synthwright.retrieval.passages import text_key


def test_the_id_is_a_hash_of_the_text_alone():
    assert Passage(text="snow").id == Passage(text="snow", title="t", source="files", score=1.5).id
    assert Passage(text="snow").id != Passage(text="Snow").id
    assert len(Passage(text="snow").id) == 20


def test_a_passage_survives_json_and_is_frozen():
    passage = Passage(text="naïve 北京", title="t", source="s", url="u", licence="CC0", score=0.5)
    assert Passage.model_validate(passage.model_dump()) == passage
    assert Passage.model_validate_json(passage.model_dump_json()) == passage
    with pytest.raises(ValidationError):
        passage.text = "other"
    with pytest.raises(ValidationError):
        Passage(text="x", author="y")  # pyright: ignore[reportCallIssue] (what is tested)


def test_half_a_surrogate_pair_is_replaced_so_that_every_passage_can_be_stored():
    passage = Passage(text="a\ud83db", title="\udc00")
    assert (passage.text, passage.title) == ("a\ufffdb", "\ufffd")
    assert passage.model_dump_json()


def test_the_key_of_a_text_ignores_case_space_and_form():
    assert text_key("Snow  is\ncold ﬁne ") == text_key("snow is COLD fine")
    assert text_key("snow is cold") != text_key("snow is old")


def test_the_hash_of_a_list_changes_with_text_title_and_order():
    a, b = Passage(text="a"), Passage(text="b")
    hashes = {PassageList(p).hash() for p in ([a, b], [b, a], [a], [a, Passage(text="b", title="t")])}
    assert len(hashes) == 4
    assert PassageList([a, b]).hash() == PassageList(iter([a, b])).hash()
    assert PassageList([a, b]).size == len(PassageList([a, b])) == 2
