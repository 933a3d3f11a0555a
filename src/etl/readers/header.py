"""Compares the columns of an input with those of its spec."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Sequence

from etl.errors import SourceChanged
from etl.specs.spec import SourceSpec


def match_columns(spec: SourceSpec, seen: Sequence[str], *, name: str) -> list[str]:
    """Return our name of each column of the input, in the input's order.

    Order and letter case do not count. Every column must be known: a new one may change
    what the others mean, so a person has to look at it.

    Raises:
        SourceChanged: Columns are missing, unknown, or there twice.
    """
    known = {
        header.casefold(): column.name
        for column in spec.columns
        for header in (column.header, *column.also)
    }
    ours = [known.get(header.strip().casefold()) for header in seen]
    wanted = {column.name: column.header for column in spec.columns}
    missing = [header for column, header in wanted.items() if column not in ours]
    unknown = [
        header for header, column in zip(seen, ours, strict=True) if column is None
    ]
    twice = [wanted[column] for column, n in Counter(ours).items() if n > 1 and column]
    if missing or unknown or twice:
        told = _differences(spec, seen, missing, unknown, twice)
        raise SourceChanged(
            f"{name}: its columns are not those of source {spec.name}: {told}",
            f"see the columns it wants: ./etl sources {spec.name}",
        )
    return [column for column in ours if column is not None]


def _differences(
    spec: SourceSpec,
    seen: Sequence[str],
    missing: Sequence[str],
    unknown: Sequence[str],
    twice: Sequence[str],
) -> str:
    """Say how the columns differ, shortly and with guesses."""
    if len(seen) == 1 and unknown:
        return (
            f"its first line has no {spec.delimiter!r} between fields: "
            f"{_shown(seen[0])!r}"
        )
    parts = []
    if missing:
        parts.append(f"missing {_listed(missing)}")
    if unknown:
        guesses = [_with_guess(header, missing) for header in unknown]
        parts.append(f"unknown {_listed(guesses)}")
    if twice:
        parts.append(f"twice {_listed(twice)}")
    return "; ".join(parts)


def _with_guess(header: str, missing: Sequence[str]) -> str:
    near = difflib.get_close_matches(header.strip().upper(), missing, n=1)
    shown = _shown(header)
    return f"{shown} (is it {near[0]}?)" if near else shown


def _shown(text: str, limit: int = 60) -> str:
    """Make text of an unknown file fit to print."""
    clean = "".join(c if c.isprintable() else "�" for c in text)
    return clean if len(clean) <= limit else clean[:limit] + "…"


def _listed(names: Sequence[str], limit: int = 8) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
