"""Fixtures of all tests."""

import pytest

import synthwright as sw


@pytest.fixture(scope="session")
def embedded():
    """The real embedded LM, one for the whole test session."""
    return sw.embedded_lm(slots=2)
