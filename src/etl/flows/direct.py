"""Runs the master flow in this process: no deployment, no worker, the same result."""

from __future__ import annotations

import asyncio
from typing import Any

from prefect import State

from etl.console import Result, write
from etl.flows.master import master_flow
from etl.flows.run_error import run_error
from etl.flows.run_receipt import read_final_receipt
from etl.ledger.receipt import RunReceipt
from etl.report.render import as_text


async def final_state(parameters: dict[str, Any]) -> State[Any]:
    """Await the flow; `asyncio.run` takes a coroutine, which a flow's call is not."""
    return await master_flow(**parameters, return_state=True)


def run_in_process(**parameters: Any) -> RunReceipt:
    """Run the master flow to its end, print its receipt and return it.

    Args:
        parameters: Those of the flow: sources, inputs, complete, reload.

    Raises:
        SystemExit: The run failed; the exit code is that of `./etl run`.
    """
    # The flow itself is `async def`: a bare call would only make a coroutine.
    state = asyncio.run(final_state(parameters))
    run_id = state.state_details.flow_run_id
    receipt = read_final_receipt(run_id) if run_id else None
    error = run_error(state.type.value, state.message or "", receipt)
    text = as_text(receipt) if receipt else ""
    write(Result(text=text, error=error), as_json=False)
    if error or receipt is None:
        raise SystemExit(error.exit_code if error else 1)
    return receipt
