"""The parity report of a stack on a Dagger engine, by the module's functions.

A Dagger call starts its stack and ends it, so schema and rows are read from a dump that
a local stack has restored. Where an engine is reachable, this writes
.etl/parity/dagger.json beside the reports of the other engines:

    ./etl test tests/parity -k dagger
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.docker.site import CHECKOUT, Site
from tests.parity.conformance import looks, rows, schema

FIRST_CALL_WITHIN_S = 1800  # the engine, its Python runtime and our image are made
# A verb of ./etl, and the call that does the same; in this order.
CALLS: Mapping[str, tuple[str, ...]] = {
    "run": ("up",),
    "health": ("check-db-health",),
    "run --reload": ("run-etl", "--reload"),
    "run --no-wait": ("run-etl",),  # a call waits; the receipt is of this run
    "run --source nothing": ("run-etl", "--sources", "nothing"),
    "migrate": ("migrate",),
}


def engine_is_reachable() -> bool:
    """Whether the command line is installed and reaches an engine."""
    return shutil.which("dagger") is not None and not dagger("core", "version")


def dagger(*words: str) -> int:
    """Run the command line on the checkout; return its exit code."""
    done = subprocess.run(
        ["dagger", "--progress", "plain", *words],
        cwd=CHECKOUT,
        stdin=subprocess.DEVNULL,
        check=False,
        timeout=FIRST_CALL_WITHIN_S,
    )
    return done.returncode


def report(folder: Path, site: Site) -> dict[str, Any]:
    """Run the calls on a project of their own, and restore its dump on a local stack.

    Writes the receipt and the dump into the folder. The site is on the local engine.
    """
    project = ("call", "--project", f"parity-{uuid4().hex[:8]}")
    try:
        codes = {verb: dagger(*project, *call) for verb, call in CALLS.items()}
        receipt, dump = folder / "receipt", folder / "etl.dump"
        assert not dagger(*project, "report", "export", "--path", str(receipt))
        assert not dagger(*project, "dump", "export", "--path", str(dump))
    finally:
        dagger(*project, "reset", "--yes")
    restore(dump, site)
    return {
        "codes": codes,
        "receipt": looks((receipt / "receipt.json").read_text()),
        "schema": schema(site),
        "rows": rows(site),
    }


def restore(dump: Path, site: Site) -> None:
    """Replace a stack's data by a dump."""
    site.etl("up")
    whole = ("--clean", "--if-exists", "--no-owner", "--single-transaction")
    target = ("--dbname", "biocirv_db")
    site.etl("exec", "db", "pg_restore", *whole, *target, str(dump))
