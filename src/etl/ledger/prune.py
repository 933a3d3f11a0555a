"""Removes what is older than the retention: runs of the ledger, files of the raw store.

Kept whatever its age: a run or raw file that a row of any table refers to, the inputs
that a run without a named input would take, the step that holds the rejects of a later
one, and everything that the cursor of a source refers to.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, delete, func, select, text, update
from sqlalchemy.exc import OperationalError

from etl.db import require_head, translated_errors
from etl.errors import EtlError
from etl.extract.raw_store import RawStore
from etl.ledger.last_inputs import all_last_inputs
from etl.locks import RUN_GATE_KEY
from etl.models.ledger import LedgerRawFile, LedgerStep

SECONDS_A_DAY = 86_400
GATE_TIMEOUT = "2s"

REFERRING = """
SELECT key.conrelid::regclass::text, a.attname::text
FROM pg_constraint AS key
JOIN pg_attribute AS a ON a.attrelid = key.conrelid AND a.attnum = key.conkey[1]
WHERE key.contype = 'f' AND key.confrelid = CAST(:table AS regclass)
  AND key.conrelid::regclass::text NOT LIKE 'ledger_%'
ORDER BY 1, 2
"""
"""Columns of the data's tables that refer to a table of the ledger."""

OLD_RUNS = """
CREATE TEMP TABLE pruned_run ON COMMIT DROP AS
SELECT run.run_id FROM ledger_run AS run
WHERE run.finished_at < now() - make_interval(days => :days)
  AND run.run_id <> ALL (CAST(:kept AS uuid[]))
  AND NOT EXISTS (SELECT FROM ledger_cursor AS c WHERE c.run_id = run.run_id)
  AND NOT EXISTS (
    SELECT FROM ledger_cursor AS c, jsonb_array_elements(c.state -> 'inputs') AS entry
    WHERE CAST(entry ->> 'run_id' AS uuid) = run.run_id
  )
  {unreferred}
"""

KEEP_REJECTS = """
DELETE FROM pruned_run WHERE run_id IN (
    SELECT rejects_run_id FROM ledger_step
    WHERE run_id NOT IN (SELECT run_id FROM pruned_run) AND rejects_run_id IS NOT NULL
)
"""
"""A run that stays may refer to the rejects of an older one."""

OLD_FILES = """
SELECT f.raw_file_id, f.sha256, f.name FROM ledger_raw_file AS f
WHERE f.first_seen_at < now() - make_interval(days => :days)
  AND f.sha256 <> ALL (CAST(:kept AS text[]))
  AND NOT EXISTS (
    SELECT FROM ledger_step AS step JOIN ledger_run AS run USING (run_id)
    WHERE step.raw_file_id = f.raw_file_id
      AND (run.finished_at IS NULL
           OR run.finished_at >= now() - make_interval(days => :days))
  )
  {unreferred}
"""


@dataclass(frozen=True, slots=True)
class PrunedFile:
    """A file of the raw store that is removed; `name` is "" if the ledger lacks it."""

    sha256: str
    name: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Pruning:
    """What a pruning removes, or would remove.

    Attributes:
        rejects: Rejects that are stored with the runs.
        files: Files of the raw store.
    """

    keep_days: int
    runs: int
    rejects: int
    files: tuple[PrunedFile, ...]
    done: bool

    @property
    def size_bytes(self) -> int:
        """Size of the files."""
        return sum(file.size_bytes for file in self.files)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "keep_days": self.keep_days,
            "done": self.done,
            "runs": self.runs,
            "rejects": self.rejects,
            "files": [asdict(file) for file in self.files],
            "size_bytes": self.size_bytes,
        }


def prune(engine: Engine, store: RawStore, *, keep_days: int, dry_run: bool) -> Pruning:
    """Remove what is older than the retention, unless it is still referred to.

    The ledger is committed first. If the process ends before the files are gone, the
    next pruning finds them as files that the ledger does not need.

    Args:
        dry_run: Only return what would be removed.

    Raises:
        EtlError: A run is at work.
    """
    with translated_errors(), engine.connect() as connection:
        transaction = connection.begin()
        require_head(connection)
        _require_no_run(connection)
        runs, rejects = _find_runs(connection, keep_days)
        _delete_runs(connection)
        files = [*_files(connection, store, keep_days)]
        if dry_run:
            transaction.rollback()
        else:
            transaction.commit()
    if not dry_run:
        for file in files:
            store.remove(file.sha256)
    return Pruning(keep_days, runs, rejects, tuple(files), done=not dry_run)


