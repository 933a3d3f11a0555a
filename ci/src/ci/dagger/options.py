"""The module's options: the constructor's arguments, known to every function.

Every call imports this, so what only a running stack needs is imported on use.
No `from __future__ import annotations` here: Dagger reads these annotations as objects,
in the module of the class that inherits them.
"""

import dataclasses
from typing import TYPE_CHECKING, Annotated

import dagger
from dagger import DefaultPath, Doc, Ignore

from ci.dagger.upload import BUILD, ENVIRONMENT, ONLY_WHAT_THE_IMAGE_HOLDS
from ci.inside import places
from ci.stack import images

if TYPE_CHECKING:
    from ci.dagger.session import Session


@dataclasses.dataclass(kw_only=True)
class Options:
    """The constructor's arguments, and the stack that they describe."""

    source: Annotated[
        dagger.Directory,
        Doc("What the image is built from. A README edit is none of it: caches stay."),
        DefaultPath("/"),
        Ignore(ONLY_WHAT_THE_IMAGE_HOLDS),
    ]
    project: Annotated[
        str, Doc("Name of the stack; another name is another, empty database.")
    ] = "biocirv-etl"
    epoch: Annotated[
        int, Doc("Raise it to start with an empty database; the old one stays.")
    ] = 0
    postgres: Annotated[
        dagger.Service | None,
        Doc(
            "A PostgreSQL to use in place of ours, e.g. tcp://localhost:5432 for the "
            "Docker engine's; wants postgres-password. Its data outlive Dagger's."
        ),
    ] = None
    postgres_password: Annotated[
        dagger.Secret | None,
        Doc("Password of biocirv_user; made for the session when absent."),
    ] = None
    database_url: Annotated[
        dagger.Secret | None,
        Doc("SQLAlchemy URL of a managed PostgreSQL; requires prefect-database-url."),
    ] = None
    prefect_database_url: Annotated[
        dagger.Secret | None,
        Doc("SQLAlchemy URL (postgresql+asyncpg) of Prefect's database there."),
    ] = None
    api_login: Annotated[
        dagger.Secret | None,
        Doc("user:password of the API of server and stack; made when absent."),
    ] = None
    nass_api_key: Annotated[
        dagger.Secret | None, Doc("Key of the QuickStats API, for the input nass=api.")
    ] = None
    ui_api_url: Annotated[
        str, Doc("Prefect's API as your browser sees it; follows --ports of up.")
    ] = f"http://localhost:{places.SERVER_PORT}/api"
    pixi_image: Annotated[str, Doc("The image of the build stage, or a mirror's.")] = (
        images.PIXI
    )
    debian_image: Annotated[
        str, Doc("The image below the runtime stage, or a mirror's.")
    ] = images.DEBIAN
    postgres_image: Annotated[str, Doc("The database's image, or a mirror's.")] = (
        images.POSTGRES
    )

    def image(
        self,
        *,
        target: str = "runtime",
        platform: str | None = None,
        source: dagger.Directory | None = None,
    ) -> dagger.Container:
        """Return a stage of the Dockerfile, for the engine's platform or another."""
        given = {"PIXI_IMAGE": self.pixi_image, "DEBIAN_IMAGE": self.debian_image}
        return (source or self.source).docker_build(
            target=target,
            platform=dagger.Platform(platform) if platform else None,
            build_args=[dagger.BuildArg(n, v) for n, v in given.items()],
        )

    def pipeline(self) -> dagger.Container:
        """Return the pipeline's environment with the code in it.

        The build sees nothing of the code, so an edit of a flow builds no image.
        """
        environment = self.source.filter(include=[*BUILD, *ENVIRONMENT])
        code = self.source.filter(exclude=[*BUILD, *ENVIRONMENT])
        return self.image(source=environment).with_directory(places.CODE, code)

    async def session(
        self, *, lasting: bool = True, exposed: bool = False
    ) -> "Session":
        """Describe the stack and open a session on it; nothing starts yet.

        Without `lasting` it uses no volume, no database that was brought in and no
        other session's data. Only where the API is `exposed` to the host does it ask
        for a login; otherwise only the stack itself can reach it.
        """
        from ci.dagger.opening import opened

        return await opened(self, lasting=lasting, exposed=exposed)
