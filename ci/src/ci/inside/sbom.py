"""Lists what an image holds: its Debian, conda and Python packages, as CycloneDX.

Runs inside the image, which alone holds the records of what was installed.
Standard library only.

    python -m ci.inside.sbom > sbom.cdx.json
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path
from typing import Any
from urllib.parse import quote

DPKG_STATUS = Path("/var/lib/dpkg/status")


def debian_packages(status: Path) -> Iterator[tuple[str, str, str]]:
    """Yield kind, name and version of the packages that dpkg has installed."""
    text = status.read_text() if status.is_file() else ""
    for entry in text.split("\n\n"):
        fields = dict(
            line.split(": ", 1) for line in entry.splitlines() if ": " in line
        )
        if fields.get("Status", "").endswith(" installed"):
            yield "deb/debian", fields["Package"], fields["Version"]


def conda_packages(environment: Path) -> Iterator[tuple[str, str, str]]:
    """Yield kind, name and version of the packages that pixi has installed."""
    for record in environment.glob("conda-meta/*.json"):
        package = json.loads(record.read_text())
        yield "conda", package["name"], package["version"]


def python_packages(folders: list[str]) -> Iterator[tuple[str, str, str]]:
    """Yield kind, name and version of the wheels in these folders."""
    for found in distributions(path=folders):
        yield "pypi", found.metadata["Name"].lower(), found.version


def document(packages: Iterator[tuple[str, str, str]]) -> dict[str, Any]:
    """Return the list as a CycloneDX document, in a stable order."""
    components = [
        {
            "type": "library",
            "name": name,
            "version": version,
            "purl": f"pkg:{kind}/{quote(name)}@{quote(version)}",
        }
        for kind, name, version in sorted(set(packages))
    ]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "components": components,
    }


def all_packages() -> Iterator[tuple[str, str, str]]:
    """Yield every package of the image."""
    yield from debian_packages(DPKG_STATUS)
    yield from conda_packages(Path(sys.prefix))
    yield from python_packages([p for p in sys.path if p.endswith("site-packages")])


if __name__ == "__main__":
    json.dump(document(all_packages()), sys.stdout, indent=1)
