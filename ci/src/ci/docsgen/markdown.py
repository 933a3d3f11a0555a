"""Pages and tables of Markdown."""

from __future__ import annotations

from collections.abc import Iterable

WRITTEN = "Written by `python -m ci.docsgen.generate`; edits are lost."


def page(title: str, *parts: str) -> str:
    """Return a page with a title."""
    return "\n\n".join([f"# {title}", f"<!-- {WRITTEN} -->", *parts]) + "\n"


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a table."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(map(escaped, cells))} |" for cells in lines)


def escaped(cell: str) -> str:
    """Return the text of a cell; a bar in it does not end the cell."""
    return cell.replace("|", "\\|")
