"""Reads the definition of a published view: `<view>.v<version>.sql` beside this file.

A version that a migration has used is never edited: a change is a new file and a new
migration. So the files are the one place where a view is written, and still every
migration keeps meaning what it meant.
"""

from __future__ import annotations

import re
from importlib.resources import files

COLUMN = re.compile(r"^--   (\w+): (.+)$", re.M)


def definition(view: str, *, version: int) -> str:
    """Return the SELECT of one version of a view."""
    return files("etl.views").joinpath(f"{view}.v{version}.sql").read_text("utf-8")


def comments(view: str, *, version: int) -> tuple[str, dict[str, str]]:
    """Return the comments on one version of a view, and on each of its columns.

    Both are in the comment lines before the SELECT: sentences, then one line
    `--   column: meaning` per column. A version from before this convention has no
    column lines.
    """
    lines = definition(view, version=version).split("SELECT", 1)[0]
    columns = dict(COLUMN.findall(lines))
    sentences = COLUMN.sub("", lines).replace("--", " ")
    return " ".join(sentences.split()), columns


def create_statements(view: str, *, version: int) -> list[str]:
    """Return the statements that create one version of a view with its comments."""
    text, columns = comments(view, version=version)
    return [
        f"CREATE VIEW {view} AS {definition(view, version=version)}",
        f"COMMENT ON VIEW {view} IS {_literal(text)}",
        *(
            f"COMMENT ON COLUMN {view}.{column} IS {_literal(meaning)}"
            for column, meaning in columns.items()
        ),
    ]


def _literal(text: str) -> str:
    """Return a text as a string of SQL; op.execute reads a colon as a parameter."""
    escaped = text.replace("'", "''").replace(":", "\\:")
    return f"'{escaped}'"


def latest() -> dict[str, int]:
    """Return the newest version of each view, by name."""
    versions: dict[str, int] = {}
    for file in files("etl.views").iterdir():
        view, dot_v, version = file.name.removesuffix(".sql").partition(".v")
        if dot_v and file.name.endswith(".sql"):
            versions[view] = max(versions.get(view, 0), int(version))
    return versions
