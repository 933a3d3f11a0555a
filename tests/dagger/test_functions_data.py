"""Functions of data, schema and checks, called: what they ask the engine for."""

from __future__ import annotations

import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import sqlalchemy
from dagger import dag
from tests.conftest import ROLE, Server
from tests.dagger.called import STACK, command, etl, last, started, volume_keys
from tests.dagger.engine import Engine
from tests.dagger.read import Box, every_step, executed

from ci.dagger.functions.databases import COUNT, COUNT_ROWS
from ci.dagger.policy import CallFailed
from ci.docsgen.generated import GENERATED
from ci.inside import places
from ci.stack import images

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("call", "job", "arguments"),
    [
        (lambda: etl().migrate(), "setup-db", []),
        (lambda: etl().history(), "history", []),
        (lambda: etl().downgrade(), "downgrade", ["-1"]),
        (lambda: etl().check_migrations(), "check-migrations", []),
        (lambda: etl().check_db_health(), "check-db-health", []),
    ],
    ids=["migrate", "history", "downgrade", "check_migrations", "check_db_health"],
)
async def test_a_job_as_a_function(
    engine: Engine, call: Callable[[], Awaitable[str]], job: str, arguments: list[str]
) -> None:
    assert await call() == "stub"
    assert last(engine, "Container.sync").commands == [command(job, *arguments)]
    needed = set(STACK.closure([job])) & set(STACK.services)
    assert started(engine) == needed


async def test_checking_migrations_leaves_data_alone(engine: Engine) -> None:
    theirs = dag.address("tcp://localhost:5432").service()
    await etl(postgres=theirs).check_migrations()
    steps = [step.name for _, made in engine.events for step in every_step(made)]
    assert "withMountedCache" not in steps
    assert "address" not in steps


async def test_a_revision_is_the_new_file_alone(engine: Engine) -> None:
    changes = await engine.account(await etl().revision("add a column"))
    written = Box(changes)
    assert written.commands == [command("revision", "--message", "add a column")]
    assert changes.steps[-1].name == "changes"
    assert changes.calls("filter")[-1] == {"include": ["alembic/versions/*.py"]}
    folder = changes.calls("withDirectory")[-1]
    assert (folder["path"], folder["owner"]) == ("/app/alembic", places.USER)
    ran = [box.commands for box in executed(engine)]
    assert ran == [[command("setup-db")]]


async def test_shells_wait_for_a_terminal_with_what_they_need(engine: Engine) -> None:
    for function, job in (
        (etl().psql(), "psql"),
        (etl().psql(prefect=True), "psql-prefect"),
    ):
        box = Box(await engine.account(await function))
        assert box.made.call("withDefaultTerminalCmd")["args"] == command(job)
        assert box.variables["PGDATABASE"] == STACK.unit(job).environment["PGDATABASE"]
        assert list(box.bindings) == ["db"]
    shell = Box(await engine.account(await etl().shell()))
    assert shell.made.call("withDefaultTerminalCmd")["args"] == ["/bin/bash"]
    assert set(shell.bindings) == {"db", "prefect-server"}


async def test_a_dump_comes_out_and_goes_in_through_the_server(engine: Engine) -> None:
    dump = await engine.account(await etl().dump())
    exec_ = dump.call("withExec")
    assert exec_["args"] == command("dump")
    assert exec_["redirectStdout"] == dump.call("file")["path"]


async def test_a_restore_is_migrated(engine: Engine) -> None:
    await etl().restore(dag.directory().file("etl.dump"))
    ran = [box.commands[-1] for box in executed(engine)]
    where = "/tmp/etl.dump"
    assert ran == [command("restore", where), command("setup-db")]
    assert executed(engine)[0].made.calls("withMountedFile")


