"""The files of the residue estimate that the package carries, as their own rows."""

from __future__ import annotations

import csv
from importlib.resources import files

DATA = files("etl.data")


def shipped(name: str) -> list[dict[str, str]]:
    """Return the rows of a file that the package carries."""
    lines = DATA.joinpath(name).read_text("utf-8").splitlines()
    header = [cell.strip() for cell in next(csv.reader(lines))]
    cells = ([cell.strip() for cell in row] for row in csv.reader(lines[1:]))
    return [dict(zip(header, row, strict=True)) for row in cells]
