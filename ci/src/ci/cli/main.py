"""The program `etl`: reads the command line, calls one verb, writes what it returns.

Everything slow is imported by the verb that needs it, so that --help is instant.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from ci.cli import engines
from ci.stack.errors import FAILED, INTERRUPTED, StackError, UsageError

if TYPE_CHECKING:
    from ci.cli.output import Result

CHECKOUT = Path(__file__).resolve().parents[4]
# The verbs of the stack, in the order in which one meets them. Those of the data are
# registered by their own package under the same entry point group.
VERBS: Mapping[str, str] = {
    "run": "run the pipeline: start what is missing, load, print the receipt",
    "up": "start every service and leave them running",
    "down": "stop the stack; --volumes deletes its data",
    "restart": "restart one service, or all with a freshly read .env",
    "status": "show every service, its health, and the migration's exit code",
    "logs": "show the logs; -f follows",
    "deploy": "make or update the deployments of prefect.yaml",
    "migrate": "bring the application database to the newest revision",
    "psql": "SQL shell on the application database; --prefect for Prefect's",
    "exec": "run a command with a service's programs and environment",
    "health": "ask whether the database accepts connections; starts nothing",
    "rebuild": "build the image anew (Docker engine)",
    "test": "run the tests; arguments go to pytest",
}
# Verbs that run another program with the words that follow, and how many of the first
# words are still ours.
PASSING = {"psql": 0, "exec": 1, "test": 0}
OWN_FLAGS = ("-h", "--help", "--json", "--debug", "--prefect", "--engine")
# Verbs that take a while say at once where they are at work; the others just answer.
SPEAKING = ("run", "up", "down", "restart", "deploy", "migrate", "rebuild")
# Verbs that start Prefect's server. Each of them prints what an open API means.
STARTING = ("run", "up", "restart", "deploy", "exec")
ENTRY_POINTS = "etl.verbs"
EXAMPLES = """\
examples:
  ./etl run                                    load what the repository ships
  ./etl run --input nass=qs.crops.txt.gz       load a QuickStats bulk file
  ./etl up && ./etl status                     start the stack and look at it
  ./etl psql -- -c 'SELECT count(*) FROM out_nass__values'
