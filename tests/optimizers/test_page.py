"""The page of an optimizer run: whole, self-contained, and safe whatever a model wrote."""

import html
import json
import re
from html.parser import HTMLParser

import pytest
from judged_riddles import SEEDS, Riddles, hides_word, learns, long_enough

import synthwright as sw
from synthwright.optimizers.candidates import Candidate
from synthwright.optimizers.page import history_chart
from synthwright.testing import ScriptedLM

HOSTILE = "</pre><script>alert(1)</script><img src=x onerror=alert(2)> {{7*7}} & \"'\ud800"


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.seen, self.attributes = [], [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A run whose model writes markup, whose seeds hold some, and whose prompts get some as demonstrations."""
    out = tmp_path_factory.mktemp("tuned")
    lm = ScriptedLM({"write": lambda call: {"riddle": learns(call)["riddle"] + HOSTILE.replace("\ud800", "")}})
    seeds = [{"word": f"word{i} <b>bold</b>"} for i in range(len(SEEDS))]
    tuned = sw.optimize(Riddles(), metric=hides_word, held_out=long_enough, trainset=seeds, lms=lm, budget=300, out=out)
    return tuned, out


def test_everything_that_a_run_saves_is_there(saved):
    tuned, out = saved
    names = {path.name for path in out.iterdir()}
    assert names >= {"prompts.json", "report.html", "report.json", "report.txt", "history.jsonl", "journal.sqlite"}
    history = [json.loads(line) for line in (out / "history.jsonl").read_text().splitlines()]
    assert len(history) == len(tuned.history) and history[0]["origin"] == "as given"
    assert all(each["scores"] and each["calls"] and each["prompts"]["write"]["instructions"] for each in history)
    assert [each["calls"] for each in history] == sorted(each["calls"] for each in history)
    report = json.loads((out / "report.json").read_text())
    assert report["proof"]["before"]["scores"] == tuned.proof.a.scores and report["optimizer"] == "bootstrap"
    assert report["prompts"]["after"]["write"]["demos"] and report["candidates"] == len(history)
    assert json.loads((out / "prompts.json").read_text())["tuned_for"]["metric"] == "hides_word"


def test_the_page_is_well_formed_and_loads_nothing(saved):
    text = (saved[1] / "report.html").read_text()
    tags = Tags()
    tags.feed(text)
    assert tags.open == [] and not {"script", "img", "link", "iframe", "b", "object"} & set(tags.seen)
    assert not any(name.startswith("on") or name in ("src", "href") for _, name, _ in tags.attributes)
    assert "default-src &#x27;none&#x27;" in text or "default-src 'none'" in text
    assert not re.search(r"https?://", text)


def test_what_models_wrote_is_shown_as_text(saved):
    text = (saved[1] / "report.html").read_text()
    assert "<script>" not in text and html.escape("<script>alert(1)</script>") in text
    assert "<b>bold" not in text and "&lt;b&gt;bold" in text


def test_the_page_has_figures_chart_prompts_seeds_and_candidates(saved):
    tuned, out = saved
    text = (out / "report.html").read_text()
    assert f"{tuned.metric.before:.3f}" in text and f"{tuned.metric.after:.3f}" in text
    assert "hides_word (optimized)" in text and "long_enough (not optimized)" in text and "<svg" in text
    assert "<span class=plus>" in text and text.count("<circle") == len(tuned.history)
    assert all(f"{number}. {candidate.origin}" in text for number, candidate in enumerate(tuned.history, 1))


def test_no_measurable_gain_is_said_in_those_words(tmp_path):
    lm = ScriptedLM({"write": {"riddle": "I am nobody."}})
    sw.optimize(Riddles(), metric=hides_word, trainset=SEEDS, lms=lm, budget=200, out=tmp_path)
    text = (tmp_path / "report.html").read_text()
    assert "no measurable gain" in text and "Unchanged." in text and "class=note" in text


def test_half_a_character_does_not_break_the_page(saved, tmp_path):
    tuned, _ = saved
    tuned.warnings.append(HOSTILE)
    try:
        tuned.save(tmp_path)
    finally:
        tuned.warnings.pop()
    assert "alert(2)&gt;" in (tmp_path / "report.html").read_text()


def test_a_chart_of_one_candidate_and_of_none():
    only = Candidate({}, "as given", scores=[0.5], validated=True, calls=0)
    assert history_chart([only]).count("<circle") == 1
    assert "No candidate" in history_chart([])
