"""Keys of the advisory locks: numbers derived from names, so that none clash."""

from __future__ import annotations

import hashlib
from uuid import UUID


def _key(name: str) -> int:
    """Return a signed 64-bit number for a name."""
    digest = hashlib.sha256(f"biocirv-etl:{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


MIGRATION_KEY = _key("migration")
"""Held by whoever migrates."""

RUN_GATE_KEY = _key("run")
"""Held by the one run that works on this database."""


def alive_key(run_id: UUID) -> int:
    """Held for as long as the process of that run exists."""
    return _key(f"run:{run_id}")


def source_key(source: str) -> int:
    """Held by a load of that source until its transaction ends."""
    return _key(f"source:{source}")
