"""How a job of this folder ends: result or error, text or JSON, and an exit code.

With `--json`, standard output holds exactly one document, `{"data": …, "error": null
or {"code", "message", "hint"}}`. People read text there and errors on standard error.
"""

from __future__ import annotations

import argparse
import json
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from etl.errors import EtlError

EXIT_INTERRUPTED = 130


class UnexpectedError(EtlError):
    """A defect of this program: nothing that its reader did wrong."""

    code = "UNEXPECTED"


@dataclass(frozen=True)
class Result:
    """What a job has to say. `error` may come with data: a failed run has a receipt."""

    data: dict[str, Any]
    text: str
    error: EtlError | None = None


def run_command(
    parser: argparse.ArgumentParser,
    command: Callable[[argparse.Namespace], Result],
    argv: Sequence[str] | None = None,
) -> int:
    """Parse the arguments, run the command, print what it says; give the exit code."""
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    arguments = parser.parse_args(argv)
    try:
        result = command(arguments)
    except EtlError as error:
        show_traceback(arguments.debug)
        result = Result({}, "", error)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except Exception as error:  # noqa: BLE001  # the edge: one clear line, whatever it is
        show_traceback(arguments.debug)
        cause: BaseException = error
        while isinstance(cause, BaseExceptionGroup):  # task groups say nothing else
            cause = cause.exceptions[0]
        what = f"{type(cause).__name__}: {cause}"
        result = Result({}, "", UnexpectedError(what, "report it, with --debug"))
    say(result, json_wanted=arguments.json)
    return result.error.exit_code if result.error else 0


def say(result: Result, *, json_wanted: bool) -> None:
    """Print a result to standard output, and for people an error to standard error."""
    error = result.error
    if json_wanted:
        document = {"data": result.data or None, "error": error and as_json(error)}
        sys.stdout.write(json.dumps(document, ensure_ascii=False, default=str) + "\n")
        return
    if result.text:
        sys.stdout.write(result.text.rstrip("\n") + "\n")
        sys.stdout.flush()
    if error:
        progress(f"error: {error.message}")
        if error.hint:
            progress(f"  fix: {error.hint}")


def as_json(error: EtlError) -> dict[str, str]:
    """Return the JSON form of an error."""
    return {"code": error.code, "message": error.message, "hint": error.hint}


def progress(line: str) -> None:
    """Say one line on standard error, so that data has standard output to itself."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def show_traceback(wanted: bool) -> None:
    """Print where the current exception came from, if asked for."""
    if wanted:
        traceback.print_exc(file=sys.stderr)
