import os
import pickle
import time

import pytest

from synthwright.errors import ConfigError
from synthwright.retrieval.cache import AnswerCache


def files(cache):
    return sorted(path for path in cache.directory.glob("*/*"))


def aged(path, days):
    then = time.time() - days * 86400
    os.utime(path, (then, then))


def test_what_is_put_is_got_also_by_another_process_and_after_pickling(tmp_path):
    cache = AnswerCache(tmp_path)
    assert cache.get("a") is None
    cache.put("a", {"x": ["é", "\ud800", None]})
    assert cache.get("a") == {"x": ["é", "\ud800", None]}
    assert pickle.loads(pickle.dumps(cache)).get("a") == {"x": ["é", "\ud800", None]}
    assert AnswerCache(tmp_path).get("b") is None
    cache.put("a", 2)
    assert cache.get("a") == 2 and len(files(cache)) == 1


def test_answers_expire_and_are_removed(tmp_path):
    cache = AnswerCache(tmp_path, days=2)
    cache.put("a", 1)
    (path,) = files(cache)
    aged(path, 1.9)
    assert cache.get("a") == 1
    aged(path, 2.1)
    assert cache.get("a") is None and files(cache) == []


def test_putting_prunes_what_expired_in_the_same_folder_once(tmp_path):
    cache = AnswerCache(tmp_path, days=2)
    cache.put("a", 1)
    (path,) = files(cache)
    other = path.with_name("0" * 62 + ".json")
    other.write_text("old")
    aged(other, 3)
    AnswerCache(tmp_path, days=2).put("a", 1)
    assert files(cache) == [path]


@pytest.mark.parametrize("damage", [b"", b"not json", b"\xff\x00" * 50, b'{"key": "a", "value": 1}'])
def test_a_damaged_file_counts_as_absent_and_is_replaced(tmp_path, damage):
    cache = AnswerCache(tmp_path)
    cache.put("a", {"text": "right"})
    (path,) = files(cache)
    path.write_bytes(damage)
    assert cache.get("a") is None and not path.exists()
    cache.put("a", {"text": "right"})
    assert cache.get("a") == {"text": "right"}


def test_one_flipped_letter_or_a_lost_end_is_noticed(tmp_path):
    cache = AnswerCache(tmp_path)
    cache.put("a", {"text": "right"})
    (path,) = files(cache)
    whole = path.read_bytes()
    for broken in (whole.replace(b"right", b"wrong"), whole[:-3]):
        path.write_bytes(broken)
        assert cache.get("a") is None


def test_a_directory_that_cannot_be_written_costs_only_the_cache(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    cache = AnswerCache(blocked / "below")
    cache.put("a", 1)
    assert cache.get("a") is None


def test_a_write_that_fails_leaves_the_old_answer_and_no_rest(tmp_path, monkeypatch):
    cache = AnswerCache(tmp_path)
    cache.put("a", 1)

    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "replace", full)
    cache.put("a", 2)
    monkeypatch.undo()
    assert cache.get("a") == 1 and len(files(cache)) == 1


def test_clear_removes_answers_and_nothing_else(tmp_path):
    cache = AnswerCache(tmp_path)
    cache.put("a", 1)
    (tmp_path / "ab").mkdir(exist_ok=True)
    (tmp_path / "ab" / "notes.txt").write_text("mine")
    cache.clear()
    assert [path.name for path in files(cache)] == ["notes.txt"]


def test_days_must_be_positive():
    with pytest.raises(ConfigError, match="above 0, got 0"):
        AnswerCache(days=0)


def test_the_default_place_follows_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("SYNTHWRIGHT_CACHE", str(tmp_path))
    AnswerCache().put("a", 1)
    assert len(list((tmp_path / "retrieval" / "answers").glob("*/*.json"))) == 1
