"""Reading files: whatever the form, each line is a row or a reject, by its number."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import polars as pl
import pytest

from etl.errors import DataError
from etl.readers.read import quote_lines, read_batches
from etl.rejects import LINE
from etl.specs.forms import Column, Delimited, InputForm
from etl.specs.spec import SourceSpec, TableSpec

FACTS = TableSpec(name="t", kind="facts", key=("a",), columns=("b", "c"))
COLUMNS = (Column("a", "A"), Column("b", "B"), Column("c", "C", also=("Third",)))
SPEC = SourceSpec(
    name="letters",
    title="Letters",
    licence="none",
    citation="none",
    forms=(InputForm("letters", Delimited("\t"), COLUMNS),),
    tables=(FACTS,),
    transform="none",
    sample="none",
)


def read(
    tmp_path: Path, content: bytes, chunk_bytes: int = 1 << 20
) -> list[tuple[int, str]]:
    """Return rows and rejects of a file as (line, what), in line order."""
    path = tmp_path / "file"
    path.write_bytes(content)
    found: list[tuple[int, str]] = []
    for batch in read_batches(SPEC, path, name="file", chunk_bytes=chunk_bytes):
        assert batch.rows.null_count().sum_horizontal().item() == 0
        found += [
            (row[LINE], "|".join((row["a"], row["b"], row["c"])))
            for row in batch.rows.iter_rows(named=True)
        ]
        found += [
            (row[LINE], row["rule"]) for row in batch.rejects.iter_rows(named=True)
        ]
    return sorted(found)


def test_rows_have_the_numbers_of_their_lines(tmp_path: Path) -> None:
    content = b"A\tB\tC\n1\t2\t3\n\n4\t5\t6\nshort\n7\t8\t9"
    assert read(tmp_path, content) == [
        (2, "1|2|3"),
        (4, "4|5|6"),
        (5, "wrong_number_of_fields"),
        (6, "7|8|9"),
    ]


def test_columns_are_found_by_name(tmp_path: Path) -> None:
    assert read(tmp_path, b"third\tA\tb\n3\t1\t2\n") == [(2, "1|2|3")]


def test_quotes_and_hashes_are_ordinary_characters(tmp_path: Path) -> None:
    assert read(tmp_path, b'A\tB\tC\n"x\t#y\tz"\n') == [(2, '"x|#y|z"')]


def test_blanks_around_fields_go_and_those_inside_stay(tmp_path: Path) -> None:
    assert read(tmp_path, b"A\tB\tC\n  1 \t a b \t   \n") == [(2, "1|a b|")]


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_any_mixture_gives_each_line_its_due(
    tmp_path: Path, seed: int, packed: bool, line_end: bytes
) -> None:
    """Good and bad lines in any order, cut into chunks of any size."""
    kinds = {
        "good": (b"x\ty\tz", "x|y|z"),
        "blank": (b"", None),
        "short": (b"x\ty", "wrong_number_of_fields"),
        "long": (b"x\ty\tz\t", "wrong_number_of_fields"),
        "nul": (b"x\t\0\tz", "nul_byte"),
        "latin1": (b"x\t\xe9\tz", "not_utf8"),
        "accents": ("é\t–\tz".encode(), "é|–|z"),
    }
    chosen = random.Random(seed).choices(list(kinds), k=60)
    lines = [b"A\tB\tC", *(kinds[kind][0] for kind in chosen)]
    content = line_end.join(lines) + line_end
    expected = [
        (number, kinds[kind][1])
        for number, kind in enumerate(chosen, 2)
        if kinds[kind][1] is not None
    ]
    for chunk_bytes in (64, 333, 1 << 20):
        file = gzip.compress(content) if packed else content
        assert read(tmp_path, file, chunk_bytes) == expected


def test_fields_that_make_up_for_each_other_are_noticed(tmp_path: Path) -> None:
    content = b"A\tB\tC\n1\t2\t3\n1\t2\t3\t4\n1\t2\n"
    assert [what for _, what in read(tmp_path, content)] == [
        "1|2|3",
        "wrong_number_of_fields",
        "wrong_number_of_fields",
    ]


def test_line_without_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no line ends within"):
        read(tmp_path, b"A\tB\tC" + b"x" * 1000, chunk_bytes=100)


def test_lines_are_quoted_by_number(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(gzip.compress(b"A\tB\tC\r\n1\t2\t3\r\n\xff\0\r\n"))
    assert quote_lines(path, {1, 3}, name="file") == {1: "A\tB\tC", 3: "�␀"}


def test_frames_hold_text_only(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"A\tB\tC\n1\t007\t1.50\n")
    (batch,) = read_batches(SPEC, path, name="file")
    assert batch.rows.drop(LINE).dtypes == [pl.String] * 3
    assert batch.rows["b"].item() == "007"
