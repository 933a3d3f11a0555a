"""What every function of the module knows: the constructor's arguments.

No `from __future__ import annotations` here: Dagger reads these annotations as objects,
in the module of the class that inherits them.
"""

import dataclasses
import secrets
from typing import Annotated
from urllib.parse import quote, unquote, urlsplit
from uuid import uuid4

import dagger
from dagger import DefaultPath, Doc, Ignore, dag

from ci.dagger.containers import Containers, Volumes
from ci.dagger.session import Session
from ci.dagger.upload import ONLY_WHAT_THE_IMAGE_HOLDS
from ci.inside import places
from ci.stack import images
from ci.stack.errors import InvalidSetting
from ci.stack.model import Runtime
from ci.stack.services import describe
from ci.stack.settings import Secret, StackSettings, sql_url


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
        Doc("SQLAlchemy URL of a managed PostgreSQL; wants prefect-database-url."),
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
        self, *, target: str = "runtime", platform: str | None = None
    ) -> dagger.Container:
        """Return a stage of the Dockerfile, for the engine's platform or another."""
        given = {"PIXI_IMAGE": self.pixi_image, "DEBIAN_IMAGE": self.debian_image}
        return self.source.docker_build(
            target=target,
            platform=dagger.Platform(platform) if platform else None,
            build_args=[dagger.BuildArg(n, v) for n, v in given.items()],
        )

    async def session(self, *, lasting: bool = True, exposed: bool = False) -> Session:
        """Describe the stack and open a session on it; nothing starts yet.

        Without `lasting` it uses no volume, no database that was brought in and no
        other session's data. Only where the API is `exposed` to the host does it ask
        for a login; else nobody reaches it but the stack itself.
        """
        brought = {"db": self.postgres} if self.postgres and lasting else {}
        settings = await self.settings() if lasting else StackSettings()
        password = await plain(self.postgres_password)
        if brought and password is None:
            raise InvalidSetting(
                "a database was brought in without its password",
                "dagger call --postgres … --postgres-password env:POSTGRES_PASSWORD …",
            )
        login = await self.login() if exposed else None
        at = places.endpoints(
            password=password or secrets.token_urlsafe(18),
            browser_api_url=self.ui_api_url,
            api_login=login,
            database_port=await port_of(brought.get("db")),
        )
        containers = Containers(
            stack=describe(settings, at),
            bases={
                Runtime.PIPELINE: self.image(),
                Runtime.POSTGRES: dag.container().from_(self.postgres_image),
            },
            hidden=hidden_texts(settings, at.password, at.api_login),
            call=uuid4().hex,
            volumes=self.volumes if lasting else None,
            brought=brought,
        )
        return Session(containers)

    async def login(self) -> str:
        """Return the login that was given, else a new one."""
        return await plain(self.api_login) or f"etl:{secrets.token_urlsafe(18)}"

    @property
    def volumes(self) -> Volumes:
        """The cache volumes of this project."""
        return Volumes(self.project, self.epoch)

    async def settings(self) -> StackSettings:
        """Return the stack's settings for these arguments."""
        url, prefect = self.database_url, self.prefect_database_url
        if (url is None) is not (prefect is None):
            raise InvalidSetting(
                "a managed database wants both URLs: the application's and Prefect's",
                "dagger call --database-url env:… --prefect-database-url env:… …",
            )
        key = await plain(self.nass_api_key)
        if url is None or prefect is None:
            return StackSettings(usda_nass_api_key=Secret(key) if key else None)
        return StackSettings(
            usda_nass_api_key=Secret(key) if key else None,
            database_url=sql_url("psycopg")(await url.plaintext()),
            prefect_api_database_connection_url=sql_url("asyncpg")(
                await prefect.plaintext()
            ),
        )


async def plain(secret: dagger.Secret | None) -> str | None:
    """Return a secret's text; it goes into secrets again and is never printed."""
    return await secret.plaintext() if secret else None


async def port_of(service: dagger.Service | None) -> int:
    """Return the port of a database that was brought in, else our own."""
    if service is None:
        return places.DATABASE_PORT
    ports = await service.ports()
    return await ports[0].port()


def hidden_texts(settings: StackSettings, *texts: str | None) -> frozenset[str]:
    """Return every text that must not stand in a plain variable.

    A password also as it stands in a URL, and the one that a URL holds by itself.
    """
    known = [v.reveal() for v in vars(settings).values() if isinstance(v, Secret)]
    told = [text for text in (*texts, *known) if text]
    inside_urls = [urlsplit(text).password for text in told if "://" in text]
    passwords = [unquote(word) for word in inside_urls if word]
    whole = {*told, *passwords}
    return frozenset(whole | {quote(text, safe="") for text in whole})
