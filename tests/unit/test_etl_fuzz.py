"""Generated inputs: every line is a row or a reject, or the input is a clear error."""

from __future__ import annotations

import csv
import io
import json
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etl.errors import EtlError
from etl.readers.read import quote_lines, read_batches
from etl.rejects import LINE
from etl.specs.nass import SPEC
from etl.specs.nass_forms import BULK, WEB_HEADERS
from etl.transform.tables import find_transform
from etl.validate.judge import judge, lookups_of

FUZZ = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
PLACES = {"06": "California", "06021": "Glenn County"}
LOOKUPS = dict.fromkeys(lookups_of(SPEC), PLACES)
SAMPLE = files("etl.data").joinpath("nass_sample.tsv").read_bytes().splitlines()[:9]

ODD = [
    *(
        b"\t",
        b"\n",
        b"\r",
        b"\r\n",
        b'"',
        b'""',
        b",",
        b"\0",
        b"\xff",
        b"(D)",
        b"0,123",
    ),
    *(b"\xef\xbb\xbf", b"1e400", b"6", b" ", b"\x1f\x8b", b"x" * 1100, b"{", b"]}"),
]
MESS = st.one_of(
    st.binary(max_size=12),
    st.text(max_size=8).map(lambda text: text.encode(errors="surrogatepass")),
    st.sampled_from(ODD),
)
JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)
    ),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.text(max_size=2), inner, max_size=2)
    ),
    max_leaves=4,
)


def account(content: bytes, chunk_bytes: int = 1 << 20) -> tuple[int, int] | None:
    """Return how many rows are kept and rejected; None if the input is refused.

    It fails if a line is counted twice, or if anything but an EtlError is raised.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder) / "input"
        path.write_bytes(content)
        kept, rejected = [], []
        try:
            for batch in read_batches(
                SPEC, path, name="input", chunk_bytes=chunk_bytes
            ):
                judged = judge(SPEC, batch, LOOKUPS)
                outside = len(batch.rows) - len(judged.good)
                outside -= len(judged.rejects) - len(batch.rejects)
                assert outside == judged.out_of_scope
                tables = find_transform(SPEC)(judged.good)
                kept += list(tables["core_nass__value"][LINE])
                rejected += list(judged.rejects[LINE])
            quotes = quote_lines(path, set(rejected), name="input")
        except EtlError as error:
            if not error.hint or not error.message.isprintable():
                raise AssertionError("an error without a hint") from error
            return None
    assert len(set(kept) | set(rejected)) == len(kept) + len(rejected)
    assert set(quotes) == set(rejected)
    assert all("\0" not in text and text.encode() for text in quotes.values())
    return len(kept), len(rejected)


@FUZZ
@given(st.binary(max_size=300))
def test_any_bytes(content: bytes) -> None:
    account(content)
    account(SAMPLE[0] + b"\n" + content)


def mixed(lines: list[bytes], data: Any) -> bytes:
    """Return lines with mess put into some places of the text after the header."""
    text = b"\n".join(lines[1:]) + b"\n"
    for _ in range(data.draw(st.integers(1, 4))):
        at, mess = data.draw(st.integers(0, len(text))), data.draw(MESS)
        text = text[:at] + mess + text[at + data.draw(st.integers(0, 3)) :]
    return lines[0] + b"\n" + text


@FUZZ
@given(st.data())
def test_bulk_file_with_mess(data: Any) -> None:
    content = mixed(SAMPLE, data)
    whole = account(content)
    assert whole is not None
    body = content.split(b"\n")[1:]
    assert sum(whole) <= sum(bool(line.strip(b" \r")) for line in body)
    assert sum(whole) >= sum(bool(line.strip(b" \r")) for line in body) - 4
    assert account(content, chunk_bytes=4096) == whole


@FUZZ
@given(st.data())
def test_web_download_with_mess(data: Any) -> None:
    """A quotation mark that is never closed does not swallow the rest of the file."""
    headers = {column.name: column.header for column in BULK}
    names = SAMPLE[0].decode().split("\t")
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(WEB_HEADERS.values())
    for line in SAMPLE[1:]:
        cells = dict(zip(names, line.decode().split("\t"), strict=True))
        writer.writerow(cells[headers[name]] for name in WEB_HEADERS)
    lines = text.getvalue().encode().splitlines()
    whole = account(mixed(lines, data))
    assert whole is not None
    kept, rejected = whole
    assert kept >= len(lines) - 1 - 8
    assert kept + rejected >= len(lines) - 1 - 4


@FUZZ
@given(st.lists(st.tuples(st.sampled_from(BULK), JSON), max_size=3), JSON)
def test_json_with_mess(changes: list[tuple[Any, Any]], other: Any) -> None:
    names = [name.lower() for name in SAMPLE[0].decode().split("\t")]
    record = dict(zip(names, SAMPLE[1].decode().split("\t"), strict=True))
    broken = record | {column.header.lower(): value for column, value in changes}
    content = json.dumps({"other": other, "data": [record, broken, other]})
    whole = account(content.encode())
    assert whole is not None
    assert sum(whole) == 3
    account(content.encode()[:-7])
