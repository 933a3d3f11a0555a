"""Functions that build and run, called: what they ask the engine for."""

from __future__ import annotations

import dagger
import pytest
from dagger import dag
from tests.dagger.called import STACK, command, etl, last, started
from tests.dagger.engine import Engine
from tests.dagger.read import Box, executed, service_name

from ci.dagger.policy import CallFailed
from ci.inside import places
from ci.stack import images

pytestmark = pytest.mark.anyio


async def test_build_builds_the_dockerfile_s_runtime_from_images_by_digest(
    engine: Engine,
) -> None:
    build = (await engine.account(etl().build("linux/arm64"))).call("dockerBuild")
    assert build["target"] == "runtime"
    assert build["platform"] == "linux/arm64"
    given = {argument["name"]: argument["value"] for argument in build["buildArgs"]}
    assert given == dict(images.DOCKERFILE_ARGS)


async def test_build_takes_the_images_of_a_mirror(engine: Engine) -> None:
    mirrored = etl(pixi_image="mirror/pixi@sha256:1", debian_image="mirror/d@sha256:2")
    build = (await engine.account(mirrored.build())).call("dockerBuild")
    assert {a["value"] for a in build["buildArgs"]} == {
        "mirror/pixi@sha256:1",
        "mirror/d@sha256:2",
    }
    assert "platform" not in build


async def test_publish_pushes_both_platforms_as_one(engine: Engine) -> None:
    engine.answers["Container.publish"] = "ghcr.io/o/n@sha256:1"
    token = dag.set_secret("t", "x")
    assert await etl().publish("ghcr.io/o/n:1", "me", token) == "ghcr.io/o/n@sha256:1"
    assert last(engine, "Container.publish").made.calls("withRegistryAuth")
    variants = [
        step.arguments["platform"]
        for query in [engine.known[i] for i in engine.known]
        for step in query.steps
        if step.name == "dockerBuild"
    ]
    assert set(variants) == {"linux/amd64", "linux/arm64"}


async def test_the_contents_are_listed_by_the_image_itself(engine: Engine) -> None:
    listed = await engine.account(etl().sbom())
    assert Box(listed).image == "stage runtime"
    assert Box(listed).commands == [["python", "-m", "ci.inside.sbom"]]


async def test_services_alone(engine: Engine) -> None:
    for function, name in (
        (etl().database, "db"),
        (etl().server, "prefect-server"),
        (etl().worker, "prefect-worker"),
    ):
        assert service_name(await engine.account(await function())) == name


async def test_the_worker_comes_after_its_schema_and_its_server(
    engine: Engine,
) -> None:
    await etl().worker()
    assert started(engine) == {"db", "prefect-server"}
    assert last(engine, "Container.sync").commands == [command("setup-db")]


@pytest.mark.parametrize("function", ["up", "run_etl"])
async def test_the_whole_chain_ends_with_the_run_s_receipt(
    engine: Engine, function: str
) -> None:
    engine.answers["Container.stdout"] = "the receipt\n"
    assert await getattr(etl(), function)() == "the receipt\n"
    assert started(engine) == set(STACK.services)
    ran = [box.commands[-1] for box in executed(engine)]
    assert sorted(ran) == sorted(
        [command("setup-db"), command("deploy"), command("run-etl")]
    )
    assert last(engine, "Container.stdout").commands == [command("run-etl")]


async def test_a_run_takes_sources_parameters_and_files(engine: Engine) -> None:
    await etl().run_etl(
        sources=["nass"],
        inputs=["nass=bulk.gz", "geography=sample"],
        files=dag.directory(),
        complete=["nass"],
        reload=True,
    )
    box = last(engine, "Container.stdout")
    words = ["--source", "nass", "--complete", "nass"]
    words += ["--input", "nass=/inputs/bulk.gz", "--input", "geography=sample"]
    assert box.commands == [command("run-etl", *words, "--reload")]
    assert [c["path"] for c in box.made.calls("withMountedDirectory")] == ["/inputs"]


@pytest.mark.parametrize("pair", ["nass", "nass=", "nass=file.gz"])
async def test_an_input_that_cannot_be_meant_starts_nothing(
    engine: Engine, pair: str
) -> None:
    with pytest.raises(CallFailed):
        await etl().run_etl(inputs=[pair])
    assert engine.happened("Service.start") == []


