from synthwright.retrieval.chunks import ByParagraphs
from synthwright.retrieval.markup import Section
from synthwright.retrieval.sections import BACK_MATTER, anchor, extract_sections, without

ARTICLE = """Bread is baked.
It is old.


== History ==
Egypt baked.


=== Rome ===
Rome had guilds.


== See also ==
Salt


=== Lists ===
Pepper


== Staling ==

Bread goes stale.



Warm it."""


def test_headings_part_an_extract_and_lines_stay_lines():
    assert extract_sections(ARTICLE) == [
        Section(0, "", "Bread is baked.\nIt is old."),
        Section(2, "History", "Egypt baked."),
        Section(3, "Rome", "Rome had guilds."),
        Section(2, "See also", "Salt"),
        Section(3, "Lists", "Pepper"),
        Section(2, "Staling", "Bread goes stale.\n\nWarm it."),
    ]


def test_back_matter_goes_with_everything_under_it():
    kept = without(extract_sections(ARTICLE), BACK_MATTER)
    assert [section.heading for section in kept] == ["", "History", "Rome", "Staling"]
    kept = without(extract_sections(ARTICLE), {"history"})
    assert [section.heading for section in kept] == ["", "See also", "Lists", "Staling"]


def test_sections_are_cut_into_passages_with_their_headings():
    pieces = list(ByParagraphs(1, 100)(without(extract_sections(ARTICLE), BACK_MATTER)))
    assert [(piece.headings, piece.text) for piece in pieces][1:3] == [
        (("History",), "Egypt baked."),
        (("History", "Rome"), "Rome had guilds."),
    ]


def test_what_only_looks_like_a_heading_is_text():
    for line in ("== open", "a == b ==", "= One =", "===="):
        assert extract_sections(f"Intro\n{line}\nmore") == [Section(0, "", f"Intro\n{line}\nmore")]
    assert extract_sections("== a = b ==\r\ntext") == [Section(2, "a = b", "text")]


def test_an_article_without_text_has_no_section():
    assert extract_sections("") == extract_sections("\n\n") == []
    assert extract_sections("== A ==\n\n== B ==\n") == [Section(2, "A", ""), Section(2, "B", "")]


def test_anchors_are_what_mediawiki_makes_of_headings():
    assert anchor("Early years") == "#Early_years"
    assert anchor('A "b" c?') == "#A_%22b%22_c%3F"
