"""Which sources a run loads, and in which order."""

from __future__ import annotations

from collections.abc import Sequence

from etl.specs.registry import dependencies


def plan(sources: Sequence[str] | None) -> dict[str, set[str]]:
    """Return the chosen sources (None: all), in load order, with what each waits for.

    Raises:
        ConfigError: A name is no source.
    """
    return dependencies(sources)
