"""QuickStats' API against a server on loopback that behaves as it does, or worse."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from etl.errors import ConfigError, DataError, SourceChanged, SourceUnavailable
from etl.extract.inputs import fetch
from etl.settings import Settings
from etl.specs.registry import SOURCES

KEY = "SECRET-KEY"
NASS = SOURCES["nass"]
assert NASS.api
LOW_LIMIT = replace(NASS, api=replace(NASS.api, page_limit=50))  # a thousandth
RECORDS = [
    {"year": year, "county_code": county, "commodity_desc": commodity, "Value": "1"}
    for year in (2020, 2021, 2022)
    for county in ("001", "003")
    for commodity in ("CORN", "WHEAT")
    for _ in range(5)
]


class FakeQuickStats(ThreadingHTTPServer):
    """60 records; `faults` are answered first: (status, headers, body)."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.faults: list[tuple[int, dict[str, str], bytes]] = []
        self.limit = 50
        self.lost = 0

    @property
    def pages(self) -> list[dict[str, str]]:
        """What was asked of api_GET."""
        return [query for what, query in self.asked if what == "api_GET"]


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    server: FakeQuickStats

    def do_GET(self) -> None:
        """Count, list values, or send records."""
        url = urlsplit(self.path)
        what, query = url.path.strip("/"), dict(parse_qsl(url.query))
        self.server.asked.append((what, query))
        if self.server.faults:
            self.send(*self.server.faults.pop(0))
        elif query.pop("key", "") != KEY:
            self.send(401, {}, b'{"error": ["unauthorized"]}')
        else:
            status, answer = self.answer(what, query)
            self.send(status, {}, json.dumps(answer).encode())

    def answer(self, what: str, query: dict[str, str]) -> tuple[int, Any]:
        """Return what QuickStats would."""
        wanted = {k: v for k, v in query.items() if k in RECORDS[0]}
        found = [r for r in RECORDS if all(str(r[k]) == v for k, v in wanted.items())]
        if what == "get_counts":
            return 200, {"count": len(found)}
        if what == "get_param_values":
            return 200, {query["param"]: sorted({r[query["param"]] for r in found})}
        if len(found) > self.server.limit:
            return 413, {"error": ["exceeds limit=50000"]}
        return 200, {"data": found[self.server.lost :]}

    def send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        """Send an answer."""
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def api() -> Iterator[FakeQuickStats]:
    """A server on a free port."""
    with FakeQuickStats() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def settings(
    api: FakeQuickStats, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """Settings that lead to it, without pauses."""
    for name, value in {
        "DATABASE_URL": "postgresql://none@/none",
        "ETL_RAW_DIR": str(tmp_path / "raw"),
        "NASS_API_URL": f"http://127.0.0.1:{api.server_port}",
        "NASS_API_PAUSE_S": "0",
        "NASS_API_BUDGET_S": "0.5",
        "USDA_NASS_API_KEY": KEY,
    }.items():
        monkeypatch.setenv(name, value)
    return Settings()


def get(settings: Settings, conditions: str = "") -> list[dict[str, Any]]:
    """Fetch and return the records of the raw file."""
    raw = fetch(LOW_LIMIT, f"api:{conditions}" if conditions else "api", settings)
    content = raw.path.read_bytes()
    assert KEY.encode() not in content
    assert KEY not in raw.name
    records: list[dict[str, Any]] = json.loads(content)["data"]
    return records


def test_small_answer_is_one_page(api: FakeQuickStats, settings: Settings) -> None:
    assert len(get(settings, "year=2020")) == 20
    assert len(api.pages) == 1
    assert api.pages[0]["state_fips_code"] == "06"


def test_large_answer_is_split_by_year(api: FakeQuickStats, settings: Settings) -> None:
    records = get(settings)
    assert records == RECORDS
    assert [page["year"] for page in api.pages] == ["2020", "2021", "2022"]


def test_refused_page_is_split(api: FakeQuickStats, settings: Settings) -> None:
    """The limit is lower than what is documented."""
    api.limit = 10
    assert get(settings, "year=2020") == RECORDS[:20]
    assert [page.get("county_code") for page in api.pages] == [None, "001", "003"]


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_passing_fault_is_tried_again(
    api: FakeQuickStats, settings: Settings, status: int
) -> None:
    api.faults = [(status, {}, b"busy")] * 2
    assert len(get(settings, "year=2020")) == 20
    assert len(api.asked) == 4


def test_lasting_fault_ends_as_unavailable(
    api: FakeQuickStats, settings: Settings
) -> None:
    api.faults = [(503, {"Retry-After": "1"}, b"busy")] * 50
    with pytest.raises(SourceUnavailable, match="answers 503") as caught:
        get(settings)
    assert caught.value.retryable
    assert len(api.asked) == 1  # it was asked to wait for longer than it may


def test_server_that_is_not_there(settings: Settings) -> None:
    away = settings.model_copy(
        update={"nass_api_url": "http://127.0.0.1:9", "nass_api_budget_s": 0.05}
    )
    with pytest.raises(SourceUnavailable, match="does not answer"):
        get(away)


def test_answer_that_lacks_records(api: FakeQuickStats, settings: Settings) -> None:
    api.lost = 1
    with pytest.raises(SourceUnavailable, match="announced 20 "):
        get(settings, "year=2020")


def test_no_such_records(settings: Settings) -> None:
    with pytest.raises(DataError, match="no records"):
        get(settings, "year=1800")


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ((401, {}, b'{"error": ["unauthorized"]}'), ConfigError),
        ((400, {}, b'{"error": ["bad request - invalid query"]}'), ConfigError),
        ((200, {}, b"<html>down for maintenance</html>"), SourceChanged),
        ((200, {}, b"[]"), SourceChanged),
        ((200, {}, b'{"other": 1}'), SourceChanged),
    ],
)
def test_other_answers(
    api: FakeQuickStats, settings: Settings, fault: Any, error: type[Exception]
) -> None:
    api.faults = [fault]
    with pytest.raises(error):
        get(settings)


def test_key_is_in_no_log_and_no_error(
    api: FakeQuickStats, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    get(settings, "year=2020")
    api.faults = [(400, {}, f"no key={KEY}".encode())]
    with pytest.raises(ConfigError) as caught:
        get(settings)
    assert "api_GET" in caplog.text
    assert KEY not in caplog.text
    assert KEY not in f"{caught.value!r} {caught.value.__context__!r}"
