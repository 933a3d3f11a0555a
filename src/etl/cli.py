"""The verbs of the data: what `./etl rejects`, `runs`, `report`, `sources`, `trace` do.

The stack's program reads VERBS without running anything, so this file imports the
standard library only; `python -m etl.cli VERB ARGS` does the rest. With --json,
standard output holds exactly {"data": …, "error": null or {code, message, hint}}.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn
from uuid import UUID

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from etl.errors import EtlError
    from etl.report.listing import Listing
    from etl.settings import Settings

VERBS: Mapping[str, str] = {
    "runs": "list the latest runs and what each source came to",
    "report": "show the receipt of a run",
    "rejects": "list the lines that were not loaded, and why",
    "sources": "list the sources, or the columns of one",
    "trace": "follow a published figure back to its run, raw file and line",
}

EXIT_INTERRUPTED = 130
SHORT_ID = 8
PIPED_WIDTH = 240


class Parser(argparse.ArgumentParser):
    """Raises instead of exiting, so that --json holds for usage errors too."""

    def error(self, message: str) -> NoReturn:
        """Raise a usage error."""
        from etl.errors import ConfigError

        raise ConfigError(message, f"{self.prog} --help")


def new_parser() -> Parser:
    """Build the parser of all verbs."""
    parser = Parser(prog="./etl", description="The verbs of the data.")
    common = Parser(add_help=False)
    common.add_argument("--json", action="store_true", help="print one JSON document")
    common.add_argument("--debug", action="store_true", help="show tracebacks")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    made = {
        name: verbs.add_parser(name, help=text, description=text, parents=[common])
        for name, text in VERBS.items()
    }
    made["runs"].add_argument("--limit", type=int, default=10, help="how many (10)")
    made["report"].add_argument("run", nargs="?", help="id or its start (the latest)")
    made["rejects"].add_argument("--run", help="id or its start (the latest run)")
    made["rejects"].add_argument("--source", help="only of this source")
    made["rejects"].add_argument("--limit", type=int, default=50, help="lines (50)")
    made["sources"].add_argument("source", nargs="?", help="show its columns")
    made["trace"].add_argument("--limit", type=int, default=20, help="figures (20)")
    made["trace"].epilog = "--COLUMN VALUE for each column of out_nass__values to match"
    return parser


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Parse the command line; only `trace` takes options of any name."""
    parser = new_parser()
    args, rest = parser.parse_known_args(argv)
    if rest and args.verb != "trace":
        parser.error(f"unknown arguments: {' '.join(rest)}")
    args.filters = parse_filters(parser, rest)
    return args


def parse_filters(parser: Parser, words: Sequence[str]) -> dict[str, str]:
    """Turn `--column value` and `--column=value` into values by column."""
    filters: dict[str, str] = {}
    remaining = list(words)
    while remaining:
        option, equals, value = remaining.pop(0).partition("=")
        if not option.startswith("--") or not (equals or remaining):
            parser.error(f"wants --COLUMN VALUE, not {option!r}")
        column = option.removeprefix("--").replace("-", "_")
        filters[column] = value if equals else remaining.pop(0)
    return filters


def call(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Run a verb; return its data and the text for people."""
    if args.verb == "sources":
        from etl.report.listing import list_sources

        return as_table(list_sources(args.source))

    from etl.db import connect
    from etl.settings import load_settings

    settings = load_settings()
    engine = connect(settings)
    try:
        return ask(engine, settings, args)
    finally:
        engine.dispose()


def ask(
    engine: Engine, settings: Settings, args: argparse.Namespace
) -> tuple[dict[str, Any], str]:
    """Run a verb that asks the database."""
    from etl.ledger.receipt import read_receipt
    from etl.report.listing import find_run, list_rejects, list_runs
    from etl.report.render import as_text
    from etl.report.trace import trace

    match args.verb:
        case "report":
            receipt = read_receipt(engine, find_run(engine, args.run))
            return receipt.to_dict(), as_text(receipt)
        case "rejects":
            listing = list_rejects(
                engine, run=args.run, source=args.source, limit=args.limit
            )
        case "runs":
            listing = list_runs(engine, limit=args.limit)
        case _:
            listing = trace(engine, settings, args.filters, limit=args.limit)
    return as_table(listing)


def as_table(listing: Listing) -> tuple[dict[str, Any], str]:
    """Return a listing as data and as a table for the terminal."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    width = None if sys.stdout.isatty() else PIPED_WIDTH
    console = Console(file=sys.stdout, highlight=False, width=width)
    table = Table(box=None, pad_edge=False)
    for column in listing.shown:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in listing.rows:
        # Text, not markup: values of a file may hold square brackets.
        table.add_row(*(Text(shown(row[column])) for column in listing.shown))
    with console.capture() as captured:
        console.print(table if listing.rows else f"no {listing.name}")
        if listing.note:
            console.print(Text(listing.note))
    return {listing.name: listing.rows}, captured.get().rstrip()


def shown(value: object) -> str:
    """Return one value for people; ids and digests by the start that commands take."""
    match value:
        case None:
            return ""
        case UUID():
            return str(value)[:SHORT_ID]
        case datetime():
            return f"{value:%Y-%m-%d %H:%M:%S}"
        case list():
            return ", ".join(map(str, value))
        case _:
            return str(value)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb, write what it says, return the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    as_json, debug = "--json" in words, "--debug" in words
    from etl.errors import EtlError

    try:
        data, text = call(parse(words))
    except EtlError as error:
        if debug:
            raise
        write_error(error, as_json=as_json)
        return error.exit_code
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    if as_json:
        text = json.dumps({"data": data, "error": None}, default=str)
    print(text)
    return 0


def write_error(error: EtlError, *, as_json: bool) -> None:
    """Say what is wrong and what to do."""
    if as_json:
        told = {"code": error.code, "message": error.message, "hint": error.hint}
        print(json.dumps({"data": None, "error": told}))
        return
    print(f"error: {error.message}", file=sys.stderr)
    if error.hint:
        print(f"  fix: {error.hint}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
