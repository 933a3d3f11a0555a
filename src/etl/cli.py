"""Declares the commands of the data: options, help, and the function each calls.

The stack's program `etl` loads this file each time it starts, so it imports the
standard library and click only. `python -m etl.cli VERB ARGS` is the stack's job data.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import click

from etl.command import (
    RowCount,
    SourceInput,
    SourceName,
    Verb,
    WrongValue,
    output_options,
)
from etl.console import Result, run_program

MASTER = "master-etl/master-etl-deployment"
READS_DATABASE = (0, 1, 2, 4, 130)
"""Exit codes of a command that reads the database."""


@click.command(
    "run",
    cls=Verb,
    job="run-etl",
    examples=[
        ("run", "load every source from its last input, or from its sample"),
        ("run --input nass=qs.crops.txt.gz", "load a QuickStats bulk file"),
        ("run --input 'nass=api:commodity_desc=ALMONDS'", "ask the QuickStats API"),
    ],
    exit_codes=(0, 1, 2, 4, 5, 124, 130),
)
@click.option(
    "--input",
    "inputs",
    type=SourceInput(),
    multiple=True,
    metavar="SOURCE=FILE",
    help="load SOURCE from a file, `sample`, or `api[:QUERY]`; again for more files",
)
@click.option(
    "--source",
    "sources",
    type=SourceName(),
    multiple=True,
    metavar="NAME",
    help="load only this source; repeatable",
)
@click.option(
    "--complete",
    type=SourceName(),
    multiple=True,
    metavar="SOURCE",
    help="the input holds everything: retract values that it lacks; repeatable",
)
@click.option(
    "--retract-up-to",
    type=click.FloatRange(0, 100),
    metavar="PERCENT",
    help="how many percent of a source's rows --complete may retract (5)",
)
@click.option("--sample", is_flag=True, help="load the sample where no input is named")
@click.option("--replace-real", is_flag=True, help="let the sample replace real data")
@click.option("--reload", is_flag=True, help="load inputs even if they are unchanged")
@click.option("--no-wait", is_flag=True, help="return once the run is created")
@click.option("--deployment", default=MASTER, metavar="FLOW/NAME", hidden=True)
def run(**options: Any) -> Result:
    """Run the pipeline: start what is missing, load, print the receipt."""
    from etl.flows.run import RunRequest, start_run

    return start_run(RunRequest(**options))


@click.command(
    "runs",
    cls=Verb,
    job="data",
    examples=[
        ("runs", "the latest ten"),
        ("runs --limit 100 --json", "more of them, for a program"),
    ],
    exit_codes=READS_DATABASE,
)
@click.option(
    "--limit", type=RowCount(), default=10, metavar="N", help="number of runs (10)"
)
def runs(limit: int) -> Result:
    """List the latest runs and the result of each source."""
    from etl.report.listing import list_runs
    from etl.report.query import query

    return query(lambda engine, _: list_runs(engine, limit=limit))


@click.command(
    "report",
    cls=Verb,
    job="data",
    examples=[
        ("report", "the receipt of the latest run"),
        ("report 0191f3a2 --json", "of the run with an id that starts so, as JSON"),
    ],
    exit_codes=READS_DATABASE,
)
@click.argument("run", required=False)
def report(run: str | None) -> Result:
    """Show the receipt of a run: by its id or the start of it, else the latest."""
    from etl.ledger.read_receipt import read_receipt
    from etl.report.listing import find_run
    from etl.report.query import database
    from etl.report.render import as_text

    with database() as (engine, _):
        receipt = read_receipt(engine, find_run(engine, run))
    return Result(receipt.to_dict(), as_text(receipt))


@click.command(
    "rejects",
    cls=Verb,
    job="data",
    examples=[
        ("rejects", "of the latest run"),
        ("rejects --run 0191f3a2 --source nass", "of one source in another run"),
    ],
    exit_codes=READS_DATABASE,
)
@click.option("--run", metavar="RUN", help="id of a run or the start of it (latest)")
@click.option("--source", type=SourceName(), metavar="NAME", help="only this source")
@click.option(
    "--limit", type=RowCount(), default=50, metavar="N", help="number of rows (50)"
)
def rejects(run: str | None, source: str | None, limit: int) -> Result:
    """List rejected rows, each with the rule and the reason."""
    from etl.report.query import query
    from etl.report.rejects import list_rejects

    return query(
        lambda engine, _: list_rejects(engine, run=run, source=source, limit=limit)
    )


@click.command(
    "sources",
    cls=Verb,
    job=None,
    examples=[
        ("sources", "every source"),
        ("sources nass", "the columns of one, and how to cite it"),
    ],
    exit_codes=(0, 2, 130),
)
@click.argument("source", required=False, type=SourceName())
def sources(source: str | None) -> Result:
    """List the sources, or the columns of one. Needs no database."""
    from etl.report.listing import list_sources
    from etl.report.query import as_table

    return as_table(list_sources(source))


def as_filters(
    ctx: click.Context, param: click.Parameter, words: Sequence[str]
) -> Sequence[str]:
    """Check the words of `--COLUMN VALUE` and `--COLUMN=VALUE`."""
    read_filters(words)
    return words


@click.command(
    "trace",
    cls=Verb,
    job="data",
    examples=[
        ("trace --commodity CORN --county_code 077 --year 2022", "its origin"),
        ("trace --commodity ALMONDS --json", "with the lines of the raw file"),
    ],
    exit_codes=READS_DATABASE,
    context_settings={"ignore_unknown_options": True},
    options_metavar="[--COLUMN VALUE]... [OPTIONS]",
)
@click.option(
    "--limit", type=RowCount(), default=20, metavar="N", help="number of figures (20)"
)
@click.argument(
    "filters", nargs=-1, type=click.UNPROCESSED, callback=as_filters, metavar=""
)
def trace(filters: Sequence[str], limit: int) -> Result:
    """Follow a published figure back to its run, raw file and line.

    --COLUMN VALUE selects figures by any column of out_nass__values.
    """
    from etl.report.query import query
    from etl.report.trace import trace as trace_figures

    wanted = read_filters(filters)
    return query(
        lambda engine, settings: trace_figures(engine, settings, wanted, limit=limit)
    )


def read_filters(words: Sequence[str]) -> dict[str, str]:
    """Return the values of `--COLUMN VALUE` and `--COLUMN=VALUE` by column.

    Raises:
        WrongValue: A name is neither.
    """
    filters: dict[str, str] = {}
    remaining = list(words)
    while remaining:
        option, equals, value = remaining.pop(0).partition("=")
        if not option.startswith("--") or not (equals or remaining):
            raise WrongValue(
                f"wants --COLUMN VALUE, not {option!r}", "./etl trace --help"
            )
        column = option.removeprefix("--").replace("-", "_")
        filters[column] = value if equals else remaining.pop(0)
    return filters


@click.command(
    "residues",
    cls=Verb,
    job="data",
    examples=[
        ("residues", "every residue in the newest year"),
        ("residues --county Merced --crop Almonds", "one crop in one county"),
        ("residues --month 9 --csv > september.csv", "what is available in September"),
    ],
    exit_codes=READS_DATABASE,
)
@click.option("--county", metavar="NAME", help="name, FIPS code or three-digit code")
@click.option("--crop", metavar="NAME", help="crop of the residue factors")
@click.option(
    "--year", type=click.IntRange(1900, 2100), metavar="YEAR", help="(newest)"
)
@click.option(
    "--month", type=click.IntRange(1, 12), metavar="1-12", help="tons of one month"
)
@click.option("--csv", "as_csv", is_flag=True, help="print CSV with every column")
def residues(as_csv: bool, **conditions: Any) -> Result:
    """Estimate crop residues by county, crop, year and month.

    Tons are short tons. What is missing from the rows is listed after them.
    """
    from etl.report.query import database
    from etl.report.residues import Question, answer_question, as_result

    with database() as (engine, _):
        answer = answer_question(engine, Question(**conditions))
    return as_result(answer, as_csv=as_csv)


@click.command(
    "prune",
    cls=Verb,
    job="data",
    examples=[
        ("prune", "show what is older than the retention and not referred to"),
        ("prune --yes", "remove it"),
        ("prune --keep-days 30 --yes", "with another retention"),
    ],
    exit_codes=(0, 1, 2, 4, 130),
)
@click.option(
    "--keep-days",
    type=click.IntRange(1, 36_500),
    metavar="DAYS",
    help="remove what is older; ETL_KEEP_DAYS, or 365, when absent",
)
@click.option("--yes", is_flag=True, help="remove it; without, only show it")
def prune(keep_days: int | None, yes: bool) -> Result:
    """Remove old runs and raw files that no row of the tables refers to."""
    from etl.extract.raw_store import RawStore
    from etl.ledger.prune import as_text
    from etl.ledger.prune import prune as remove_old
    from etl.report.query import database

    with database() as (engine, settings):
        days, store = keep_days or settings.etl_keep_days, RawStore(settings.raw_dir)
        pruning = remove_old(engine, store, keep_days=days, dry_run=not yes)
    return Result(pruning.to_dict(), as_text(pruning, store.root))


VERBS = (run, residues, runs, report, rejects, sources, trace, prune)
"""What the entry point `data` of the group `etl.verbs` names."""

program = click.Group("etl", commands=VERBS, params=output_options())

if __name__ == "__main__":
    sys.exit(run_program(program))
