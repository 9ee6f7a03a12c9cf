"""The page in a real browser: search, filters, lineage, a planted script, a hundred thousand rows.

`make test-services` runs these; elsewhere they are skipped.
"""

import importlib.util
import os
import time
from pathlib import Path

import pytest

import synthwright as sw
from synthwright.report import render_page
from synthwright.report.page import json_block, write_page

CHROMIUM, DRIVER = (os.environ.get(f"SYNTHWRIGHT_{name}", "") for name in ("CHROMIUM", "CHROMEDRIVER"))

pytestmark = [
    pytest.mark.services,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs a browser: make test-services"),
]


class Page:
    """One page in the browser."""

    def __init__(self, driver, path):
        self.driver = driver
        driver.get("about:blank")
        driver.get(path.as_uri())
        self.wait(lambda: self.js("return document.documentElement.dataset.ready"))

    def js(self, code, *arguments):
        return self.driver.execute_script(code, *arguments)

    def find(self, selector):
        return self.driver.find_element("css selector", selector)

    def all(self, selector):
        return self.driver.find_elements("css selector", selector)

    def wait(self, condition, seconds=120):
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "the page did not get there"
            time.sleep(0.05)

    def part(self, name):
        self.find(f'nav a[href="#{name}"]').click()
        self.wait(lambda: self.find(f"#{name}").is_displayed())

    def found(self, name, count):
        """Wait until a list holds so many records."""
        root = f'.explorer[data-table="{name}"]'
        self.wait(lambda: self.js("return document.querySelector(arguments[0]).dataset.found", root) == str(count))
        self.wait(lambda: not self.js("return document.querySelector(arguments[0]).dataset.busy", root))
        assert len(self.all(f"#{name} .record")) == min(25, count)

    def search(self, name, text):
        box = self.find(f"#{name} input[type=search]")
        box.clear()
        box.send_keys(text)

    def tick(self, name, value):
        self.find(f"#{name} .sidebar").find_element("xpath", f".//label[span[1]='{value}']/input").click()


@pytest.fixture(scope="module")
def driver():
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1400,1000"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield browser
    browser.quit()


@pytest.fixture
def page(driver, lineages):
    return Page(driver, lineages.report())


def test_the_page_opens_without_a_word_in_the_console(page, driver):
    driver.get_log("browser")
    for part in ("overview", "diversity", "rows", "rejects", "prompts", "run"):
        page.part(part)
    page.part("diversity")
    page.wait(lambda: len(page.all("#pairs .pair")) == 50)
    page.wait(lambda: page.js("return document.querySelector('#map canvas').dataset.drawn"))
    assert driver.get_log("browser") == []


def test_charts_are_drawn_and_say_their_numbers(page):
    page.wait(lambda: page.js("return document.querySelector('[data-charts=acceptance] canvas').dataset.drawn"))
    cards = page.all("#overview .chart")
    titles = [card.find_element("css selector", "h3").text for card in cards]
    expected = {"Acceptance over the run", "operator", "difficulty", "Words in instruction", "Tokens by predictor"}
    assert expected <= set(titles)
    card = cards[titles.index("operator")]
    card.find_element("css selector", "summary").click()
    page.wait(lambda: len(card.find_elements("css selector", "tbody tr")) == 3)
    rows = [row.text for row in card.find_elements("css selector", "tbody tr")]
    assert rows == ["seed 60", "deepen 60", "broaden 40"]


def test_a_search_finds_rows_and_marks_the_words(page, lineages):
    wanted = [row for row in lineages if "glacier" in row.instruction + row.response]
    assert 25 < len(wanted) < len(lineages)
    page.part("rows")
    page.search("rows", "GLACIER")
    page.found("rows", len(wanted))
    assert page.all("#rows .record mark")[0].text == "glacier"
    both = [row for row in wanted if "orchard" in row.instruction + row.response]
    page.search("rows", "glacier orchard")
    page.found("rows", len(both))
    page.search("rows", "no such words")
    page.found("rows", 0)


def test_filters_narrow_the_list_and_can_be_taken_back(page, lineages):
    page.part("rows")
    page.tick("rows", "broaden")
    page.found("rows", 40)
    page.tick("rows", "deepen")
    page.found("rows", 100)
    hard = [row for row in lineages if row.operator != "seed" and row.difficulty == 5]
    page.tick("rows", "5")
    page.found("rows", len(hard))
    page.find("#rows .chips .link").click()
    page.found("rows", len(lineages))
    low = [row for row in lineages if row.score >= 0.9]
    box = page.find('#rows input[aria-label="score, from"]')
    box.send_keys("0.9\n")
    page.found("rows", len(low))


