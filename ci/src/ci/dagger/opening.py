"""Opens a session: from the module's options to a described stack in containers."""

from __future__ import annotations

from urllib.parse import quote, unquote, urlsplit
from uuid import uuid4

import dagger
from dagger import dag

from ci.dagger.containers import Containers, Volumes
from ci.dagger.options import Options
from ci.dagger.session import Session
from ci.inside import places
from ci.stack.errors import InvalidSetting
from ci.stack.model import Runtime
from ci.stack.services import describe
from ci.stack.settings import Secret, StackSettings, sql_url


async def opened(options: Options, *, lasting: bool, exposed: bool) -> Session:
    """Describe the stack for these options and open a session on it."""
    brought = {"db": options.postgres} if options.postgres and lasting else {}
    settings = await settings_of(options) if lasting else StackSettings()
    password = await plain(options.postgres_password)
    if brought and password is None:
        raise InvalidSetting(
            "a database was brought in without its password",
            "dagger call --postgres … --postgres-password env:POSTGRES_PASSWORD …",
        )
    at = places.endpoints(
        password=password or await kept(options, "password"),
        browser_api_url=options.ui_api_url,
        api_login=await login_of(options) if exposed else None,
        database_port=await port_of(brought.get("db")),
    )
    containers = Containers(
        stack=describe(settings, at),
        bases={
            Runtime.PIPELINE: options.pipeline(),
            Runtime.POSTGRES: dag.container().from_(options.postgres_image),
        },
        hidden=hidden_texts(settings, at.password, at.api_login),
        call=uuid4().hex,
        volumes=volumes_of(options) if lasting else None,
        brought=brought,
    )
    return Session(containers)


def volumes_of(options: Options) -> Volumes:
    """Return the cache volumes of the project."""
    return Volumes(options.project, options.epoch)


async def login_of(options: Options) -> str:
    """Return the login that was given, else the one kept for the project."""
    return await plain(options.api_login) or f"etl:{await kept(options, 'login')}"


async def kept(options: Options, name: str) -> str:
    """Return a random text that the engine makes once and keeps in its cache.

    Not made anew at each evaluation: two evaluations in a session must give the same
    services. Another project or epoch has another text.
    """
    make = "umask 077; head -c 18 /dev/urandom | base64 | tr +/ -_ >/kept"
    made = (
        dag.container()
        .from_(options.debian_image)
        .with_env_variable("ETL_KEPT", f"{options.project} {options.epoch} {name}")
        .with_exec(["sh", "-c", make])
    )
    return (await made.file("/kept").contents()).strip()


async def settings_of(options: Options) -> StackSettings:
    """Return the stack's settings for these arguments."""
    url, prefect = options.database_url, options.prefect_database_url
    if (url is None) is not (prefect is None):
        raise InvalidSetting(
            "a managed database wants both URLs: the application's and Prefect's",
            "dagger call --database-url env:… --prefect-database-url env:… …",
        )
    key = await plain(options.nass_api_key)
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

    Passwords are included as they are written in a URL, and so are those of URLs.
    """
    known = [v.reveal() for v in vars(settings).values() if isinstance(v, Secret)]
    given = [text for text in (*texts, *known) if text]
    inside_urls = [urlsplit(text).password for text in given if "://" in text]
    passwords = [unquote(word) for word in inside_urls if word]
    whole = {*given, *passwords}
    return frozenset(whole | {quote(text, safe="") for text in whole})
