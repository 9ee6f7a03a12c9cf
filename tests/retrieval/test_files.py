import codecs
import json
import os
import pickle
import random
import subprocess
import sys

import pyarrow
import pyarrow.parquet
import pytest

from synthwright.errors import ConfigError
from synthwright.retrieval import BM25, ByHeader, ByParagraphs, Files
from synthwright.retrieval import readers as readers_module

LOOSE = ByParagraphs(shortest=1, longest=3000)


def _texts(path, near_duplicates: float | None = 0.8):
    return [passage.text for passage in Files(path, split=LOOSE, near_duplicates=near_duplicates)]


def _pdf(*pages):
    """A PDF file with one line of text a page."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", "", "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    kids = []
    for page in pages:
        stream = f"BT /F1 12 Tf 72 720 Td ({page}) Tj ET"
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
        resources = "<< /Font << /F1 3 0 R >> >>"
        objects.append(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] "
            f"/Contents {len(objects)} 0 R /Resources {resources} >>"
        )
        kids.append(f"{len(objects)} 0 R")
    objects[1] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {len(kids)} >>"
    data, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(data))
        data += f"{number} 0 obj\n{body}\nendobj\n".encode()
    table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    head = f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n"
    end = f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(data)}\n%%EOF\n"
    return data + (head + table + end).encode()


def test_every_kind_of_file_becomes_passages_that_say_where_they_came_from(tmp_path):
    (tmp_path / "a.txt").write_text("Snow is cold.", encoding="utf-8")
    (tmp_path / "b.md").write_text("# Bread\n\nIt is *baked*.", encoding="utf-8")
    (tmp_path / "c.html").write_text("<title>Clocks</title><h1>Time</h1><p>They <b>tick</b>.", encoding="utf-8")
    (tmp_path / "d.pdf").write_bytes(_pdf("Cats sleep.", "Dogs run."))
    (tmp_path / "e.jsonl").write_text('{"text": "One line.", "name": "first"}\n{"text": "Two lines."}\n')
    pyarrow.parquet.write_table(pyarrow.table({"text": ["A row."], "name": ["p"], "n": [1]}), tmp_path / "f.parquet")
    corpus = Files(tmp_path, split=LOOSE, licence="CC0-1.0", title_field="name", name="notes")
    passages = list(corpus)
    assert [(p.title, p.text) for p in passages] == [
        ("a", "Snow is cold."),
        ("b > Bread", "It is *baked*."),
        ("Clocks > Time", "They tick."),
        ("d", "Cats sleep.\n\nDogs run."),
        ("first", "One line."),
        ("", "Two lines."),
        ("p", "A row."),
    ]
    assert {p.licence for p in passages} == {"CC0-1.0"} and {p.source for p in passages} == {"notes"}
    assert passages[0].url == (tmp_path / "a.txt").as_uri()
    assert not corpus.skipped and corpus.size is None


def test_folders_are_read_in_order_of_names_and_hidden_files_left_out(tmp_path):
    for name in ("b/z.txt", "a.txt", "c/deep/x.txt", ".git/config.txt", ".hidden.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"text of {name}")
    assert _texts(tmp_path) == ["text of a.txt", "text of b/z.txt", "text of c/deep/x.txt"]
    assert _texts([tmp_path / "b", tmp_path / "a.txt"]) == ["text of b/z.txt", "text of a.txt"]
    assert _texts(str(tmp_path / "a.txt")) == ["text of a.txt"]


def test_bad_files_are_skipped_with_a_reason_and_counted(tmp_path):
    bad = {
        "empty.txt": b"",
        "blank.txt": b" \n\n ",
        "binary.txt": b"\x7fELF\0\0\1" * 100,
        "latin.txt": "Stra\u00dfe".encode("latin-1"),
        "latin.html": "<p>Stra\u00dfe".encode("latin-1"),
        "deep.html": b"<div>" * 50_000,
        "picture.png": b"\x89PNG\r\n",
        "cut.pdf": _pdf("text")[:200],
        "not.pdf": b"hello",
        "blank.pdf": _pdf(""),
        "not.parquet": b"PAR1 no",
        "binary.jsonl": b"\0\1\2",
        "lines.jsonl": b'{"text": "good"}\n{broken\n[1]\n{"text": 5}\n{"other": "x"}\n\xff\xfe\n"x"\n\n'
        + b"[" * 100_000,
    }
    for name, data in bad.items():
        (tmp_path / name).write_bytes(data)
    os.symlink(tmp_path / "gone", tmp_path / "dangling.txt")
    os.mkfifo(tmp_path / "pipe.txt")
    corpus = Files(tmp_path, split=LOOSE)
    assert [p.text for p in corpus] == ["good"]
    assert dict(corpus.skipped) == {
        "empty": 1,
        "binary": 2,
        "wrong_encoding": 3,
        "too_deep": 1,
        "unknown_type": 1,
        "damaged": 3,
        "no_text": 5,
        "bad_json": 2,
        "unreadable": 2,
    }
    assert corpus.skipped.examples["unknown_type"] == [str(tmp_path / "picture.png")]
    assert str(tmp_path / "lines.jsonl") + ":2" in corpus.skipped.examples["bad_json"]
    list(corpus)
    assert corpus.skipped["binary"] == 2  # a new reading begins the count anew


def test_byte_order_marks_tell_the_encoding(tmp_path):
    (tmp_path / "a.txt").write_bytes("Größe".encode("utf-8-sig"))
    (tmp_path / "b.txt").write_bytes("雪は白い".encode("utf-16"))
    (tmp_path / "c.html").write_bytes(codecs.BOM_UTF16_BE + "<p>wüst".encode("utf-16-be"))
    (tmp_path / "d.jsonl").write_bytes('{"text": "naïve"}'.encode("utf-8-sig"))
    assert _texts(tmp_path) == ["Größe", "雪は白い", "wüst", "naïve"]


def test_large_text_files_are_read_in_blocks_without_losing_a_word(tmp_path, monkeypatch):
    monkeypatch.setattr(readers_module, "BLOCK", 300)
    rng = random.Random(0)
    words = [f"w{i}" for i in range(2000)]
    text = "".join(w + rng.choice([" ", " ", "\n", "\n\n", "\r\n"]) for w in words)
    (tmp_path / "a.txt").write_text(text, newline="")
    assert " ".join(_texts(tmp_path, near_duplicates=None)).split() == words


def test_a_long_paragraph_of_short_lines_is_no_long_line(tmp_path, monkeypatch):
    monkeypatch.setattr(readers_module, "BLOCK", 300)
    lines = [f"line {i} of a poem without a blank line" for i in range(60)]
    (tmp_path / "a.txt").write_text("first\n\n" + "\n".join(lines))
    corpus = Files(tmp_path, split=LOOSE, near_duplicates=None)
    assert "\n".join(p.text for p in corpus) == "\n".join(["first", *lines]) and not corpus.skipped


def test_a_line_without_end_is_skipped_and_the_rest_of_the_file_read(tmp_path, monkeypatch):
    monkeypatch.setattr(readers_module, "BLOCK", 500)
    monkeypatch.setattr(readers_module, "LONGEST_RECORD", 500)
    (tmp_path / "a.txt").write_text("before\n" + "x" * 2600 + "\nafter it\n")
    (tmp_path / "b.jsonl").write_text('{"text": "one"}\n{"text": "' + "y" * 2000 + '"}\n{"text": "two"}')
    corpus = Files(tmp_path, split=LOOSE)
    assert [p.text for p in corpus] == ["before", "after it", "one", "two"]
    assert dict(corpus.skipped) == {"line_too_long": 2}


HUGE = """
import resource, sys
from synthwright.retrieval import Files
list(Files(sys.argv[1]))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
corpus = Files(sys.argv[2])
assert list(corpus) == [], "passages from nothing"
print(dict(corpus.skipped), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize(
    ("name", "fill", "reason"),
    [
        ("a.txt", b"x", "line_too_long"),
        ("a.jsonl", b"x", "line_too_long"),
        ("a.txt", b"\0", "binary"),
        ("a.html", b"\0", "too_large"),
        ("a.pdf", b"\0", "too_large"),
    ],
)
def test_one_line_of_200_megabytes_is_skipped_with_bounded_memory(tmp_path, name, fill, reason):
    small, huge = tmp_path / "small", tmp_path / "huge"
    small.mkdir()
    huge.mkdir()
    (small / name).write_bytes(b"x " * 50_000)
    with open(huge / name, "wb") as file:
        if fill == b"\0":
            file.truncate(200 << 20)
        else:
            for _ in range(200):
                file.write(fill * (1 << 20))
    done = subprocess.run(
        [sys.executable, "-c", HUGE, str(small), str(huge)], capture_output=True, text=True, check=True
    )
    skipped, _, growth = done.stdout.strip().rpartition(" ")
    assert skipped == str({reason: 1})
    assert int(growth) < 80_000  # KB; the file is 200,000


def test_a_window_a_language_filter_and_copies_decide_what_stays(tmp_path):
    sentence = "The snow fell on the town while everybody slept and nothing moved in the streets. "
    (tmp_path / "a.txt").write_text(sentence * 10)
    (tmp_path / "b.txt").write_text("  " + sentence.upper() * 10)
    (tmp_path / "c.txt").write_text(
        "Der Schnee fiel auf die Stadt, in der alle schliefen und nichts sich rührte. " * 10
    )
    (tmp_path / "d.txt").write_text("Short.")
    (tmp_path / "e.txt").write_text(sentence * 10 + "The end.")
    corpus = Files(tmp_path, language_filter=lambda text: "Schnee" not in text)
    assert [p.title for p in corpus] == ["a"]
    assert dict(corpus.skipped) == {"duplicate": 1, "other_language": 1, "too_short": 1, "near_duplicate": 1}
    assert [p.title for p in Files(tmp_path, near_duplicates=None)] == ["a", "c", "e"]


def test_humpback_segments_come_from_files(tmp_path):
    body = " ".join(f"Sentence number {i} says something of its own about topic {i * 7}." for i in range(15))
    (tmp_path / "a.md").write_text(f"# How snow forms\n\n{body}\n\n# MENU\n\n{body}\n")
    corpus = Files(tmp_path, split=ByHeader(similarity=1.0))
    assert [(p.title, p.text) for p in corpus] == [("a > How snow forms", body)]
    assert dict(corpus.skipped) == {"header_capitals": 1}


def test_the_hash_follows_files_and_settings(tmp_path):
    (tmp_path / "a.txt").write_text("Snow is cold.")
    first = Files(tmp_path).hash()
    assert Files(tmp_path).hash() == first == pickle.loads(pickle.dumps(Files(tmp_path))).hash()
    assert Files(tmp_path, split=LOOSE).hash() != first
    assert Files(tmp_path, text_field="body").hash() != first
    assert Files(tmp_path, licence="CC0").hash() != first
    assert Files(tmp_path, language_filter=str.isascii).hash() != first
    (tmp_path / "b.txt").write_text("More.")
    second = Files(tmp_path).hash()
    (tmp_path / "b.txt").write_text("Most!")
    os.utime(tmp_path / "b.txt", ns=(1, 1))
    assert len({first, second, Files(tmp_path).hash()}) == 3


def test_an_index_of_files_is_built_again_when_a_file_changes(tmp_path, caplog):
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("Snow is cold.")
    settings = {"engine": "bm25s", "path": tmp_path / "index"}
    assert BM25(Files(tmp_path / "texts", split=LOOSE), **settings).search("snow")
    (tmp_path / "texts" / "a.txt").write_text("Bread is warm, and rises.")
    index = BM25(Files(tmp_path / "texts", split=LOOSE), **settings)
    assert not index.search("snow") and index.search("bread") and "built anew" in caplog.text


def test_a_missing_path_and_a_bad_share_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"no file or folder .*missing"):
        Files(tmp_path / "missing")
    with pytest.raises(ConfigError, match="`near` must be in"):
        Files(tmp_path, near_duplicates=2)


@pytest.mark.parametrize("seed", range(40))
def test_no_bytes_make_a_reading_fail(tmp_path, seed):
    rng = random.Random(seed)
    good = {
        "a.pdf": _pdf("Snow"),
        "b.jsonl": b'{"text": "x"}\n' * 3,
        "c.html": b"<h1>a</h1><p>b</p>",
        "d.md": b"# a\n\nb",
    }
    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(pyarrow.table({"text": ["A row."] * 50}), sink)
    good["e.parquet"] = sink.getvalue().to_pybytes()
    for name, data in good.items():
        broken = bytearray(data)
        for _ in range(rng.randint(1, 8)):
            broken[rng.randrange(len(broken))] = rng.randrange(256)
        (tmp_path / name).write_bytes(bytes(broken[: rng.randint(1, len(broken))] if rng.random() < 0.4 else broken))
    for passage in Files(tmp_path, split=LOOSE):
        assert json.loads(passage.model_dump_json())["text"] == passage.text
