"""How functions are exposed: what Dagger may keep of them, how their errors read."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec, TypeVar, cast

import dagger

from ci.stack.errors import StackError

P = ParamSpec("P")
R = TypeVar("R")


class CallFailed(Exception):
    """A call that cannot be done: what, why, and the command that fixes it.

    Dagger shows an exception's text and nothing else of it, so it is all in the text.
    """


def uncached(func: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
    """Expose a function that starts services, changes something or reads the clock.

    With the default policy a second call would return the first one's result for seven
    days and start nothing.
    """

    @functools.wraps(func)
    async def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await func(*args, **kwargs)
        except StackError as error:
            fix = f"\n  fix: {error.hint}" if error.hint else ""
            raise CallFailed(f"{error.what}{fix}") from None

    expose = cast(Callable[..., Any], dagger.function)  # its overloads lack `cache`
    return cast(Callable[P, Awaitable[R]], expose(call, cache="never"))
