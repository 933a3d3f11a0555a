"""Fixtures: a recording engine, connected as a module's runtime would be."""

from __future__ import annotations

from collections.abc import AsyncIterator

import dagger
import pytest
from tests.dagger.engine import Engine, served


@pytest.fixture
def anyio_backend() -> str:
    """Run asynchronous tests on asyncio, as the SDK does."""
    return "asyncio"


@pytest.fixture
async def engine(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Engine]:
    """An engine that records what it is asked for; `dag` talks to it."""
    engine = Engine()
    with served(engine) as port:
        monkeypatch.setenv("DAGGER_SESSION_PORT", str(port))
        monkeypatch.setenv("DAGGER_SESSION_TOKEN", "unused")
        async with dagger.connection():
            yield engine
