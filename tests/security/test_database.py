"""The embedded server against other users: its uid, its socket, its data directory."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
from pathlib import Path

import psutil
import pytest
from tests.security.other_user import AS_ROOT, OTHER, as_other_user
from tests.stack.conftest import made_home
from tests.stack.test_postgres import connect, database

from ci.host.home import Home
from ci.host.private import base_mode, is_private
from ci.local.programs import find_binaries
from ci.local.server_user import give, is_free, name_of, own_uid, server_user

pytestmark = pytest.mark.anyio

# The protocol's first message: version 3.0, user postgres. The answer to a user who is
# let in begins with R and a zero code; an error begins with E.
ASK = """
import socket, struct, sys
words = b"user\\0postgres\\0database\\0postgres\\0\\0"
with socket.socket(socket.AF_UNIX) as server:
    server.connect(sys.argv[1])
    server.sendall(struct.pack("!II", 8 + len(words), 196608) + words)
    print(server.recv(4000))
"""


@pytest.fixture
def anyio_backend() -> str:
    """Run asynchronous tests on asyncio, as the program does."""
    return "asyncio"


def socket_of(home: Home) -> Path:
    """Return the server's socket."""
    return next(path for path in home.pg_sockets.iterdir() if path.suffix != ".lock")


def refused(home: Home) -> bool:
    """Whether the server refuses another user who can reach its socket."""
    path = socket_of(home)
    for opened in (home.root, home.pg_sockets, path):
        opened.chmod(0o777)
    return "Peer authentication failed" in as_other_user(ASK, path)


@AS_ROOT
async def test_the_socket_refuses_another_user_whatever_its_folder_is() -> None:
    with made_home() as home:
        async with database(home) as supervisor:
            path = socket_of(home)
            assert "PermissionError" in as_other_user(ASK, path)
            assert refused(home)
            connect(supervisor.launcher.postgres).close()


@AS_ROOT
async def test_roots_server_has_a_uid_of_its_own() -> None:
    with made_home() as home:
        async with database(home) as supervisor:
            pid = supervisor.running["db"].state.pid
            (uid,) = set(psutil.Process(pid).uids())
            assert uid == home.pgdata.stat().st_uid == home.pg_sockets.stat().st_uid
            assert uid not in (0, OTHER)
            assert is_free(uid, home.pgdata)
        recorded = home.root / "postgres_uid"
        assert recorded.read_text() == str(uid)
        with subprocess.Popen(["sleep", "60"], user=uid, group=uid) as taken:
            assert not is_free(uid, home.pgdata)
            async with database(home):
                assert home.pgdata.stat().st_uid not in (uid, 0, OTHER)
            taken.kill()


@AS_ROOT
async def test_a_data_directory_of_an_older_version_is_closed_at_the_next_start() -> (
    None
):
    with made_home() as home:
        async with database(home):
            pass
        give(home.pgdata, OTHER)
        trusting = "local all all trust\nhost all all 127.0.0.1/32 trust\n"
        (home.pgdata / "pg_hba.conf").write_text(trusting)
        foreign = home.pgdata / "linked"
        foreign.symlink_to("/etc/passwd")
        os.link(home.root / "postgres_password", home.pgdata / "hard-link")
        async with database(home) as supervisor:
            connect(supervisor.launcher.postgres).close()
            assert "Permission" in as_other_user(ASK, socket_of(home))
        owners = {p.lstat().st_uid for p in home.pgdata.rglob("*")}
        assert OTHER not in owners
        assert (home.root / "postgres_password").stat().st_uid == 0
        assert Path("/etc/passwd").stat().st_uid == 0
        assert "trust" not in (home.pgdata / "pg_hba.conf").read_text()


@AS_ROOT
async def test_below_a_closed_folder_the_server_runs_in_a_namespace() -> None:
    with made_home() as home:
        home.root.chmod(0o700)
        user = server_user(find_binaries(), home.pgdata, home.pg_sockets)
        assert user.prefix[0].endswith("unshare")
        assert user.uid is None
        assert user.owner not in (name_of(0), name_of(OTHER))
        async with database(home) as supervisor:
            connect(supervisor.launcher.postgres).close()
            assert stat.S_IMODE(home.root.stat().st_mode) == 0o700
            assert refused(home)


@AS_ROOT
def test_a_uid_is_recorded_and_used_again(tmp_path: Path) -> None:
    first = own_uid(tmp_path / "pg18")
    assert own_uid(tmp_path / "pg18") == first
    assert stat.S_IMODE((tmp_path / "postgres_uid").stat().st_mode) == 0o600


def deep_home(tmp_path: Path) -> Home:
    """Return a home with a path that is too long for a socket."""
    return Home(tmp_path / ("d" * 60) / ("e" * 60))


def test_a_deep_home_gets_a_private_folder_with_a_short_path(tmp_path: Path) -> None:
    home = deep_home(tmp_path)
    home.make()
    try:
        assert len(str(home.pg_sockets / ".s.PGSQL.65535.lock")) <= 103
        assert home.pg_sockets.parent == home.sockets.parent
        assert is_private(home.pg_sockets.parent)
        assert home.pg_sockets == Home(home.root).pg_sockets
        other = Home(home.root.parent / ("f" * 60))
        assert other.pg_sockets != home.pg_sockets
        other.pg_sockets.parent.rmdir()
    finally:
        home.sockets.rmdir()
        home.sockets.parent.rmdir()


@pytest.mark.parametrize("planted", ["link", "open", "gone", "foreign"])
def test_a_recorded_folder_that_is_not_ours_alone_is_not_used(
    tmp_path: Path, planted: str
) -> None:
    home = deep_home(tmp_path)
    before = home.pg_sockets.parent
    before.rmdir()
    if planted == "link":
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir(mode=base_mode())
        before.symlink_to(elsewhere)
    elif planted != "gone":
        before.mkdir()
        before.chmod(0o777 if planted == "open" else base_mode())
    if planted == "foreign":
        if os.getuid() != 0:
            pytest.skip("only root can give a folder to another user")
        os.chown(before, OTHER, OTHER)
    after = home.pg_sockets.parent
    try:
        assert after != before
        assert is_private(after)
    finally:
        after.rmdir()
        if planted == "link":
            before.unlink()
        elif planted != "gone":
            before.rmdir()


def test_connecting_needs_no_open_socket_in_a_deep_home(tmp_path: Path) -> None:
    home = deep_home(tmp_path)
    home.make()
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(home.sockets / "control.sock"))
            (home.sockets / "control.sock").unlink()
    finally:
        home.sockets.rmdir()
        home.sockets.parent.rmdir()
