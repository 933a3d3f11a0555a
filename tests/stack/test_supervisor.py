"""The supervisor on small services: order, readiness, death, restart, stop."""

from __future__ import annotations

import os
import signal
from dataclasses import replace

import anyio
import pytest
from tests.stack.conftest import CHECKOUT

from ci.host.home import Home
from ci.host.ports import choose, is_free
from ci.local.launch import Launcher
from ci.local.layout import settle
from ci.local.processes import marked
from ci.local.state import State
from ci.local.supervisor import Supervisor
from ci.stack.errors import UnitFailed
from ci.stack.model import Condition, HttpProbe, Job, Port, Service, Stack
from ci.stack.services import describe
from ci.stack.settings import StackSettings

pytestmark = pytest.mark.anyio


def web(name: str, **changes: object) -> Service:
    """A dummy service: a web server from the standard library."""
    port = choose(Port("http", 18080, None)).number
    service = Service(
        name=name,
        summary="a dummy",
        command=("python", "-m", "http.server", str(port), "--bind", "127.0.0.1"),
        probe=HttpProbe(f"http://127.0.0.1:{port}/"),
        within_s=20.0,
    )
    return replace(service, **changes)  # type: ignore[arg-type]


def python(name: str, code: str, **changes: object) -> Job:
    """A job that runs a line of Python."""
    job = Job(name=name, summary="a dummy", command=("python", "-c", code))
    return replace(job, **changes)  # type: ignore[arg-type]


def supervisor(
    home: Home, *units: Service | Job, seen: list[State] | None = None
) -> Supervisor:
    """A supervisor of a stack made of these units."""
    place = settle(home, StackSettings())
    launcher = Launcher(CHECKOUT, home, place.postgres)
    note = (
        (lambda state: seen.append(replace(state)))
        if seen is not None
        else (lambda s: None)
    )
    stack = Stack({unit.name: unit for unit in units})
    return Supervisor(stack, launcher, password="x", on_change=note)


async def test_a_service_added_to_the_real_stack_is_run_without_any_other_change(
    home: Home,
) -> None:
    """Adding a service touches the description alone."""
    place = settle(home, StackSettings())
    stack = describe(StackSettings(), place.endpoints)
    dummy = web("dummy", needs={"db": Condition.HEALTHY})
    grown = Stack({**stack.units, dummy.name: dummy})
    launcher = Launcher(CHECKOUT, home, place.postgres)
    async with Supervisor(grown, launcher, password="x") as running:
        await running.ensure(["dummy"])
        states = {state["name"]: state["status"] for state in running.states()}
    assert states["db"] == "ready"
    assert states["dummy"] == "ready"
    assert states["prefect-server"] == "stopped"  # no request named it


async def test_units_start_when_their_needs_are_met_and_stop_in_reverse(
    home: Home,
) -> None:
    seen: list[State] = []
    first = python("first", "pass")
    middle = web("middle", needs={"first": Condition.COMPLETED})
    last = web("last", needs={"middle": Condition.HEALTHY})
    async with supervisor(home, last, middle, first, seen=seen) as running:
        await running.ensure(["last"])
    order = [(s.name, s.status) for s in seen]
    assert order.index(("first", "completed")) < order.index(("middle", "starting"))
    assert order.index(("middle", "ready")) < order.index(("last", "starting"))
    assert order.index(("last", "stopped")) < order.index(("middle", "stopped"))
    assert not list(marked(home.marks))


async def test_a_gate_that_fails_keeps_what_needs_it_from_starting(home: Home) -> None:
    seen: list[State] = []
    gate = python("gate", "import sys; print('no such table'); sys.exit(3)")
    behind = web("behind", needs={"gate": Condition.COMPLETED})
    async with supervisor(home, gate, behind, seen=seen) as running:
        with pytest.raises(UnitFailed) as failure:
            await running.ensure(["behind"])
    text = str(failure.value)
    assert "gate failed (exit code 3)" in text
    assert "| no such table" in text
    assert ("behind", "starting") not in [(s.name, s.status) for s in seen]


