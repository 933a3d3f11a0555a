"""Logs while services run: rotated, no line cut, shown safely."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import anyio
import pytest

from ci.cli.output import printable
from ci.local.child import LOG_TAIL_LINES, Child
from ci.local.launch import Launch
from ci.local.logs import keep_small, read_logs, rotate

LIMIT = 20_000
LINES = 20_000
WRITER = f"import os\nfor n in range({LINES}): os.write(1, b'line %08d\\n' % n)"

pytestmark = pytest.mark.anyio


async def test_a_log_is_rotated_while_its_process_writes(tmp_path: Path) -> None:
    log = tmp_path / "writer.log"
    launch = Launch(
        (sys.executable, "-u", "-c", WRITER), dict(os.environ), tmp_path, {}
    )
    async with anyio.create_task_group() as group:
        child = await Child.start(launch, log)
        keep = group.start_soon
        keep(lambda: keep_small(tmp_path, limit=LIMIT, every_s=0.001))
        await child.process.wait()
        group.cancel_scope.cancel()
    rotate(log, LIMIT)
    previous = log.with_suffix(".log.1")
    assert log.stat().st_size <= LIMIT
    assert 0 < previous.stat().st_size <= LIMIT
    lines = previous.read_text().splitlines() + log.read_text().splitlines()
    assert all(re.fullmatch(r"line \d{8}", line) for line in lines)
    assert lines == sorted(lines)
    assert child.tail().splitlines() == [f"  | {line}" for line in last_lines(log)]


def last_lines(log: Path) -> list[str]:
    """Return what a log shows when its process fails."""
    return log.read_text().splitlines()[-LOG_TAIL_LINES:]


async def test_lines_of_a_log_cannot_control_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "worker.log").write_text("a\x1b]0;title\x07b\tc\x9bm\u202ed\n")
    (line,) = read_logs(tmp_path, None, follow=False, lines=5)
    assert printable(line) == "worker | a\\x1b]0;title\\x07b\tc\\x9bm\\u202ed"
