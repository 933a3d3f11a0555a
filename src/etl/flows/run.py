"""The job run-etl: runs the master flow through its deployment and tells how it ended.

    python -m etl.flows.run [--input SOURCE=FILE]… [--source SOURCE]…
        [--complete SOURCE]… [--reload] [--deployment FLOW/NAME] [--no-wait] [--json]

Progress goes to standard error; the receipt, from the ledger, to standard output. Exit
code 0: every source loaded; 5: a data contract is broken; 1: failed otherwise, crashed
or cancelled; 130: interrupted, after cancelling the run. It speaks REST, not Prefect's
client, so that the first line is out before Prefect would be imported.
"""

from __future__ import annotations

import argparse
import os
import signal
import time
from types import FrameType
from typing import Any, NoReturn
from uuid import UUID

from etl.errors import ConfigError, EtlError
from etl.flows.api import api_url, work_pool_name
from etl.flows.command import Result, progress, run_command
from etl.flows.follow import POLL_SECONDS, Follower
from etl.flows.prefect_api import FlowRun, PrefectApi
from etl.flows.verdict import verdict

MASTER = "master-etl/master-etl-deployment"
CANCEL_WITHIN_SECONDS = 15.0


def arguments() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser("etl run", description=__doc__.split("\n")[0])
    parser.add_argument(
        "--input", action="append", default=[], metavar="SOURCE=FILE",
        help="load SOURCE from a file, or from `api` or `sample`",
    )  # fmt: skip
    parser.add_argument(
        "--source", action="append", metavar="SOURCE", help="load only this source"
    )
    parser.add_argument(
        "--complete", action="append", default=[], metavar="SOURCE",
        help="SOURCE's input holds everything: what it lacks is retracted",
    )  # fmt: skip
    parser.add_argument(
        "--reload", action="store_true", help="load inputs even if they are unchanged"
    )
    parser.add_argument("--deployment", default=MASTER, metavar="FLOW/NAME")
    parser.add_argument(
        "--no-wait", action="store_true", help="start the run and leave it to itself"
    )
    return parser


def command(given: argparse.Namespace) -> Result:
    """Start a run, follow it to its end, and report it."""
    parameters = flow_parameters(given)
    api = PrefectApi(api_url())
    run = api.create_run(given.deployment, parameters)
    address = f"{ui_url(api)}/runs/flow-run/{run.id}"
    progress(f"run {run.id}\n    {address}")
    if given.no_wait:
        return Result(told(run, address), run.id)
    follower = follow(api, run)
    ended = follow_or_cancel(api, run, follower)
    result = account(ended, address)
    follower.drain_logs()  # a process delivers its last lines as it ends
    return result


def flow_parameters(given: argparse.Namespace) -> dict[str, Any]:
    """Turn the command line into the master flow's parameters; stage the files."""
    named = [*(given.source or []), *given.complete]
    pairs = [value.partition("=") for value in given.input]
    for source, equals, value in pairs:
        if not (source and equals and value):
            raise ConfigError(
                f"--input {source}{equals}{value}: wants SOURCE=FILE",
                "./etl run --input nass=FILE",
            )
    if not named and not pairs:
        return {"reload": given.reload}

    # Only now: the registry and the settings take longer to import than a bare run.
    from etl.extract.inputs import store_input
    from etl.run.plan import plan
    from etl.settings import load_settings

    plan([*named, *(source for source, _, _ in pairs)])
    settings = load_settings()
    return {
        "sources": given.source,
        "inputs": {source: store_input(value, settings) for source, _, value in pairs},
        "complete": given.complete,
        "reload": given.reload,
    }


def follow(api: PrefectApi, run: FlowRun) -> Follower:
    """Return what watches the run and tells its progress."""
    return Follower(
        api,
        run,
        work_pool_name(),
        process_is_alive=lambda: is_alive(run),
        say=progress,
    )


def follow_or_cancel(api: PrefectApi, run: FlowRun, follower: Follower) -> FlowRun:
    """Follow the run to its end; cancel it if this process is interrupted."""
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, interrupt)
    try:
        return follower.to_the_end()
    except KeyboardInterrupt:
        cancel(api, run)
        raise


def interrupt(_signum: int, _frame: FrameType | None) -> NoReturn:
    """Treat SIGTERM like Ctrl-C, and Ctrl-C even where a shell had it ignored."""
    raise KeyboardInterrupt


def cancel(api: PrefectApi, run: FlowRun) -> None:
    """Cancel a run, wait a little for its end, and say what became of it."""
    progress(f"interrupted: cancelling run {run.id}")
    try:
        api.set_state(run.id, "CANCELLING", "interrupted", force=False)
        deadline = time.monotonic() + CANCEL_WITHIN_SECONDS
        now = api.flow_run(run.id)
        while not now.is_final and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
            now = api.flow_run(run.id)
    except EtlError as error:
        progress(f"it could not be cancelled: {error}\n  fix: {error.hint}")
        return
    progress(f"run {run.id} is {now.state_name}")


def account(ended: FlowRun, address: str) -> Result:
    """Report a run that has ended, from the ledger."""
    from etl.flows.run_receipt import ledger_account
    from etl.report.render import as_text

    try:
        receipt = ledger_account(UUID(ended.id))
    except EtlError as error:  # the database is away: say what Prefect knows
        known = f"{ended.state_name}: {ended.message}"
        return Result(told(ended, address), known, error)
    return Result(
        data=(receipt.to_dict() if receipt else {}) | told(ended, address),
        text=as_text(receipt) if receipt else "",
        error=verdict(ended.state, ended.message, receipt),
    )


def is_alive(run: FlowRun) -> bool:
    """Tell whether the run's process is at work."""
    from etl.flows.run_receipt import has_living_process

    return has_living_process(UUID(run.id))


def told(run: FlowRun, address: str) -> dict[str, Any]:
    """Return what Prefect knows of a run, beside the receipt in `data`."""
    state = {"id": run.id, "name": run.name, "state": run.state, "url": address}
    return {"run_id": run.id, "flow_run": state}


def ui_url(api: PrefectApi) -> str:
    """Return the address at which a browser reaches Prefect."""
    given = os.environ.get("PREFECT_UI_URL", "").rstrip("/")
    return given or api.url.removesuffix("/api")


def main() -> int:
    """Run the job and return its exit code."""
    return run_command(arguments(), command)


if __name__ == "__main__":
    raise SystemExit(main())
