"""Runs a job and replaces the commands of `./etl` in its output by Dagger's.

Messages of the pipeline end with the command that fixes the cause, one of `./etl`.
Standard library only; it runs in the containers of jobs.

    python -m ci.dagger.commands COMMAND…
"""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from typing import IO

COMMAND = re.compile(r"\./etl(?: --engine \w+)?((?: [^\s`;,)]+)+)")
DATA_VERBS = ("prune", "rejects", "report", "residues", "runs", "sources", "trace")
OPTIONS = {"--input": "--inputs", "--source": "--sources"}


def run_etl(given: list[str]) -> str:
    """Return the call for `./etl run …`."""
    options = [OPTIONS.get(option, option) for option in given]
    inputs = [option.partition("=")[2] for option in given if "=" in option]
    own = [name for name in inputs if name not in ("api", "sample")]
    files = ["--files", "FOLDER"] if own else []
    return " ".join(["dagger call run-etl", *options, *files])


CALLS = {
    "up": "dagger call stack up",
    "restart": "Ctrl-C, then dagger call stack up",
    "status": "dagger call check-db-health",
    "psql": "dagger call psql terminal",
    "exec": "dagger call shell terminal",
    "shell": "dagger call shell terminal",
}
SAME_NAME = ("check-db-health", "deploy", "downgrade", "history", "migrate", "test")


def in_dagger(text: str) -> str:
    """Return a message with Dagger's command for each command of `./etl`.

    A command that Dagger does not have stays as it is.
    """

    def call(found: re.Match[str]) -> str:
        verb, *options = found[1].split()
        if verb == "run":
            return run_etl(options)
        if verb == "logs":
            return f"read the log of {' '.join(options) or 'the services'}"
        if verb in CALLS:
            return CALLS[verb]
        if verb in DATA_VERBS:
            return f"dagger call data --arguments {','.join([verb, *options])}"
        if verb in SAME_NAME:
            return f"dagger call {verb}"
        return found[0]

    return COMMAND.sub(call, text)


def copy(source: IO[str], target: IO[str]) -> None:
    """Copy a stream line by line."""
    for line in source:
        target.write(in_dagger(line))
        target.flush()


def main() -> int:
    """Run the command line after this program's name; return its exit code."""
    with subprocess.Popen(
        sys.argv[1:],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
    ) as process:
        assert process.stdout
        assert process.stderr
        other = threading.Thread(target=copy, args=(process.stderr, sys.stderr))
        other.start()
        copy(process.stdout, sys.stdout)
        other.join()
    return process.returncode


if __name__ == "__main__":
    raise SystemExit(main())
