import random

import pytest

from synthwright.errors import ConfigError
from synthwright.retrieval import ByHeader, ByParagraphs
from synthwright.retrieval.markup import Section, markdown_sections, plain_sections


def _prose(rng, characters):
    """Sentences that do not repeat each other."""
    text = ""
    while len(text) < characters:
        words = ["".join(rng.choices("abcdefghij", k=rng.randint(2, 9))) for _ in range(rng.randint(4, 14))]
        text += " ".join(words).capitalize() + ". "
    return text[: characters - 1].rstrip(" .") + "."


def _texts(pieces):
    return [piece.text for piece in pieces if not piece.problem]


@pytest.mark.parametrize("seed", range(150))
def test_every_piece_fits_the_window_and_every_word_stays_in_order(seed):
    rng = random.Random(seed)
    sections, words = [], []
    for i in range(rng.randint(1, 12)):
        paragraphs = [_prose(rng, rng.choice([20, 80, 300, 1200, 5000])) for _ in range(rng.randint(0, 5))]
        sections.append(Section(rng.randint(0, 4), f"H{i}", "\n\n".join(paragraphs)))
        words += " ".join(paragraphs).split()
    longest = rng.choice([400, 1000, 3000])
    pieces = list(ByParagraphs(shortest=longest // 5, longest=longest)(sections))
    assert all(0 < len(piece.text) <= longest for piece in pieces)
    headings = {f"H{i}" for i in range(12)} | {">"}
    found = [word for piece in pieces for word in piece.text.split() if word not in headings]
    assert found == words
    # Only a document that is short as a whole gives a piece below the window.
    if len(" ".join(words)) >= longest:
        assert all(len(piece.text) >= longest // 5 for piece in pieces)


def test_a_piece_has_the_headings_above_it():
    text = "# Snow\n" + "cold. " * 150 + "\n## Flakes\n" + "six. " * 150 + "\n# Bread\n" + "warm. " * 150
    pieces = list(ByParagraphs()(markdown_sections(text)))
    assert [piece.headings for piece in pieces] == [("Snow",), ("Snow", "Flakes"), ("Bread",)]


def test_small_sections_are_packed_with_the_next_and_keep_their_headings_in_the_text():
    text = "# Snow\n\nCold.\n\n## Flakes\n\nSix arms.\n\n## Drifts\n\nHigh.\n"
    (piece,) = ByParagraphs(shortest=40, longest=200)(markdown_sections(text))
    assert piece.headings == ("Snow",)
    assert piece.text == "Cold.\n\nFlakes\n\nSix arms.\n\nDrifts\n\nHigh."


def test_a_short_document_is_dropped_unless_it_is_to_be_kept():
    sections = plain_sections("Short.")
    assert [piece.problem for piece in ByParagraphs()(sections)] == ["too_short"]
    assert _texts(ByParagraphs(keep_short=True)(sections)) == ["Short."]
    assert list(ByParagraphs()([])) == [] and list(ByParagraphs()([Section(1, "Title", " \n ")])) == []


def test_long_paragraphs_are_cut_between_sentences_then_words_then_anywhere():
    sentences = _texts(ByParagraphs(10, 60)(plain_sections("One sentence is here. Another one is there! " * 4)))
    assert all(text.endswith((".", "!")) for text in sentences)
    words = _texts(ByParagraphs(10, 60)(plain_sections("word " * 60)))
    assert " ".join(words).split() == ["word"] * 60
    letters = _texts(ByParagraphs(10, 60)(plain_sections("x" * 500)))
    assert "".join(letters) == "x" * 500 and max(map(len, letters)) <= 60
    assert "".join(_texts(ByParagraphs(10, 60)(plain_sections("雪は白い。" * 40)))) == "雪は白い。" * 40


def test_lines_and_indentation_of_code_survive():
    code = "def f():\n    if x:\n        return 1\n\n    return 2"
    assert _texts(ByParagraphs(1, 3000)(plain_sections(code))) == [code]


@pytest.mark.parametrize("window", [(0, 10), (11, 10), (-1, -1)])
def test_a_window_that_is_none_is_refused(window):
    for splitter in (ByParagraphs, ByHeader):
        with pytest.raises(ConfigError, match="`shortest` must be at least 1 and at most `longest`"):
            splitter(*window)


def test_a_segment_is_a_header_with_its_lower_headers():
    rng = random.Random(1)
    a, b, c, d = (_prose(rng, 700) for _ in range(4))
    text = f"above\n\n# Snow\n{a}\n\n## Flakes\n{b}\n\n# Bread\n{c}\n\n### Crust\n{d}\n"
    pieces = list(ByHeader()(markdown_sections(text)))
    assert [piece.text for piece in pieces] == [f"{a}\n\nFlakes\n\n{b}", f"{c}\n\nCrust\n\n{d}"]
    assert [piece.headings for piece in pieces] == [("Snow",), ("Bread",)]
    assert not any(piece.problem for piece in pieces)


def test_a_segment_that_is_too_long_gives_way_to_its_lower_headers():
    rng = random.Random(2)
    a, b, c = _prose(rng, 900), _prose(rng, 1500), _prose(rng, 1500)
    pieces = list(ByHeader()(markdown_sections(f"# Snow\n{a}\n\n## Flakes\n{b}\n\n## Drifts\n{c}")))
    assert [piece.text for piece in pieces] == [a, b, c]
    assert [piece.headings for piece in pieces] == [("Snow",), ("Snow", "Flakes"), ("Snow", "Drifts")]
    (piece,) = ByHeader()(markdown_sections("# Snow\n" + _prose(rng, 3500)))
    assert piece.problem == "too_long"


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        ("", "header_empty"),
        ("***", "header_empty"),
        ("HOW SNOW FORMS", "header_capitals"),
        ("HOW SNOW forms", "header_capitals"),
        ("How SNOW forms", ""),
        ("Quick Links", "header_navigation"),
        ("Our newsletter", "header_navigation"),
        ("Forum", "header_navigation"),
        ("Advertisement", "header_navigation"),
        ("Related posts:", "header_navigation"),
        ("Search", "header_navigation"),
        ("Search for snow", ""),
        ("Снег и лёд", ""),
        ("雪の結晶", ""),
    ],
)
def test_headers_that_head_no_text_drop_their_segments(header, problem):
    (piece,) = ByHeader()([Section(1, header, _prose(random.Random(3), 800))])
    assert piece.problem == problem


def test_segments_that_repeat_sentences_are_dropped():
    rng = random.Random(4)
    text = _prose(rng, 900)
    again = "The snow fell slowly on the quiet old town that night"
    near = f"{text} {again}. {_prose(rng, 100)} {again} again."
    assert [p.problem for p in ByHeader()([Section(1, "Snow", near)])] == ["repeated_sentences"]
    assert [p.problem for p in ByHeader(similarity=1.0)([Section(1, "Snow", near)])] == [""]
    assert [p.problem for p in ByHeader()([Section(1, "Snow", "Too short. Too short.")])] == ["too_short"]
    with pytest.raises(ConfigError, match="`similarity` in"):
        ByHeader(similarity=0)
