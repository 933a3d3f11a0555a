"""Units of the stack as containers: equal to the description, in every respect."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import anyio
import pytest
from dagger import dag
from tests.dagger.engine import Engine
from tests.dagger.read import Box, every_step, executed, service_name

from ci.dagger.containers import (
    CLUSTER_SQL,
    COMMANDS,
    ENSURE,
    HEALTH,
    INIT,
    own_environment,
)
from ci.dagger.session import Session, in_time
from ci.inside import healthcheck, places
from ci.inside.cluster import ensure_sql
from ci.main import Etl
from ci.stack import images
from ci.stack.errors import TimedOut
from ci.stack.model import INITDB_LOCALE, Cluster, Runtime, Service, SqlProbe

pytestmark = pytest.mark.anyio

# What Dagger's supervisor and probes read, and what the image of the database reads.
SUPERVISED = {"ETL_ALONE", "ETL_API_LOGIN_FILE"}
POSTGRES_OWN = {
    "POSTGRES_PASSWORD", "POSTGRES_INITDB_ARGS", "PGPASSFILE", "PGCONNECT_TIMEOUT"
}  # fmt: skip
IMAGES = {Runtime.PIPELINE: "stage runtime", Runtime.POSTGRES: images.POSTGRES}


async def opened(engine: Engine, **options: Any) -> Session:
    """Open a session of the module, with these constructor arguments."""
    return await Etl(source=dag.directory(), **options).session(exposed=True)


async def test_every_service_is_the_description_s(engine: Engine) -> None:
    session = await opened(engine)
    for name, unit in session.stack.services.items():
        await session.containers.service(name).start()
        started = engine.happened("Service.start")[-1]
        box = Box(started)
        assert service_name(started) == name
        assert box.image == IMAGES[unit.runtime]
        own = SUPERVISED | (POSTGRES_OWN if unit.cluster else set())
        given = {k: v for k, v in box.variables.items() if k not in own}
        assert given == own_environment(unit)
        ports = [call["port"] for call in started.calls("withExposedPort")]
        assert ports == [port.inside for port in unit.ports]
        needed = [n for n in session.stack.closure([name]) if n != name]
        assert list(box.bindings) == [n for n in needed if n in session.stack.services]
        command = started.call("asService")["args"]
        assert command[-len(unit.command) :] == list(unit.command)
        signal = unit.stop_signal.name.removeprefix("SIG")
        limits = [f"{unit.stop_within_s:.0f}", "3", "60"]
        assert command[:6] == [INIT, name, signal, *limits]
        assert INIT in box.files


async def test_health_is_the_stack_s_probe_each_second_and_bounded(
    engine: Engine,
) -> None:
    session = await opened(engine)
    for name, unit in session.stack.services.items():
        await session.containers.service(name).start()
        health = Box(engine.happened("Service.start")[-1]).health
        limit = f"{unit.within_s:.0f}"  # without progress
        assert health["args"] == [HEALTH, limit, *healthcheck.command(unit.probe)]
        assert health["interval"] == "1s"
        assert health["retries"] == 3600


async def test_the_database_alone_has_a_volume_that_only_one_may_use(
    engine: Engine,
) -> None:
    session = await opened(engine, project="pond", epoch=3)
    volumes: dict[str, Any] = {}
    for name in session.stack.services:
        await session.containers.service(name).start()
        volumes |= Box(engine.happened("Service.start")[-1]).volumes
    data = session.stack.services["db"].volumes["pgdata"]
    # The image keeps its data in 18/docker below this: a sub-folder of the volume.
    assert volumes[data] == {
        "key": "pond-pgdata-18-3",
        "sharing": "LOCKED",
        "owner": "",
    }
    assert volumes[places.RAW] == {
        "key": "pond-rawdata-3",
        "sharing": "SHARED",
        "owner": places.USER,
    }
    assert [v["sharing"] for v in volumes.values()].count("LOCKED") == 1


async def test_postgres_is_set_up_at_each_start_and_stopped_fast(
    engine: Engine,
) -> None:
    session = await opened(engine)
    unit = session.stack.services["db"]
    await session.containers.service("db").start()
    (started,) = engine.happened("Service.start")
    box = Box(started)
    assert unit.cluster is not None
    assert box.files[CLUSTER_SQL] == ensure_sql(unit.cluster)
    command = started.call("asService")["args"]
    assert command[:3] == [INIT, "db", "INT"]
    assert command[6:10] == [ENSURE, CLUSTER_SQL, "docker-entrypoint.sh", "postgres"]
    assert box.secrets["POSTGRES_PASSWORD"] == box.secrets["PGPASSWORD"]
    assert box.variables["POSTGRES_INITDB_ARGS"].split() == list(INITDB_LOCALE)


async def test_a_service_is_one_object_however_many_bind_it(engine: Engine) -> None:
    """Two that differ in anything would be two servers on one volume."""
    session = await opened(engine)
    await session.ensure(session.stack.services)
    jobs = [await session.run(name) for name in ("run-etl", "dump")]
    assert len(jobs) == 2
    databases = {
        box.bindings["db"].key
        for _, made in engine.events
        if "db" in (box := Box(made)).bindings
    }
    started = [s for s in engine.happened("Service.start") if service_name(s) == "db"]
    assert len(databases) == len(started) == 1


async def test_secrets_are_secrets_wherever_they_stand(engine: Engine) -> None:
    key, word = dag.set_secret("k", "canary-key"), dag.set_secret("w", "canary-word")
    engine.answers["Secret.plaintext"] = "canary-7f3a"
    session = await opened(engine, nass_api_key=key, postgres_password=word)
    await session.ensure(session.stack.services)
    await session.run("run-etl")
    shown = [
        step.arguments
        for _, made in engine.events
        for step in every_step(made)
        if step.name in ("withEnvVariable", "withNewFile", "withExec", "asService")
    ]
    assert "canary-7f3a" not in str(shown)
    worker = Box(
        next(
            s
            for s in engine.happened("Service.start")
            if service_name(s) == "prefect-worker"
        )
    )
    for name in ("DATABASE_URL", "USDA_NASS_API_KEY", "PREFECT_API_AUTH_STRING"):
        assert name in worker.secrets


@pytest.mark.parametrize("options", ["postgres_password", "database_url"])
async def test_a_password_is_hidden_in_whatever_form_it_stands(
    engine: Engine, options: str
) -> None:
    url = "postgresql://me:canary%407f3a@pond.example.org/figures"
    word = "canary@7f3a" if options == "postgres_password" else url
    engine.answers["Secret.plaintext"] = word
    names = [options, *(["prefect_database_url"] if word == url else [])]
    session = await opened(engine, **{n: dag.set_secret(n, "x") for n in names})
    for job in ("setup-db", "psql", "dump"):
        await session.run(job)
    plain = [
        step.arguments["value"]
        for box in executed(engine)
        for step in every_step(box.made)
        if step.name == "withEnvVariable"
    ]
    assert plain
    assert "canary" not in str(plain)
    assert executed(engine)[-1].secrets["PGPASSWORD"] == "canary@7f3a"


async def test_every_job_runs_the_description_s_command(engine: Engine) -> None:
    session = await opened(engine)
    for name, unit in session.stack.units.items():
        if isinstance(unit, Service) or name == "test":
            continue
        await session.run(name, "argument")
        box = executed(engine)[-1]
        wrapped = COMMANDS if unit.runtime is Runtime.PIPELINE else ()
        assert box.commands == [[*wrapped, *unit.command, "argument"]]
        variables = box.variables
        assert variables.pop("ETL_CALL")
        assert variables == dict(unit.environment)
        assert {path: v["key"] for path, v in box.volumes.items()} == {
            path: f"biocirv-etl-{volume}-0" for volume, path in unit.volumes.items()
        }


async def test_no_cache_knows_a_job_of_another_call(engine: Engine) -> None:
    """A job changes or reads what is outside its container."""
    for _ in range(2):
        await (await opened(engine)).run("history")
    first, second = executed(engine)
    assert first.variables["ETL_CALL"] != second.variables["ETL_CALL"]


async def test_units_come_up_in_order_and_once(engine: Engine) -> None:
    session = await opened(engine)
    await session.run("run-etl")
    happened = [
        service_name(made) if event == "Service.start" else Box(made).commands[-1][3:6]
        for event, made in engine.events
        if event == "Service.start"
        or (event == "Container.sync" and Box(made).commands)
    ]
    assert happened[0] == "db"
    assert sorted(map(str, happened)) == sorted(
        map(
            str,
            [
                "db",
                "prefect-server",
                "prefect-worker",
                ["python", "-m", "etl.migrate"],
                ["python", "-m", "etl.flows.deploy"],
                ["python", "-m", "etl.flows.run"],
            ],
        )
    )
    position = {str(what): place for place, what in enumerate(happened)}
    assert position["['python', '-m', 'etl.migrate']"] < position["prefect-worker"]
    assert happened[-1] == ["python", "-m", "etl.flows.run"]
    before = len(engine.events)
    await session.ensure(session.stack.services)
    assert len(engine.events) == before


async def test_images_are_there_before_anything_is_timed(engine: Engine) -> None:
    await (await opened(engine)).run("history")
    events = [(event, bool(Box(made).commands)) for event, made in engine.events]
    assert events[-2:] == [("Container.sync", False), ("Container.sync", True)]
    assert Box(engine.events[-2][1]).image == "stage runtime"


async def test_what_takes_longer_than_its_limit_says_what_may_hold_it() -> None:
    slow = Service(
        name="db",
        summary="",
        command=(),
        volumes={"pgdata": "/data"},
        probe=SqlProbe("x"),
        cluster=Cluster("x", ("x",)),
        within_s=0.01,
    )
    with pytest.raises(TimedOut, match="db was not ready") as late, in_time(slow):
        await anyio.sleep_forever()
    assert "another session may use the volume" in late.value.hint
    shared = replace(slow, cluster=None)
    with pytest.raises(TimedOut) as late, in_time(shared):
        await anyio.sleep_forever()
    assert late.value.hint == "", "only an exclusive volume can be held"


async def test_a_database_brought_in_takes_the_place_of_ours(engine: Engine) -> None:
    engine.answers |= {"Secret.plaintext": "word", "Port.port": 6000}
    theirs = dag.address("tcp://localhost:6000").service()
    session = await opened(
        engine, postgres=theirs, postgres_password=dag.set_secret("w", "word")
    )
    await session.run("setup-db")
    box = executed(engine)[-1]
    assert box.bindings["db"].calls("address") == [{"value": "tcp://localhost:6000"}]
    assert "@db:6000/biocirv_db" in box.secrets["DATABASE_URL"]
    assert images.POSTGRES not in str([m.steps for _, m in engine.events])


async def test_a_managed_database_needs_no_service(engine: Engine) -> None:
    engine.answers["Secret.plaintext"] = (
        "postgresql://me:canary-7f3a@pond.example.org/figures"
    )
    session = await opened(
        engine,
        database_url=dag.set_secret("u", "x"),
        prefect_database_url=dag.set_secret("p", "x"),
    )
    assert "db" not in session.stack.units
    await session.run("setup-db")
    box = executed(engine)[-1]
    assert box.bindings == {}
    assert "pond.example.org" in box.secrets["DATABASE_URL"]
