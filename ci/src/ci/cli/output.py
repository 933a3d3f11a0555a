"""What a verb gives back, and how it is written: text for people, one JSON document."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ci.stack.errors import DONE, StackError

VERSION = 1  # of the JSON document; fields are only ever added


@dataclass(frozen=True)
class Result:
    """What a verb found out: data for programs, lines for people."""

    data: Mapping[str, Any] = field(default_factory=dict)
    lines: tuple[str, ...] = ()
    exit_code: int = DONE
    error: Mapping[str, str] | None = None


def failed(error: StackError) -> Result:
    """Turn an error into a result."""
    problem = {"code": error.code, "message": error.what, "hint": error.hint}
    return Result(exit_code=error.exit_code, error=problem)


def write(result: Result, *, as_json: bool, duration_s: float) -> None:
    """Write a result: data on standard output, an error on standard error."""
    if as_json:
        document = {
            "version": VERSION,
            "ok": result.exit_code == DONE,
            "data": result.data,
            "error": result.error,
            "duration_s": round(duration_s, 3),
        }
        print(json.dumps(document, ensure_ascii=False))
    else:
        for line in result.lines:
            print(line)
    sys.stdout.flush()
    if result.error and not as_json:
        print(f"error: {result.error['message']}", file=sys.stderr)
        if result.error["hint"]:
            print(f"  fix: {result.error['hint']}", file=sys.stderr)


def stream(lines: Iterable[str]) -> None:
    """Write lines as they come."""
    for line in lines:
        print(line, flush=True)


def ask(question: str) -> str:
    """Ask the person at the terminal; return the answer."""
    print(question, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip()


def read_job_output(text: str, exit_code: int) -> Result:
    """Read what a job printed under --json: its data and its error."""
    try:
        document = json.loads(text)
        return Result(document["data"] or {}, (), exit_code, document["error"])
    except (ValueError, KeyError, TypeError):
        problem = {
            "code": "JOB_FAILED",
            "message": f"the job ended with exit code {exit_code}, without a result",
            "hint": "run it again without --json to see what it says",
        }
        return Result(exit_code=exit_code or 1, error=problem)
