"""Reads a JSON document of records, as the API answers, into frames.

It decodes record by record from a window over the text, so memory is bounded by the
window and not by the document. What no cell can be (a list, an object, true, NaN, a
field that occurs twice) costs its record; text that is no JSON costs the document.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from itertools import islice
from pathlib import Path

from etl.errors import DataError, SourceChanged
from etl.readers.batch import SHOWN_CHARACTERS, Batch, batch_of
from etl.readers.chunks import open_plain
from etl.readers.header import Candidate, Layout, match_form, printable
from etl.readers.json_window import Fields, JsonWindow, NotANumber, as_json
from etl.rejects import Reject
from etl.specs.forms import JsonRecords
from etl.specs.spec import SourceSpec

BATCH_RECORDS = 10_000
LOOKED_AT = 100
"""How many records are compared with the forms to find the one that they have."""


def read_json(spec: SourceSpec, path: Path, *, name: str) -> Iterator[Batch]:
    """Yield the records of a JSON document.

    Raises:
        DataError: It is no JSON, or has no records.
        SourceChanged: It is an error message, or its columns are those of no form.
    """
    forms = [form for form in spec.forms if isinstance(form.format, JsonRecords)]
    paths = [form.format.path for form in forms if isinstance(form.format, JsonRecords)]
    records = iter_records(path, paths, name=name)
    first = list(islice(records, LOOKED_AT))
    if not first:
        raise DataError(f"{name}: it holds no records", "correct the request")
    seen = [tuple(record.names) for record in first if isinstance(record, Fields)]
    layout = match_form(
        spec,
        (Candidate(form, names) for form in forms for names in dict.fromkeys(seen)),
        name=name,
    )
    number = 1
    while first:
        yield _batch(layout, first, first_number=number)
        number += len(first)
        first = list(islice(records, BATCH_RECORDS))


def iter_records(path: Path, paths: Sequence[str], *, name: str) -> Iterator[object]:
    """Yield the elements of the list that a document has under one of some keys.

    Raises:
        DataError: It is no JSON.
        SourceChanged: It is an error message, or has no such list.
    """
    with open_plain(path, name=name) as stream:
        window = JsonWindow(stream, name=name)
        if window.peek() != "{":
            raise _no_list(paths, name)
        found = False
        for key in window.fields():
            if key in paths and window.peek() == "[":
                found = True
                yield from window.elements()
                continue
            value = window.value()
            if key == "error":
                raise SourceChanged(
                    f"{name}: this is an error message, not data: "
                    f"{printable(as_json(value), 300)}",
                    "correct the request that it answers",
                )
        window.require_end()
        if not found:
            raise _no_list(paths, name)


def _no_list(paths: Sequence[str], name: str) -> SourceChanged:
    wanted = " or ".join(f'{{"{path}": [records]}}' for path in paths) or "no JSON"
    return SourceChanged(
        f"{name}: wants {wanted}", "pass an answer of api_GET as it came"
    )


def records_by_number(path: Path, numbers: Set[int], *, name: str) -> dict[int, str]:
    """Return the text of some records of a document that has been read before."""
    document = iter_records(path, ("data",), name=name)
    return {
        number: as_json(record)
        for number, record in enumerate(document, 1)
        if number in numbers
    }


def _batch(layout: Layout, records: Sequence[object], *, first_number: int) -> Batch:
    """Return the records that are rows as rows, the others as rejects."""
    headers = {
        header.casefold(): column.name
        for column in layout.form.columns
        for header in (column.header, *column.also)
    }
    rows: list[list[str]] = []
    numbers: list[int] = []
    rejects: list[Reject] = []
    for number, record in enumerate(records, first_number):
        row = _row(layout, headers, record)
        if isinstance(row, list):
            rows.append(row)
            numbers.append(number)
        else:
            rejects.append((number, *row))
    return batch_of(layout, rows, numbers, rejects)


def _row(
    layout: Layout, headers: Mapping[str, str], record: object
) -> list[str] | tuple[str, str, str, str]:
    """Return the cells of a record, or column, value, rule and reason of its fault."""
    if not isinstance(record, Fields):
        return "", _shown(record), "wrong_number_of_fields", "is no object"
    cells: dict[str, str] = {}
    for header, value in record.pairs:
        name = headers.get(header.strip().casefold())
        if name is None:
            reason = "has other fields than the other records"
            return "", _shown(header), "wrong_number_of_fields", reason
        if name in cells:
            return name, _shown(value), "repeated_field", "is in the record twice"
        fault = _fault(value)
        if fault is not None:
            return name, _shown(value), *fault
        cells[name] = "" if value is None else str(value)
    missing = [column for column in layout.columns if column not in cells]
    if missing:
        return missing[0], "", "wrong_number_of_fields", "is not in the record"
    return [cells[column] for column in layout.columns]


def _fault(value: object) -> tuple[str, str] | None:
    """Return the rule that a value breaks as a cell, and why."""
    if isinstance(value, (bool, Fields, list, NotANumber)):
        return "not_a_cell", "is neither a text nor a number"
    if isinstance(value, str):
        if "\0" in value:
            return "nul_byte", "has a NUL character"
        if not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
            return (
                "not_utf8",
                "has half of a surrogate pair, or bytes that are no UTF-8",
            )
    return None


def _shown(value: object) -> str:
    """Return a value as text that a database takes."""
    text = value if isinstance(value, str) else as_json(value)
    clean = text[:SHOWN_CHARACTERS].replace("\0", "\N{SYMBOL FOR NULL}")
    return clean.encode(errors="replace").decode()
