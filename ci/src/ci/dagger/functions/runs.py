"""Functions that run the pipeline: from nothing to a receipt in one call."""

from collections.abc import Iterator
from typing import Annotated

import dagger
from dagger import Doc, dag

from ci.dagger.options import Options
from ci.dagger.policy import uncached
from ci.stack.errors import UsageError

OUT = "/tmp"  # noqa: S108  # of a container


class RunFunctions(Options):
    """Functions that load data and report on it."""

    @uncached
    async def up(self) -> str:
        """Bring everything up from nothing, deploy, load every source, stop.

        Image, database, migrations, server, worker, deployments, run. Fails when the
        run failed, with its own exit code: 5 when a data contract is broken, else 1.

        Returns: the receipt.
        """
        return await self.load()

    @uncached
    async def run_etl(
        self,
        sources: Annotated[
            list[str] | None, Doc("Load only these; every source when absent.")
        ] = None,
        inputs: Annotated[
            list[str] | None,
            Doc("SOURCE=NAME: a file of `files`, or `sample`, or `api`."),
        ] = None,
        files: Annotated[
            dagger.Directory | None, Doc("The folder with the input files.")
        ] = None,
        complete: Annotated[
            list[str] | None,
            Doc("Sources with a complete input: figures that it lacks are retracted."),
        ] = None,
        reload: Annotated[bool, Doc("Load inputs even if they are unchanged.")] = False,
    ) -> str:
        """Load some sources, from input files of your own if you like.

        Fails when the run failed, with the run's own exit code.

        Returns: the receipt.
        """
        arguments = [
            *options("source", sources),
            *options("complete", complete),
            *options("input", [staged(pair, files) for pair in inputs or []]),
            *(["--reload"] if reload else []),
        ]
        return await self.load(*arguments, files=files)

    async def load(self, *arguments: str, files: dagger.Directory | None = None) -> str:
        """Run the job run-etl and return its receipt."""
        session = await self.session()
        done = await session.run("run-etl", *arguments, inputs=files)
        return await done.stdout()

    @uncached
    async def deploy(self) -> str:
        """Make the work pool and the deployments of prefect.yaml.

        Returns: one line a deployment.
        """
        session = await self.session()
        return await (await session.run("deploy")).stdout()

    @uncached
    async def data(
        self,
        arguments: Annotated[
            list[str], Doc("The verb and its options: rejects,--limit,20")
        ],
    ) -> str:
        """Run a verb of the data: rejects, runs, report, sources, trace.

        Returns: its output.
        """
        session = await self.session()
        return await (await session.run("data", *arguments)).stdout()

    @uncached
    async def report(self) -> dagger.Directory:
        """Report the latest run.

        Returns: a folder with the receipt as receipt.txt and receipt.json.
        """
        session = await self.session()
        job = await session.ready("data")
        command = [*session.containers.command("data"), "report"]
        folder = dag.directory()
        for name, arguments in {"receipt.txt": [], "receipt.json": ["--json"]}.items():
            written = job.with_exec(
                [*command, *arguments], redirect_stdout=f"{OUT}/{name}"
            )
            folder = folder.with_file(name, written.file(f"{OUT}/{name}"))
        return await folder.sync()


def options(name: str, values: list[str] | None) -> Iterator[str]:
    """Yield an option of the job for each value."""
    for value in values or []:
        yield f"--{name}"
        yield value


def staged(pair: str, files: dagger.Directory | None) -> str:
    """Return SOURCE=NAME with the place of that file in the job's container."""
    source, equals, name = pair.partition("=")
    if not (source and equals and name):
        raise UsageError(f"an input is SOURCE=NAME, not {pair!r}", "--inputs nass=FILE")
    if name == "sample" or name.partition(":")[0] == "api":
        return pair
    if files is None:
        raise UsageError(
            f"{pair} names a file, and no folder with files was given",
            f"--files FOLDER --inputs {pair}",
        )
    return f"{source}=/inputs/{name}"
