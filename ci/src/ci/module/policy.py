"""How long Dagger may keep what a function has returned."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import dagger

F = TypeVar("F", bound=Callable[..., Any])


def uncached(func: F) -> F:
    """Expose a function that starts services, changes something or reads the clock.

    With the default policy a second call would return the first one's result for seven
    days and start nothing.
    """
    expose = cast(Callable[..., F], dagger.function)  # its overloads lack `cache`
    return expose(func, cache="never")
