"""Runs the master flow in this process, without a deployment.

python -c 'from run_prefect_flow import master_flow; master_flow()'
"""

from __future__ import annotations

from etl.flows.direct import run_in_process as master_flow

__all__ = ["master_flow"]