async def test_a_restore_returns_revisions_and_row_counts(engine: Engine) -> None:
    engine.answers["Container.combinedOutput"] = "upgrade to 1: ledger\n"
    engine.answers["Container.stdout"] = "core_nass__value 5\n"
    returned = await etl().restore(dag.directory().file("etl.dump"))
    assert returned == "upgrade to 1: ledger\nrows:\ncore_nass__value 5\n"
    counted = last(engine, "Container.stdout")
    assert counted.files == {COUNT: COUNT_ROWS}
    assert counted.commands[-1][-2:] == ["--file", COUNT]


async def test_without_a_migration_to_undo_that_is_returned(engine: Engine) -> None:
    """Alembic writes nothing then."""
    engine.answers["Container.combinedOutput"] = ""
    assert (await etl().downgrade()) == "no migration was undone\n"


def test_rows_are_counted_table_by_table(
    server: Server, db: sqlalchemy.Engine, tmp_path: Path
) -> None:
    script = tmp_path / "count.sql"
    script.write_text(COUNT_ROWS)
    where = ["--host", str(server.postgres.sockets), "--username", ROLE]
    where += ["--dbname", str(db.url.database)]
    options = ["--tuples-only", "--no-align", "--field-separator", " "]
    psql = str(server.postgres.binaries / "psql")
    done = subprocess.run(
        [psql, *where, *options, "--file", str(script)],
        capture_output=True,
        text=True,
        check=True,
    )
    counts = dict(line.split() for line in done.stdout.splitlines())
    assert counts["core_nass__value"] == "0"
    assert counts["alembic_version"] == "1"


async def test_reset_deletes_only_if_confirmed(engine: Engine) -> None:
    keys = volume_keys("pond")
    with pytest.raises(CallFailed, match=", ".join(keys)):
        await etl().reset()
    assert executed(engine) == []
    printed = await etl(project="pond").reset(yes=True)
    assert printed == f"emptied: {', '.join(keys)}\n"
    box = last(engine, "Container.sync")
    assert {v["key"] for v in box.volumes.values()} == set(keys.values())
    assert box.volumes["/volumes/pgdata"]["sharing"] == "LOCKED"
    assert engine.happened("Service.start") == []


async def test_the_tests_run_at_each_call_and_the_linters_when_something_changed(
    engine: Engine,
) -> None:
    checkout = dag.directory()
    await etl().test(checkout, ["-k", "stack"])
    tests = last(engine, "Container.stdout")
    assert tests.image == "stage development"
    assert tests.commands[-1] == command("test", "-k", "stack")
    assert "ETL_CALL" in tests.variables
    await etl().lint(checkout)
    linters = last(engine, "Container.stdout")
    assert linters.commands[-1] == command("test", "tests/quality")
    assert linters.variables == {}


async def test_generate_returns_the_generated_files_alone(engine: Engine) -> None:
    changes = await engine.account(etl().generate(dag.directory()))
    assert Box(changes).commands[-1] == ["python", "-m", "ci.docsgen.generate"]
    assert changes.calls("filter") == [{"include": [*GENERATED]}]


async def test_images_come_by_digest_and_from_one_file(engine: Engine) -> None:
    await etl().up()
    await engine.account(etl().build())
    used = {
        argument
        for _, made in engine.events
        for step in every_step(made)
        for argument in (
            [step.arguments["address"]]
            if step.name == "from"
            else [a["value"] for a in step.arguments.get("buildArgs", [])]
        )
    }
    assert used == {images.PIXI, images.DEBIAN, images.POSTGRES}
    assert all("@sha256:" in image for image in used)


async def test_half_a_managed_database_is_refused_before_anything_starts(
    engine: Engine,
) -> None:
    with pytest.raises(CallFailed, match="both URLs"):
        await etl(database_url=dag.set_secret("u", "x")).migrate()
    with pytest.raises(CallFailed, match="without its password"):
        await etl(postgres=dag.address("tcp://localhost:5432").service()).migrate()
    assert engine.happened("Service.start") == []
