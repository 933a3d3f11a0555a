"""Brings one input into the stage: reads, judges and transforms it, batch by batch."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from uuid import UUID

from etl.errors import DataError
from etl.extract.raw_store import RawFile
from etl.load.keys import take_out_unclear
from etl.load.lookups import read_lookups
from etl.load.stage import Cursor, analyze_keys, copy_rows, create_stage
from etl.progress import Progress
from etl.readers.read import quote_lines, read_batches
from etl.rejects import LINE
from etl.run.findings import Findings
from etl.specs.spec import SourceSpec
from etl.transform.tables import find_transform
from etl.validate.judge import judge, lookups_of

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """What is to be loaded, under which run.

    Attributes:
        complete: The input holds everything there is: facts it lacks are retracted.
        reload: Load it even if the same input was loaded before.
    """

    spec: SourceSpec
    raw: RawFile
    run_id: UUID
    complete: bool = False
    reload: bool = False


def stage_input(cursor: Cursor, job: LoadRequest, findings: Findings) -> None:
    """Stage every good row of the input and put everything else into the findings.

    Raises:
        DataError: The input is unreadable or empty, or has more rejects than the
            source bears.
        SourceChanged: It has another shape than the spec says.
    """
    spec, raw = job.spec, job.raw
    for table in spec.tables:
        create_stage(cursor, table)
    _stage_batches(cursor, job, findings)
    _refuse_empty(job, findings)
    analyze_keys(cursor, spec.facts)
    findings.reject(take_out_unclear(cursor, spec))
    lines = set(findings.rejects[LINE])
    findings.quotes = quote_lines(raw.path, lines, name=raw.name)
    _refuse_too_many_rejects(job, findings)


def _stage_batches(cursor: Cursor, job: LoadRequest, findings: Findings) -> None:
    spec, raw = job.spec, job.raw
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


def _refuse_empty(job: LoadRequest, findings: Findings) -> None:
    if findings.read:
        return
    passed = findings.out_of_scope
    why = f"none of its {passed:,} rows is in scope" if passed else "it has no rows"
    raise DataError(
        f"{job.spec.name}: nothing to load from {job.raw.name}: {why}",
        f"see what the source covers: ./etl sources {job.spec.name}",
    )


def _refuse_too_many_rejects(job: LoadRequest, findings: Findings) -> None:
    if job.spec.reject_limit.allows(findings.rejected, findings.read):
        return
    rules = ", ".join(f"{rule} {n:,}" for rule, n in findings.by_rule.most_common())
    first = findings.rejects.row(0, named=True)
    raise DataError(
        f"{job.spec.name}: {findings.rejected:,} of {findings.read:,} rows rejected "
        f"({rules}), more than the source bears; nothing was loaded. The first: line "
        f"{first[LINE]}, {first['column_name'] or 'the whole line'}, "
        f"{first['value'][:60]!r} {first['reason']}",
        f"./etl rejects --run {job.run_id} --source {job.spec.name}",
    )
