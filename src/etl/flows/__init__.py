"""Prefect at the edge: flows, deployments, the worker, and the job that runs them.

The only folder that knows Prefect. This module imports nothing, so that `run`,
which speaks to Prefect's REST API alone, starts without importing it.
"""
