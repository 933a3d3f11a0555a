"""Brings one input into the stage: reads, judges and transforms it, batch by batch."""

from __future__ import annotations

import logging

from etl.counts import Check
from etl.errors import DataError
from etl.load.keys import take_out_unclear
from etl.load.lookups import read_lookups
from etl.load.stage import Cursor, analyze_keys, copy_rows, create_stage
from etl.progress import Progress
from etl.readers.read import quote_lines, read_batches
from etl.rejects import LINE
from etl.run.findings import Findings
from etl.run.request import LoadRequest
from etl.transform.tables import find_transform
from etl.validate.judge import judge, lookups_of

logger = logging.getLogger(__name__)


def stage_input(cursor: Cursor, request: LoadRequest, findings: Findings) -> None:
    """Stage every good row of the input and put everything else into the findings.

    Raises:
        DataError: The input is unreadable or empty, or has more rejects than its
            source allows.
        SourceChanged: It has another shape than the spec says.
    """
    spec, raw = request.spec, request.raw
    for table in spec.tables:
        create_stage(cursor, table)
    _stage_batches(cursor, request, findings)
    _check_scope(request, findings)
    analyze_keys(cursor, spec.facts)
    findings.reject(take_out_unclear(cursor, spec))
    lines = set(findings.rejects[LINE])
    findings.quotes = quote_lines(raw.path, lines, name=raw.name)
    _refuse_too_many_rejects(request, findings)


def _stage_batches(cursor: Cursor, request: LoadRequest, findings: Findings) -> None:
    spec, raw = request.spec, request.raw
    lookups, to_tables = read_lookups(cursor, lookups_of(spec)), find_transform(spec)
    progress = Progress(logger, f"{spec.name}: staging {raw.name}")
    tables = {table.name: table for table in spec.tables}
    for batch in read_batches(spec, raw.path, name=raw.name):
        judged = judge(spec, batch, lookups)
        findings.read += judged.read
        findings.out_of_scope += judged.out_of_scope
        findings.reject(judged.rejects)
        for name, rows in to_tables(judged.good).items():
            copy_rows(cursor, tables[name], rows)
        progress.advance(judged.read + judged.out_of_scope)


def _check_scope(request: LoadRequest, findings: Findings) -> None:
    """Refuse an input without rows; warn about one that has no row in scope.

    A bulk file of another state is a sound file, and all its rows are counted.
    """
    if findings.read:
        return
    if not findings.out_of_scope:
        raise DataError(
            f"{request.spec.name}: nothing to load from {request.raw.name}: "
            "it has no rows",
            f"see what the source covers: ./etl sources {request.spec.name}",
        )
    findings.checks.append(
        Check(
            "the input has rows in scope",
            expected="1 or more",
            seen="0",
            passed=False,
            severity="warning",
        )
    )


def _refuse_too_many_rejects(request: LoadRequest, findings: Findings) -> None:
    allowed = request.spec.reject_limit.allowed(findings.read)
    if findings.rejected <= allowed:
        return
    rules = ", ".join(f"{rule} {n:,}" for rule, n in findings.by_rule.most_common())
    first = findings.rejects.row(0, named=True)
    raise DataError(
        f"{request.spec.name}: {findings.rejected:,} of {findings.read:,} rows "
        f"rejected ({rules}), more than the {allowed:,} allowed; nothing was loaded. "
        f"The first: line "
        f"{first[LINE]}, {first['column_name'] or 'the whole line'}, "
        f"{first['value'][:60]!r} {first['reason']}",
        f"./etl rejects --run {request.run_id} --source {request.spec.name}",
    )
