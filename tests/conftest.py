"""Fixtures of all tests."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

import synthwright as sw
from synthwright.cli import main

_SPEC = importlib.util.spec_from_file_location("stub", Path(__file__).parent / "servers" / "stub.py")
assert _SPEC and _SPEC.loader
stub = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(stub)


@pytest.fixture(scope="session")
def embedded():
    """The real embedded LM, one for the whole test session."""
    return sw.embedded_lm(slots=2)


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """The command line in this process and in the test's directory, for the many things that it refuses.

    `command("generate", "targen")` gives what `subprocess.run` would.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["synthwright", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        printed = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, int(end.value.code or 0), printed.out, printed.err)

    return call


@pytest.fixture
def start_stub():
    """Starts server processes: `start_stub(latency=0.05)`; see `tests/servers/stub.py`. Stops them at the end."""
    running = []

    def start(**options):
        running.append(stub.Stub(**options))
        return running[-1]

    yield start
    for server in running:
        server.stop()


@pytest.fixture(scope="session")
def _stub_process():
    with stub.Stub() as server:
        yield server


@pytest.fixture
def stub_server(_stub_process):
    """A server process that behaves until told otherwise; see `tests/servers/stub.py`."""
    _stub_process.reset()
    return _stub_process
