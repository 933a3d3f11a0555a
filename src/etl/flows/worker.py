"""The service prefect-worker: Prefect's process worker, with recovery of crashed runs.

    python -m etl.flows.worker

It waits for the server after its imports, because both take seconds in a starting
stack. Before it takes runs it marks those that an earlier worker started as crashed.
On SIGTERM or SIGINT it ends its own runs, which become Crashed, and stops.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
import click
import httpx
import psutil
from prefect.client.schemas.objects import FlowRun
from prefect.settings import get_current_settings
from prefect.workers.process import ProcessWorker

from etl.command import output_options
from etl.console import Result, run_program
from etl.flows.control_channel import private_control_channel
from etl.flows.crashed_runs import delete_worker, sweep
from etl.flows.job_configuration import DeployedJobConfiguration
from etl.flows.logs import set_log_level
from etl.flows.prefect_api import PrefectApi, api_url, work_pool_name

# By name: as a service this module is called __main__.
logger = logging.getLogger("etl.flows.worker")

API_WITHIN_SECONDS = 120.0
CGROUP_MEMORY = Path("/sys/fs/cgroup/memory.max")
OUTAGE_SECONDS = 600.0
CLEAN_UP_SECONDS = 5.0


class PatientWorker(ProcessWorker):
    """A process worker that keeps running while its server restarts.

    Prefect's own stops after twelve failed polls, which is within three seconds at five
    polls a second, and its runs crash. This one also refuses a command that a run
    brings.
    """

    job_configuration = DeployedJobConfiguration

    @classmethod
    def __dispatch_key__(cls) -> str:
        """Register beside Prefect's process worker, not in its place."""
        return "biocirv-process"

    async def get_and_submit_flow_runs(self) -> list[FlowRun]:
        """Poll once; if the server does not answer, wait until it does."""
        try:
            return await super().get_and_submit_flow_runs()
        except httpx.TransportError as error:
            logger.warning("Prefect's API does not answer (%s); waiting for it", error)
            api = PrefectApi(api_url())
            wait = partial(api.wait_until_healthy, within_seconds=OUTAGE_SECONDS)
            await anyio.to_thread.run_sync(wait, abandon_on_cancel=True)
            logger.warning("Prefect's API answers again")
            return []


def run_limit(environment: Mapping[str, str]) -> int:
    """Return how many runs may execute at the same time; the others wait.

    PREFECT_WORKER_LIMIT, else one per processor and at most one per GB of memory: a run
    is a process of its own.
    """
    if given := environment.get("PREFECT_WORKER_LIMIT"):
        return int(given)
    return max(1, min(os.cpu_count() or 1, memory_bytes() // 10**9))


def memory_bytes() -> int:
    """Return the memory of this machine, or of the container that we run in."""
    total = int(psutil.virtual_memory().total)
    try:
        limit = CGROUP_MEMORY.read_text().strip()
    except OSError:  # not Linux, or no such control group
        return total
    return min(total, int(limit)) if limit.isdecimal() else total


async def serve(pool: str) -> None:
    """Mark crashed runs, then run the worker until a signal stops it."""
    name = socket.gethostname()
    await delete_worker(pool, name)
    await sweep(pool, name)
    worker = PatientWorker(
        work_pool_name=pool,
        name=name,
        heartbeat_interval_seconds=int(get_current_settings().worker.heartbeat_seconds),
        limit=run_limit(os.environ),
    )
    async with anyio.create_task_group() as group:
        group.start_soon(stop_on_signal, group.cancel_scope)
        try:
            await worker.start(printer=logger.info)
        finally:
            await clean_up(pool, name)


async def clean_up(pool: str, name: str) -> None:
    """Mark the runs of this worker as crashed: their processes have ended with it."""
    with anyio.move_on_after(CLEAN_UP_SECONDS, shield=True):
        try:
            await sweep(pool, name)
            await delete_worker(pool, name)
        except httpx.HTTPError as error:
            logger.warning(
                "its runs could not be marked, the next worker does it: %s", error
            )


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
    set_log_level()
    # Runs start as `python`: the one of this environment, whatever was on the PATH.
    here = str(Path(sys.executable).parent)
    os.environ["PATH"] = os.pathsep.join([here, os.environ.get("PATH", os.defpath)])
    pool = work_pool_name()
    PrefectApi(api_url()).wait_until_healthy(within_seconds=API_WITHIN_SECONDS)
    with private_control_channel():
        anyio.run(serve, pool)
    return Result()


if __name__ == "__main__":
    raise SystemExit(run_program(worker, name="etl.flows.worker"))
