"""Reads delimited text without quotes into frames; a line that is no row is a reject.

Nearly every chunk is clean, and then a single parse of its bytes is enough. Only a
chunk with a fault is examined line by line, to find out which lines have it; the others
are parsed without those.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from etl.readers.batch import SHOWN_CHARACTERS, Batch
from etl.readers.chunks import Chunk
from etl.readers.header import Layout
from etl.readers.normalise import normalise
from etl.rejects import LINE, Reject, as_rejects, no_rejects
from etl.specs.forms import Delimited


def read_unquoted(layout: Layout, chunks: Iterator[Chunk]) -> Iterator[Batch]:
    """Yield the rows of the lines after the header."""
    for chunk in chunks:
        if chunk.data:
            yield _read_chunk(layout, chunk)


def _read_chunk(layout: Layout, chunk: Chunk) -> Batch:
    """Return the rows of one chunk and rejects for the lines that are none."""
    data, rejects = chunk.data, no_rejects()
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n")
    count = data.count(b"\n") + (not data.endswith(b"\n"))
    numbers = pl.int_range(chunk.first_line, chunk.first_line + count, eager=True)
    rows = _parse(layout, data) if _looks_clean(layout, data, count) else None
    if rows is None or len(rows) != count:
        data, numbers, rejects = _separate(layout, data, chunk.first_line)
        rows = _parse(layout, data)
    if rows is None or len(rows) != len(numbers):
        raise AssertionError("a line that looks like a row was not parsed as one")
    return Batch(rows.with_columns(numbers.alias(LINE)), rejects)


def _delimiter(layout: Layout) -> str:
    assert isinstance(layout.form.format, Delimited)
    return layout.form.format.delimiter


def _looks_clean(layout: Layout, data: bytes, lines: int) -> bool:
    """Whether no byte is NUL and there are as many delimiters as so many rows have.

    One line with too many and one with too few could make up for each other, but the
    parser refuses the one with too many.
    """
    expected = (len(layout.columns) - 1) * lines
    return b"\0" not in data and data.count(_delimiter(layout).encode()) == expected


def _parse(layout: Layout, data: bytes) -> pl.DataFrame | None:
    """Parse lines that should all be rows; None if the parser refuses them."""
    schema = dict.fromkeys(layout.columns, pl.String)
    if not data:
        return pl.DataFrame(schema=schema)
    try:
        data.decode()
        rows = pl.read_csv(
            data,
            has_header=False,
            separator=_delimiter(layout),
            quote_char=None,
            schema=schema,
            empty_string_is_null=False,
        )
    except (UnicodeDecodeError, pl.exceptions.PolarsError):
        return None
    return normalise(layout.form, rows)


def _separate(
    layout: Layout, data: bytes, first_line: int
) -> tuple[bytes, pl.Series, pl.DataFrame]:
    """Part lines: rows as bytes, their numbers, rejects. A blank line is neither."""
    good: list[bytes] = []
    numbers: list[int] = []
    rejects: list[Reject] = []
    for number, line in enumerate(data.split(b"\n"), first_line):
        if not line.strip(b" \r"):
            continue
        fault = fault_of_text(line) or _fault_of_fields(layout, line)
        if fault is None:
            good.append(line)
            numbers.append(number)
        else:
            shown = legible(line)[:SHOWN_CHARACTERS]
            rejects.append((number, "", shown, *fault))
    return b"\n".join(good), pl.Series(numbers, dtype=pl.Int64), as_rejects(rejects)


def fault_of_text(line: bytes) -> tuple[str, str] | None:
    """Return the rule that bytes break which are no text, and why."""
    if b"\0" in line:
        return "nul_byte", f"has a NUL byte at position {line.index(0) + 1}"
    try:
        line.decode()
    except UnicodeDecodeError as error:
        bad = line[error.start]
        return "not_utf8", f"has byte 0x{bad:02X} at position {error.start + 1}"
    return None


def _fault_of_fields(layout: Layout, line: bytes) -> tuple[str, str] | None:
    seen = line.count(_delimiter(layout).encode()) + 1
    return fault_of_count(layout, seen)


def fault_of_count(layout: Layout, seen: int) -> tuple[str, str] | None:
    """Return the rule that a line breaks which has so many fields, and why."""
    wanted = len(layout.columns)
    if seen != wanted:
        return "wrong_number_of_fields", f"has {seen} fields, wants {wanted}"
    return None


def legible(line: bytes) -> str:
    """Return a line as text that a database takes: odd bytes are replaced."""
    return line.decode(errors="replace").replace("\0", "\N{SYMBOL FOR NULL}")
