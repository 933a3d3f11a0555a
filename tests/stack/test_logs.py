"""Logs while services run: rotated, none of the newest lines lost, shown safely."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import anyio
import pytest

from ci.cli.output import printable
from ci.local.child import Child
from ci.local.launch import Launch
from ci.local.logs import keep_small, read_logs, rotate

LIMIT = 20_000
LINES = 20_000
WRITER = f"for number in range({LINES}): print(f'line {{number:08d}}')"

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
    assert all(len(line) == len("line 00000000") for line in lines)
    assert lines[-1] == f"line {LINES - 1:08d}"
    assert child.tail().endswith(lines[-1]) or not log.stat().st_size


async def test_lines_of_a_log_cannot_control_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "worker.log").write_text("a\x1b]0;title\x07b\tc\x9bm\u202ed\n")
    (line,) = read_logs(tmp_path, None, follow=False, lines=5)
    assert printable(line) == "worker | a\\x1b]0;title\\x07b\tc\\x9bm\\u202ed"
