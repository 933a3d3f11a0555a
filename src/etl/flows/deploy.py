"""The job deploy: brings Prefect's server in step with `prefect.yaml`.

    python -m etl.flows.deploy [--json]

Makes the work pool if it is absent, creates or updates every deployment of the
file, and removes those which carry the file's tag and are no longer in it. Doing
it twice changes nothing. It imports the flows first and waits for the server then,
because in a starting stack both take seconds and can take them at the same time.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import UUID

import anyio
from prefect import Flow
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate, WorkPoolCreate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags
from prefect.client.schemas.objects import WorkPool
from prefect.client.schemas.schedules import CronSchedule
from prefect.client.schemas.sorting import DeploymentSort
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.flows import load_flow_from_entrypoint
from prefect.utilities.callables import parameter_schema
from prefect.workers.process import ProcessWorker

from etl.errors import ConfigError
from etl.flows.api import api_url, wait_until_api_answers
from etl.flows.command import Result, run_command
from etl.flows.deployment_file import Deployment, DeploymentFile, read_deployment_file

PREFECT_FILE = Path("prefect.yaml")
API_WITHIN_SECONDS = 120.0


@dataclass(frozen=True)
class Deployed:
    """What became of one deployment: `created`, `updated` or `removed`."""

    name: str
    outcome: str
    id: str


async def deploy(
    file: DeploymentFile, flows: Mapping[str, Flow[..., object]]
) -> list[Deployed]:
    """Bring the server in step with the file; return one entry per deployment."""
    async with get_client() as client:
        for pool in sorted({item.work_pool.name for item in file.deployments}):
            await ensure_work_pool(client, pool)
        before = await deployments_with_tag(client, file.name)
        done = [
            await apply(client, flows[item.entrypoint], item, before)
            for item in file.deployments
        ]
        kept = {entry.name for entry in done}
        for name in sorted(before.keys() - kept):
            await client.delete_deployment(UUID(before[name]))
            done.append(Deployed(name, "removed", before[name]))
    return done


def load_flow(deployment: Deployment) -> Flow[..., object]:
    """Import the flow of a deployment."""
    try:
        return load_flow_from_entrypoint(
            deployment.entrypoint, use_placeholder_flow=False
        )
    except Exception as error:  # an import may fail with anything
        raise ConfigError(
            f"deployment {deployment.name}: cannot load its flow "
            f"{deployment.entrypoint}: {error}",
            "edit the entrypoint in prefect.yaml",
        ) from error


async def ensure_work_pool(client: PrefectClient, name: str) -> WorkPool:
    """Make the pool unless it is there; a pool of another type is left as it is."""
    try:
        return await client.read_work_pool(name)
    except ObjectNotFound:
        pool = WorkPoolCreate(
            name=name,
            type=ProcessWorker.type,
            base_job_template=ProcessWorker.get_default_base_job_template(),
        )
        try:
            return await client.create_work_pool(pool)
        except ObjectAlreadyExists:  # the worker, starting beside us, was first
            return await client.read_work_pool(name)


async def deployments_with_tag(client: PrefectClient, tag: str) -> dict[str, str]:
    """Return the ids of the deployments with this tag, by `flow/deployment`."""
    found = await client.read_deployments(
        deployment_filter=DeploymentFilter(tags=DeploymentFilterTags(all_=[tag])),
        sort=DeploymentSort.NAME_ASC,
        limit=200,
    )
    flow_names = {
        flow_id: (await client.read_flow(flow_id)).name
        for flow_id in {item.flow_id for item in found}
    }
    return {f"{flow_names[item.flow_id]}/{item.name}": str(item.id) for item in found}


async def apply(
    client: PrefectClient,
    flow: Flow[..., object],
    deployment: Deployment,
    before: dict[str, str],
) -> Deployed:
    """Create or update one deployment; the server keys it by flow and name."""
    deployment_id = await client.create_deployment(
        flow_id=await client.create_flow(flow),
        name=deployment.name,
        entrypoint=deployment.entrypoint,
        version=flow.version,
        description=deployment.description,
        tags=deployment.tags,
        parameters=deployment.parameters,
        parameter_openapi_schema=parameter_schema(flow).model_dump(exclude_unset=True),
        enforce_parameter_schema=True,
        work_pool_name=deployment.work_pool.name,
        job_variables=deployment.work_pool.job_variables,
        schedules=[
            DeploymentScheduleCreate(
                schedule=CronSchedule(cron=item.cron, timezone=item.timezone),
                active=item.active,
                slug=item.slug,
            )
            for item in deployment.schedules
        ],
        paused=deployment.paused,
        # Not None: a list, though empty, replaces steps that someone deployed before.
        pull_steps=[],
    )
    name = f"{flow.name}/{deployment.name}"
    outcome = "updated" if name in before else "created"
    return Deployed(name, outcome, str(deployment_id))


def command(arguments: argparse.Namespace) -> Result:
    """Deploy, and say what became of each deployment."""
    file = read_deployment_file(PREFECT_FILE, os.environ)
    flows = {item.entrypoint: load_flow(item) for item in file.deployments}
    wait_until_api_answers(api_url(), within_seconds=API_WITHIN_SECONDS)
    done = anyio.run(deploy, file, flows)
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