def test_pages_and_order(page, lineages):
    page.part("rows")
    page.found("rows", len(lineages))
    page.find("#rows .pager").find_element("xpath", "./button[text()='Last']").click()
    page.wait(lambda: len(page.all("#rows .record")) == len(lineages) % 25)
    page.find("#rows select option[value='-score']").click()
    best = max(lineages, key=lambda row: row.score)
    page.wait(lambda: page.all("#rows .record .preview")[0].text == best.instruction)


def test_a_click_on_the_lineage_leads_to_parent_and_back_to_the_child(page, lineages):
    rows = list(lineages)
    child = next(row for row in rows if row.operator == "broaden")
    parent = next(row for row in rows if row.id == child.parent_ids[0])
    page.js("location.hash = arguments[0]", f"rows/{child.id}")
    detail = "#rows .detail"
    page.wait(lambda: child.id in page.find(detail).text)
    text = page.find(detail).text
    assert child.response in text and child.critique in text and f"yes, {child.votes[1]}" in text
    family = page.all(f"{detail} .family li")
    assert [item.text for item in family[:1]] == [parent.instruction] and len(family) == 3
    assert family[2].text.startswith("Ask about place number")  # the artifact that the first question was made from
    page.find(f"{detail} [data-family=parent]").click()
    page.wait(lambda: parent.id in page.find(detail).text)
    page.find(f"{detail} [data-family=child]").click()
    page.wait(lambda: child.id in page.find(detail).text)
    page.driver.back()
    page.wait(lambda: parent.id in page.find(detail).text)


def test_rejects_show_their_reason_their_parent_and_their_seed(page, lineages):
    page.part("rejects")
    page.found("rejects", 29)
    page.tick("rejects", "demands_no_more")
    page.found("rejects", 20)
    page.find("#rejects .record").click()
    page.wait(lambda: "no harder" in page.find("#rejects .detail").text)
    page.find("#rejects .detail .quiet").find_element("xpath", "./button[text()='2 rows']").click()
    page.wait(lambda: page.find("#rows").is_displayed())
    page.found("rows", 2)
    page.driver.back()
    page.find("#rejects .detail [data-family=parent]").click()
    page.wait(lambda: page.find("#rows .detail").is_displayed())


def test_a_planted_script_is_text_and_never_runs(page, driver, lineages):
    planted = next(row for row in lineages if row.instruction.startswith("planted"))
    for place in (f"rows/{planted.id}", "rejects", "rejects/1", "diversity", "prompts"):
        page.js("location.hash = arguments[0]", place)
        page.wait(page.find(f"#{place.partition('/')[0]}").is_displayed)
    page.js("location.hash = arguments[0]", f"rows/{planted.id}")
    page.wait(lambda: planted.id in page.find("#rows .detail").text)
    shown = page.find("#rows .detail").get_property("textContent")
    assert "<script>window.planted=1</script>" in shown and "{{ 7 * 7 }}" in shown
    assert page.js("return window.planted") is None
    assert not page.all("main img") and not page.all("main script") and not page.all(".detail b")
    # even one that got into the page as markup would be stopped
    page.js("document.body.insertAdjacentHTML('beforeend', arguments[0])", '<img src="x:y" onerror="window.planted=1">')
    time.sleep(0.3)
    assert page.js("return window.planted") is None
    driver.get_log("browser")


def test_light_and_dark(page):
    before = page.js("return getComputedStyle(document.body).backgroundColor")
    page.find("#theme").click()
    assert page.js("return getComputedStyle(document.body).backgroundColor") != before
    page.find("#theme").click()
    assert page.js("return getComputedStyle(document.body).backgroundColor") == before


def test_text_cannot_leave_its_data_block(driver, tmp_path):
    text = "</script><script>window.planted=1</script>\u2028<!--<script>"
    template = '{% extends "base.html.j2" %}\n{% block main %}<section id="one">{{ text }}</section>{% endblock %}'
    script = "page.start(); document.documentElement.dataset.ready = page.read('data').text;"
    pieces = render_page(
        template, title=text, context={"text": text}, blocks=[json_block("data", {"text": text})], scripts=[script]
    )
    write_page(tmp_path / "page.html", pieces)
    page = Page(driver, tmp_path / "page.html")
    assert page.js("return document.documentElement.dataset.ready") == text and driver.title.startswith("</script>")
    assert page.js("return window.planted") is None


def test_a_hundred_thousand_rows_open_and_are_searched(driver, tmp_path):
    spec = importlib.util.spec_from_file_location("big", Path(__file__).parent / "big.py")
    assert spec and spec.loader
    big = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(big)
    run = big.big_run(tmp_path / "big", 100_000)
    path = sw.load_run(run.out).report()
    assert path.stat().st_size < (run.out / "rows.jsonl").stat().st_size / 3
    page = Page(driver, path)
    page.part("rows")
    page.found("rows", 100_000)
    page.search("rows", "question 77777:")
    page.found("rows", 2)  # the row and its child, which names it as its parent
    page.find("#rows .record").click()
    page.wait(lambda: len(page.all("#rows .detail .family li")) == 8)
