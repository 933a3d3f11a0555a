"""What the worker runs: the command of the deployment, never one that a run brings.

Prefect merges the job variables of a run over those of its deployment. Whoever may
start a run could thus run any command, in any folder, with any PATH.
"""

from __future__ import annotations

from typing import Any, Self

from prefect.client.schemas.objects import FlowRun
from prefect.workers.process import ProcessJobConfiguration

from etl.errors import EtlError

# What a run may set: how it is shown, not what is executed.
PREFECT_ENGINE, OWN_ENGINE = "python -m prefect.engine", "python -m etl.flows.engine"
HARMLESS = frozenset({"name", "labels", "stream_output"})


class JobVariablesRefused(EtlError):
    """A run brought job variables that decide what is executed."""

    code = "JOB_VARIABLES_REFUSED"


class DeployedJobConfiguration(ProcessJobConfiguration):
    """The job configuration of a deployment, whichever run asks for it."""

    @classmethod
    async def resolve_for_flow_run(
        cls, flow_run: FlowRun, *args: Any, **kwargs: Any
    ) -> Self:
        """Build the configuration of a run.

        Raises:
            JobVariablesRefused: The run has variables of its own. It is Crashed then.
        """
        refused = sorted(set(flow_run.job_variables or {}) - HARMLESS)
        if refused:
            raise JobVariablesRefused(
                f"this run sets the job variables {', '.join(refused)}; the worker "
                "uses those of the deployment alone",
                "set them in prefect.yaml, then ./etl deploy",
            )
        found = await super().resolve_for_flow_run(flow_run, *args, **kwargs)
        if found.command == PREFECT_ENGINE:
            found.command = OWN_ENGINE
        return found
