"""The real stack: up, attach, status, logs, restart, down, and what a kill leaves."""

from __future__ import annotations

import os
import signal
import socket
import urllib.request

import psutil
import pytest
from tests.stack.conftest import Program, processes, wait_gone
from tests.waiting import eventually


def get(url: str) -> int:
    """Return the status of a GET."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        return int(answer.status)


def test_up_ends_when_everything_is_ready_and_ui_and_api_answer(
    running: Program,
) -> None:
    status = running.json("status")["data"]
    states = {unit["name"]: unit["status"] for unit in status["units"]}
    assert (
        states["db"] == states["prefect-server"] == states["prefect-worker"] == "ready"
    )
    assert states["setup-db"] == "completed"
    assert running.unit("setup-db")["exit_code"] == 0
    assert get(status["ui_url"]) == 200
    assert get(status["ui_url"] + "/api/health") == 200


def test_a_second_up_attaches(running: Program) -> None:
    before = running.unit("prefect-server")["pid"]
    document = running.json("up")
    assert document["ok"]
    assert running.unit("prefect-server")["pid"] == before


def test_everything_listens_on_loopback_alone(running: Program) -> None:
    pids = {process.pid for process in processes(running.home)}
    pids |= {child.pid for pid in pids for child in psutil.Process(pid).children(True)}
    listening = [
        connection.laddr.ip
        for connection in psutil.net_connections("inet")
        if connection.pid in pids
        and connection.laddr
        and connection.status == psutil.CONN_LISTEN
    ]
    assert len(listening) >= 2
    assert set(listening) == {"127.0.0.1"}


def test_no_secret_is_in_a_command_line_or_a_log(running: Program) -> None:
    password = (running.home.root / "postgres_password").read_text()
    for process in psutil.process_iter(["cmdline"]):
        assert password not in " ".join(process.info["cmdline"] or [])
    for path in running.home.logs.iterdir():
        assert password not in path.read_text(errors="replace")


def test_verbs_leave_a_stack_that_was_up_as_it_is(running: Program) -> None:
    assert running("psql", "--", "-Atc", "SELECT 1").stdout == "1\n"
    assert running("psql", "--prefect", "--", "-Atc", "SELECT 2").stdout == "2\n"
    assert "accepting connections" in running("exec", "db", "pg_isready").stdout
    running("exec", "prefect-worker", "python", "-c", "raise SystemExit(7)", code=7)
    assert running.json("status")["data"]["running"]


def test_logs_are_by_service_and_a_wrong_name_lists_the_right_ones(
    running: Program,
) -> None:
    every = running("logs").stdout
    assert "db " in every
    assert "prefect-server " in every
    only = running("logs", "db", "-n", "3").stdout.splitlines()
    assert 1 <= len(only) <= 3
    assert all(line.startswith("db | ") for line in only)
    assert "prefect-server" in running("logs", "nothing", code=2).stderr


def test_logs_can_be_followed(running: Program) -> None:
    process = running.start("logs", "-f", "db")
    try:
        running("psql", "--", "-c", "SELECT 1/0", code=1)
        for line in process.stdout or ():
            if "division by zero" in line:
                break
    finally:
        process.kill()
        process.communicate()
    assert "division by zero" in line


def test_one_service_is_restarted_alone(running: Program) -> None:
    before = {name: running.unit(name)["pid"] for name in ("db", "prefect-worker")}
    running("restart", "prefect-worker")
    assert running.unit("prefect-worker")["status"] == "ready"
    assert running.unit("prefect-worker")["pid"] != before["prefect-worker"]
    assert running.unit("db")["pid"] == before["db"]
    assert "no service 'nothing'" in running("restart", "nothing", code=2).stderr


def test_data_survive_down_and_up_and_changed_settings_are_noticed(
    etl: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    etl("up")
    etl("psql", "--", "-c", "CREATE TABLE kept AS SELECT 42 AS answer")
    monkeypatch.setenv("PREFECT_LOGGING_LEVEL", "DEBUG")
    assert "./etl restart" in etl("up").stderr
    etl("restart")
    assert not etl.json("status")["data"]["settings_changed"]
    assert etl("psql", "--", "-Atc", "SELECT answer FROM kept").stdout == "42\n"
    etl("down")
    assert not wait_gone(etl.home)
    assert not etl.json("status")["data"]["running"]
    lost = etl.json("down", "--volumes", code=2)["error"]
    assert str(etl.home.pgdata) in lost["message"]
    assert etl.home.pgdata.exists()
    etl("down", "--volumes", "--yes")
    assert not etl.home.pgdata.exists()


def test_two_homes_run_side_by_side(running: Program, etl: Program) -> None:
    assert (
        etl("psql", "--", "-Atc", "SHOW port").stdout
        != running("psql", "--", "-Atc", "SHOW port").stdout
    )
    assert not wait_gone(etl.home)  # a verb leaves nothing that was not there
    assert running.json("status")["data"]["running"]


def test_a_port_that_was_asked_for_and_is_taken_is_reported_with_its_holder(
    etl: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        monkeypatch.setenv("POSTGRES_PORT", str(port))
        error = etl.json("up", code=1)["error"]
    assert error["code"] == "PORT_TAKEN"
    assert str(port) in error["message"]
    assert f"process {os.getpid()}" in error["message"]
    assert not wait_gone(etl.home)


def test_kill_9_of_the_command_line_in_mid_start_leaves_no_orphan(etl: Program) -> None:
    with etl.start("up", start_new_session=True) as process:
        try:  # some of them come and go: what counts is that they were there once
            eventually(lambda: len(processes(etl.home)) >= 4)
        finally:
            process.kill()
    assert not wait_gone(etl.home)
    assert etl("psql", "--", "-Atc", "SELECT 1").stdout == "1\n"


def test_kill_9_of_the_supervisor_leaves_no_orphan_and_up_works_again(
    etl: Program,
) -> None:
    etl("up")
    supervisor = next(
        p for p in processes(etl.home) if "ci.local.daemon" in command(p.pid)
    )
    os.kill(supervisor.pid, signal.SIGKILL)
    assert not wait_gone(etl.home)
    etl("up")
    assert etl.unit("prefect-worker")["status"] == "ready"
    etl("down")
    assert not wait_gone(etl.home)


def command(pid: int) -> str:
    """Return the command line of a process."""
    return " ".join(psutil.Process(pid).cmdline())


def test_a_service_that_dies_is_named_with_the_end_of_its_log(
    etl: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that cannot bind its address is the link that fails."""
    monkeypatch.setenv("PREFECT_SERVER_API_HOST", "203.0.113.7")
    error = etl.json("up", code=1)["error"]
    assert "prefect-server" in error["message"]
    assert "  | " in error["message"]
    assert error["hint"] == "./etl logs prefect-server"
    assert not wait_gone(etl.home)
