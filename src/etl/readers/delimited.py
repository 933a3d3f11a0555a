"""Reads delimited text into frames; a line that is no row becomes a reject.

Nearly every chunk is clean, and then one parse of its bytes is all. Only a chunk with
something wrong in it is looked at line by line, to find out which lines are to blame;
the others are parsed as if those were not there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from etl.errors import DataError
from etl.readers.batch import Batch
from etl.readers.chunks import CHUNK_BYTES, Chunk, read_chunks
from etl.readers.header import match_columns
from etl.rejects import LINE, Reject, as_rejects, no_rejects
from etl.specs.spec import SourceSpec

BOM = b"\xef\xbb\xbf"
SHOWN_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a file, in its order, by our names."""

    columns: list[str]
    delimiter: str


def read_delimited(
    spec: SourceSpec, path: Path, *, name: str, chunk_bytes: int = CHUNK_BYTES
) -> Iterator[Batch]:
    """Yield the rows of a delimited text file.

    Raises:
        DataError: It is empty, or no text.
        SourceChanged: Its columns are not those of the spec.
    """
    layout: Layout | None = None
    for chunk in read_chunks(path, name=name, size=chunk_bytes):
        if layout is None:
            header, _, rest = chunk.data.partition(b"\n")
            layout = Layout(_columns(spec, header, name=name), spec.delimiter)
            chunk = Chunk(rest, chunk.first_line + 1)
        if chunk.data:
            yield read_chunk(layout, chunk)
    if layout is None:
        raise DataError(f"{name}: the file is empty", "get the file again")


def _columns(spec: SourceSpec, header: bytes, *, name: str) -> list[str]:
    """Return our names of the columns that the first line names."""
    try:
        text = header.removeprefix(BOM).decode().rstrip("\r")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise DataError(
            f"{name}: its first line is no UTF-8 text; it starts with {header[:16]!r}",
            "pass tab-separated text, that gzipped, or an API response in JSON",
        )
    return match_columns(spec, text.split(spec.delimiter), name=name)


def read_chunk(layout: Layout, chunk: Chunk) -> Batch:
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


def _looks_clean(layout: Layout, data: bytes, lines: int) -> bool:
    """Whether no byte is NUL and there are as many delimiters as so many rows have.

    One line with too many and one with too few could make up for each other, but the
    parser refuses the one with too many.
    """
    expected = (len(layout.columns) - 1) * lines
    return b"\0" not in data and data.count(layout.delimiter.encode()) == expected


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
            separator=layout.delimiter,
            quote_char=None,
            schema=schema,
            empty_string_is_null=False,
        )
    except (UnicodeDecodeError, pl.exceptions.PolarsError):
        return None
    return without_padding(rows)


def without_padding(rows: pl.DataFrame) -> pl.DataFrame:
    """Strip blanks around fields in the columns that have any: looking is cheaper."""
    padded = rows.select(
        (pl.all().str.starts_with(" ") | pl.all().str.ends_with(" ")).any()
    ).row(0, named=True)
    return rows.with_columns(
        pl.col(column).str.strip_chars(" ")
        for column, is_padded in padded.items()
        if is_padded
    )


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
        fault = _fault(layout, line)
        if fault is None:
            good.append(line)
            numbers.append(number)
        else:
            shown = legible(line)[:SHOWN_CHARACTERS]
            rejects.append((number, "", shown, *fault))
    return b"\n".join(good), pl.Series(numbers, dtype=pl.Int64), as_rejects(rejects)


def _fault(layout: Layout, line: bytes) -> tuple[str, str] | None:
    """Return the rule that a line breaks, and why; None if it is a row."""
    if b"\0" in line:
        return "nul_byte", f"has a NUL byte at position {line.index(0) + 1}"
    try:
        line.decode()
    except UnicodeDecodeError as error:
        bad = line[error.start]
        return "not_utf8", f"has byte 0x{bad:02X} at position {error.start + 1}"
    seen, wanted = line.count(layout.delimiter.encode()) + 1, len(layout.columns)
    if seen != wanted:
        return "wrong_number_of_fields", f"has {seen} fields, wants {wanted}"
    return None


def legible(line: bytes) -> str:
    """Return a line as text that a database takes: odd bytes are replaced."""
    return line.decode(errors="replace").replace("\0", "\N{SYMBOL FOR NULL}")
