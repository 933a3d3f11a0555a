"""Inputs as text, and the raw store that files of users end up in."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from etl.errors import ConfigError
from etl.extract.inputs import fetch, store_input
from etl.extract.raw_store import RawStore
from etl.settings import Settings
from etl.specs.registry import SOURCES, require_source


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings with a raw store of their own, and without a key."""
    monkeypatch.delenv("USDA_NASS_API_KEY", raising=False)
    monkeypatch.setenv("DATABASE_URL", "postgresql://none@/none")
    monkeypatch.setenv("ETL_RAW_DIR", str(tmp_path / "raw"))
    return Settings()


def test_file_becomes_a_raw_file(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "some figures.tsv"
    file.write_bytes(b"content")
    sha256 = hashlib.sha256(b"content").hexdigest()
    staged = store_input(str(file), settings)
    assert staged == f"raw:{sha256}:some figures.tsv"
    assert store_input(staged, settings) == staged
    file.unlink()
    raw = fetch(SOURCES["nass"], staged, settings)
    assert (raw.sha256, raw.name, raw.size_bytes) == (sha256, "some figures.tsv", 7)
    assert raw.path.read_bytes() == b"content"


@pytest.mark.parametrize("value", ["sample", "api", "api:commodity_desc=ALMONDS"])
def test_other_inputs_stay_as_they_are(settings: Settings, value: str) -> None:
    assert store_input(value, settings) == value


def test_sample(settings: Settings) -> None:
    raw = fetch(SOURCES["geography"], "sample", settings)
    assert raw.name == "california_places.csv"


@pytest.mark.parametrize("path", ["nowhere.tsv", "."])
def test_path_that_is_no_file(settings: Settings, tmp_path: Path, path: str) -> None:
    with pytest.raises(ConfigError, match="cannot read") as caught:
        store_input(str(tmp_path / path), settings)
    assert caught.value.hint


def test_raw_file_that_the_store_lacks(settings: Settings) -> None:
    with pytest.raises(ConfigError, match="does not have"):
        fetch(SOURCES["nass"], f"raw:{'0' * 64}:x.tsv", settings)


@pytest.mark.parametrize("value", ["", "raw:12:x", "s3://bucket/x"])
def test_text_that_is_no_input(settings: Settings, value: str) -> None:
    with pytest.raises(ConfigError, match="is no input"):
        fetch(SOURCES["nass"], value, settings)


@pytest.mark.parametrize("value", ["api:key=SECRET", "api:KEY=x&year=2022", "api:year"])
def test_key_is_never_part_of_an_input(settings: Settings, value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        store_input(value, settings)
    assert "SECRET" not in str(caught.value)


def test_api_without_a_key(settings: Settings) -> None:
    with pytest.raises(ConfigError, match="USDA_NASS_API_KEY is not set"):
        fetch(SOURCES["nass"], "api", settings)


def test_store_keeps_one_copy_and_no_remains(tmp_path: Path) -> None:
    store = RawStore(tmp_path)
    first, second = store.put_bytes(b"x", "a"), store.put_bytes(b"x", "b")
    assert first.path == second.path
    assert [f for f in tmp_path.rglob("*") if f.is_file()] == [first.path]
    assert not os.access(first.path, os.W_OK) or os.getuid() == 0


def test_file_that_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    def write_half() -> None:
        with RawStore(tmp_path).writing("x") as target:
            target.write(b"half")
            raise OSError("cut")

    with pytest.raises(OSError, match="cut"):
        write_half()
    assert list(tmp_path.iterdir()) == []


def test_unknown_source_is_guessed() -> None:
    with pytest.raises(ConfigError) as caught:
        require_source("nas")
    assert "did you mean nass?" in caught.value.hint
