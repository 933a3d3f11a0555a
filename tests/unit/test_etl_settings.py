"""Settings and errors: typed, closed, silent about secrets, safe to pass on."""

from __future__ import annotations

import pickle

import pytest

from etl import errors
from etl.db import connect
from etl.errors import ConfigError, EtlError
from etl.settings import load_settings

URL = "postgresql+psycopg://user:hunter2@db:5432/biocirv_db"


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "USDA_NASS_API_KEY", "ETL_RAW_DIR", "ETL_HOME"):
        monkeypatch.delenv(name, raising=False)


def test_secrets_are_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", URL)
    monkeypatch.setenv("USDA_NASS_API_KEY", "hunter3")
    settings = load_settings()
    assert "hunter" not in f"{settings!r} {settings} {settings.model_dump_json()}"
    assert "hunter" not in repr(connect(settings))


def test_missing_database_url() -> None:
    with pytest.raises(ConfigError, match="DATABASE_URL") as caught:
        load_settings()
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("url", ["mysql://u:hunter2@h/d", "hunter2", "sqlite:///x"])
def test_wrong_database_url(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    with pytest.raises(ConfigError) as caught:
        load_settings()
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["postgresql://u@/d", "postgresql+psycopg://u@/d?host=/run/pg", "postgres://u@h/d"],
)
def test_engine_uses_psycopg_3(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    assert connect(load_settings()).driver == "psycopg"


def test_settings_do_not_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", URL)
    with pytest.raises(ValueError, match="frozen"):
        load_settings().nass_api_pause_s = 0  # type: ignore[misc]


@pytest.mark.parametrize(
    "kind", [kind for kind in vars(errors).values() if isinstance(kind, type)]
)
def test_errors_survive_pickling(kind: type[EtlError]) -> None:
    error = pickle.loads(pickle.dumps(kind("what", "fix")))
    assert (type(error), str(error), error.hint) == (kind, "what", "fix")
    assert error.code.isupper()
