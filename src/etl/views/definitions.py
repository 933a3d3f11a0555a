"""Reads the definition of a published view: `<view>.v<version>.sql` beside this file.

A version that a migration has used is never edited: a change is a new file and a new
migration. So the files are the one place where a view is written, and still every
migration keeps meaning what it meant.
"""

from __future__ import annotations

from importlib.resources import files


def definition(view: str, *, version: int) -> str:
    """Return the SELECT of one version of a view."""
    return files("etl.views").joinpath(f"{view}.v{version}.sql").read_text("utf-8")


def latest() -> dict[str, int]:
    """Return the newest version of each view, by name."""
    versions: dict[str, int] = {}
    for file in files("etl.views").iterdir():
        view, dot_v, version = file.name.removesuffix(".sql").partition(".v")
        if dot_v and file.name.endswith(".sql"):
            versions[view] = max(versions.get(view, 0), int(version))
    return versions
