"""The service prefect-worker: Prefect's process worker, started warm and stopped clean.

    python -m etl.flows.worker

It imports first and waits for the server then, because in a starting stack both take
seconds. Before it takes work it ends the runs that an earlier worker left behind. On
SIGTERM or SIGINT it ends its own, which are Crashed then, and leaves.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
import click
import httpx
from prefect.client.schemas.objects import FlowRun
from prefect.settings import get_current_settings
from prefect.workers.process import ProcessWorker

from etl.command import output_options
from etl.console import Result, run_program
from etl.flows.api import api_url, wait_until_api_answers, work_pool_name
from etl.flows.crashed_runs import forget_worker, sweep
from etl.flows.logs import heed_log_level

# By name: as a service this module is called __main__.
logger = logging.getLogger("etl.flows.worker")

API_WITHIN_SECONDS = 120.0
OUTAGE_SECONDS = 600.0
LAST_WORDS_SECONDS = 5.0


class PatientWorker(ProcessWorker):
    """A process worker that outlives its server's restart.

    Prefect's own gives up after twelve failed polls, which at five polls a second is a
    matter of seconds, and takes its runs down with it.
    """

    @classmethod
    def __dispatch_key__(cls) -> str:
        """Register beside Prefect's process worker, not in its place."""
        return "biocirv-process"

    async def get_and_submit_flow_runs(self) -> list[FlowRun]:
        """Poll once; if the server is away, wait until it is back."""
        try:
            return await super().get_and_submit_flow_runs()
        except httpx.TransportError as error:
            logger.warning("Prefect's API is away (%s); waiting for it", error)
            wait = partial(
                wait_until_api_answers, api_url(), within_seconds=OUTAGE_SECONDS
            )
            await anyio.to_thread.run_sync(wait, abandon_on_cancel=True)
            logger.warning("Prefect's API is back")
            return []


async def serve(pool: str) -> None:
    """Sweep, then work until a signal asks to stop."""
    name = socket.gethostname()
    await forget_worker(pool, name)
    await sweep(pool, name)
    worker = PatientWorker(
        work_pool_name=pool,
        name=name,
        heartbeat_interval_seconds=int(get_current_settings().worker.heartbeat_seconds),
    )
    async with anyio.create_task_group() as group:
        group.start_soon(stop_on_signal, group.cancel_scope)
        try:
            await worker.start(printer=logger.info)
        finally:
            await leave(pool, name)


async def leave(pool: str, name: str) -> None:
    """End what this worker started: its processes are gone, without a last word."""
    with anyio.move_on_after(LAST_WORDS_SECONDS, shield=True):
        try:
            await sweep(pool, name)
            await forget_worker(pool, name)
        except httpx.HTTPError as error:
            logger.warning("left without a word, the next worker will sweep: %s", error)


async def stop_on_signal(scope: anyio.CancelScope) -> None:
    """Cancel the work at the first signal; a second one ends the process at once."""
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for received in signals:
            if scope.cancel_called:
                os._exit(128 + received)
            logger.info("%s: stopping", signal.Signals(received).name)
            scope.cancel()


@click.command("worker", params=output_options())
def worker() -> Result:
    """Prepare the process, wait for the server, and serve."""
    heed_log_level()
    # Runs start as `python`: the one of this environment, whatever was on the PATH.
    here = str(Path(sys.executable).parent)
    os.environ["PATH"] = os.pathsep.join([here, os.environ.get("PATH", os.defpath)])
    pool = work_pool_name()
    wait_until_api_answers(api_url(), within_seconds=API_WITHIN_SECONDS)
    anyio.run(serve, pool)
    return Result()


if __name__ == "__main__":
    raise SystemExit(run_program(worker, name="etl.flows.worker"))
