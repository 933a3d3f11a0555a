"""What the result of a load depends on, besides its input and the tables themselves."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from sqlalchemy import Connection

from etl.ledger.table_digest import digest_source
from etl.models.revision import head_revision
from etl.specs.registry import SOURCES
from etl.specs.spec import SourceSpec

FOLDERS = ("specs", "readers", "validate", "transform", "load", "run")
FILES = ("counts.py", "rejects.py")
LIBRARIES = ("polars", "psycopg", "sqlalchemy")


@dataclass(frozen=True, slots=True)
class Basis:
    """Everything that decides what a load of some input makes of it.

    Attributes:
        code: Digest of the steps' code and of the source's own spec and transform.
        libraries: Versions of what parses, computes and writes, by name.
        schema: Revision of the database's schema.
        needs: Digest of the tables of each source that this one refers to.
        vocabularies: Digests of the vocabularies that resolve names; none yet.
    """

    code: str
    libraries: dict[str, str]
    schema: str
    needs: dict[str, str]
    vocabularies: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form, which the cursor keeps."""
        return asdict(self)


def current_basis(connection: Connection, spec: SourceSpec) -> Basis:
    """Return what a load of that source would depend on now."""
    return Basis(
        code=code_of(spec.name),
        libraries=library_versions(),
        schema=head_revision(),
        needs={
            name: digest_source(connection, SOURCES[name]) for name in spec.depends_on
        },
    )


@cache
def library_versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that a load uses."""
    return {"python": platform.python_version()} | {
        name: version(name) for name in LIBRARIES
    }


@cache
def code_of(source: str) -> str:
    """Return the digest of the installed code that loads a source."""
    return code_digest(source, files("etl"), SOURCES)


def code_digest(source: str, package: Traversable, sources: Collection[str]) -> str:
    """Return a digest of the code that decides what a load of a source does.

    Any change there, even of a comment, makes the next run load again: that costs
    seconds, while a version number that has to be raised is forgotten. The modules of
    other sources are left out, so a change of theirs reloads nothing here.

    Args:
        package: The folder of the package `etl`.
        sources: The names of all sources.
    """
    digest = hashlib.sha256()
    for path, file in sorted(_modules(package), key=lambda found: found[0]):
        if owner(file.name.removesuffix(".py"), sources) in (source, None):
            digest.update(path.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def owner(module: str, sources: Collection[str]) -> str | None:
    """Return the source that a module belongs to by its name; None if to all of them.

    `nass` and `nass_forms` belong to the source nass; `cac_crops` to the source of that
    name, not to cac.
    """
    named = [s for s in sources if module == s or module.startswith(f"{s}_")]
    return max(named, key=len, default=None)


def _modules(package: Traversable) -> Iterator[tuple[str, Traversable]]:
    for name in FILES:
        yield name, package.joinpath(name)
    for folder in FOLDERS:
        yield from _in_folder(package.joinpath(folder), folder)


def _in_folder(folder: Traversable, path: str) -> Iterator[tuple[str, Traversable]]:
    for file in folder.iterdir():
        if file.is_dir():
            yield from _in_folder(file, f"{path}/{file.name}")
        elif file.name.endswith(".py"):
            yield f"{path}/{file.name}", file
