"""Errors of the stack, by what the reader does next."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

# Exit codes of every verb (docs/reference: exit codes).
DONE, FAILED, USAGE, DRIFT, PREREQUISITE, CONTRACT = 0, 1, 2, 3, 4, 5
TIMED_OUT, INTERRUPTED = 124, 130


class StackError(Exception):
    """Something of the stack failed.

    Positional arguments only (what, hint), so that it survives pickling. `hint` is the
    next command to type; `code` is stable and part of the JSON contract.
    """

    code = "STACK_FAILED"
    exit_code = FAILED

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what, hint)
        self.what, self.hint = what, hint

    def __str__(self) -> str:
        return self.what


class InvalidSetting(StackError):
    """A setting is missing, malformed, or contradicts another one."""

    code, exit_code = "CONFIG_INVALID", USAGE


class UsageError(StackError):
    """The command line asks for something that does not exist."""

    code, exit_code = "USAGE", USAGE


class PrerequisiteMissing(StackError):
    """The machine lacks something; the hint is how to get it."""

    code, exit_code = "PREREQUISITE_MISSING", PREREQUISITE


class PortTaken(StackError):
    """A port that was asked for explicitly is held by another process."""

    code = "PORT_TAKEN"


class NamesTaken(StackError):
    """Containers of another checkout have the names of ours."""

    code = "NAMES_TAKEN"


class DiskFull(StackError):
    """A disk that the stack writes to has no space left."""

    code = "DISK_FULL"


class UnitFailed(StackError):
    """A service did not become ready, or a job did not complete."""

    code = "UNIT_FAILED"


class StackStopping(StackError):
    """The stack is on its way down; ask again once it has stopped."""

    code = "STACK_STOPPING"


class TimedOut(StackError):
    """Something did not happen within its bound."""

    code, exit_code = "TIMED_OUT", TIMED_OUT


def first_error(group: BaseException) -> BaseException:
    """Return the first error in nested groups of errors; any other one is its own."""
    while isinstance(group, BaseExceptionGroup):
        group = group.exceptions[0]
    return group


@contextmanager
def unwrapped() -> Iterator[None]:
    """Raise the first error of a task group as itself.

    Not by `except*`: raising inside it gives a group again on Python 3.11.2.
    """
    try:
        yield
    except BaseExceptionGroup as group:
        raise first_error(group) from None
