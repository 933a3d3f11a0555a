"""Runs one flow run: Prefect's engine, connected to the worker by a unix socket.

    python -m etl.flows.engine

The worker starts it in the place of `python -m prefect.engine`.
"""

from __future__ import annotations

import runpy

from etl.flows.control_channel import connect_to_worker


def main() -> None:
    """Run the flow run that the environment names."""
    connect_to_worker()
    runpy.run_module("prefect.engine", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
