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
    return exposed(func, cache="never")


def once_per_session(func: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
    """Expose a function that returns a service for `up`.

    The CLI evaluates it twice, to find out its ports and to start it. Both must give
    the same service; each command is a session of its own.
    """
    return exposed(func, cache="session")


def exposed(
    func: Callable[P, Awaitable[R]], *, cache: str
) -> Callable[P, Awaitable[R]]:
    """Expose a function under a cache policy, with its errors as text."""

    @functools.wraps(func)
    async def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await func(*args, **kwargs)
        except StackError as error:
            from ci.dagger.commands import in_dagger

            fix = f"\n  fix: {in_dagger(error.hint)}" if error.hint else ""
            raise CallFailed(f"{in_dagger(error.what)}{fix}") from None

    expose = cast(Callable[..., Any], dagger.function)  # its overloads lack `cache`
    return cast(Callable[P, Awaitable[R]], expose(call, cache=cache))
