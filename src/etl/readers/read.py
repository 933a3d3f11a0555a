"""Reads an input whatever its form: looks at its contents, then calls the reader."""

from __future__ import annotations

import json
from collections.abc import Iterator, Set
from pathlib import Path

from etl.errors import DataError
from etl.readers.batch import Batch
from etl.readers.chunks import CHUNK_BYTES, open_plain, read_chunks
from etl.readers.delimited import legible, read_delimited
from etl.readers.json_records import load_records, read_json
from etl.specs.spec import SourceSpec

FORMS_WE_DO_NOT_READ = {
    b"PK\x03\x04": "a zip archive or a workbook",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
    b"%PDF": "a PDF document",
    b"\x28\xb5\x2f\xfd": "zstd-compressed",
    b"BZh": "bzip2-compressed",
}


def read_batches(
    spec: SourceSpec, path: Path, *, name: str, chunk_bytes: int = CHUNK_BYTES
) -> Iterator[Batch]:
    """Yield the rows of an input.

    Args:
        path: Where its bytes are.
        name: What messages call it.

    Raises:
        DataError: It is empty, truncated, corrupt, or of a form we do not read.
        SourceChanged: Its columns are not those of the spec.
    """
    if _is_json(path, name=name):
        return read_json(spec, path, name=name)
    return read_delimited(spec, path, name=name, chunk_bytes=chunk_bytes)


def _is_json(path: Path, *, name: str) -> bool:
    """Whether the input starts as a JSON document does. Refuses what is neither."""
    with open_plain(path, name=name) as stream:
        start = stream.read(64)
    for magic, form in FORMS_WE_DO_NOT_READ.items():
        if start.startswith(magic):
            raise DataError(
                f"{name}: this is {form}",
                "pass tab-separated text, that gzipped, or an API response in JSON",
            )
    return start.lstrip()[:1] in (b"{", b"[")


def quote_lines(path: Path, lines: Set[int], *, name: str) -> dict[int, str]:
    """Return the text of some lines (of JSON: records) of an input, by number.

    It reads the input once more, so that a load without rejects pays nothing.
    """
    if not lines:
        return {}
    if _is_json(path, name=name):
        records = load_records(path, name=name)
        return {number: json.dumps(records[number - 1]) for number in lines}
    quoted: dict[int, str] = {}
    for chunk in read_chunks(path, name=name):
        here = chunk.data.split(b"\n")
        for number in lines & set(
            range(chunk.first_line, chunk.first_line + len(here))
        ):
            quoted[number] = legible(here[number - chunk.first_line].rstrip(b"\r"))
    return quoted
