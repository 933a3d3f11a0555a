"""What the host reaches of a stack: its front, its monitor, its login."""

from __future__ import annotations

import dagger

from ci.dagger.session import Session, report
from ci.inside import healthcheck
from ci.stack.model import Runtime

PROXY = ("python", "-m", "ci.dagger.proxy")
# `dagger up` asks each service for a port. Nothing listens on this one: see `monitor`.
WATCH_PORT = 4299


def show_storage() -> None:
    """Write to the log where the data are."""
    report(
        "the data live in a cache volume, which is not storage: `dagger call dump` "
        "takes them out, --postgres brings a lasting database in"
    )


def show_login(session: Session) -> None:
    """Write the login of the API to the log, which the UI asks for."""
    server = session.stack.unit("prefect-server").environment
    login = server["PREFECT_SERVER_API_AUTH_STRING"]
    report(f"login of Prefect's UI and API: {login}")


def with_code(session: Session) -> dagger.Container:
    """Return the pipeline's container, logged in to the API."""
    login = "PREFECT_API_AUTH_STRING"
    value = session.stack.unit("prefect-server").environment[login]
    containers = session.containers
    return containers.with_variable(containers.bases[Runtime.PIPELINE], login, value)


async def watched(session: Session) -> list[str]:
    """Return the proxy's options to watch every own service."""
    hosts = await session.containers.hosts()
    options = []
    for name, host in hosts.items():
        unit = session.stack.services[name]
        probe = " ".join(healthcheck.from_elsewhere(unit, hosts))
        options += ["--watch", f"{name}@{host}={probe}"]
    return options


async def front(session: Session, *, expose_database: bool) -> dagger.Service:
    """Return what listens for the stack and watches it.

    It reaches the services by their hosts and is not bound to them: Dagger kills what
    is bound to a service that ends, and this one reports the end.
    """
    services, hosts = session.stack.services, await session.containers.hosts()
    shown = ["prefect-server", *(["db"] if expose_database and "db" in hosts else [])]
    container, command = with_code(session), [*PROXY]
    for name in shown:
        for port in services[name].ports:
            container = container.with_exposed_port(port.inside)
            command += ["--forward", f"{port.inside}:{hosts[name]}:{port.inside}"]
    probe = healthcheck.command(services["prefect-server"].probe)
    healthy = container.with_docker_healthcheck(
        list(probe), interval="1s", retries=int(services["prefect-server"].within_s)
    )
    return healthy.as_service(args=[*command, *await watched(session)])


async def monitor(session: Session) -> dagger.Service:
    """Return what ends `dagger up` when a service has ended for good.

    It counts as starting for as long as the stack lives, because its health check never
    succeeds. The end of its container is then a failed start, which ends the command
    with its exit code.
    """
    container = with_code(session).with_exposed_port(
        WATCH_PORT, experimental_skip_healthcheck=True
    )
    starting = container.with_docker_healthcheck(
        ["false"], interval="1h", retries=1_000_000
    )
    return starting.as_service(args=[*PROXY, *await watched(session), "--exit"])
