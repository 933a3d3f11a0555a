"""Declares commands: a click command that also names its job, examples and exit codes.

Imports click and the standard library only. The stack's program `etl` loads the
declarations through the entry points `etl.verbs`. It parses the command line with
them, prints their help, and runs the command as a job of the stack, which parses the
same words with the same declaration.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

MAX_ROWS = 10_000_000


def output_options() -> list[click.Parameter]:
    """Return the options of every command; `etl.console` reads them beforehand."""
    return [
        click.Option(["--json"], is_flag=True, expose_value=False, help="print JSON"),
        click.Option(
            ["--debug"], is_flag=True, expose_value=False, help="show tracebacks"
        ),
    ]


class Verb(click.Command):
    """A command of the data.

    Attributes:
        job: The stack's job that runs the command; None if it needs no stack.
        module: What `python -m` runs where there is no stack.
        examples: Command lines without the program's name, each with its purpose.
        exit_codes: Every exit code that the command can end with.
    """

    def __init__(
        self,
        name: str | None,
        *,
        job: str | None,
        examples: Iterable[tuple[str, str]],
        exit_codes: Iterable[int],
        module: str = "etl.cli",
        **declared: Any,
    ) -> None:
        super().__init__(name, **declared)
        self.job, self.module = job, module
        self.examples, self.exit_codes = tuple(examples), tuple(exit_codes)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the declared parameters and the options of every command."""
        return [*super().get_params(ctx), *output_options()]


class WrongValue(click.UsageError):
    """A value on the command line is wrong; `hint` is the command that helps."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class RowCount(click.ParamType[int]):
    """A number of rows."""

    name = "number"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Return the number. Fails for one that is not from 1 to MAX_ROWS."""
        text = str(value)
        digits = text.isascii() and text.isdigit() and len(text) <= len(str(MAX_ROWS))
        if not (digits and 1 <= int(text) <= MAX_ROWS):
            self.fail(f"{text!r} is not a number from 1 to {MAX_ROWS:,}", param, ctx)
        return int(text)


class SourceName(click.ParamType[str]):
    """The name of a source in the registry."""

    name = "source"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        """Return the name. Raises WrongValue for one that is not in the registry."""
        from etl.errors import ConfigError
        from etl.specs.registry import require_source

        try:
            return require_source(str(value)).name
        except ConfigError as error:
            raise WrongValue(error.message, error.hint) from None

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[Any]:
        """Return the sources that begin with what was typed."""
        from click.shell_completion import CompletionItem

        from etl.specs.registry import SOURCES

        return [CompletionItem(name) for name in SOURCES if name.startswith(incomplete)]


class SourceInput(click.ParamType[str]):
    """SOURCE=FILE: an input of a source, its file checked and made absolute."""

    name = "input"
    hint = "./etl run --input nass=FILE"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        """Return the input, which means the same in every folder.

        Raises:
            WrongValue: It has another form, or its file cannot be loaded.
        """
        source, equals, written = str(value).partition("=")
        if not (source and equals and written):
            raise WrongValue(f"--input wants SOURCE=FILE, not {value!r}", self.hint)
        source = SourceName().convert(source, param, ctx)
        if not is_file_name(written):
            return f"{source}={written}"
        return f"{source}={readable_file(written)}"

    def files(self, value: str) -> list[Path]:
        """Return the files of this machine that a converted value names."""
        written = value.partition("=")[2]
        return [Path(written)] if is_file_name(written) else []


def is_file_name(written: str) -> bool:
    """Return whether an input names a file, and not the sample, an API or the store."""
    return written != "sample" and written.partition(":")[0] not in {"api", "raw"}


def readable_file(written: str) -> Path:
    """Return the absolute path of a regular file that may be read.

    Raises:
        WrongValue: There is none at that path, or its name is not printable UTF-8.
    """
    if not written.isprintable():
        raise WrongValue(
            f"the name of the input is not printable UTF-8: {written!r}",
            "rename the file, or pass a symbolic link to it",
        )
    # Not Path.expanduser, which raises for a user that does not exist.
    path = Path(os.path.realpath(os.path.expanduser(written)))  # noqa: PTH111
    look = f"ls -l {path.parent}"
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise WrongValue(f"the input {path} does not exist", look) from None
    except OSError as error:  # a loop of symbolic links, a folder that is closed …
        raise WrongValue(f"the input {path}: {error.strerror}", look) from None
    if stat.S_ISDIR(mode):
        raise WrongValue(f"the input {path} is a folder", look)
    if not stat.S_ISREG(mode):
        raise WrongValue(
            f"the input {path} is not a regular file",
            f"save it first: cat {written} > input.tsv",
        )
    if not os.access(path, os.R_OK):
        raise WrongValue(f"the input {path} may not be read", look)
    return path