async def test_a_failed_run_fails_the_call_with_the_run_s_exit_code(
    engine: Engine,
) -> None:
    engine.answers["exit codes"] = {"etl.flows.run": 5}
    with pytest.raises(dagger.ExecError) as failed:
        await etl().up()
    assert failed.value.exit_code == 5


async def test_a_service_that_does_not_come_up_fails_the_call(
    engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.answers["exit codes"] = {"etl.flows.worker": 3}
    with pytest.raises(dagger.ExecError):
        await etl().up()
    assert "prefect-worker failed" in capsys.readouterr().err


async def test_deploy_shows_what_the_job_says(engine: Engine) -> None:
    engine.answers["Container.stdout"] = "master-etl-deployment\n"
    assert await etl().deploy() == "master-etl-deployment\n"
    assert last(engine, "Container.stdout").commands == [command("deploy")]


async def test_the_report_is_a_folder_with_text_and_json(engine: Engine) -> None:
    files = (await engine.account(await etl().report())).calls("withFile")
    assert [call["path"] for call in files] == ["receipt.txt", "receipt.json"]
    ran = [Box(call["source"]).commands[0] for call in files]
    assert ran == [command("data", "report"), command("data", "report", "--json")]


async def test_the_stack_stands_behind_one_address_with_a_login(
    engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    front = Box(await engine.account(await etl().stack()))
    assert started(engine) == set(STACK.services)
    assert command("deploy") in [box.commands[-1] for box in executed(engine)]
    ports = [call["port"] for call in front.made.calls("withExposedPort")]
    assert ports == [places.SERVER_PORT]
    words = front.made.call("asService")["args"]
    assert words[:3] == ["python", "-m", "ci.dagger.proxy"]
    watched = [w.partition("=")[0].partition("@") for w in words if "=" in w]
    assert [name for name, _, _ in watched] == list(STACK.services)
    assert {host for _, _, host in watched} <= set(engine.host_names)
    assert front.bindings == {}, "what is bound ends with what it is bound to"
    reported = capsys.readouterr().err
    login = front.secrets["PREFECT_API_AUTH_STRING"]
    assert reported.count(login) == 1
    assert "not storage" in reported
    assert len(reported.splitlines()) == 2


async def test_postgres_is_on_the_host_only_when_asked_for(engine: Engine) -> None:
    front = Box(await engine.account(await etl().stack(expose_database=True)))
    ports = [call["port"] for call in front.made.calls("withExposedPort")]
    assert ports == [places.SERVER_PORT, places.DATABASE_PORT]
    forwards = [w for w in front.made.call("asService")["args"] if w[0].isdigit()]
    assert [w.split(":")[::2] for w in forwards] == [["4200"] * 2, ["5432"] * 2]


async def test_what_is_not_on_the_host_needs_no_login(engine: Engine) -> None:
    await etl().up()
    names = {name for _, made in engine.events for name in Box(made).variables}
    assert not any("AUTH_STRING" in name for name in names)


async def test_a_login_that_is_given_is_used(engine: Engine) -> None:
    engine.answers["Secret.plaintext"] = "me:word"
    front = Box(
        await engine.account(await etl(api_login=dag.set_secret("l", "x")).stack())
    )
    assert front.secrets["PREFECT_API_AUTH_STRING"] == "me:word"


async def test_dagger_up_watches_the_services_of_the_stack(engine: Engine) -> None:
    """Two functions of a session; the watch is starting until a service has ended."""
    stack = await engine.account(await etl().stack())
    engine.start(stack)
    names = set(engine.host_names)
    monitor = Box(await engine.account(await etl().watch()))
    assert set(engine.host_names) == names, "other services than the stack's"
    words = monitor.made.call("asService")["args"]
    assert words[-1] == "--exit"
    hosts = {w.partition("=")[0].partition("@")[2] for w in words if "@" in w}
    assert hosts <= names
    assert monitor.health["args"] == ["false"]
    assert len(monitor.made.calls("withExposedPort")) == 1
