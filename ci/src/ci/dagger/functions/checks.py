"""Dagger checks: what a pull request must pass. `dagger check` runs them all."""

from typing import Annotated
from uuid import uuid4

import dagger
from dagger import Doc, function

from ci.dagger.functions.image import Checkout, ImageFunctions
from ci.dagger.policy import uncached


class CheckFunctions(ImageFunctions):
    """Dagger checks."""

    @dagger.check
    @uncached
    async def test(
        self,
        checkout: Checkout,
        arguments: Annotated[
            list[str] | None, Doc("For pytest: a folder, -k NAME …")
        ] = None,
    ) -> str:
        """Run the tests on a fresh environment.

        They start services of their own in their container, so they run at each call.

        Returns: the output of pytest.
        """
        fresh = self.development(checkout).with_env_variable("ETL_CALL", uuid4().hex)
        return await pytest(fresh, arguments or [])

    @function
    @dagger.check
    async def lint(self, checkout: Checkout) -> str:
        """Check the source itself: style, types, import contracts, sizes, locks.

        Returns: the output of pytest on tests/quality.
        """
        return await pytest(self.development(checkout), ["tests/quality"])

    @dagger.check
    @uncached
    async def check_migrations(self) -> str:
        """Migrate an empty database and compare its schema with the models.

        On a database of its own, which ends with the call.

        Returns: the output of Alembic.
        """
        session = await self.session(lasting=False)
        return await (await session.run("check-migrations")).combined_output()


async def pytest(container: dagger.Container, arguments: list[str]) -> str:
    """Run the job test in a container and return its output."""
    from ci.stack.jobs import test as tests

    return await container.with_exec([*tests().command, *arguments]).stdout()