"""


class Parser(argparse.ArgumentParser):
    """Raises instead of exiting, so that --json holds for usage errors too."""

    def error(self, message: str) -> NoReturn:
        """Raise a usage error."""
        raise UsageError(message, f"{self.prog} --help")


def data_verbs() -> dict[str, str]:
    """Return the verbs that other packages register, with one line of help each."""
    from importlib.metadata import entry_points

    verbs: dict[str, str] = {}
    for point in entry_points(group=ENTRY_POINTS):
        if not point.value.startswith("ci."):
            verbs.update(point.load())
    return verbs


def new_parser() -> Parser:
    """Build the parser of the stack's verbs."""
    parser = Parser(
        prog="./etl",
        description="BioCirV ETL: California's biomass residues into PostgreSQL.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    common = Parser(add_help=False)
    add_common(common)
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    made = {
        name: verbs.add_parser(name, help=text, description=text, parents=[common])
        for name, text in VERBS.items()
    }
    add_arguments(made)
    return parser


def add_common(parser: argparse.ArgumentParser) -> None:
    """Add what every verb takes."""
    parser.add_argument(
        "--json", action="store_true", help="one JSON document on standard output"
    )
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    parser.add_argument(
        "--engine",
        choices=engines.NAMES,
        default=engines.default_engine(),
        help="what runs the stack (default: $ETL_ENGINE or local)",
    )


def add_arguments(verbs: Mapping[str, argparse.ArgumentParser]) -> None:
    """Add what single verbs take."""
    add_run_arguments(verbs["run"])
    up, down = verbs["up"].add_argument, verbs["down"].add_argument
    up("--wait", action="store_true", help="wait until ready (it always does)")
    down("--volumes", action="store_true", help="delete the data too")
    down("--yes", action="store_true", help="do not ask")
    verbs["restart"].add_argument("service", nargs="?")
    verbs["status"].add_argument(
        "--show-login", action="store_true", help="show the login of Prefect's UI"
    )
    logs = verbs["logs"].add_argument
    logs("service", nargs="?")
    logs("-f", "--follow", action="store_true", help="go on with what is added")
    logs("-n", "--lines", type=int, default=100, help="last lines of each (100)")
    psql, execute = verbs["psql"], verbs["exec"]
    psql.add_argument("--prefect", action="store_true", help="Prefect's database")
    psql.usage = "./etl psql [--prefect] [-- ARGS…]"
    execute.add_argument("service")
    execute.usage = "./etl exec SERVICE CMD…"
    verbs["test"].usage = "./etl test [ARGS…]"


def add_run_arguments(run: argparse.ArgumentParser) -> None:
    """Add what `run` takes; all of it is handed on to the job run-etl."""
    for flag, metavar, text in (
        ("--input", "SOURCE=FILE", "a file, `sample`, or `api[:QUERY]`"),
        ("--source", "NAME", "only this source and what it depends on"),
        (
            "--complete",
            "SOURCE",
            "the input is complete: values it lacks are retracted",
        ),
    ):
        run.add_argument(
            flag,
            action="append",
            default=[],
            metavar=metavar,
            help=f"{text}; repeatable",
        )
    for flag, text in (
        ("--reload", "load even what is already loaded"),
        ("--no-wait", "return once the run is created"),
    ):
        run.add_argument(flag, action="store_true", help=text)


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Parse the command line.

    `psql`, `exec`, `test` and the verbs of the data hand words on as they are, options
    included; the stack's own options stand before those.
    """
    argv = with_verb_first(argv)
    verb = next((word for word in argv if not word.startswith("-")), None)
    if verb is None and (not argv or {"-h", "--help"} & set(argv)):
        print_help()
        raise SystemExit(0)
    if verb in PASSING:
        return parse_passing(verb, argv)
    if verb is None or verb in VERBS:
        return new_parser().parse_args(argv)
    verbs = data_verbs()
    if verb not in verbs:
        raise UsageError(
            f"no verb {verb!r}{near(verb, [*VERBS, *verbs])}", "./etl --help"
        )
    parser = Parser(prog=f"./etl {verb}", add_help=False, allow_abbrev=False)
    add_common(parser)
    args, rest = parser.parse_known_args(argv)
    rest.remove(verb)
    args.verb, args.arguments = verb, rest
    return args


def with_verb_first(argv: Sequence[str]) -> list[str]:
    """Put an engine that is named before the verb behind it: `--engine docker up`."""
    words, leading = list(argv), []
    while words and words[0].startswith("-"):
        takes_value = words[0] == "--engine"
        leading += words[: 1 + takes_value]
        del words[: 1 + takes_value]
    return [*words[:1], *leading, *words[1:]] if words else leading


def parse_passing(verb: str, argv: Sequence[str]) -> argparse.Namespace:
    """Parse our own leading options; what follows is for the program that is run."""
    words = list(argv[: argv.index(verb)])
    rest = list(argv[argv.index(verb) + 1 :])
    positionals = PASSING[verb]
    while rest and (rest[0] in OWN_FLAGS or (positionals and rest[0][0] != "-")):
        positionals -= rest[0] not in OWN_FLAGS
        words.append(rest.pop(0))
        if words[-1] == "--engine" and rest:
            words.append(rest.pop(0))
    args = new_parser().parse_args([verb, *words])
    args.arguments = rest[1:] if rest[:1] == ["--"] else rest
    return args


def near(word: str, known: list[str]) -> str:
    """Say which known word was probably meant."""
    import difflib

    match = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {match[0]!r}?" if match else ""


def print_help() -> None:
    """Print the help of all verbs, those of the data included."""
    print(new_parser().format_help().split("\nexamples:")[0])
    print("verbs of the data:")
    for name, text in data_verbs().items():
        print(f"    {name:<20}{text}")
    print(f"\n{EXAMPLES}", end="")


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run one verb and exit with its code."""
    words = list(sys.argv[1:] if argv is None else argv)
    started = time.monotonic()
    as_json, debug = "--json" in words, "--debug" in words
    from ci.cli.output import Result, failed, write

    try:
        args = parse(words)
        as_json = args.json
        result = call(args)
    except KeyboardInterrupt:
        problem = {"code": "INTERRUPTED", "message": "interrupted", "hint": ""}
        result = Result(exit_code=INTERRUPTED, error=problem)
    except StackError as error:
        if debug:
            raise
        result = failed(error)
    except BrokenPipeError:  # the reader of our output has left: nothing more to say
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)
    except Exception as error:  # the edge: people get no traceback
        if debug:
            raise
        what = f"unexpected {type(error).__name__}: {error}"
        result = failed(StackError(what, "the same command with --debug says more"))
    write(result, as_json=as_json, duration_s=time.monotonic() - started)
    sys.exit(result.exit_code)


def call(args: argparse.Namespace) -> Result:
    """Set the context up and call the verb."""
    from ci.cli.progress import StartProgress
    from ci.host.home import find_home

    home = find_home(CHECKOUT, os.environ)
    progress = StartProgress(quiet=args.json)
    if args.verb in SPEAKING:
        progress.say(f"etl {args.verb}: {args.engine} engine, state in {home.root}")

    from ci.cli import verbs  # only now: the first line is not to wait for these
    from ci.host.env_file import find_env_file, read_settings
    from ci.host.secrets import exposure

    settings = read_settings(os.environ, find_env_file(CHECKOUT))
    if args.verb in STARTING:
        for line in exposure(settings):
            progress.say(line)
    engine = engines.new_engine(args.engine, CHECKOUT, home, settings)
    if args.verb in SPEAKING:
        engines.point_out_others(args.engine, CHECKOUT, home, settings, progress)
    context = verbs.Context(engine, progress, CHECKOUT, args.json)
    try:
        result = verbs.HANDLERS.get(args.verb, verbs.data)(args, context)
    except StackError as error:
        error.hint = engines.addressed(error.hint, args.engine)
        raise
    lines = tuple(engines.addressed(line, args.engine) for line in result.lines)
    return replace(result, lines=lines)
