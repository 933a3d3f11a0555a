"""Reads delimited text with quoted fields (RFC 4180) into frames, record by record.

A record that is no row is rejected by its first line, and reading goes on with the line
after that. So a quotation mark that is never closed costs one line and not the rest of
the file.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator

from etl.readers.batch import SHOWN_CHARACTERS, Batch, batch_of
from etl.readers.chunks import Chunk
from etl.readers.delimited import fault_of_count, fault_of_text, legible
from etl.readers.header import Layout
from etl.rejects import Reject
from etl.specs.forms import Delimited

BATCH_RECORDS = 20_000
MAX_RECORD_LINES = 100
"""A field with more line ends than this is a quotation mark that was never closed."""

Line = tuple[int, bytes]


def read_quoted(layout: Layout, chunks: Iterator[Chunk]) -> Iterator[Batch]:
    """Yield the records after the header, with the numbers of their first lines."""
    form = layout.form.format
    assert isinstance(form, Delimited)
    rows: list[list[str]] = []
    numbers: list[int] = []
    rejects: list[Reject] = []
    lines = Lines(chunks)
    while (line := lines.take()) is not None:
        number, data = line
        fields, fault = _read_record(form, lines, data)
        fault = fault or fault_of_count(layout, len(fields))
        if fault is None:
            rows.append(fields)
            numbers.append(number)
        else:
            rejects.append((number, "", legible(data)[:SHOWN_CHARACTERS], *fault))
        if len(rows) + len(rejects) >= BATCH_RECORDS:
            yield batch_of(layout, rows, numbers, rejects)
            rows, numbers, rejects = [], [], []
    yield batch_of(layout, rows, numbers, rejects)


class Lines:
    """The lines of an input, of which some can be looked at before they are taken."""

    def __init__(self, chunks: Iterator[Chunk]) -> None:
        self._lines = _lines(chunks)
        self._ahead: deque[Line] = deque()

    def take(self) -> Line | None:
        """Return the next line that is not blank; None at the end."""
        while True:
            line = self._ahead.popleft() if self._ahead else next(self._lines, None)
            if line is None or line[1].strip(b" "):
                return line

    def peek(self, count: int) -> bytes | None:
        """Return the line that comes `count` lines after the last one taken."""
        while len(self._ahead) < count:
            line = next(self._lines, None)
            if line is None:
                return None
            self._ahead.append(line)
        return self._ahead[count - 1][1]

    def skip(self, count: int) -> None:
        """Take lines that were looked at."""
        for _ in range(count):
            self._ahead.popleft()


def _lines(chunks: Iterator[Chunk]) -> Iterator[Line]:
    for chunk in chunks:
        lines = chunk.data.removesuffix(b"\n").split(b"\n") if chunk.data else []
        for number, line in enumerate(lines, chunk.first_line):
            yield number, line.removesuffix(b"\r")


def _read_record(
    form: Delimited, lines: Lines, first: bytes
) -> tuple[list[str], tuple[str, str] | None]:
    """Return the fields of a record that starts with a line, or what is wrong with it.

    The record goes on while a quotation mark is open, which an odd number of them is.
    """
    assert form.quote is not None
    quote, data, more = form.quote.encode(), first, 0
    marks = first.count(quote)
    while marks % 2 and more < MAX_RECORD_LINES:
        line = lines.peek(more + 1)
        if line is None:
            break
        more += 1
        data += b"\n" + line
        marks += line.count(quote)
    fault = fault_of_text(data)
    if fault is None:
        try:
            (fields,) = csv.reader(
                [data.decode()],
                delimiter=form.delimiter,
                quotechar=form.quote,
                strict=True,
            )
        except (csv.Error, ValueError) as error:
            fault = "broken_quotes", f"is no record with quoted fields: {error}"
        else:
            lines.skip(more)
            return fields, None
    if more:
        return [], fault_of_text(first) or (
            "broken_quotes",
            "has an open quotation mark",
        )
    return [], fault
