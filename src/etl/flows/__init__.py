"""Flows, deployments, the worker, and the job that starts runs.

The only folder that imports Prefect. This module imports nothing, because `run` uses
Prefect's REST API only and starts without importing Prefect.
"""
