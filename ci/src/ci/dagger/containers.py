"""Units of the stack as Dagger containers: image, environment, volumes, health.

Knows no unit by name. What a unit is made of comes from the description; this adds what
only Dagger needs: secrets apart from variables, cache volumes, an init.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import dagger
from dagger import dag

from ci.dagger.proxy import PAUSE_S
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
)

SCRIPTS = Path(__file__).parents[1] / "inside" / "scripts"
# Who lives shorter than this would be over the limit of restarts if it went on.
MIN_LIFE_S = int(RESTARTS_WITHIN_S / RESTARTS)
INIT, ENSURE, CLUSTER_SQL = "/etl/init.sh", "/etl/ensure-cluster.sh", "/etl/cluster.sql"


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

    `hidden` are the texts that no variable may show. `call` makes every job of this
    call a new one, which no cache knows: a job changes or reads what is outside its
    container. Without `volumes` everything goes with the session. `brought` are
    services that stand in for our own.
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
            service = container.as_service(args=init_command(unit))
            self._services[name] = service.with_hostname(name)
        return self._services[name]

    def job(self, name: str) -> dagger.Container:
        """Return the container in which a job, or a unit's command, is to run."""
        unit = self.stack.unit(name)
        return self.bound(unit).with_env_variable("ETL_CALL", self.call)

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
        for name, value in unit.environment.items():
            container = self.with_variable(container, name, value)
        exclusive = isinstance(unit, Service) and unit.cluster is not None
        if self.volumes:
            for name, path in unit.volumes.items():
                container = self.volumes.mount(
                    container, name, path, exclusive=exclusive
                )
        if isinstance(unit, Service) and unit.cluster:
            container = self.with_cluster(container, unit.cluster, unit.environment)
        return container

    def with_variable(
        self, container: dagger.Container, name: str, value: str
    ) -> dagger.Container:
        """Set a variable; as a secret if a text that must not be shown is in it."""
        if not any(text in value for text in self.hidden):
            return container.with_env_variable(name, value)
        # The digest keeps two stacks of one session apart, which share secrets' names.
        digest = hashlib.sha256(value.encode()).hexdigest()[:16]
        secret = dag.set_secret(f"etl-{name}-{digest}", value)
        return container.with_secret_variable(name, secret)

    def with_cluster(
        self,
        container: dagger.Container,
        cluster: Cluster,
        environment: Mapping[str, str],
    ) -> dagger.Container:
        """Add what makes the image's server the stack's: how it is made, and set up."""
        password = environment["PGPASSWORD"]
        return (
            self.with_variable(container, "POSTGRES_PASSWORD", password)
            .with_env_variable("POSTGRES_INITDB_ARGS", " ".join(INITDB_LOCALE))
            .with_new_file(CLUSTER_SQL, ensure_sql(cluster))
            .with_new_file(ENSURE, script("ensure-cluster.sh"), permissions=0o755)
        )


def script(name: str) -> str:
    """Return one of the shell scripts that run in containers."""
    return (SCRIPTS / name).read_text()


def with_init(container: dagger.Container) -> dagger.Container:
    """Add the init under which services run."""
    return container.with_new_file(INIT, script("init.sh"), permissions=0o755)


def init_command(unit: Service) -> list[str]:
    """Return a service's command below the init; nothing else restarts it in Dagger."""
    prefix = (ENSURE, CLUSTER_SQL, "docker-entrypoint.sh") if unit.cluster else ()
    signal = unit.stop_signal.name.removeprefix("SIG")
    limits = (f"{unit.stop_within_s:.0f}", str(MIN_LIFE_S))
    return [INIT, signal, *limits, *prefix, *unit.command]


def with_health(container: dagger.Container, unit: Service) -> dagger.Container:
    """Ask the service's probe each second, and give up when its time is over."""
    return container.with_docker_healthcheck(
        list(healthcheck.command(unit.probe)),
        interval=f"{PAUSE_S:.0f}s",
        timeout=f"{healthcheck.ANSWER_WITHIN_S:.0f}s",
        retries=int(unit.within_s),
    )
