"""Runs Python as another user of the machine; only root can."""

from __future__ import annotations

import os
import subprocess

import pytest

OTHER = 65534  # the user that the server of an older version ran as
AS_ROOT = pytest.mark.skipif(
    os.getuid() != 0, reason="only root can act as another user of the machine"
)


def as_other_user(code: str, *arguments: object) -> str:
    """Run code as another user; return what it prints, or the error it ends with.

    It starts in this interpreter's folder: others may not reach the checkout.
    """
    done = subprocess.run(
        ["/usr/bin/env", "python3", "-I", "-c", code, *map(str, arguments)],
        cwd="/",
        env={"PATH": "/usr/bin:/bin"},
        user=OTHER,
        group=OTHER,
        extra_groups=[],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return (done.stdout or done.stderr).strip()