async def test_a_job_that_reports_an_error_and_its_fix_fails_with_these(
    home: Home,
) -> None:
    code = "import sys; print('error: too new\\n  fix: git pull'); sys.exit(4)"
    gate = python("gate", code)
    behind = web("behind", needs={"gate": Condition.COMPLETED})
    async with supervisor(home, gate, behind) as running:
        with pytest.raises(UnitFailed) as failure:
            await running.ensure(["behind"])
    assert failure.value.what == "gate failed: too new"
    assert failure.value.hint == "git pull"
    assert failure.value.exit_code == 4


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import sys; print('cannot bind'); sys.exit(9)", "ended (exit code 9)"),
        ("import time; print('deaf'); time.sleep(60)", "ended (killed by signal"),
    ],
    ids=["ends at once", "never ready"],
)
async def test_a_service_that_does_not_become_ready_is_named_with_its_log(
    home: Home, code: str, message: str
) -> None:
    broken = web(
        "broken", command=("python", "-c", code), within_s=1.5, stop_within_s=1.0
    )
    async with supervisor(home, broken) as running:
        with pytest.raises(UnitFailed) as failure:
            await running.ensure(["broken"])
    assert message in str(failure.value)
    assert "  | " in str(failure.value)


async def test_a_service_that_is_killed_is_started_again(home: Home) -> None:
    async with supervisor(home, web("web")) as running:
        await running.ensure(["web"])
        state = running.running["web"].state
        first = state.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        with anyio.fail_after(20):
            while state.pid in (first, None) or state.status != "ready":
                await anyio.sleep(0.02)
        assert state.restarts == 1


async def test_a_service_that_keeps_dying_has_failed(home: Home) -> None:
    async with supervisor(home, web("web")) as running:
        await running.ensure(["web"])
        state = running.running["web"].state
        with anyio.fail_after(40):
            while state.status != "failed":
                if state.status == "ready" and state.pid:
                    os.kill(state.pid, signal.SIGKILL)
                await anyio.sleep(0.02)
    assert "killed by signal 9" in state.detail


async def test_what_a_service_leaves_behind_ends_with_it(home: Home) -> None:
    """A grandchild in a session of its own is found by its environment."""
    port = choose(Port("http", 18080, None)).number
    code = (
        "import subprocess, sys, http.server as h\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)'],"
        " start_new_session=True)\n"
        f"h.test(h.SimpleHTTPRequestHandler, port={port}, bind='127.0.0.1')"
    )
    parent = web(
        "parent",
        command=("python", "-c", code),
        probe=HttpProbe(f"http://127.0.0.1:{port}/"),
    )
    async with supervisor(home, parent) as running:
        await running.ensure(["parent"])
        assert len(list(marked(home.marks))) == 2
    assert not list(marked(home.marks))
    assert is_free(port)


async def test_a_service_deaf_to_its_stop_signal_is_killed(home: Home) -> None:
    code = (
        "import signal, sys, http.server as h\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "h.test(h.SimpleHTTPRequestHandler, port=int(sys.argv[1]), bind='127.0.0.1')"
    )
    deaf = web("deaf", stop_within_s=0.5)
    deaf = replace(deaf, command=("python", "-c", code, deaf.command[3]))
    async with supervisor(home, deaf) as running:
        await running.ensure(["deaf"])
        with anyio.fail_after(10):
            await running.stop(["deaf"])
    assert not list(marked(home.marks))


async def test_output_of_any_size_never_blocks_a_service(home: Home) -> None:
    code = "import sys; sys.stdout.write('x' * 2_000_000); sys.exit(0)"
    async with supervisor(home, python("loud", code)) as running:
        with anyio.fail_after(20):
            await running.ensure(["loud"])
    assert (home.logs / "loud.log").stat().st_size == 2_000_000
