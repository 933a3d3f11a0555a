"""Writes the result of a verb: text for people, or exactly one JSON document."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn

from ci.stack.errors import DONE, FAILED, StackError

VERSION = 1  # of the JSON document; fields are only ever added
# Control characters, and those that change the direction of the text around them.
UNPRINTABLE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)


class OutputClosed(Exception):
    """The reader of standard output has closed it, as `head` does."""


@dataclass(frozen=True)
class Result:
    """What a verb returns: data for programs, lines for people."""

    data: Mapping[str, Any] = field(default_factory=dict)
    lines: tuple[str, ...] = ()
    exit_code: int = DONE
    error: Mapping[str, str] | None = None


def failed(error: StackError) -> Result:
    """Turn an error into a result."""
    problem = {"code": error.code, "message": error.what, "hint": error.hint}
    return Result(exit_code=error.exit_code, error=problem)


def prepare_streams() -> None:
    """Make standard output and error writable for any text, also where one is closed.

    A name that is not UTF-8 is written with escapes.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by whoever started the program
            setattr(sys, name, open(os.devnull, "w"))  # noqa: PTH123, SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


@contextmanager
def captured_output() -> Iterator[list[str]]:
    """Collect what programs write to standard output meanwhile, so that JSON is alone.

    The list has one text when the block has ended.
    """
    from tempfile import TemporaryFile  # here: --help does not wait for it

    texts: list[str] = []
    sys.stdout.flush()
    kept = os.dup(1)
    with TemporaryFile() as file:
        os.dup2(file.fileno(), 1)
        try:
            yield texts
        finally:
            sys.stdout.flush()
            os.dup2(kept, 1)
            os.close(kept)
            file.seek(0)
            texts.append(file.read().decode(errors="backslashreplace"))


def write(result: Result, *, as_json: bool, duration_s: float) -> None:
    """Write a result: data on standard output, an error on standard error.

    Raises:
        OutputClosed: Standard output has no reader any more.
    """
    if as_json:
        document = {
            "version": VERSION,
            "ok": result.exit_code == DONE,
            "data": result.data,
            "error": result.error,
            "duration_s": round(duration_s, 3),
        }
        stream([json.dumps(document, default=str)])
        return
    stream(result.lines)
    if result.error:
        report(f"error: {result.error['message']}")
        if result.error["hint"]:
            report(f"  fix: {result.error['hint']}")


def stream(lines: Iterable[str]) -> None:
    """Write lines to standard output as they come: logs hold any text."""
    for line in lines:
        try:
            print(printable(line), flush=True)
        except BrokenPipeError:
            raise OutputClosed from None


def aligned(rows: Sequence[Sequence[str]], *, left: int) -> Iterator[str]:
    """Yield the rows of a table as lines.

    Args:
        rows: The header, then the cells of each row.
        left: Number of columns to align to the left; the others are numbers.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (
            cell.ljust(width) if position < left else cell.rjust(width)
            for position, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join(cells).rstrip()


def report(line: str) -> None:
    """Write a line to standard error, its control characters escaped."""
    print(printable(line), file=sys.stderr, flush=True)


def printable(text: str) -> str:
    """Return text with every character that could control a terminal escaped."""
    return UNPRINTABLE.sub(
        lambda found: found.group().encode("unicode_escape").decode(), text
    )


def leave_without_output() -> NoReturn:
    """End the program when standard output cannot be written."""
    # Python writes what is left in its buffer when it ends; that is to succeed.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.exit(FAILED)


def ask(question: str) -> str:
    """Ask the person at the terminal; return the answer."""
    print(question, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip()


def read_job_output(text: str, exit_code: int) -> Result:
    """Read the document that a job printed under --json: its data and its error."""
    try:
        document = json.loads(text)
        return Result(document["data"] or {}, (), exit_code, document["error"])
    except (ValueError, KeyError, TypeError):
        problem = {
            "code": "JOB_FAILED",
            "message": f"the job ended with exit code {exit_code} and no result",
            "hint": "run it again without --json to see its output",
        }
        return Result(exit_code=exit_code or FAILED, error=problem)
