"""Brings one input into the stage: reads, judges and transforms it, batch by batch."""

from __future__ import annotations

import logging

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
    _refuse_empty(request, findings)
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


def _refuse_empty(request: LoadRequest, findings: Findings) -> None:
    if findings.read:
        return
    passed = findings.out_of_scope
    why = f"none of its {passed:,} rows is in scope" if passed else "it has no rows"
    raise DataError(
        f"{request.spec.name}: nothing to load from {request.raw.name}: {why}",
        f"see what the source covers: ./etl sources {request.spec.name}",
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
