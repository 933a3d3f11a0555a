"""How a job of this folder ends: a result or an error, as text or JSON, and an exit code.

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
    """Parse the arguments, run the command, print what it says; return the exit code."""
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
    except Exception as error:  # the edge: whatever is left ends as one clear line
        show_traceback(arguments.debug)
        result = Result({}, "", UnexpectedError(f"{type(error).__name__}: {error}", "--debug"))
    say(result, as_json=arguments.json)
    return result.error.exit_code if result.error else 0


def say(result: Result, *, as_json: bool) -> None:
    """Print a result to standard output, and for people an error to standard error."""
    error = result.error
    if as_json:
        told = error and {"code": error.code, "message": error.message, "hint": error.hint}
        document = {"data": result.data or None, "error": told}
        sys.stdout.write(json.dumps(document, ensure_ascii=False, default=str) + "\n")
        return
    if result.text:
        sys.stdout.write(result.text.rstrip("\n") + "\n")
        sys.stdout.flush()
    if error:
        progress(f"error: {error.message}")
        progress(f"  fix: {error.hint}")


def progress(line: str) -> None:
    """Say one line of progress; standard error, so that data has standard output alone."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def show_traceback(wanted: bool) -> None:
    """Print where the current exception came from, if asked for."""
    if wanted:
        traceback.print_exc(file=sys.stderr)
