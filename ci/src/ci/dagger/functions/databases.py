"""Functions of the database: look inside, take data out and in, delete them."""

from typing import Annotated
from uuid import uuid4

import dagger
from dagger import Doc, dag

from ci.dagger.options import Options
from ci.dagger.policy import uncached
from ci.stack.errors import UsageError

DUMP = "/tmp/etl.dump"  # noqa: S108  # of a container


class DatabaseFunctions(Options):
    """What the module offers around the data."""

    @uncached
    async def check_db_health(self) -> str:
        """Ask the database whether it answers.

        Returns: what pg_isready says: "accepting connections".
        """
        session = await self.session()
        return await (await session.run("check-db-health")).stdout()

    @uncached
    async def psql(
        self,
        prefect: Annotated[bool, Doc("On Prefect's database.")] = False,
    ) -> dagger.Container:
        """Prepare a SQL shell on the application database.

        Returns: a container; `terminal` opens the shell, `with-exec` runs a query.
        """
        session = await self.session()
        name = "psql-prefect" if prefect else "psql"
        command = list(session.stack.unit(name).command)
        return session.containers.job(name).with_default_terminal_cmd(command)

    @uncached
    async def shell(self) -> dagger.Container:
        """Prepare a shell with the worker's programs and environment.

        Returns: a container; `terminal` opens the shell, database and server are up.
        """
        session = await self.session()
        await session.ensure(session.stack.unit("prefect-worker").needs)
        container = session.containers.job("prefect-worker")
        return container.with_default_terminal_cmd(["/bin/bash"])

    @uncached
    async def dump(self) -> dagger.File:
        """Take the application database out: what a cache volume holds can be lost.

        Returns: a file for `restore` or pg_restore; `export --path etl.dump` keeps it.
        """
        session = await self.session()
        job = await session.ready("dump")
        command = list(session.stack.unit("dump").command)
        return await job.with_exec(command, redirect_stdout=DUMP).file(DUMP).sync()

    @uncached
    async def restore(
        self, dump: Annotated[dagger.File, Doc("What the function dump has written.")]
    ) -> str:
        """Put a dump in the place of the application database, and migrate it.

        In one transaction: if it fails, the database is as it was.

        Returns: what the migrations did.
        """
        session = await self.session()
        job = await session.ready("restore")
        command = [*session.stack.unit("restore").command, DUMP]
        await job.with_mounted_file(DUMP, dump).with_exec(command).sync()
        return await (await session.run("setup-db")).combined_output()

    @uncached
    async def reset(
        self, yes: Annotated[bool, Doc("Really delete; there is no way back.")] = False
    ) -> str:
        """Delete the data of this project and epoch: both databases, stored files.

        Waits for a session that uses them. A database that was brought in stays.

        Returns: the names of the emptied volumes.
        """
        session = await self.session()
        services = session.stack.services.values()
        volumes = {name: unit for unit in services for name in unit.volumes}
        if not yes:
            raise UsageError(
                f"this deletes the volumes {', '.join(volumes)} of {self.project}, "
                f"epoch {self.epoch}",
                "dagger call reset --yes",
            )
        container = dag.container().from_(self.postgres_image)
        for name, unit in volumes.items():
            container = self.volumes.mount(
                container, name, f"/volumes/{name}", exclusive=unit.cluster is not None
            )
        delete = ["find", "/volumes", "-mindepth", "2", "-delete"]
        fresh = container.with_env_variable("ETL_CALL", uuid4().hex)
        await fresh.with_exec(delete).sync()
        return f"emptied: {', '.join(volumes)}\n"
