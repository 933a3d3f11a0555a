"""Commands of the program: their declaration and their help."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import click

from ci.cli.engines import NAMES
from ci.stack import errors

PROGRAM = "./etl"
WIDTH, EXAMPLE_WIDTH = 100, 54  # columns of the help, and of its examples
DATA, STACK, TOOLS = "Data", "Stack", "Shells and tests"
MEANINGS = {
    errors.DONE: "done",
    errors.FAILED: "failed",
    errors.USAGE: "the command line or a setting is not valid",
    errors.DRIFT: "a plan is not empty, or a check found drift",
    errors.PREREQUISITE: "the machine lacks something, or the schema is not up to date",
    errors.CONTRACT: "a data contract is broken",
    errors.TIMED_OUT: "timed out",
    errors.INTERRUPTED: "interrupted",
}
"""Exit codes of all verbs; docs/reference/exit-codes.md explains them."""


class HelpRequested(Exception):
    """The command line asks for help; `text` is the help."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


@dataclass(frozen=True)
class Invocation:
    """A parsed command line.

    Attributes:
        verb: The command to run.
        path: The words that name it, such as `["vocabulary", "list"]`.
        options: Values of the command's own options and arguments.
        engine: The engine that `--engine` names, if any.
        arguments: Words for the program that the verb runs.
    """

    verb: Verb
    path: Sequence[str]
    options: SimpleNamespace
    engine: str | None = None
    json: bool = False
    debug: bool = False
    arguments: list[str] = field(default_factory=list)


def common_options() -> list[click.Parameter]:
    """Return the options of every verb; they may stand before the verb as well."""

    def keep(ctx: click.Context, param: click.Parameter, value: object) -> None:
        if value:
            ctx.meta[str(param.name)] = value

    shared: dict[str, Any] = {"expose_value": False, "callback": keep}
    return [
        click.Option(
            ["--engine"],
            type=click.Choice(NAMES),
            help="what runs the stack (default: $ETL_ENGINE, or local)",
            **shared,
        ),
        click.Option(
            ["--json"],
            is_flag=True,
            help="print one JSON document on standard output",
            **shared,
        ),
        click.Option(["--debug"], is_flag=True, help="show tracebacks", **shared),
    ]


class Helpful(click.Command):
    """A command with `-h`, which raises its help instead of printing it."""

    def get_help_option(self, ctx: click.Context) -> click.Option:
        """Return the option --help."""

        def show(ctx: click.Context, param: click.Parameter, value: bool) -> None:
            if value and not ctx.resilient_parsing:
                raise HelpRequested(ctx.get_help())

        return click.Option(
            ["-h", "--help"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=show,
            help="show this help",
        )


class Verb(Helpful):
    """One verb of the program.

    Attributes:
        handler: The function of `ci.cli.verbs` that runs it.
        section: Its heading in the program's help.
        examples: Command lines without the program's name, each with its purpose.
        exit_codes: Every exit code that it can end with, besides those of a program
            that it runs.
        passes: Number of words after the verb that are its own, when all that follow
            are for another program; else None.
        announces: Whether it prints at once which engine is at work.
        starts_server: Whether it may start Prefect's server.
        declared: The declaration that another package registered, if it did.
    """

    def __init__(
        self,
        name: str,
        *,
        handler: str,
        section: str,
        examples: Iterable[tuple[str, str]],
        exit_codes: Iterable[int],
        passes: int | None = None,
        announces: bool = False,
        starts_server: bool = False,
        declared: Any = None,
        **details: Any,
    ) -> None:
        super().__init__(name, **details)
        self.handler, self.section, self.passes = handler, section, passes
        self.examples, self.exit_codes = tuple(examples), tuple(exit_codes)
        self.announces, self.starts_server = announces, starts_server
        self.declared = declared

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the verb's parameters and those of every verb."""
        return [*self.params, *common_options(), self.get_help_option(ctx)]

    def invoke(self, ctx: click.Context) -> Invocation:
        """Return what is to be run; the program runs it."""
        path: list[str] = []
        at: click.Context | None = ctx
        while at and at.parent:
            path.insert(0, str(at.info_name))
            at = at.parent
        options = SimpleNamespace(**ctx.params)
        words = forwarded_words(self, ctx) if self.declared else []
        return Invocation(self, path, options, arguments=words, **ctx.meta)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write usage, purpose, examples, options and exit codes."""
        self.format_usage(ctx, formatter)
        self.format_help_text(ctx, formatter)
        write_examples(formatter, self.examples)
        self.format_options(ctx, formatter)
        with formatter.section("Exit codes"):
            formatter.write_dl(
                [(str(code), MEANINGS[code]) for code in sorted(self.exit_codes)]
            )


class Program(Helpful, click.Group):
    """The program, or a verb that has verbs of its own."""

    section = DATA

    def __init__(
        self, name: str, *, examples: Iterable[tuple[str, str]] = (), **details: Any
    ) -> None:
        super().__init__(name, subcommand_metavar="VERB [ARGS]...", **details)
        self.examples = tuple(examples)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the options of every verb."""
        return [*self.params, *common_options(), self.get_help_option(ctx)]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the words before the verb; without any, show the help."""
        if not args and not ctx.resilient_parsing:
            raise HelpRequested(ctx.get_help())
        return super().parse_args(ctx, args)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write usage, examples and the verbs by section."""
        self.format_usage(ctx, formatter)
        self.format_help_text(ctx, formatter)
        write_examples(formatter, self.examples)
        width = max(map(len, self.commands))
        for section in (DATA, STACK, TOOLS):
            rows = [
                (name.ljust(width), command.get_short_help_str(limit=WIDTH))
                for name, command in self.commands.items()
                if getattr(command, "section", DATA) == section
            ]
            if rows:
                with formatter.section(section):
                    formatter.write_dl(rows)
        with formatter.section("Options of every verb, before or after it"):
            records = [param.get_help_record(ctx) for param in self.get_params(ctx)]
            formatter.write_dl([record for record in records if record])
        formatter.write_paragraph()
        formatter.write_text(f"{ctx.command_path} VERB --help shows a verb's options.")


def write_examples(
    formatter: click.HelpFormatter, examples: Sequence[tuple[str, str]]
) -> None:
    """Write the section with examples."""
    if examples:
        with formatter.section("Examples"):
            rows = [(f"{PROGRAM} {line}", why) for line, why in examples]
            formatter.write_dl(rows, col_max=EXAMPLE_WIDTH)


def forwarded_words(command: click.Command, ctx: click.Context) -> list[str]:
    """Return the command line again, its values converted, for a job of the stack."""
    options: list[str] = []
    positional: list[str] = []
    for param in command.params:
        source = ctx.get_parameter_source(str(param.name))
        if source is not click.core.ParameterSource.COMMANDLINE:
            continue
        value = ctx.params[str(param.name)]
        values = [value] if isinstance(value, str) or not is_many(param) else [*value]
        if isinstance(param, click.Argument):
            positional += map(str, values)
        elif isinstance(param, click.Option) and param.is_flag:
            options.append(param.opts[0])
        else:
            options += [f"{param.opts[0]}={item}" for item in values]
    separator = ["--"] if any(word.startswith("-") for word in positional) else []
    return [*options, *separator, *positional]


def is_many(param: click.Parameter) -> bool:
    """Return whether a parameter's value is a sequence."""
    return param.multiple or param.nargs != 1
