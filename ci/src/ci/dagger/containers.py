"""Units of the stack as Dagger containers: image, environment, volumes, health.

Knows no unit by name. What a unit is made of comes from the description; this adds what
only Dagger needs: secrets apart from variables, cache volumes, a supervisor. No service
gets a host name of its own: such a name is in the module's domain, and a container that
the CLI starts (`up`) searches the session's. A binding's alias resolves in both.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import dagger
from dagger import dag

from ci.inside import healthcheck, places
from ci.inside.cluster import ensure_sql
from ci.stack import images
from ci.stack.model import (
    INITDB_LOCALE,
    RESTARTS,
    RESTARTS_WITHIN_S,
    Cluster,
    Job,
    Runtime,
    Service,
    Stack,
    WorkerProbe,
)

COMMANDS = ("python", "-m", "ci.dagger.commands")
SCRIPTS = Path(__file__).parents[1] / "inside" / "scripts"
INIT, HEALTH = "/etl/init.sh", "/etl/health.sh"
ENSURE, CLUSTER_SQL = "/etl/ensure-cluster.sh", "/etl/cluster.sql"
# A health check is given no secret variable, so what it needs is in secret files.
LOGIN_FILE, PASSWORD_FILE = "/etl/login", "/etl/pgpass"
# Upper bound of a start. health.sh ends one that makes no progress long before.
START_WITHIN_S = 3600


@dataclass(frozen=True)
class Volumes:
    """The cache volumes of one project. Not storage: a killed engine wipes them."""

    project: str
    epoch: int

    def mount(
        self, container: dagger.Container, name: str, path: str, *, exclusive: bool
    ) -> dagger.Container:
        """Mount a volume. The way of sharing and the owner are part of its identity.

        A database's is exclusive (two servers on one folder destroy it) and carries the
        server's major version; it has no owner set, which would cost its real fsync.
        """
        if exclusive:
            key = f"{self.project}-{name}-{images.postgres_major()}-{self.epoch}"
            locked = dagger.CacheSharingMode.LOCKED
            return container.with_mounted_cache(
                path, dag.cache_volume(key), sharing=locked
            )
        volume = dag.cache_volume(f"{self.project}-{name}-{self.epoch}")
        return container.with_mounted_cache(
            path, volume, sharing=dagger.CacheSharingMode.SHARED, owner=places.USER
        )


@dataclass
class Containers:
    """Makes the containers of one stack.

    Attributes:
        stack: The description.
        bases: Image of each runtime.
        hidden: Texts that no plain variable may hold.
        call: Part of every job, so that no cached result is taken for it: a job changes
            or reads what is outside its container.
        volumes: Without them all data end with the session.
        brought: Services that replace our own.
    """

    stack: Stack
    bases: Mapping[Runtime, dagger.Container]
    hidden: frozenset[str]
    call: str
    volumes: Volumes | None = None
    brought: Mapping[str, dagger.Service] = field(default_factory=dict)
    _services: dict[str, dagger.Service] = field(default_factory=dict)

    def service(self, name: str) -> dagger.Service:
        """Return a service, the same one at each call: Dagger starts it once."""
        if name in self.brought:
            return self.brought[name]
        if name not in self._services:
            unit = self.stack.services[name]
            container = self.bound(unit)
            for port in unit.ports:
                container = container.with_exposed_port(port.inside)
            container = with_init(with_health(container, unit))
            self._services[name] = container.as_service(args=init_command(unit))
        return self._services[name]

    async def hosts(self) -> dict[str, str]:
        """Return the host of every own service: a name that resolves in a session."""
        own = [name for name in self.stack.services if name not in self.brought]
        return {name: await self.service(name).hostname() for name in own}

    def job(self, name: str) -> dagger.Container:
        """Return the container in which a job, or a unit's command, is to run."""
        unit = self.stack.unit(name)
        return self.bound(unit).with_env_variable("ETL_CALL", self.call)

    def command(self, name: str) -> list[str]:
        """Return a unit's command; its messages name Dagger's commands."""
        unit = self.stack.unit(name)
        wrapped = unit.runtime is Runtime.PIPELINE
        return [*(COMMANDS if wrapped else ()), *unit.command]

    def bound(self, unit: Service | Job) -> dagger.Container:
        """Return a unit's container with the services that it reaches bound to it."""
        container = self.dressed(unit)
        for name in self.stack.closure([unit.name]):
            if name in self.stack.services and name != unit.name:
                container = container.with_service_binding(name, self.service(name))
        return container

    def dressed(self, unit: Service | Job) -> dagger.Container:
        """Return a unit's container with its variables, volumes and files."""
        container = self.bases[unit.runtime]
        for name, value in own_environment(unit).items():
            container = self.with_variable(container, name, value)
        exclusive = isinstance(unit, Service) and unit.cluster is not None
        if self.volumes:
            for name, path in unit.volumes.items():
                container = self.volumes.mount(
                    container, name, path, exclusive=exclusive
                )
        if isinstance(unit, Service) and unit.cluster:
            container = self.with_cluster(container, unit.cluster, unit.environment)
        login = unit.environment.get("PREFECT_API_AUTH_STRING")
        if login and isinstance(unit, Service) and isinstance(unit.probe, WorkerProbe):
            container = container.with_mounted_secret(
                LOGIN_FILE, secret("login", login), owner=places.USER, mode=0o400
            ).with_env_variable("ETL_API_LOGIN_FILE", LOGIN_FILE)
        return container

    def with_variable(
        self, container: dagger.Container, name: str, value: str
    ) -> dagger.Container:
        """Set a variable; as a secret if a text that must not be shown is in it."""
        if not any(text in value for text in self.hidden):
            return container.with_env_variable(name, value)
        return container.with_secret_variable(name, secret(name, value))

    def with_cluster(
        self,
        container: dagger.Container,
        cluster: Cluster,
        environment: Mapping[str, str],
    ) -> dagger.Container:
        """Add what makes the image's server the stack's: how it is made, and set up."""
        password = environment["PGPASSWORD"]
        escaped = password.replace("\\", r"\\").replace(":", r"\:")
        line = secret("PGPASSFILE", f"*:*:*:*:{escaped}\n")
        return (
            self.with_variable(container, "POSTGRES_PASSWORD", password)
            .with_mounted_secret(PASSWORD_FILE, line, mode=0o400)
            .with_env_variable("PGPASSFILE", PASSWORD_FILE)
            .with_env_variable(
                "PGCONNECT_TIMEOUT", f"{healthcheck.ANSWER_WITHIN_S:.0f}"
            )
            .with_env_variable("POSTGRES_INITDB_ARGS", " ".join(INITDB_LOCALE))
            .with_new_file(CLUSTER_SQL, ensure_sql(cluster))
            .with_new_file(ENSURE, script("ensure-cluster.sh"), permissions=0o755)
        )


