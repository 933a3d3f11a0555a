"""Writes deployments to Prefect's server, through Prefect's own client.

Importing this takes seconds; it is needed only if a deployment has changed.
"""

from __future__ import annotations

from uuid import UUID

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
from etl.flows.deployment_file import Deployment, DeploymentFile
from etl.flows.deployments_current import Deployed, code_version


async def write_deployments(file: DeploymentFile) -> list[Deployed]:
    """Make the server's deployments those of the file; return one entry for each.

    Raises:
        ConfigError: A flow cannot be imported; then nothing has been written.
    """
    flows = {item.entrypoint: load_flow(item) for item in file.deployments}
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
        version=code_version(),
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
