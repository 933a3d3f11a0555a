"""Waits in tests: asks until something is so, and fails when it never is."""

from __future__ import annotations

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
