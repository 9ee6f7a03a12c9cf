"""The report page without a browser: what it holds, what it counts, and that nothing in it can run but our scripts."""

import base64
import gzip
import hashlib
import json
import re
from array import array
from html.parser import HTMLParser

import numpy as np
import pytest

import synthwright as sw
from synthwright.lms.embeddings import Embedder, embedder_is_here
from synthwright.report.diversity import diversity, hashed_ngrams, lay_out, nearest, neighbours, project
from synthwright.report.fields import Fields, histogram, main_text
from synthwright.report.page import json_block


class Parsed(HTMLParser):
    """The tags of a page, and the content of its scripts and styles."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.raw, self.policy = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        if attributes.get("http-equiv") == "Content-Security-Policy":
            self.policy = attributes["content"]
        if tag in ("script", "style"):
            self.raw.append((tag, attributes, ""))

    def handle_data(self, data):
        if self.tags and self.tags[-1][0] in ("script", "style") and self.raw:
            tag, attributes, text = self.raw[-1]
            self.raw[-1] = (tag, attributes, text + data)

    def handle_endtag(self, tag):
        if tag in ("script", "style"):
            self.tags.append(("/" + tag, {}))

    def block(self, name):
        text = next(text for _, attributes, text in self.raw if attributes.get("id") == name)
        return json.loads(text if text.startswith(("{", "[")) else gzip.decompress(base64.b64decode(text)))


@pytest.fixture(scope="module")
def text(lineages):
    return lineages.report().read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def parsed(text):
    return Parsed(text)


def test_the_page_refers_to_nothing_outside_and_only_our_scripts_may_run(parsed):
    for tag, attributes in parsed.tags:
        assert tag not in ("img", "iframe", "object", "link", "base", "form")
        assert not {"src", "style"} & set(attributes) and not any(name.startswith("on") for name in attributes)
        assert attributes.get("href", "#").startswith("#")
    allowed = set(re.findall(r"'sha256-([^']+)'", parsed.policy))
    code = [text for tag, attributes, text in parsed.raw if tag == "style" or "type" not in attributes]
    assert {base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in code} == allowed
    assert "default-src 'none'" in parsed.policy and "unsafe" not in parsed.policy


def test_text_of_a_model_is_nowhere_in_the_markup(text):
    assert "window.planted" not in text  # neither escaped nor not: it is in packed blocks
    assert "careful</b>" not in text and "&lt;b&gt;careful&lt;/b&gt;" in text  # a prompt is shown, escaped


def test_no_character_of_a_data_block_can_end_it():
    name, _, content = json_block("a", {"text": "</script><!-- & \u2028"})
    assert name == "a" and not set("<>&\u2028") & set(content)
    assert json.loads(content) == {"text": "</script><!-- & \u2028"}


def test_the_page_holds_every_row_and_reject_with_its_lineage(parsed, lineages):
    rows, index = list(lineages), parsed.block("rows-index")
    bodies = parsed.block("rows-0")
    assert index["count"] == len(rows) == len(bodies) and index["ids"] == [row.id for row in rows]
    assert [body["instruction"] for body in bodies] == [row.instruction for row in rows]
    places = {row.id: place for place, row in enumerate(rows)}
    artifacts = parsed.block("artifacts")
    for place, row in enumerate(rows):
        (parent,) = index["parents"][str(place)]
        assert parent == places.get(row.parent_ids[0], row.parent_ids[0])
        assert isinstance(parent, int) or artifacts[parent]["plan"].startswith("Ask about place number")
    rejects = parsed.block("rejects-0")
    assert len(rejects) == 29 and {reject["reason"] for reject in rejects} == {"demands_no_more", "unparsable"}
    assert all(rows[places[parents[0]]] for parents in parsed.block("rejects-index")["parents"].values())


def test_charts_count_what_is_there(parsed, lineages):
    charts = {chart["title"]: chart for chart in parsed.block("report")["charts"]}
    operators = charts["operator"]
    assert dict(zip(operators["labels"], operators["values"], strict=True)) == {"seed": 60, "deepen": 60, "broaden": 40}
    assert sum(charts["difficulty"]["values"]) == sum(charts["score"]["values"]) == len(lineages)
    assert dict(zip(charts["votes"]["labels"], charts["votes"]["values"], strict=True))["yes"] == len(lineages)
    so_far = charts["Acceptance over the run"]["series"][1]["values"]
    assert so_far[-1] == pytest.approx(160 / 189, abs=1e-3)
    assert so_far[0] == pytest.approx(5 / 7, abs=1e-3)  # seeds 0 and 1: 2 rows and 2 rejects, 3 rows
    tokens = charts["Tokens by predictor"]
    assert tokens["labels"] == ["write"] and [s["values"] for s in tokens["series"]] == [[600], [300]]


def test_prompts_funnel_and_settings_are_shown(text):
    for expected in ("One sentence.", "demands_no_more", "seeds asked", "planted: 3", "concurrency:", "input str"):
        assert expected in text


def test_of_many_rows_every_kth_is_held_and_the_page_says_so(lineages, tmp_path):
    page = Parsed(lineages.report(tmp_path / "small.html", most=50, embed=False).read_text())
    index = page.block("rows-index")
    assert index["count"] == 40 and index["ids"] == [row.id for row in list(lineages)[::4]]
    assert sum(page.block("report")["charts"][1]["values"]) == 160  # distributions are of all rows
    assert "every 4. row" in (tmp_path / "small.html").read_text()


def test_an_embedder_can_be_given(lineages, tmp_path):
    asked = []

    def embed(texts):
        asked.extend(texts)
        return np.array([[len(text), text.count("a") + 1.0, 1.0] for text in texts])

    path = lineages.report(tmp_path / "page.html", embed=embed)
    assert len(asked) == 160 and Parsed(path.read_text()).block("report")["map"]["by"] == "embeddings"


def test_wrong_arguments_and_places_are_said(lineages, tmp_path):
    with pytest.raises(sw.SynthwrightError, match="`most` must be at least 1 row, got 0"):
        lineages.report(most=0)
    with pytest.raises(sw.SynthwrightError, match="Cannot write the page"):
        lineages.report(tmp_path / "missing" / "page.html")
    assert not list(tmp_path.iterdir())


def test_a_run_of_nothing_has_a_page(tmp_path, lineages):
    import sys

    module = sys.modules[type(next(iter(lineages))).__module__]

    class Nothing(module.Lineages):
        def forward(self, number: int):
            return module.dspy.Prediction(rows=[], rejected=[])

    run = sw.generate(Nothing(), seeds=[{"number": 1}], out=tmp_path / "empty", lms=module.ScriptedLM({}))
    text = run.report().read_text()
    assert "Fewer than three rows hold text" in text and Parsed(text).block("rows-index")["count"] == 0


def test_kinds_of_fields():
    fields = Fields()
    for number in range(60):
        fields.look(
            {
                "id": str(number),
                "root_id": "x",
                "label": ("a", "b", "c")[number % 3],
                "text": f"A text with the number {number} in it.",
                "short": f"w{number}",
                "level": number % 5,
                "score": number / 60,
                "always": "yes",
                "flag": number % 2 == 0,
                "skills": ["x", "y"] if number % 2 else ["x"],
                "inner": {"tag": "t" if number % 2 else "u", "deeper": {"no": 1}},
                "empty": "",
            }
        )
    kinds = {kind: [f.name for f in fields.of_kind(kind)] for kind in ("label", "number", "text", "constant", "other")}
    assert kinds == {
        "label": ["label", "flag", "skills", "inner.tag"],
        "number": ["level", "score"],
        "text": ["text", "short"],
        "constant": ["always"],
        "other": [],
    }
    assert [f.name for f in fields.facets()] == ["label", "level", "flag", "skills", "inner.tag"]
    assert dict(fields.facets()[3].bars()) == {"x": 60, "y": 30} and fields.copies == 0


def test_the_main_text_is_the_first_of_some_words_and_copies_of_it_are_counted():
    record = {"kind": "pair", "question": "What is this about?", "answer": "A longer text than the question is."}
    assert main_text(record) == "What is this about?" and main_text({"a": "x", "b": "y"}) == "x\ny"
    fields = Fields()
    for text in ("What is this?", "what  IS this?", "What is that?"):
        fields.look({"question": text})
    assert fields.copies == 1


@pytest.mark.parametrize(
    ("values", "first", "count"),
    [
        (range(1, 11), ("1", 1), 10),
        (range(100), ("0–4", 5), 20),
        ([0.013 * k for k in range(77)], ("0–0.05", 4), 20),
        ([5] * 3, ("5", 3), 1),
        ([0.5] * 3, ("0–1", 3), 1),
        ([*([1, 2] * 500), 10_000], ("1", 500), 2),
    ],
)
def test_histograms_have_round_bins(values, first, count):
    bins = histogram(array("d", values))
    assert bins[0] == first and len(bins) == count and sum(total for _, total in bins) == len(list(values))


def test_a_histogram_ends_with_what_lies_beyond():
    assert histogram(array("d", [*([1, 2] * 500), 10_000]))[-1] == ("2 and more", 501)


def test_near_copies_are_the_nearest_pair_and_groups_lie_apart():
    cats = [f"The cat {verb} on the soft mat in the sun." for verb in ("sat", "slept", "lay", "rolled", "waited")]
    rates = [
        f"Central banks raised interest rates by {n} points this year." for n in ("ten", "twenty", "thirty", "forty")
    ]
    texts = [*cats, *rates, "The cat sat on the soft mat in the sun!"]
    found = diversity(texts)
    assert found is not None and found.pairs[0][:2] == (0, 9) and found.pairs[0][2] == pytest.approx(1.0)
    across = [point[0] for point in found.points]
    groups = [across[:5] + across[9:], across[5:9]]
    assert max(groups[0]) < min(groups[1]) or max(groups[1]) < min(groups[0])
    assert diversity(["a", "b", ""]) is None


def test_projection_agrees_with_the_full_decomposition():
    matrix = hashed_ngrams([f"word{n} and word{n // 3} or word{n // 7}" for n in range(40)])
    centred = matrix - matrix.mean(axis=0)
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    expected = left[:, :2] * values[:2]
    got = project(matrix)
    for axis in range(2):
        correlation = np.corrcoef(got[:, axis], expected[:, axis])[0, 1]
        assert abs(correlation) == pytest.approx(1.0, abs=1e-2)


def test_nearest_is_the_same_in_blocks():
    rng = np.random.default_rng(1)
    matrix = rng.standard_normal((50, 8)).astype(np.float32)
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    cosines = matrix @ matrix.T - 2 * np.eye(50)
    near, found = neighbours(matrix, 4, block=7)
    assert near.tolist() == np.argsort(-cosines, axis=1)[:, :4].tolist()
    similarity, pairs = nearest(near, found)
    assert similarity == pytest.approx(cosines.max(axis=1).tolist(), abs=1e-3)
    a, b = np.unravel_index(cosines.argmax(), cosines.shape)
    assert pairs[0][:2] == (min(a, b), max(a, b))


def test_the_map_keeps_groups_apart_that_a_projection_mixes():
    rng = np.random.default_rng(3)
    labels = np.repeat(np.arange(8), 12)
    matrix = (rng.standard_normal((8, 64))[labels] + rng.standard_normal((96, 64))).astype(np.float32)
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)

    def together(places):
        """Share of rows whose nearest on the map is of the same group."""
        square = ((places[:, None] - places[None]) ** 2).sum(axis=2) + 9 * np.eye(96)
        return (labels[square.argmin(axis=1)] == labels).mean()

    flat = project(matrix)
    found = lay_out(flat, *neighbours(matrix, 10))
    assert found == lay_out(flat, *neighbours(matrix, 10))
    assert together(flat) < 0.8 and together(np.array(found)) > 0.95
    assert np.abs(found).max() == 1.0


@pytest.mark.parametrize("texts", [["one text"] * 5, ["one", "two", "three"], ["a b c"] * 40 + ["x y z"] * 40])
def test_a_map_of_equal_or_few_texts_has_finite_places(texts):
    found = diversity(texts)
    assert found is not None and np.isfinite(found.points).all() and len(found.points) == len(texts)


@pytest.mark.skipif(not embedder_is_here(), reason="needs the embedded embedder: synthwright lm pull --embedder")
def test_the_embedded_embedder_puts_paraphrases_and_topics_together():
    topics = (
        ("How long should I boil eggs?", "How many minutes must eggs cook?", "Which spices go into a curry?"),
        ("Why do stars twinkle?", "What makes stars flicker at night?", "What are the rings of Saturn made of?"),
        ("How does compound interest work?", "How does interest on savings grow?", "How are capital gains taxed?"),
        ("What is the offside rule in football?", "Explain offside in soccer.", "When is a penalty kick awarded?"),
    )
    found = diversity([text for topic in topics for text in topic], Embedder())
    assert found is not None and found.by == "embeddings"
    assert {pair[:2] for pair in found.pairs[:4]} == {(0, 1), (3, 4), (6, 7), (9, 10)}
    places = np.array(found.points)
    square = ((places[:, None] - places[None]) ** 2).sum(axis=2) + 9 * np.eye(12)
    assert sum(a // 3 == b // 3 for a, b in enumerate(square.argmin(axis=1))) >= 11
