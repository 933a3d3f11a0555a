"""The changelog: every fragment has a known type and reaches the page."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
FRAGMENTS = CHECKOUT / "changelog.d"
TOWNCRIER = str(Path(sys.executable).parent / "towncrier")


def test_every_fragment_is_in_the_draft_of_the_next_release() -> None:
    """A file with another type would be left out without an error."""
    command = [TOWNCRIER, "build", "--draft", "--version", "0.0.0", "--date", "today"]
    done = subprocess.run(
        command, cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    drafted = "".join(done.stdout.split())
    fragments = [path for path in FRAGMENTS.iterdir() if path.name != "README.md"]
    missing = [
        path.name
        for path in fragments
        if "".join(path.read_text().split()) not in drafted
    ]
    assert missing == []
