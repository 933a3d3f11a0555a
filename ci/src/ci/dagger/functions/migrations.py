"""Functions of the schema: apply, undo, list, write and check migrations."""

from typing import TYPE_CHECKING, Annotated

import dagger
from dagger import Doc

from ci.dagger.options import Options
from ci.dagger.policy import uncached
from ci.inside import places

if TYPE_CHECKING:
    from ci.dagger.session import Session

FOLDER, SCRIPTS = "alembic", "alembic/versions/*.py"


class MigrationFunctions(Options):
    """Functions of the schema."""

    @uncached
    async def migrate(self) -> str:
        """Bring the application database to the newest revision.

        Returns: one line for each revision that was applied.
        """
        return await migrated(await self.session())

    @uncached
    async def history(self) -> str:
        """List the migrations; starts nothing.

        Returns: one line a revision, newest first.
        """
        session = await self.session()
        return await (await session.run("history")).stdout()

    @uncached
    async def downgrade(
        self,
        revision: Annotated[str, Doc("Which to go back to; -1 is one step.")] = "-1",
    ) -> str:
        """Undo migrations.

        Returns: one line for each revision that was undone.
        """
        session = await self.session()
        done = await session.run("downgrade", revision)
        return await done.combined_output() or "no migration was undone\n"

    @uncached
    async def revision(
        self, message: Annotated[str, Doc("What the migration does, in a few words.")]
    ) -> dagger.Changeset:
        """Write the migration from the database's schema to the models.

        Writes no file when they are equal.

        Returns: the new file as changes; `dagger call revision …` offers to apply them.
        """
        session = await self.session()
        job = await session.ready("revision")
        folder = self.source.directory(FOLDER)
        command = [*session.containers.command("revision"), "--message", message]
        written = job.with_directory(
            f"{places.CODE}/{FOLDER}", folder, owner=places.USER
        ).with_exec(command)
        after = written.directory(places.CODE).filter(include=[SCRIPTS])
        return after.changes(self.source.filter(include=[SCRIPTS]))


async def migrated(session: "Session") -> str:
    """Bring the application database to the newest revision; return what was done."""
    return await (await session.run("setup-db")).combined_output()
