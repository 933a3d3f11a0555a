"""Publishes a run's report as Prefect artifacts and returns its final state."""

from __future__ import annotations

import logging

import httpx
from prefect import State
from prefect.artifacts import acreate_markdown_artifact, acreate_table_artifact
from prefect.logging.handlers import APILogHandler
from prefect.states import Completed, Failed

from etl.ledger.receipt import RunReceipt
from etl.report.render import as_markdown

logger = logging.getLogger(__name__)

REPORT_KEY = "run-report"
COUNTS_KEY = "run-counts"


async def finish(receipt: RunReceipt) -> State[None]:
    """Publish the report of a closed run and return the state it ends in."""
    try:
        await acreate_markdown_artifact(
            key=REPORT_KEY,
            markdown=as_markdown(receipt),
            description="Report of the run",
        )
        await acreate_table_artifact(
            key=COUNTS_KEY, table=count_rows(receipt), description="Rows per source"
        )
    except httpx.HTTPError as error:
        # The ledger has the receipt; a page missing in the UI is no failed load.
        logger.warning("the run's report could not be published: %s", error)
    # The follower reads the last log lines when the run has ended: send them before.
    await APILogHandler.aflush()
    return end_state(receipt)


def count_rows(receipt: RunReceipt) -> list[dict[str, object]]:
    """Return one row per source with its status and counts."""
    return [
        {"source": name, "status": source.status, **source.counts.to_dict()}
        for name, source in receipt.sources.items()
    ]


def end_state(receipt: RunReceipt) -> State[None]:
    """Return Completed or Failed, with the text that the list of runs shows."""
    if receipt.status == "failed":
        return Failed(message=failures(receipt))
    rejected = sum(source.counts.rejected for source in receipt.sources.values())
    if receipt.status == "partial":
        return Completed(message=f"partial: {rejected:,} rows rejected")
    return Completed(message=f"{len(receipt.sources)} sources loaded")


def failures(receipt: RunReceipt) -> str:
    """Name the sources that were not loaded, each with its reason."""
    return "; ".join(
        f"{name} {source.status}: {source.error.message}"
        if source.error
        else f"{name} {source.status}"
        for name, source in receipt.sources.items()
        if source.status != "loaded"
    )
