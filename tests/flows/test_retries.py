"""A step is tried again where that may help, by the class of its error."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tests.flows.conftest import CHECKOUT, Prefect

# In a process of its own: Prefect reads its settings once, when it is imported.
SCRIPT = """
import asyncio, sys
from prefect import flow
from etl import errors
from etl.flows.source import step

attempts = []

def fail():
    attempts.append(1)
    raise getattr(errors, sys.argv[1])("it fails", "do this")

task = step(fail).with_options(retry_delay_seconds=0.01)

@flow
async def one_step():
    task(return_state=True)
    return len(attempts)

print("attempts", asyncio.run(one_step()))
"""


@pytest.mark.parametrize(
    ("error", "attempts"), [("DatabaseUnavailable", 4), ("DataError", 1)]
)
def test_only_an_error_that_may_pass_is_retried(
    prefect: Prefect, error: str, attempts: int
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, error],
        cwd=CHECKOUT, env=prefect.environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.strip() == f"attempts {attempts}", done.stderr
