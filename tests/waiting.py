"""Waits in tests: polls a condition, and fails when it never becomes true."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import httpx


def eventually(question: Callable[[], Any], *, within_s: float = 60) -> Any:
    """Return the answer as soon as it is true; a server may not be up yet."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            if answer := question():
                return answer
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise AssertionError(f"not true within {within_s} s: {question}")


async def eventually_async(question: Callable[[], Any], *, within_s: float = 60) -> Any:
    """Return the answer as soon as it is true; other tasks go on meanwhile."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if answer := question():
            return answer
        await asyncio.sleep(0.01)
    raise AssertionError(f"not true within {within_s} s: {question}")
