"""What a running stack leaves for others: files, sockets, ports, processes, secrets."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import psutil
import pytest
from tests.security.api import UNAUTHORIZED, Api
from tests.security.conftest import CANARY
from tests.security.other_user import AS_ROOT, as_other_user
from tests.stack.conftest import Program, processes

from ci.host.private import OTHERS, base_mode

# Files that have to hold a secret.
HOLDERS = frozenset({"postgres_password", "prefect_login"})
# Reads every path of a list and of /proc; prints those that it could read.
READ_ALL = """
import os, sys
for path in open(sys.argv[1]).read().split("\\0"):
    try:
        os.listdir(path) if os.path.isdir(path) else open(path, "rb").read(1)
    except OSError:
        continue
    print(path)
"""
ASK_API = """
import sys, urllib.error, urllib.request
try:
    print(urllib.request.urlopen(sys.argv[1], b"{}").status)
except urllib.error.HTTPError as error:
    print(error.code)
"""
CONNECT = """
import socket, sys
with socket.socket(socket.AF_UNIX) as ours:
    try:
        print(ours.connect(sys.argv[1]))
    except OSError as error:
        print(type(error).__name__)
"""


def every_path(home: Path) -> list[Path]:
    """Return the home and all below it."""
    return [home, *home.rglob("*")]


def family(stack: Program) -> list[psutil.Process]:
    """Return the processes of a stack, with all that they have started."""
    first = [psutil.Process(found.pid) for found in processes(stack.home)]
    return [*first, *(child for found in first for child in found.children(True))]


def test_the_home_and_all_in_it_are_closed_to_others(stack: Program) -> None:
    root = stack.home.root
    assert stat.S_IMODE(root.stat().st_mode) == base_mode()
    opened = {p.name for p in root.iterdir() if p.lstat().st_mode & OTHERS}
    assert opened == set()
    # Folders that are closed hide what is in them; files are closed as well.
    written = [p for p in stack.home.prefect.rglob("*") if p.is_file()]
    assert {p.name for p in written if p.stat().st_mode & OTHERS} == set()


@AS_ROOT
def test_another_user_reads_no_file_and_no_environment(
    stack: Program, tmp_path_factory: pytest.TempPathFactory
) -> None:
    environments = [f"/proc/{process.pid}/environ" for process in family(stack)]
    paths = [*map(str, every_path(stack.home.root)), *environments]
    assert len(environments) >= 4
    listed = Path("/tmp") / f"etl-paths-{os.getpid()}"
    listed.write_text("\0".join(["/etc/passwd", *paths]))
    listed.chmod(0o644)
    try:
        assert as_other_user(READ_ALL, listed).splitlines() == ["/etc/passwd"]
    finally:
        listed.unlink()


@AS_ROOT
def test_another_user_reaches_no_socket_and_not_the_api(
    stack: Program, api: Api
) -> None:
    url = f"{api.ui_url}/api/flow_runs/filter"
    assert as_other_user(ASK_API, url) == str(int(UNAUTHORIZED))
    sockets = [p for p in every_path(stack.home.root) if p.is_socket()]
    assert len(sockets) == 3  # of the database, the supervisor and the worker
    for path in sockets:
        assert as_other_user(CONNECT, path) == "PermissionError"


def test_the_stack_listens_on_its_documented_ports_alone(
    stack: Program, api: Api
) -> None:
    pids = {process.pid for process in family(stack)}
    listening = {
        (found.laddr.ip, found.laddr.port)
        for found in psutil.net_connections("inet")
        if found.laddr and found.pid in pids and found.status == psutil.CONN_LISTEN
    }
    database = int(stack("psql", "--", "-Atc", "SHOW port").stdout)
    server = int(api.ui_url.rsplit(":", 1)[1])
    assert listening == {("127.0.0.1", database), ("127.0.0.1", server)}


def test_secrets_are_in_the_files_that_hold_them_and_nowhere_else(
    stack: Program, api: Api
) -> None:
    """The password, the login, and a key, searched in files, processes and output."""
    root = stack.home.root
    password = (root / "postgres_password").read_text()
    secrets = [word.encode() for word in (password, api.login.split(":")[1], CANARY)]
    for path in every_path(root):
        if path.is_file() and path.name not in HOLDERS:
            content = path.read_bytes()
            assert not [s for s in secrets if s in content], path
    for process in psutil.process_iter(["cmdline"]):
        line = " ".join(process.info["cmdline"] or []).encode()
        assert not [s for s in secrets if s in line], process
    for words in (
        ("status", "--json"),
        ("logs", "-n", "10000"),
        ("report", "--json"),
        ("exec", "db", "pg_dump", "prefect_db"),
        ("exec", "db", "pg_dump", "biocirv_db"),
    ):
        done = stack(*words)
        assert len(done.stdout) > 100
        assert not [s for s in secrets if s in (done.stdout + done.stderr).encode()]
