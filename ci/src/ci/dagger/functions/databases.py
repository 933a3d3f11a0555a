"""Functions of the database: look inside, take data out and in, delete them."""

from typing import TYPE_CHECKING, Annotated
from uuid import uuid4

import dagger
from dagger import Doc, dag

from ci.dagger.options import Options
from ci.dagger.policy import uncached
from ci.stack.errors import UsageError

if TYPE_CHECKING:
    from ci.dagger.session import Session

DUMP, COUNT = "/tmp/etl.dump", "/tmp/count.sql"  # noqa: S108  # of a container
# One line for each table: its name and number of rows.
COUNT_ROWS = """\
SELECT format('SELECT %L, count(*) FROM %I.%I', tablename, schemaname, tablename)
FROM pg_tables
WHERE schemaname NOT IN ('pg_catalog', 'information_schema')
ORDER BY schemaname, tablename \\gexec
"""


class DatabaseFunctions(Options):
    """Functions of the database."""

    @uncached
    async def check_db_health(self) -> str:
        """Check whether the database answers.

        Returns: the output of pg_isready: "accepting connections".
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
        """Write the application database to a file: a cache volume can be lost.

        Returns: a file for `restore` or pg_restore; `export --path etl.dump` keeps it.
        """
        session = await self.session()
        job = await session.ready("dump")
        command = list(session.stack.unit("dump").command)
        return await job.with_exec(command, redirect_stdout=DUMP).file(DUMP).sync()

    @uncached
    async def restore(
        self,
        dump: Annotated[dagger.File, Doc("A file that the function dump has written.")],
    ) -> str:
        """Replace the application database by a dump, and migrate it.

        In one transaction: if it fails, the database is as it was.

        Returns: the revisions that were applied, and the rows of each table.
        """
        from ci.dagger.functions.migrations import migrated

        session = await self.session()
        job = await session.ready("restore")
        command = [*session.stack.unit("restore").command, DUMP]
        await job.with_mounted_file(DUMP, dump).with_exec(command).sync()
        return await migrated(session) + await row_counts(session)

    @uncached
    async def reset(
        self, yes: Annotated[bool, Doc("Really delete; there is no way back.")] = False
    ) -> str:
        """Delete the data of this project and epoch: both databases, stored files.

        Waits for a session that uses them. A database that was brought in is kept.

        Returns: the names of the emptied volumes.
        """
        from ci.dagger.opening import volumes_of

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
            container = volumes_of(self).mount(
                container, name, f"/volumes/{name}", exclusive=unit.cluster is not None
            )
        delete = ["find", "/volumes", "-mindepth", "2", "-delete"]
        fresh = container.with_env_variable("ETL_CALL", uuid4().hex)
        await fresh.with_exec(delete).sync()
        return f"emptied: {', '.join(volumes)}\n"


async def row_counts(session: "Session") -> str:
    """Return the number of rows of each table of the application database."""
    job = (await session.ready("psql")).with_new_file(COUNT, COUNT_ROWS)
    options = ["--tuples-only", "--no-align", "--field-separator", " ", "--file", COUNT]
    command = [*session.stack.unit("psql").command, *options]
    return "rows:\n" + await job.with_exec(command).stdout()
