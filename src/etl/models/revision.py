"""The schema revision that this code is written for: the head of `alembic/versions`.

Read from the scripts' headers without importing Alembic, which takes 0.4 s; so a
migration that a user adds needs no change of the code.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from etl.errors import ConfigError

VERSIONS = Path(__file__).resolve().parents[3] / "alembic" / "versions"


@cache
def known_revisions(folder: Path = VERSIONS) -> dict[str, frozenset[str]]:
    """Return every revision with those it follows.

    Raises:
        ConfigError: There are no scripts, or one is not valid Python.
    """
    found: dict[str, frozenset[str]] = {}
    for path in sorted(folder.glob("*.py")):
        header = _header(path)
        if revision := header.get("revision"):
            found[str(revision)] = _as_set(header.get("down_revision"))
    if not found:
        raise ConfigError(f"there are no migrations in {folder}", "git status alembic")
    return found


@cache
def head_revision(folder: Path = VERSIONS) -> str:
    """Return the one revision that no other follows.

    Raises:
        ConfigError: There are several, or see `known_revisions`.
    """
    known = known_revisions(folder)
    heads = sorted(known.keys() - frozenset().union(*known.values()))
    if len(heads) != 1:
        raise ConfigError(
            f"the migrations have {len(heads)} heads: {', '.join(heads)}",
            "let one follow the other: edit down_revision in alembic/versions",
        )
    return heads[0]


def _header(path: Path) -> dict[str, object]:
    """Return the constants that a script assigns at its top level."""
    try:
        body = ast.parse(path.read_text(encoding="utf-8")).body
    except (SyntaxError, ValueError) as error:
        raise ConfigError(
            f"the migration {path.name} is not valid Python: {error}",
            f"edit {path}",
        ) from None
    values: dict[str, object] = {}
    for statement in body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                pass
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                pass
            case _:
                continue
        try:
            values[name] = ast.literal_eval(value)
        except ValueError:
            continue
    return values


def _as_set(down: object) -> frozenset[str]:
    """Return `down_revision`, which is None, a revision, or several, as a set."""
    if down is None:
        return frozenset()
    several = down if isinstance(down, tuple | list) else (down,)
    return frozenset(str(revision) for revision in several)
