"""Functions of the services: each alone, and all of them behind one address."""

import sys
from typing import Annotated

import dagger
from dagger import Doc

from ci.dagger.containers import with_health
from ci.dagger.options import Options
from ci.dagger.policy import uncached
from ci.dagger.session import Session
from ci.inside import healthcheck

NOT_STORAGE = (
    "etl: the data live in a cache volume, which is not storage: `dagger call dump` "
    "takes them out, --postgres brings a lasting database in"
)


class ServiceFunctions(Options):
    """What the module offers to have services run."""

    @uncached
    async def database(self) -> dagger.Service:
        """PostgreSQL with both databases, on its volume.

        Returns: the service, bound by others under its name; `up` puts it on this host.
        """
        session = await self.session()
        return session.containers.service("db")

    @uncached
    async def server(self) -> dagger.Service:
        """Prefect's API and UI, behind a login, on its database.

        Returns: the service; `up` puts it on port 4200 of every interface of this host.
        """
        session = await self.session(exposed=True)
        tell_login(session)
        return session.containers.service("prefect-server")

    @uncached
    async def worker(self) -> dagger.Service:
        """A Prefect worker that is started again when it dies, with all that it needs.

        Returns: the service; it listens nowhere and takes its work from the server.
        """
        session = await self.session()
        await session.ensure(session.stack.unit("prefect-worker").needs)
        return session.containers.service("prefect-worker")

    @dagger.up
    @uncached
    async def stack(
        self,
        expose_database: Annotated[
            bool, Doc("Put PostgreSQL on the host too, on every interface of it.")
        ] = False,
    ) -> dagger.Service:
        """Everything up, flows deployed: database, server, worker behind one address.

        Says which service died, when one does. `up` listens on every interface of this
        host: the API is behind a login, and PostgreSQL is not there unless asked for.

        Returns: the service to call `up` on: UI and API on port 4200.
        """
        session = await self.session(exposed=True)
        await session.ensure([*session.stack.services, "deploy"])
        tell_login(session)
        sys.stderr.write(NOT_STORAGE + "\n")
        return front(session, expose_database=expose_database)


def tell_login(session: Session) -> None:
    """Show the login of the API, once: whoever calls needs it for the UI."""
    server = session.stack.unit("prefect-server").environment
    login = server["PREFECT_SERVER_API_AUTH_STRING"]
    sys.stderr.write(f"etl: login of Prefect's UI and API in this session: {login}\n")


def front(session: Session, *, expose_database: bool) -> dagger.Service:
    """Return what listens for the stack and watches it.

    It reaches the services by name and is not bound to them: Dagger kills what is bound
    to a service that dies, and this is who tells of it.
    """
    services, containers = session.stack.services, session.containers
    own = {n: s for n, s in services.items() if n not in containers.brought}
    shown = ["prefect-server", *(["db"] if expose_database and "db" in own else [])]
    container = with_health(
        containers.dressed(services["prefect-server"]), services["prefect-server"]
    )
    command = ["python", "-m", "ci.dagger.proxy"]
    for name in shown:
        for port in services[name].ports:
            container = container.with_exposed_port(port.inside)
            command += ["--forward", f"{port.inside}:{name}:{port.inside}"]
    for name, unit in own.items():
        command += ["--watch", f"{name}={' '.join(healthcheck.from_elsewhere(unit))}"]
    return container.as_service(args=command)
