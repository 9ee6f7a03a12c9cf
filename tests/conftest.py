"""Fixtures of all tests."""

import importlib.util
from pathlib import Path

import pytest

import synthwright as sw

_SPEC = importlib.util.spec_from_file_location("stub", Path(__file__).parent / "servers" / "stub.py")
assert _SPEC and _SPEC.loader
stub = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(stub)


@pytest.fixture(scope="session")
def embedded():
    """The real embedded LM, one for the whole test session."""
    return sw.embedded_lm(slots=2)


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
