"""Fixtures of the security tests: one stack that is up and has loaded its samples."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.security.api import Api
from tests.stack.conftest import Program, made_home

CANARY = "canary-7f3a-of-the-security-tests"


@pytest.fixture(scope="session")
def stack() -> Iterator[Program]:
    """The program on a stack of the local engine, with one finished run."""
    with made_home() as home:
        program = Program(home, {"USDA_NASS_API_KEY": CANARY})
        program("up")
        program("run")
        yield program
        program("down")


@pytest.fixture(scope="session")
def api(stack: Program) -> Api:
    """Prefect's API of that stack, with its login."""
    status = stack.json("status", "--show-login")["data"]
    return Api(status["ui_url"], status["login"])