def _require_no_run(connection: Connection) -> None:
    """Keep runs from starting; wait a moment for one that has just ended."""
    connection.execute(text(f"SET LOCAL lock_timeout = '{GATE_TIMEOUT}'"))
    try:
        connection.execute(select(func.pg_advisory_xact_lock(RUN_GATE_KEY)))
    except OperationalError as error:
        if isinstance(error.orig, psycopg.errors.LockNotAvailable):
            raise EtlError(
                "a run is at work, so nothing is pruned", "./etl runs --limit 1"
            ) from None
        raise


def _find_runs(connection: Connection, days: int) -> tuple[int, int]:
    """Put the runs to be removed into a temporary table; return runs and rejects."""
    values = {"days": days, "kept": [run for run, _ in all_last_inputs(connection)]}
    unreferred = _unreferred(connection, "ledger_run", "run.run_id")
    connection.execute(text(OLD_RUNS.format(unreferred=unreferred)), values)
    connection.execute(text(KEEP_REJECTS))
    counts = text(
        "SELECT (SELECT count(*) FROM pruned_run), (SELECT count(*) FROM ledger_reject "
        "WHERE run_id IN (SELECT run_id FROM pruned_run))"
    )
    runs, rejects = connection.execute(counts).one()
    return runs, rejects


def _delete_runs(connection: Connection) -> None:
    """Delete the runs; steps, rejects and checks go with them."""
    connection.execute(
        text("DELETE FROM ledger_run WHERE run_id IN (SELECT run_id FROM pruned_run)")
    )


def _files(connection: Connection, store: RawStore, days: int) -> Iterator[PrunedFile]:
    """Yield the old files that nothing needs; forget them, or mark them as pruned."""
    oldest = time.time() - days * SECONDS_A_DAY
    needed = set(connection.scalars(select(LedgerRawFile.sha256)))
    values = {"days": days, "kept": [sha for _, sha in all_last_inputs(connection)]}
    unreferred = _unreferred(connection, "ledger_raw_file", "f.raw_file_id")
    found = connection.execute(text(OLD_FILES.format(unreferred=unreferred)), values)
    old = {file.sha256: file for file in found}
    for path in store.files():
        # A file that was just given again is new, even if the store had it before.
        if path.stat().st_mtime >= oldest or path.name in needed - set(old):
            continue
        name = old[path.name].name if path.name in old else ""
        yield PrunedFile(path.name, name, path.stat().st_size)
    for file in old.values():
        if not store.has(file.sha256) or store.written_at(file.sha256) < oldest:
            _forget(connection, file.raw_file_id)


def _forget(connection: Connection, raw_file_id: int) -> None:
    """Delete a raw file from the ledger, or mark it if a step refers to it."""
    is_it = LedgerRawFile.raw_file_id == raw_file_id
    step = select(LedgerStep.run_id).where(LedgerStep.raw_file_id == raw_file_id)
    if connection.execute(step.limit(1)).first():
        now = func.coalesce(LedgerRawFile.pruned_at, func.now())
        connection.execute(update(LedgerRawFile).where(is_it).values(pruned_at=now))
    else:
        connection.execute(delete(LedgerRawFile).where(is_it))


def _unreferred(connection: Connection, table: str, key: str) -> str:
    """Return the condition that no table of the data refers to a row of the ledger."""
    return "".join(
        f" AND NOT EXISTS (SELECT FROM {child} AS t WHERE t.{column} = {key})"
        for child, column in connection.execute(text(REFERRING), {"table": table})
    )


def as_text(pruning: Pruning, store: Path) -> str:
    """Return what was or would be removed, for people."""
    verb = "removed" if pruning.done else "would be removed"
    lines = [
        f"older than {pruning.keep_days} days and not referred to, {verb}:",
        f"  {pruning.runs:,} runs with {pruning.rejects:,} stored rejects",
        f"  {len(pruning.files):,} files, {pruning.size_bytes:,} bytes, of {store}",
    ]
    lines += [
        f"    {file.sha256[:12]}  {file.size_bytes:>14,}  {file.name}"
        for file in pruning.files
    ]
    if not pruning.done and (pruning.runs or pruning.files):
        lines.append("remove it: ./etl prune --yes")
    return "\n".join(lines)
