"""The job deploy: makes the deployments of `prefect.yaml` on Prefect's server.

    python -m etl.flows.deploy [--json]

Makes the work pool if it is absent, creates or updates every deployment of the file,
and removes those which carry the file's tag and are no longer in it. A server that
has all this already is left alone, and found to be so without Prefect's imports.
"""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path

import anyio
import click

from etl.command import output_options
from etl.console import Result, run_program
from etl.flows.deployment_file import read_deployment_file
from etl.flows.deployments_current import current_deployments
from etl.flows.prefect_api import PrefectApi, api_url

PREFECT_FILE = Path("prefect.yaml")
API_WITHIN_SECONDS = 120.0


@click.command("deploy", params=output_options())
def deploy() -> Result:
    """Make or update the work pool and the deployments of prefect.yaml."""
    file = read_deployment_file(PREFECT_FILE, os.environ)
    api = PrefectApi(api_url())
    api.wait_until_healthy(within_seconds=API_WITHIN_SECONDS)
    done = current_deployments(api, file)
    if done is None:
        from etl.flows.deployments import write_deployments

        done = anyio.run(write_deployments, file)
    return Result(
        data={"deployments": [asdict(entry) for entry in done]},
        text="\n".join(f"{entry.outcome}  {entry.name}" for entry in done),
    )


if __name__ == "__main__":
    raise SystemExit(run_program(deploy, name="./etl deploy"))
