"""What the Docker engine does when a job, a restart or the daemon itself goes wrong."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import pytest
from tests.docker.conftest import ON_DOCKER
from tests.docker.site import PROGRAM, Site, locked
from tests.waiting import eventually

from ci.docker.failures import failure

pytestmark = pytest.mark.timeout(900)  # a first stack builds its image


@pytest.mark.parametrize(
    ("output", "code", "message"),
    [
        (
            'error during connect: Get "http://d/v1.45/x": EOF',
            "PREREQUISITE_MISSING",
            "the Docker daemon stopped answering during compose up",
        ),
        (
            "#9 0.3 tar: a: Cannot write: No space left on device\n"
            "------\nfailed to solve: exit code: 2",
            "DISK_FULL",
            "#9 0.3 tar: a: Cannot write: No space left on device",
        ),
        (
            'Error response from daemon: Conflict. The container name "/BioCirV_ETL_db"'
            ' is already in use by container "5e11". You have to remove it.',
            "NAMES_TAKEN",
            "another container has the name BioCirV_ETL_db",
        ),
        (
            "driver failed: Bind for 127.0.0.1:5432 failed: port is already allocated",
            "PORT_TAKEN",
            "port is already allocated",
        ),
        ("first\n\nthe cause\n", "UNIT_FAILED", "compose up failed: the cause"),
        ("", "UNIT_FAILED", "nothing was printed"),
    ],
)
def test_what_docker_prints_becomes_an_error_with_a_cause(
    output: str, code: str, message: str
) -> None:
    error = failure(output, "compose up")
    assert error.code == code
    assert message in error.what
    assert error.hint


@ON_DOCKER
def test_start_after_a_restart_of_the_worker_leaves_its_runs_alone(site: Site) -> None:
    site.task("restart-prefect-worker")
    worker = site.inspect("prefect-worker")["Id"]
    with locked(site, "core_nass__value"):
        run = site.json("run-etl", "--no-wait", "--reload")["data"]["run_id"]
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        eventually(lambda: site.sql(waiting) != "0", within_s=60)
        site.task("start-services")
        assert site.inspect("prefect-worker")["Id"] == worker
    state = f"/flow_runs/{run}"
    eventually(lambda: site.api(state)["state_type"] == "COMPLETED", within_s=90)


@ON_DOCKER
def test_a_job_is_stopped_at_the_limit_of_its_description(site: Site) -> None:
    slow = f"import time; time.sleep(600)\n{PROGRAM}"
    undone = [
        site.edit("ci/src/ci/stack/jobs.py", "within_s=180.0", "within_s=2.0"),
        site.edit("src/etl/flows/deploy.py", PROGRAM, slow),
    ]
    try:
        error = site.json("deploy", code=124)["error"]
        assert error["code"] == "TIMED_OUT"
        assert "deploy did not end within 2 s and was stopped" in error["message"]
        # The same job as the prerequisite of another one.
        site.docker("rm", "--force", "BioCirV_ETL_deploy")
        assert "deploy did not end" in site.task("run-etl", code=124).stderr
        listed = ("ps", "--format", "{{.Names}} {{.Command}}", "--no-trunc")
        assert "etl.flows.deploy" not in site.docker(*listed)
    finally:
        for undo in undone:
            undo()
        site.docker("rm", "--force", "BioCirV_ETL_deploy")
    site.task("deploy")


class Relay:
    """A way to the real daemon that the test can cut."""

    def __init__(self, path: Path, daemon: str) -> None:
        self._daemon = daemon
        self._open: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._daemon)
                self._open += [client, server]
                for source, target in ((client, server), (server, client)):
                    threading.Thread(
                        target=self._copy, args=(source, target), daemon=True
                    ).start()

    def _copy(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def cut(self) -> None:
        """Close every connection and accept no more."""
        for end in (self._listener, *self._open):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@pytest.fixture
def relay(site: Site) -> Iterator[tuple[Relay, Mapping[str, str]]]:
    """A relay, and the variable by which docker goes through it."""
    daemon = site.variables.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    path = site.checkout.parent / "relay.sock"
    relay = Relay(path, daemon.removeprefix("unix://"))
    yield relay, {"DOCKER_HOST": f"unix://{path}"}
    relay.cut()
    path.unlink()


@ON_DOCKER
def test_a_daemon_that_stops_during_a_command_is_named(
    site: Site, relay: tuple[Relay, Mapping[str, str]]
) -> None:
    cuttable, variables = relay
    through = Site(site.engine, site.checkout, {**site.variables, **variables})
    process = through.start("exec-db", "sh", "-c", "echo up; sleep 600", stderr=True)
    with process:
        assert process.stdout
        assert process.stdout.readline() == "up\n"
        cuttable.cut()
        _, error = process.communicate(timeout=60)
    assert process.returncode == 4
    assert "no Docker daemon answers" in error
    assert "fix: start Docker" in error
    assert through.json("service-status", code=4)["error"]["hint"]


@ON_DOCKER
def test_a_full_disk_is_named_as_the_cause_of_a_failed_build(site: Site) -> None:
    full = "RUN echo 'cp: error writing: No space left on device' >&2 && false\nUSER "
    undo = site.edit("Dockerfile", "USER ", full)
    try:
        error = site.json("rebuild-services", code=1)["error"]
    finally:
        undo()
    assert error["code"] == "DISK_FULL"
    assert "docker system df" in error["hint"]


@ON_DOCKER
def test_a_container_of_others_with_a_name_of_ours_is_named(site: Site) -> None:
    site.docker("rm", "--force", "BioCirV_ETL_setup-db")
    image = site.inspect("db")["Image"]
    name = ("--name", "BioCirV_ETL_setup-db")
    site.docker("create", *name, image)
    try:
        error = site.json("restart-prefect-worker", code=1)["error"]
        assert error["code"] == "NAMES_TAKEN"
        assert error["hint"] == "docker rm -f BioCirV_ETL_setup-db"
    finally:
        site.docker("rm", "--force", "BioCirV_ETL_setup-db")
        site.task("start-services")
