"""The supervisor of a Dagger service (init.sh, health.sh), on real processes."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from tests.waiting import eventually

SCRIPTS = Path(__file__).resolve().parents[2] / "ci/src/ci/inside/scripts"
LIVES_ON = "echo up; while :; do sleep 0.05; done"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The folder of the supervisor's notes."""
    return tmp_path / "state"


def init(
    state: Path, *command: str, wanted: str = "TERM", within: str = "1", deaths: int = 3
) -> subprocess.Popen[str]:
    """Start a service named pond under init.sh."""
    words = ("pond", wanted, within, str(deaths), "60", *command)
    return subprocess.Popen(
        ["sh", SCRIPTS / "init.sh", *words],
        env=os.environ | {"ETL_STATE": str(state)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def health(state: Path, within: str, *command: str) -> int:
    """Run the health check as the engine does; return its exit code."""
    return subprocess.run(
        ["sh", SCRIPTS / "health.sh", within, *command],
        env=os.environ | {"ETL_STATE": str(state)},
        check=False,
    ).returncode


def line(process: subprocess.Popen[str]) -> str:
    """Return the next line of its output."""
    assert process.stdout
    return process.stdout.readline().strip()


@pytest.fixture
def alive(state: Path) -> Iterator[subprocess.Popen[str]]:
    """A service that is up and was ready once."""
    with init(state, "sh", "-c", LIVES_ON) as process:
        assert line(process) == "up"
        eventually(lambda: health(state, "60", "true") == 0, within_s=10)
        yield process
        process.kill()
        if (state / "session").exists():
            kill(state)


def kill(state: Path) -> str:
    """Kill the service with all its processes; return its process id."""
    pid = (state / "session").read_text().strip()
    if pid and Path(f"/proc/{pid}").exists():
        os.killpg(int(pid), signal.SIGKILL)
    return pid


def runs(pid: int) -> bool:
    """Whether a process is there and not only its exit code."""
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie"


def test_a_stop_reaches_the_service_as_the_signal_it_wants(state: Path) -> None:
    service = "trap 'echo fast; exit 0' USR1; echo up; while :; do sleep 0.05; done"
    with init(state, "sh", "-c", service, wanted="USR1", within="5") as process:
        assert line(process) == "up"
        process.send_signal(signal.SIGTERM)
        assert line(process) == "fast"
        assert process.wait(5) == 0


def test_a_service_that_ignores_its_signal_is_killed_in_time(state: Path) -> None:
    service = "trap '' TERM; echo up; while :; do sleep 0.05; done"
    with init(state, "sh", "-c", service) as process:
        assert line(process) == "up"
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_a_service_that_was_never_ready_ends_with_its_code_and_last_lines(
    state: Path,
) -> None:
    service = "for n in 1 2 3 4 5 6 7; do echo line $n; done; exit 7"
    process = init(state, "sh", "-c", service)
    output, reported = process.communicate(timeout=20)
    assert process.returncode == 7
    assert output.count("line") == 7
    assert "etl: pond died with exit code 7 after 0 s; its last lines:" in reported
    assert "    line 3\n    line 4\n    line 5\n    line 6\n    line 7\n" in reported
    assert "etl: pond was never ready, so it is not started again" in reported


def test_two_deaths_are_reported_and_survived_the_third_ends_it(
    alive: subprocess.Popen[str], state: Path
) -> None:
    """At any age: the first seconds of a life are no exception."""
    for _ in range(2):
        kill(state)
        assert line(alive) == "up"
    kill(state)
    _, reported = alive.communicate(timeout=20)
    assert alive.returncode == 137
    assert reported.count("etl: pond died with exit code 137") == 3
    assert "etl: pond is started again (2 of 3 deaths within 60 s)" in reported
    assert reported.endswith(
        "etl: pond died 3 times within 60 s, so it is not started again\n"
    )


def test_what_a_dead_service_left_behind_is_killed_before_it_starts_again(
    state: Path,
) -> None:
    service = f"sleep 300 & echo $!; {LIVES_ON}"
    with init(state, "sh", "-c", service) as process:
        child = int(line(process))
        assert line(process) == "up"
        eventually(lambda: health(state, "60", "true") == 0, within_s=10)
        os.kill(int((state / "session").read_text()), signal.SIGKILL)
        assert line(process).isdigit()
        assert not runs(child)
        process.send_signal(signal.SIGTERM)
        process.wait(10)
        kill(state)


@pytest.mark.optional
def test_alone_in_a_container_it_kills_whatever_a_service_left_behind(
    state: Path,
) -> None:
    """PostgreSQL's and Prefect's processes have sessions of their own."""
    namespace = ["unshare", "--fork", "--pid", "--mount-proc"]
    if subprocess.run(
        [*namespace, "true"], capture_output=True, check=False
    ).returncode:
        pytest.skip("a process namespace needs root")
    marker = f"{300 + os.getpid()}"
    service = f"setsid sleep {marker} & echo last line; exit 3"
    program = shlex.join(
        ["sh", str(SCRIPTS / "init.sh"), "pond", "TERM", "1", "3", "60"]
    )
    done = subprocess.run(
        [*namespace, "sh", "-c", f"{program} sh -c {shlex.quote(service)}; exit $?"],
        env=os.environ | {"ETL_STATE": str(state), "ETL_ALONE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert (done.returncode, done.stdout) == (3, "last line\n")
    assert "its last lines:\n    last line\n" in done.stderr
    commands = [process.info["cmdline"] for process in psutil.process_iter(["cmdline"])]
    assert ["sleep", marker] not in commands


def test_the_end_of_a_session_leaves_no_time_for_a_clean_stop(
    alive: subprocess.Popen[str],
) -> None:
    """SIGTERM, then SIGKILL within 5 ms: nothing may depend on the first one."""
    alive.send_signal(signal.SIGTERM)
    alive.send_signal(signal.SIGKILL)
    assert alive.wait(5) == -signal.SIGKILL


def test_a_start_is_ended_when_it_makes_no_progress(state: Path) -> None:
    with init(state, "sh", "-c", "echo up; exec sleep 300") as process:
        assert line(process) == "up"
        eventually(lambda: health(state, "1", "false") and process.poll(), within_s=20)
        assert process.returncode == 124
        assert process.stderr
        assert "etl: pond made no progress for" in process.stderr.read()


def test_a_start_that_uses_processor_time_gets_its_whole_limit_anew(
    state: Path,
) -> None:
    """A slow machine makes a start longer and not a failure."""
    with init(state, "sh", "-c", "echo up; while :; do :; done") as process:
        assert line(process) == "up"
        noted: set[str] = set()

        def noted_again() -> bool:
            assert health(state, "60", "false") == 1
            noted.add((state / "progress").read_text())
            return len(noted) >= 2

        eventually(noted_again, within_s=50)
        assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        kill(state)
