"""Runs a command as a program: its result or its error, as text or as JSON.

With `--json`, standard output holds exactly one document,
`{"version", "ok", "data", "error", "duration_s"}`, whatever happens. Without it,
results go to standard output, progress and errors to standard error.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import sys
import time
import traceback
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import click

from etl.errors import ConfigError, EtlError

if TYPE_CHECKING:
    from rich.table import Table

VERSION = 1  # of the JSON document; fields are only ever added
COMMAND = "./etl"
PIPED_WIDTH = 240
FOLDED = 24  # columns of text that a long cell is given at least
# Control characters, and those that change the direction of the text around them.
UNPRINTABLE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)


class UnexpectedError(EtlError):
    """A defect of this program."""

    code = "UNEXPECTED"


class Interrupted(EtlError):
    """The program was interrupted."""

    code = "INTERRUPTED"
    exit_code = 130


@dataclass(frozen=True)
class Result:
    """What a command returns; a failed run has both an error and a receipt."""

    data: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""
    error: EtlError | None = None


def run_program(
    command: click.Command, argv: Sequence[str] | None = None, *, name: str = COMMAND
) -> int:
    """Run a command, write what it returns or raises, and return the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    as_json, debug = "--json" in words, "--debug" in words
    started = time.monotonic()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal in ASCII shows é as \xe9 instead of ending the program.
            stream.reconfigure(errors="backslashreplace")
    try:
        with command.make_context(name, words) as context:
            result = command.invoke(context)
    except click.exceptions.Exit as done:  # --help was printed
        return done.exit_code
    except BaseException as error:  # noqa: BLE001  # the program's edge
        if debug:
            traceback.print_exc(file=sys.stderr)
        result = Result(error=meaning(error))
    try:
        write(result, as_json=as_json, duration_s=time.monotonic() - started)
    except BrokenPipeError:  # the reader of the output has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return result.error.exit_code if result.error else 0


def meaning(error: BaseException) -> EtlError:
    """Return the error to show for an exception; a group stands for its first one."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    match error:
        case EtlError():
            return error
        case click.UsageError():
            context = error.ctx.command_path if error.ctx else COMMAND
            hint = getattr(error, "hint", "") or f"{context} --help"
            return ConfigError(error.format_message(), hint)
        case KeyboardInterrupt() | click.Abort():
            return Interrupted("interrupted")
        case _:
            return UnexpectedError(
                f"unexpected {type(error).__name__}: {error}",
                "report it, with the output of the same command with --debug",
            )


def write(result: Result, *, as_json: bool, duration_s: float = 0) -> None:
    """Write a result: one JSON document, or text with the error on standard error."""
    error = result.error
    if as_json:
        document = {
            "version": VERSION,
            "ok": error is None,
            "data": result.data,
            "error": error and error_document(error),
            "duration_s": round(duration_s, 3),
        }
        # A lone surrogate is no text in UTF-8; json escapes it.
        sys.stdout.write(json.dumps(document, default=str) + "\n")
        sys.stdout.flush()
        return
    if result.text:
        sys.stdout.write(printable(result.text.rstrip("\n")) + "\n")
        sys.stdout.flush()
    if error:
        report_progress(f"error: {with_command(error.message)}")
        if error.hint:
            report_progress(f"  fix: {with_command(error.hint)}")


def error_document(error: EtlError) -> dict[str, str]:
    """Return the JSON form of an error."""
    message, hint = with_command(error.message), with_command(error.hint)
    return {"code": error.code, "message": message, "hint": hint}


def report_progress(line: str) -> None:
    """Write one line to standard error, which leaves standard output to the result."""
    sys.stderr.write(printable(line) + "\n")
    sys.stderr.flush()


def printable(text: str) -> str:
    """Return text with every character that could control a terminal escaped."""
    return (
        UNPRINTABLE.sub(
            lambda found: found.group().encode("unicode_escape").decode(), text
        )
        .encode("utf-8", "backslashreplace")
        .decode()
    )


def with_command(text: str) -> str:
    """Return text with the engine in use in its commands.

    The stack sets ETL_COMMAND to what starts a command line of its engine, such as
    `./etl --engine docker`. Commands in messages begin with `./etl`.
    """
    command = os.environ.get("ETL_COMMAND") or COMMAND
    if command == COMMAND or "--engine" in text:
        return text
    return re.sub(rf"(?<![\w/]){re.escape(COMMAND)}(?= |$)", command, text)


def terminal_width() -> int:
    """Return the columns of the terminal; PIPED_WIDTH if the output is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else PIPED_WIDTH


def render_table(
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    right: Collection[str] = (),
    optional: Sequence[str] = (),
    width: int | None = None,
) -> str:
    """Return a table as text; a long cell continues below itself.

    Args:
        header: The name of each column.
        rows: The cells of each row.
        right: The columns to align to the right.
        optional: The columns to leave out, from the first, if the table is too wide.
        width: Columns of text; None means those of the terminal.
    """
    from rich.table import Table
    from rich.text import Text

    lines = [[printable(cell) for cell in row] for row in (header, *rows)]
    width = width or terminal_width()
    columns = zip(header, *lines, strict=True)
    wanted = {name: min(FOLDED, max(map(len, cells))) for name, *cells in columns}
    left_out = columns_to_leave_out(wanted, optional, width)
    kept = [at for at, name in enumerate(header) if name not in left_out]
    fits = sum(wanted[header[at]] + 2 for at in kept) - 2 <= width
    table = Table(box=None, pad_edge=False)
    for name in (header[at] for at in kept):
        justify: Literal["left", "right"] = "right" if name in right else "left"
        no_wrap = fits and wanted[name] < FOLDED
        table.add_column(name, overflow="fold", justify=justify, no_wrap=no_wrap)
    for line in lines[1:]:
        # Text, not markup: values of a file may hold square brackets.
        table.add_row(*(Text(line[at]) for at in kept))
    text = as_plain_text(table, width)
    return f"{text}\n(no room for: {', '.join(left_out)})" if left_out else text


def as_plain_text(table: Table, width: int) -> str:
    """Return a table without colours: control characters are escaped later."""
    from rich.console import Console

    console = Console(file=sys.stdout, color_system=None, width=width)
    with console.capture() as captured:
        console.print(table)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def columns_to_leave_out(
    wanted: Mapping[str, int], optional: Sequence[str], width: int
) -> list[str]:
    """Return the optional columns without which a table fits, from the first."""
    left_out: list[str] = []
    total = sum(wanted.values()) + 2 * (len(wanted) - 1)
    for name in optional:
        if name in wanted and total > width:
            left_out.append(name)
            total -= wanted[name] + 2
    return left_out
