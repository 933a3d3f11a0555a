"""The job deploy: brings Prefect's server in step with `prefect.yaml`.

    python -m etl.flows.deploy [--json]

Makes the work pool if it is absent, creates or updates every deployment of the file,
and removes those which carry the file's tag and are no longer in it. A server that
has all this already is left alone, and found to be so without Prefect's imports.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import asdict
from pathlib import Path

import anyio

from etl.flows.api import api_url, http_client, wait_until_api_answers
from etl.flows.command import Result, run_command
from etl.flows.deployment_file import read_deployment_file
from etl.flows.deployments_current import read_in_step

PREFECT_FILE = Path("prefect.yaml")
API_WITHIN_SECONDS = 120.0


def command(_arguments: argparse.Namespace) -> Result:
    """Deploy, and say what became of each deployment."""
    file = read_deployment_file(PREFECT_FILE, os.environ)
    wait_until_api_answers(api_url(), within_seconds=API_WITHIN_SECONDS)
    with http_client(api_url()) as http:
        done = read_in_step(http, file)
    if done is None:
        from etl.flows.deployments import write_deployments

        done = anyio.run(write_deployments, file)
    return Result(
        data={"deployments": [asdict(entry) for entry in done]},
        text="\n".join(f"{entry.outcome}  {entry.name}" for entry in done),
    )


def main() -> int:
    """Run the job and return its exit code."""
    parser = argparse.ArgumentParser("etl deploy", description=__doc__.split("\n")[0])
    return run_command(parser, command)


if __name__ == "__main__":
    raise SystemExit(main())
