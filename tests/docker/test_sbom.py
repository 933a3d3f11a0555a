"""The SBOM lists every package of every kind once, in a stable order."""

from __future__ import annotations

import json
import sysconfig
from pathlib import Path

import httpx

from ci.inside.sbom import conda_packages, debian_packages, document, python_packages


def test_what_dpkg_has_removed_is_not_listed(tmp_path: Path) -> None:
    status = tmp_path / "status"
    status.write_text(
        "Package: libc6\nStatus: install ok installed\nVersion: 2.41-1\n\n"
        "Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n"
    )
    assert list(debian_packages(status)) == [("deb/debian", "libc6", "2.41-1")]
    assert list(debian_packages(tmp_path / "no dpkg here")) == []


def test_what_pixi_has_installed_is_listed(tmp_path: Path) -> None:
    (tmp_path / "conda-meta").mkdir()
    record = {"name": "python", "version": "3.13.14", "build": "h1"}
    (tmp_path / "conda-meta" / "python-3.13.14-h1.json").write_text(json.dumps(record))
    assert list(conda_packages(tmp_path)) == [("conda", "python", "3.13.14")]


def test_wheels_are_listed_with_their_versions() -> None:
    installed = python_packages([sysconfig.get_path("purelib")])
    assert ("pypi", "httpx", httpx.__version__) in set(installed)


def test_the_list_is_the_same_in_whatever_order_packages_were_found() -> None:
    packages = [("pypi", "b", "2"), ("deb/debian", "a", "1:2+3"), ("pypi", "b", "2")]
    listed = document(iter(packages))
    assert listed == document(reversed(packages))
    assert [c["purl"] for c in listed["components"]] == [
        "pkg:deb/debian/a@1%3A2%2B3",
        "pkg:pypi/b@2",
    ]
