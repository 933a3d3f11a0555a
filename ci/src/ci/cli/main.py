"""The program `etl`: parses the command line, runs one verb, writes its result.

Everything slow is imported by the verb that needs it, so that --help is instant.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import click

from ci.cli.command import PROGRAM, HelpRequested, Invocation, Program, Verb
from ci.cli.complete import is_completion, print_completions
from ci.cli.output import (
    OutputClosed,
    Result,
    captured_output,
    failed,
    leave_without_output,
    prepare_streams,
    report,
    write,
)
from ci.cli.tree import new_program
from ci.stack.errors import INTERRUPTED, StackError, UsageError, first_error

CHECKOUT = Path(__file__).resolve().parents[4]


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run one verb and exit with its code."""
    started = time.monotonic()
    words = list(sys.argv[1:] if argv is None else argv)
    prepare_streams()
    if is_completion():
        print_completions(new_program())
        sys.exit(0)
    as_json, result = run(words)
    try:
        write(result, as_json=as_json, duration_s=time.monotonic() - started)
    except OutputClosed:
        leave_without_output()
    except OSError as error:  # a full disk behind a redirection
        report(f"error: cannot write to standard output: {error.strerror}")
        leave_without_output()
    sys.exit(result.exit_code)


def run(words: Sequence[str]) -> tuple[bool, Result]:
    """Run one verb; return whether its result is wanted as JSON, and the result."""
    as_json, debug = "--json" in words, "--debug" in words

    def run_verb() -> Result:
        nonlocal as_json, debug
        program = new_program()
        own, _ = split_words(program, words)
        as_json, debug = "--json" in own, "--debug" in own
        if not as_json:
            return call(parse(program, words), program)
        with captured_output() as printed:
            result = call(parse(program, words), program)
        data = {"output": printed[0]} if printed[0] else {}
        return replace(result, data={**data, **result.data})

    result = result_of(run_verb, debug=lambda: debug)
    return as_json, result


def result_of(action: Callable[[], Result], *, debug: Callable[[], bool]) -> Result:
    """Return the result of an action; whatever it raises becomes a result."""
    try:
        return action()
    except HelpRequested as asked:
        return Result({"help": asked.text}, tuple(asked.text.splitlines()))
    except OutputClosed:
        leave_without_output()
    except BaseException as error:  # noqa: BLE001  # the program's edge
        if debug():
            import traceback

            traceback.print_exc(file=sys.stderr)
        return as_result(first_error(error))


def as_result(error: BaseException) -> Result:
    """Return the result of a verb that raised."""
    match error:
        case KeyboardInterrupt():
            problem = {"code": "INTERRUPTED", "message": "interrupted", "hint": ""}
            return Result(exit_code=INTERRUPTED, error=problem)
        case StackError():
            return failed(error)
        case _:
            what = f"unexpected {type(error).__name__}: {error}"
            hint = "report it, with the output of the same command with --debug"
            return failed(StackError(what, hint))


def parse(program: Program, words: Sequence[str]) -> Invocation:
    """Parse the command line.

    Raises:
        HelpRequested: It asks for help.
        UsageError: It is not valid.
    """
    own, rest = split_words(program, words)
    try:
        with program.make_context(PROGRAM, own) as ctx:
            invocation: Invocation = program.invoke(ctx)
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else PROGRAM
        hint = getattr(error, "hint", "") or f"{path} --help"
        raise UsageError(error.format_message(), hint) from None
    if invocation.verb.passes is None:
        return invocation
    return replace(invocation, arguments=rest[1:] if rest[:1] == ["--"] else rest)


def split_words(program: Program, words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split the words at those for another program, which `psql`, `exec`, `test` run.

    The program's own options stand before those; `--` may separate them.
    """
    at = 0
    while at < len(words) and words[at].startswith("-"):
        at += 2 if words[at] == "--engine" else 1
    verb = program.commands.get(words[at]) if at < len(words) else None
    if not isinstance(verb, Verb) or verb.passes is None:
        return list(words), []
    own = {"-h", "--help", "--json", "--debug", "--engine"}
    own |= {flag for param in verb.params for flag in param.opts}
    positionals = verb.passes
    at += 1
    while at < len(words):
        word = words[at]
        if word.partition("=")[0] in own:
            at += 2 if word == "--engine" else 1
        elif positionals and not word.startswith("-"):
            positionals, at = positionals - 1, at + 1
        else:
            break
    return list(words[:at]), list(words[at:])


def call(invocation: Invocation, program: Program) -> Result:
    """Prepare what the verb needs and call it."""
    from ci.cli import engines
    from ci.cli.progress import StartProgress
    from ci.host.home import find_home

    verb, name = invocation.verb, invocation.engine or engines.default_engine()
    home = find_home(CHECKOUT, os.environ)
    progress = StartProgress(quiet=invocation.json, verbose=invocation.debug)
    if verb.announces:
        path = " ".join(invocation.path)
        progress.say(f"etl {path}: {name} engine, state in {home.root}")

    from ci.cli import verbs  # after the first line, which is not to wait for these

    context = verbs.Context(invocation, program, progress, CHECKOUT, home, name)
    if verb.starts_server:
        from ci.host.secrets import exposure

        for line in exposure(context.settings):
            progress.say(line)
    if verb.announces:
        engines.report_other_engines(name, CHECKOUT, home, context.settings, progress)
    try:
        result = verbs.HANDLERS[verb.handler](invocation.options, context)
    except StackError as error:
        error.hint = engines.with_engine(error.hint, name)
        raise
    lines = tuple(engines.with_engine(line, name) for line in result.lines)
    return replace(result, lines=lines)
