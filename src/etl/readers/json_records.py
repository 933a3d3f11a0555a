"""Reads a JSON document of records, as the API answers, into frames.

The whole document is in memory at once: an answer of the API has at most 50,000
records, and what `extract` puts together from many is a few times that.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from etl.errors import DataError, SourceChanged
from etl.readers.batch import Batch
from etl.readers.chunks import open_plain
from etl.readers.delimited import without_padding
from etl.readers.header import match_columns
from etl.rejects import LINE, Reject, as_rejects
from etl.specs.spec import SourceSpec

RECORDS = "data"
BATCH_RECORDS = 100_000
SHOWN_CHARACTERS = 200


def read_json(spec: SourceSpec, path: Path, *, name: str) -> Iterator[Batch]:
    """Yield the records of a JSON document.

    Raises:
        DataError: It is no JSON, or has no records.
        SourceChanged: It is an error message, or its columns are not the spec's.
    """
    records = load_records(path, name=name)
    first = next((one for one in records if isinstance(one, dict)), {})
    headers = list(first)
    columns = match_columns(spec, headers, name=name)
    for start in range(0, len(records), BATCH_RECORDS):
        part = records[start : start + BATCH_RECORDS]
        yield _batch(headers, columns, part, first_number=start + 1)


def load_records(path: Path, *, name: str) -> list[Any]:
    """Return the list of records that a document holds."""
    with open_plain(path, name=name) as stream:
        content = stream.read()
    try:
        document = json.loads(content)
    except ValueError as error:  # also bytes that are no text
        raise DataError(
            f"{name}: the JSON is cut off or broken ({error})", "get the file again"
        ) from None
    if isinstance(document, dict) and "error" in document:
        raise SourceChanged(
            f"{name}: this is an error message, not data: {document['error']}",
            "correct the request that it answers",
        )
    records = document.get(RECORDS) if isinstance(document, dict) else None
    if not isinstance(records, list):
        raise SourceChanged(
            f'{name}: wants {{"{RECORDS}": [records]}}',
            "pass an answer of api_GET as it came",
        )
    if not records:
        raise DataError(f"{name}: it holds no records", "correct the request")
    return records


def _batch(
    headers: Sequence[str],
    columns: Sequence[str],
    records: Sequence[Any],
    *,
    first_number: int,
) -> Batch:
    """Return the records that have just these fields as rows, the others as rejects."""
    rows: list[list[str]] = []
    numbers: list[int] = []
    rejects: list[Reject] = []
    wanted = set(headers)
    for number, record in enumerate(records, first_number):
        if isinstance(record, dict) and record.keys() == wanted:
            fields = [_text(record[header]) for header in headers]
            if not any("\0" in field for field in fields):
                rows.append(fields)
                numbers.append(number)
                continue
            fault = "nul_byte", "has a NUL character"
        else:
            fault = "wrong_number_of_fields", "has other fields than the first record"
        shown = json.dumps(record)[:SHOWN_CHARACTERS]
        rejects.append((number, "", shown, *fault))
    frame = pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String), orient="row")
    return Batch(
        without_padding(frame).with_columns(pl.Series(LINE, numbers, dtype=pl.Int64)),
        as_rejects(rejects),
    )


def _text(value: object) -> str:
    """Return a JSON value as the bulk file would print it."""
    return "" if value is None else str(value)
