"""Starts a flow run through its deployment, follows it to its end and reports it.

`python -m etl.flows.run` is the stack's job run-etl: the command `run` of `etl.cli`.
Uses Prefect's REST API, not its client, so that the first line of progress is printed
before Prefect would be imported.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any, NoReturn
from uuid import UUID

from etl.console import Result, report_progress, run_program
from etl.errors import EtlError
from etl.flows.deployed_run import create_deployed_run
from etl.flows.follow import POLL_SECONDS, Follower
from etl.flows.prefect_api import FlowRun, PrefectApi, api_url, work_pool_name
from etl.flows.run_error import run_error

CANCEL_WITHIN_SECONDS = 15.0
CANCELLING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """What a run is to load; the options of `./etl run`."""

    inputs: Sequence[str]
    sources: Sequence[str]
    complete: Sequence[str]
    retract_up_to: float | None
    sample: bool
    replace_real: bool
    reload: bool
    deployment: str
    no_wait: bool


def start_run(request: RunRequest) -> Result:
    """Start a run, follow it to its end, and report it."""
    parameters = flow_parameters(request)
    api = PrefectApi(api_url())
    run = create_deployed_run(api, request.deployment, parameters, report_progress)
    address = f"{ui_url(api)}/runs/flow-run/{run.id}"
    report_progress(f"run {run.id}\n    {address}")
    if request.no_wait:
        return Result(run_data(run, address), run.id)
    follower = follow(api, run)
    ended = follow_or_cancel(api, run, follower)
    result = final_result(ended, address)
    follower.drain_logs()  # a process delivers its last lines as it ends
    return result


def flow_parameters(request: RunRequest) -> dict[str, Any]:
    """Return the parameters of the flow; copy input files into the raw store."""
    switches = {
        "reload": request.reload,
        "sample": request.sample,
        "replace_real": request.replace_real,
        "retract_up_to": request.retract_up_to,
    }
    if not (request.inputs or request.sources or request.complete):
        return switches

    # Imported here: a run without inputs starts before these would be imported.
    from etl.extract.inputs import store_input
    from etl.run.plan import check_complete
    from etl.settings import load_settings

    written: dict[str, list[str]] = {}
    for text in request.inputs:
        source, _, value = text.partition("=")
        written.setdefault(source, []).append(value)
    check_complete(written, request.complete)
    settings = load_settings()
    return {
        **switches,
        "sources": list(request.sources) or None,
        "inputs": {
            source: [store_input(value, settings) for value in values]
            for source, values in written.items()
        },
        "complete": list(request.complete),
    }


def follow(api: PrefectApi, run: FlowRun) -> Follower:
    """Return the follower that reports the run's progress."""
    return Follower(
        api,
        run,
        work_pool_name(),
        process_is_alive=lambda: is_alive(run),
        report=report_progress,
    )


def follow_or_cancel(api: PrefectApi, run: FlowRun, follower: Follower) -> FlowRun:
    """Follow the run to its end; cancel it if this process is interrupted."""
    for signum in CANCELLING_SIGNALS:
        signal.signal(signum, interrupt)
    try:
        return follower.to_the_end()
    except KeyboardInterrupt:
        for signum in CANCELLING_SIGNALS:  # it may arrive twice: see `interrupt`
            signal.signal(signum, signal.SIG_IGN)
        cancel(api, run)
        raise


def interrupt(_signum: int, _frame: FrameType | None) -> NoReturn:
    """Treat SIGTERM and SIGHUP like Ctrl-C, also where a shell had it ignored.

    A closed terminal sends SIGHUP to this process and to the program that started it,
    which passes it on.
    """
    raise KeyboardInterrupt


def cancel(api: PrefectApi, run: FlowRun) -> None:
    """Cancel a run, wait for its end within a bound, and report its state."""
    report_progress(f"interrupted: cancelling run {run.id}")
    try:
        api.set_state(run.id, "CANCELLING", "interrupted", force=False)
        deadline = time.monotonic() + CANCEL_WITHIN_SECONDS
        now = api.flow_run(run.id)
        while not now.is_final and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
            now = api.flow_run(run.id)
    except EtlError as error:
        report_progress(f"it could not be cancelled: {error}\n  fix: {error.hint}")
        return
    report_progress(f"run {run.id} is {now.state_name}")


def final_result(ended: FlowRun, address: str) -> Result:
    """Report a run that has ended, from the ledger."""
    from etl.flows.run_receipt import read_final_receipt
    from etl.report.render import as_text

    try:
        receipt = read_final_receipt(UUID(ended.id))
    except EtlError as error:  # the database does not answer: report Prefect's state
        state = f"{ended.state_name}: {ended.message}"
        return Result(run_data(ended, address), state, error)
    return Result(
        data=(receipt.to_dict() if receipt else {}) | run_data(ended, address),
        text=as_text(receipt) if receipt else "",
        error=run_error(ended.state, ended.message, receipt),
    )


def is_alive(run: FlowRun) -> bool:
    """Return whether the run's process is running."""
    from etl.flows.run_receipt import has_running_process

    return has_running_process(UUID(run.id))


def run_data(run: FlowRun, address: str) -> dict[str, Any]:
    """Return Prefect's data on a run, which stand beside the receipt."""
    state = {"id": run.id, "name": run.name, "state": run.state, "url": address}
    return {"run_id": run.id, "flow_run": state}


def ui_url(api: PrefectApi) -> str:
    """Return the address at which a browser reaches Prefect."""
    given = os.environ.get("PREFECT_UI_URL", "").rstrip("/")
    return given or api.url.removesuffix("/api")


if __name__ == "__main__":
    from etl.cli import run as command

    raise SystemExit(run_program(command, name="./etl run"))
