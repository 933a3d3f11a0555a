"""Creates the run of a deployment; makes deployments again that were deleted."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from etl.errors import ConfigError
from etl.flows.deployment_file import read_deployment_file
from etl.flows.prefect_api import DeploymentMissing, FlowRun, PrefectApi

PREFECT_FILE = Path("prefect.yaml")


def create_deployed_run(
    api: PrefectApi,
    deployment: str,
    parameters: dict[str, Any],
    report: Callable[[str], None],
) -> FlowRun:
    """Create a run of `flow/deployment`.

    Raises:
        DeploymentMissing: Neither the server nor `prefect.yaml` has it.
    """
    try:
        return api.create_run(deployment, parameters)
    except DeploymentMissing:
        file = read_deployment_file(PREFECT_FILE, os.environ)
        names = {item.name for item in file.deployments}
        if deployment.rpartition("/")[2] not in names:
            raise
    report(f"the deployment {deployment} was deleted: deploying {PREFECT_FILE} again")
    deploy_again()
    return api.create_run(deployment, parameters)


def deploy_again() -> None:
    """Run the job deploy: a process of its own, for it imports Prefect."""
    done = subprocess.run(
        [sys.executable, "-m", "etl.flows.deploy"],
        stdout=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode:
        raise ConfigError("the deployments could not be made again", "./etl deploy")
