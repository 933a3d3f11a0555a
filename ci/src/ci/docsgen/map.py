"""Draws the map of the tree: every room, its one job, and the rooms that it imports.

A room is a package or module directly below `ci` or `etl`. Its job is the first line of
its docstring, so the map cannot differ from the tree.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGES = {"ci": "ci/src/ci", "etl": "src/etl"}
BEGIN = "<!-- Map: written by `python -m ci.docsgen.generate`; edits are lost. -->"
END = "<!-- End of the map. -->"


@dataclass(frozen=True)
class Room:
    """A package or module directly below `ci` or `etl`."""

    name: str
    path: str
    job: str
    imports: frozenset[str]


def with_map(text: str, checkout: Path) -> str:
    """Return a page with the map between its two markers. Raises ValueError without."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the page lacks {BEGIN} or {END}")
    drawn = "\n\n".join(drawing(checkout, package) for package in PACKAGES)
    return f"{before}{BEGIN}\n\n{drawn}\n\n{END}{after}"


def drawing(checkout: Path, package: str) -> str:
    """Return the table of one package: importing rooms above the imported ones."""
    found = {room.name: room for room in rooms(checkout, package)}
    lines = [
        f"| `{PACKAGES[package]}/` | job | imports |",
        "| --- | --- | --- |",
    ]
    for name in sorted(found, key=lambda name: (-depth(name, found), name)):
        room = found[name]
        imported = ", ".join(f"`{other}`" for other in sorted(room.imports))
        lines.append(f"| `{room.path}` | {room.job} | {imported or 'none'} |")
    return "\n".join(lines)


def depth(
    name: str, rooms: dict[str, Room], above: frozenset[str] = frozenset()
) -> int:
    """Return the length of the longest chain of imports that starts at a room."""
    below = rooms[name].imports - above - {name}
    return 1 + max((depth(other, rooms, above | {name}) for other in below), default=-1)


def rooms(checkout: Path, package: str) -> Iterator[Room]:
    """Yield every room of a package, ordered by name."""
    root = checkout / PACKAGES[package]
    for path in sorted(root.iterdir()):
        is_package = (path / "__init__.py").is_file()
        is_module = path.suffix == ".py" and path.stem != "__init__"
        if is_package or is_module:
            files = sorted(path.rglob("*.py")) if is_package else [path]
            yield Room(
                path.stem,
                f"{path.name}/" if is_package else path.name,
                first_line(path / "__init__.py" if is_package else path),
                frozenset(imported_rooms(files, package)) - {path.stem},
            )


def first_line(path: Path) -> str:
    """Return the first line of a file's docstring, without its full stop."""
    docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
    return docstring.partition("\n")[0].removesuffix(".")


def imported_rooms(files: list[Path], package: str) -> Iterator[str]:
    """Yield the rooms of the package that files import, also within functions."""
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module == package:
                modules = [f"{package}.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                modules = [node.module or ""]
            else:
                continue
            for module in modules:
                if match := re.match(rf"{package}\.(\w+)", module):
                    yield match[1]
