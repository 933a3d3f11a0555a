"""Notes on a receipt: where rows came from, what was replaced, what was left out."""

from __future__ import annotations

from collections.abc import Iterator

from etl.ledger.receipt import LoadReceipt, SourceReceipt, StepReceipt


def notes(source: SourceReceipt) -> Iterator[str]:
    """Yield a sentence on each thing that the counts alone do not show."""
    for step in source.inputs:
        yield from _of_input(source, step)
    if source.sample_rows_replaced:
        yield (
            f"real data replaced the sample: {source.sample_rows_replaced:,} rows of "
            "the sample were deleted"
        )
    if source.counts.retracted:
        yield (
            f"{source.counts.retracted:,} rows retracted; "
            f"{source.rows_before or 0:,} rows before, {source.rows_after or 0:,} after"
        )
    if source.counts.rejected:
        yield rejects_note(source)


def _of_input(source: SourceReceipt, step: StepReceipt) -> Iterator[str]:
    if step.input is None:
        return
    if step.input.kind == "sample":
        yield (
            f"this is the sample {step.input.name}, not real data; "
            f"load a file: ./etl run --input {source.source}=FILE"
        )
    elif step.input.kind == "filtered_api":
        yield f"{step.input.name} is an API answer to a part of what the API has"


def rejects_note(load: LoadReceipt) -> str:
    """Return how many rows were rejected and how many of them are stored."""
    rejected, stored = load.counts.rejected, load.rejects_stored
    if stored >= rejected:
        return f"{rejected:,} rows rejected, all of them stored"
    return (
        f"{rejected:,} rows rejected, the first {stored:,} of them stored; the other "
        f"{rejected - stored:,} are counted by rule only, their lines are in the raw "
        "file, which is kept"
    )