def own_environment(unit: Service | Job) -> dict[str, str]:
    """Return a unit's variables; a service reaches itself over loopback.

    Its name resolves in the containers to which it is bound, and not in its own.
    """
    if isinstance(unit, Job):
        return dict(unit.environment)
    return {
        name: "127.0.0.1"
        if value == unit.name
        # A URL with its host, or with a login before it.
        else re.sub(rf"(?<=[/@]){re.escape(unit.name)}(?=:\d)", "127.0.0.1", value)
        for name, value in unit.environment.items()
    }


def secret(name: str, value: str) -> dagger.Secret:
    """Return a text as a secret.

    Its digest is in its name: equal texts are one secret, and two stacks of a session,
    which use the same names, keep theirs apart.
    """
    digest = hashlib.sha256(value.encode()).hexdigest()[:16]
    return dag.set_secret(f"etl-{name}-{digest}", value)


def script(name: str) -> str:
    """Return a shell script that runs in containers."""
    return (SCRIPTS / name).read_text()


def with_init(container: dagger.Container) -> dagger.Container:
    """Add the supervisor under which a service runs."""
    return (
        container.with_new_file(INIT, script("init.sh"), permissions=0o755)
        .with_new_file(HEALTH, script("health.sh"), permissions=0o755)
        .with_env_variable("ETL_ALONE", "1")
    )


def init_command(unit: Service) -> list[str]:
    """Return a service's command under its supervisor; Dagger restarts nothing."""
    prefix = (ENSURE, CLUSTER_SQL, "docker-entrypoint.sh") if unit.cluster else ()
    signal = unit.stop_signal.name.removeprefix("SIG")
    limits = (f"{unit.stop_within_s:.0f}", str(RESTARTS), f"{RESTARTS_WITHIN_S:.0f}")
    return [INIT, unit.name, signal, *limits, *prefix, *unit.command]


def with_health(container: dagger.Container, unit: Service) -> dagger.Container:
    """Run the service's probe each second until its first success.

    The engine waits for a probe without limit (it ignores `timeout`), so each probe
    limits itself, and the service's time is that without progress.
    """
    return container.with_docker_healthcheck(
        [HEALTH, f"{unit.within_s:.0f}", *healthcheck.command(unit.probe)],
        interval="1s",
        retries=START_WITHIN_S,
    )
