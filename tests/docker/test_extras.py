"""What pixi.toml adds to the locked wheels: read, ordered, reported."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def extras() -> ModuleType:
    """The script ci/extras.py; it is part of no package."""
    spec = importlib.util.spec_from_file_location("extras", CHECKOUT / "ci/extras.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def manifest(folder: Path, *lines: str) -> Path:
    """Write what `pixi add --feature pipeline --pypi` writes."""
    path = folder / "pixi.toml"
    path.write_text("\n".join(["[feature.pipeline.pypi-dependencies]", *lines]))
    return path


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        ("*", "cowsay"),
        (">=6,<7", "cowsay>=6,<7"),
        ({"version": "==6.1"}, "cowsay==6.1"),
        ({"version": "*", "extras": ["a", "b"]}, "cowsay[a,b]"),
    ],
)
def test_a_spec_is_read_as_pixi_writes_it(
    extras: ModuleType, spec: object, wanted: str
) -> None:
    assert extras.requirement("cowsay", spec) == wanted


def test_our_own_manifest_adds_nothing(extras: ModuleType) -> None:
    assert extras.main(CHECKOUT / "pixi.toml", CHECKOUT / "requirements.lock") == 0
    assert "httpx" in extras.pins(CHECKOUT / "requirements.lock")


def test_the_lock_wins_and_says_so(
    extras: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = manifest(tmp_path, 'HTTPX = "*"', '"ruamel.yaml" = "*"')
    lock = tmp_path / "requirements.lock"
    lock.write_text("httpx==0.28.1 \\\n    --hash=sha256:1\nruamel-yaml==0.19\n")
    assert extras.main(asked, lock) == 0
    messages = capsys.readouterr().err
    assert "asks for HTTPX, requirements.lock has httpx==0.28.1: it wins" in messages
    assert "asks for ruamel.yaml" in messages


def test_another_source_than_an_index_is_refused_with_the_way_out(
    extras: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = manifest(tmp_path, 'mine = { git = "https://example.org/mine.git" }')
    lock = tmp_path / "requirements.lock"
    lock.write_text("")
    assert extras.main(asked, lock) == 2
    messages = capsys.readouterr().err
    assert "mine comes from git, not from an index" in messages
    assert "fix: " in messages
