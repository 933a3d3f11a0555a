"""What a stack is made of: services, jobs, what they need, when they are ready.

Standard library only, as the description that is made of these.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from graphlib import TopologicalSorter
from signal import SIGTERM, Signals
from urllib.parse import quote, urlsplit

from ci.stack.addresses import url_host
from ci.stack.errors import UsageError

# More deaths than that in that time, and a service has failed for good.
RESTARTS, RESTARTS_WITHIN_S = 3, 60.0
LOOPBACK_NAMES = ("127.0.0.1", "localhost")

# How a Postgres cluster is made: one collation on every platform and in every engine,
# so that order and indexes are the same everywhere.
INITDB_LOCALE = (
    "--encoding=UTF8",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--locale=C",
)


class Condition(Enum):
    """What must be true of a unit before one that needs it starts."""

    STARTED = "started"
    HEALTHY = "healthy"
    COMPLETED = "completed"


class Runtime(Enum):
    """Which programs a process is made of."""

    PIPELINE = "pipeline"
    POSTGRES = "postgres"


@dataclass(frozen=True)
class Port:
    """A TCP port: inside the stack, and the one asked for on this machine."""

    name: str
    inside: int
    asked: int | None


@dataclass(frozen=True)
class SqlProbe:
    """Ready when the server answers a query on this database."""

    database: str


@dataclass(frozen=True)
class HttpProbe:
    """Ready when GET on this address answers 200."""

    url: str


@dataclass(frozen=True)
class WorkerProbe:
    """Ready when the server lists a worker of this pool as ONLINE.

    `login` is user:password where the API asks for it. Probes in containers read it
    from their environment.
    """

    api_url: str
    pool: str
    login: str | None = field(default=None, repr=False)


Probe = SqlProbe | HttpProbe | WorkerProbe


@dataclass(frozen=True)
class Cluster:
    """What a Postgres server must hold before anyone uses it."""

    role: str
    databases: tuple[str, ...]
    # A bulk load checks its foreign keys as sets and switches the row triggers off.
    may_set: tuple[str, ...] = ("session_replication_role",)


@dataclass(frozen=True, kw_only=True)
class Unit:
    """A process of the stack: what both kinds have."""

    name: str
    summary: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    needs: Mapping[str, Condition] = field(default_factory=dict)
    volumes: Mapping[str, str] = field(default_factory=dict)  # name → where it is
    runtime: Runtime = Runtime.PIPELINE
    within_s: float = 60.0  # ready, or for a job completed, within this time


@dataclass(frozen=True, kw_only=True)
class Service(Unit):
    """Runs until it is stopped: ready when its probe succeeds, restarted on exit."""

    probe: Probe
    ports: tuple[Port, ...] = ()
    cluster: Cluster | None = None
    stop_signal: Signals = SIGTERM
    stop_within_s: float = 10.0


@dataclass(frozen=True, kw_only=True)
class Job(Unit):
    """Runs to its end; its exit code is its result."""

    # Parts of the checkout that it may change. Containers see all others read-only.
    writes: tuple[str, ...] = ()
    interactive: bool = False  # a person works in it, so `within_s` does not end it


@dataclass(frozen=True)
class Stack:
    """Every service and job, by name."""

    units: Mapping[str, Service | Job]

    @property
    def services(self) -> dict[str, Service]:
        """The services without the jobs, in order of declaration."""
        return {n: u for n, u in self.units.items() if isinstance(u, Service)}

    def unit(self, name: str) -> Service | Job:
        """Return one unit. Raises UsageError with the names of all for another name."""
        if name not in self.units:
            raise UsageError(
                f"the stack has no service or job {name!r}; "
                f"it has {', '.join(self.units)}",
                "./etl status",
            )
        return self.units[name]

    def closure(self, names: Iterable[str]) -> list[str]:
        """Return these units and all they need, each after what it needs."""
        graph: dict[str, set[str]] = {}
        wanted = list(names)
        while wanted:
            name = wanted.pop()
            if name not in graph:
                graph[name] = set(self.unit(name).needs)
                wanted.extend(graph[name])
        return list(TopologicalSorter(graph).static_order())


@dataclass(frozen=True)
class Endpoints:
    """Where processes *inside* the stack meet each other; an engine fills it in.

    The host's view may differ: in containers the database is db:5432 inside and
    127.0.0.1:5433 outside. `database_host` may be the folder of a unix socket.
    `api_login` is user:password where Prefect's API asks for a login, else None.
    """

    database_host: str
    database_port: int
    server_host: str
    server_bind: str
    server_port: int
    browser_api_url: str
    raw_dir: str
    prefect_home: str
    password: str | None = field(default=None, repr=False)
    api_login: str | None = field(default=None, repr=False)
    command: str = "./etl"  # what starts a command line of this engine

    @property
    def api_url(self) -> str:
        """Prefect's API."""
        return f"http://{url_host(self.server_host)}:{self.server_port}/api"

    @property
    def ui_origins(self) -> tuple[str, ...]:
        """The origins of the UI's own pages: no other page may read the API.

        On loopback the UI has two names, and browsers take them for two origins.
        """
        url = urlsplit(self.browser_api_url)
        names = LOOPBACK_NAMES if url.hostname in LOOPBACK_NAMES else (url.hostname,)
        port = f":{url.port}" if url.port else ""
        return tuple(f"{url.scheme}://{url_host(name or '')}{port}" for name in names)

    def sql_url(self, driver: str, user: str, database: str) -> str:
        """Return the SQLAlchemy URL of a database."""
        login = quote(user) + (
            f":{quote(self.password, safe='')}" if self.password else ""
        )
        if self.database_host.startswith("/"):
            where = (
                f"?host={quote(self.database_host, safe='/')}&port={self.database_port}"
            )
            return f"postgresql+{driver}://{login}@/{database}{where}"
        place = f"{self.database_host}:{self.database_port}"
        return f"postgresql+{driver}://{login}@{place}/{database}"
