"""Functions of the services: each alone, and all of them behind one address."""

from typing import Annotated

import dagger
from dagger import Doc

from ci.dagger.options import Options
from ci.dagger.policy import once_per_session


class ServiceFunctions(Options):
    """Functions that keep services running."""

    @once_per_session
    async def database(self) -> dagger.Service:
        """PostgreSQL with both databases, on its volume.

        Returns: the service; `up` puts it on port 5432 of every interface of this host.
        """
        session = await self.session()
        return session.containers.service("db")

    @once_per_session
    async def server(self) -> dagger.Service:
        """Prefect's API and UI, behind a login, on its database.

        Returns: the service; `up` puts it on port 4200 of every interface of this host.
        """
        from ci.dagger.front import show_login

        session = await self.session(exposed=True)
        show_login(session)
        return session.containers.service("prefect-server")

    @once_per_session
    async def worker(self) -> dagger.Service:
        """A Prefect worker that is restarted when it exits, with all that it needs.

        Returns: the service; it listens nowhere and takes its work from the server.
        """
        session = await self.session()
        await session.ensure(session.stack.unit("prefect-worker").needs)
        return session.containers.service("prefect-worker")

    @dagger.up
    @once_per_session
    async def stack(
        self,
        expose_database: Annotated[
            bool, Doc("Put PostgreSQL on the host too, on every interface of it.")
        ] = False,
    ) -> dagger.Service:
        """Everything up, flows deployed: database, server, worker behind one address.

        Reports each service that ends. `up` listens on every interface of this host:
        the API is behind a login, and PostgreSQL is there only if asked for.

        Returns: the service to call `up` on: UI and API on port 4200.
        """
        from ci.dagger.front import front, show_login, show_storage

        session = await self.session(exposed=True)
        await session.ensure([*session.stack.services, "deploy"])
        show_login(session)
        show_storage()
        return await front(session, expose_database=expose_database)

    @dagger.up
    @once_per_session
    async def watch(self) -> dagger.Service:
        """Ends `dagger up` with exit code 1 when a service stays down.

        For `dagger up` only, where it starts beside `stack`. It counts as starting for
        as long as the stack lives, so the end of its container is a failed start, which
        ends the command. `dagger call stack up` waits for Ctrl-C in any case.

        Returns: the service; it listens nowhere.
        """
        from ci.dagger.front import monitor

        return await monitor(await self.session(exposed=True))
