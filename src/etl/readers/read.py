"""Reads an input whatever its form: looks at its contents, then calls the reader."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Set
from pathlib import Path

from etl.errors import DataError
from etl.readers.batch import Batch
from etl.readers.chunks import CHUNK_BYTES, Chunk, open_plain, read_chunks
from etl.readers.delimited import legible, read_unquoted
from etl.readers.header import Candidate, Layout, match_form
from etl.readers.json_records import read_json, records_by_number
from etl.readers.quoted import read_quoted
from etl.specs.forms import Delimited
from etl.specs.spec import SourceSpec

BOM = b"\xef\xbb\xbf"
UNSUPPORTED = {
    b"PK\x03\x04": "a zip archive or a workbook",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
    b"%PDF": "a PDF document",
    b"\x28\xb5\x2f\xfd": "zstd-compressed",
    b"BZh": "bzip2-compressed",
}
HINT = "pass delimited text, that gzipped, or an API response in JSON"


def read_batches(
    spec: SourceSpec, path: Path, *, name: str, chunk_bytes: int = CHUNK_BYTES
) -> Iterator[Batch]:
    """Yield the rows of an input.

    Args:
        path: Where its bytes are.
        name: What messages call it.

    Raises:
        DataError: It is empty, truncated, corrupt, or of a format that is not read.
        SourceChanged: Its columns are those of no form of the spec.
    """
    if _is_json(path, name=name):
        return read_json(spec, path, name=name)
    return _read_delimited(spec, path, name=name, chunk_bytes=chunk_bytes)


def _is_json(path: Path, *, name: str) -> bool:
    """Whether the input starts as a JSON document does. Refuses what is no text."""
    with open_plain(path, name=name) as stream:
        start = stream.read(64)
    for magic, form in UNSUPPORTED.items():
        if start.startswith(magic):
            raise DataError(f"{name}: this is {form}", HINT)
    return start.removeprefix(BOM).lstrip()[:1] in (b"{", b"[")


def _read_delimited(
    spec: SourceSpec, path: Path, *, name: str, chunk_bytes: int
) -> Iterator[Batch]:
    chunks = read_chunks(path, name=name, size=chunk_bytes)
    first = next(chunks, None)
    if first is None:
        raise DataError(f"{name}: the file is empty", "get the file again")
    header, _, rest = first.data.partition(b"\n")
    layout = _layout(spec, header, name=name)
    quoted = isinstance(layout.form.format, Delimited) and layout.form.format.quote
    read = read_quoted if quoted else read_unquoted
    yield from read(layout, _prepend(Chunk(rest, first.first_line + 1), chunks))


def _prepend(first: Chunk, chunks: Iterator[Chunk]) -> Iterator[Chunk]:
    yield first
    yield from chunks


def _layout(spec: SourceSpec, header: bytes, *, name: str) -> Layout:
    """Return the columns that the first line names."""
    try:
        text = header.removeprefix(BOM).decode().rstrip("\r")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise DataError(
            f"{name}: its first line is no UTF-8 text; it starts with {header[:16]!r}",
            HINT,
        )
    candidates = (
        Candidate(form, _split(text, form.format))
        for form in spec.forms
        if isinstance(form.format, Delimited)
    )
    return match_form(spec, candidates, name=name)


def _split(text: str, form: Delimited) -> list[str]:
    """Return the fields of a header."""
    if form.quote is not None:
        try:
            (fields,) = csv.reader(
                [text], delimiter=form.delimiter, quotechar=form.quote, strict=True
            )
        except (csv.Error, ValueError):
            pass  # not a header of this form
        else:
            return fields
    return text.split(form.delimiter)


def quote_lines(path: Path, lines: Set[int], *, name: str) -> dict[int, str]:
    """Return the text of some lines (of JSON: records) of an input, by number.

    It reads the input once more, so that a load without rejects pays nothing.
    """
    if not lines:
        return {}
    if _is_json(path, name=name):
        return records_by_number(path, lines, name=name)
    quoted: dict[int, str] = {}
    for chunk in read_chunks(path, name=name):
        here = chunk.data.split(b"\n")
        for number in lines & set(
            range(chunk.first_line, chunk.first_line + len(here))
        ):
            quoted[number] = legible(here[number - chunk.first_line].rstrip(b"\r"))
    return quoted
