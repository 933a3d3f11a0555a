"""Functions of the image: build, publish, list; and the generated files."""

from typing import Annotated

import dagger
from dagger import DefaultPath, Doc, Ignore, dag, function

from ci.dagger.options import Options
from ci.dagger.policy import uncached
from ci.dagger.upload import ALL_BUT_WHAT_IS_PRIVATE
from ci.docsgen.generated import GENERATED
from ci.inside import places

PYTHON = f"{places.CODE}/.pixi/envs/etl/bin/python"
SBOM = "/tmp/sbom.cdx.json"  # noqa: S108  # of a container
Checkout = Annotated[
    dagger.Directory,
    Doc("The checkout, as far as it is not private."),
    DefaultPath("/"),
    Ignore(ALL_BUT_WHAT_IS_PRIVATE),
]


class ImageFunctions(Options):
    """Functions of the image."""

    @function
    def build(
        self,
        platform: Annotated[
            str, Doc("linux/amd64 or linux/arm64; the engine's own when absent.")
        ] = "",
    ) -> dagger.Container:
        """Build the image of the pipeline.

        Returns: the image; `terminal` looks inside, `export --path` writes a file.
        """
        return self.image(platform=platform or None)

    @uncached
    async def publish(
        self,
        address: Annotated[str, Doc("Where to, e.g. ghcr.io/OWNER/NAME:1.2.3")],
        username: Annotated[str, Doc("Who logs in to the registry, if anyone.")] = "",
        password: Annotated[
            dagger.Secret | None, Doc("Password or token of that user.")
        ] = None,
        platforms: Annotated[
            list[str] | None, Doc("Both amd64 and arm64 when absent.")
        ] = None,
    ) -> str:
        """Build the image for every platform and push it as one.

        Returns: the reference by digest.
        """
        variants = [
            self.image(platform=name)
            for name in platforms or ["linux/amd64", "linux/arm64"]
        ]
        pusher = dag.container()
        if password:
            pusher = pusher.with_registry_auth(address, username, password)
        return await pusher.publish(address, platform_variants=variants)

    @function
    def sbom(self) -> dagger.File:
        """List what the image holds: Debian, conda and Python packages.

        Returns: a CycloneDX file.
        """
        command = ["python", "-m", "ci.inside.sbom"]
        listed = self.image().with_exec(command, redirect_stdout=SBOM)
        return listed.file(SBOM)

    @function
    @dagger.generate
    def generate(self, checkout: Checkout) -> dagger.Changeset:
        """Write the generated files anew: compose file, reference pages, copies.

        Returns: the changes; empty when every file is up to date.
        """
        names = [*GENERATED]
        written = self.development(checkout).with_exec(
            ["python", "-m", "ci.docsgen.generate"]
        )
        after = written.directory(places.CODE).filter(include=names)
        return after.changes(checkout.filter(include=names))

    def development(self, checkout: dagger.Directory) -> dagger.Container:
        """Return the tests' environment with a checkout installed in it, editable."""
        own = ["--no-deps", "--offline", "--editable", ".", "--editable", "ci"]
        return (
            self.image(target="development")
            .with_directory(places.CODE, checkout)
            .with_exec(["uv", "pip", "install", "--python", PYTHON, *own])
        )
