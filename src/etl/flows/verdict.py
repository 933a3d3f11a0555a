"""What a run came to: of Prefect's state and the ledger's receipt, the worse one."""

from __future__ import annotations

from etl.errors import DataError, EtlError, SourceChanged
from etl.ledger.receipt import RunReceipt, SourceReceipt

CONTRACT_CODES = {DataError.code, SourceChanged.code}
GOOD_STATUSES = {"succeeded", "partial"}


class RunFailed(EtlError):
    """A source was not loaded; its own error says what to do."""

    code = "RUN_FAILED"


class ContractBroken(EtlError):
    """A source was not loaded because its data are not what its spec promises."""

    code = "CONTRACT_BROKEN"
    exit_code = 5


class RunCrashed(EtlError):
    """The run's process ended before the run did; the database is as it was before."""

    code = "RUN_CRASHED"


class RunStopped(EtlError):
    """Somebody cancelled the run."""

    code = "RUN_CANCELLED"


def verdict(state: str, message: str, receipt: RunReceipt | None) -> EtlError | None:
    """Return why a run that ended is not a success; None if it is one.

    Args:
        state: Prefect's final state type: COMPLETED, FAILED, CRASHED or CANCELLED.
        message: What Prefect says of it.
        receipt: The ledger's account; None if the run never got as far as its ledger.
    """
    status = receipt.status if receipt else "missing"
    if receipt and status == "failed" and state in {"COMPLETED", "FAILED"}:
        return failed(receipt)
    if state == "CANCELLED":
        return RunStopped(f"the run was cancelled (ledger: {status})", "./etl run")
    if state == "CRASHED" or status == "crashed":
        return RunCrashed(
            f"the run's process died: {message or 'no reason given'} "
            f"(ledger: {status})",
            "./etl logs prefect-worker; then ./etl run, which starts clean",
        )
    if state == "COMPLETED" and status in GOOD_STATUSES:
        return None
    return RunFailed(
        f"the run ended {state.lower()}: {message or 'no reason given'} "
        f"(ledger: {status})",
        "./etl logs prefect-worker",
    )


def failed(receipt: RunReceipt) -> EtlError:
    """Return the error of a failed run: its sources, the reasons, the next command."""
    bad = {n: s for n, s in receipt.sources.items() if s.status != "loaded"}
    causes = [source.error for source in bad.values() if source.error]
    broken = any(cause.code in CONTRACT_CODES for cause in causes)
    hints = [cause.hint for cause in causes if cause.hint]
    return (ContractBroken if broken else RunFailed)(
        "; ".join(reason(name, source) for name, source in bad.items()),
        hints[0] if hints else f"./etl report {receipt.run_id}",
    )


def reason(name: str, source: SourceReceipt) -> str:
    """Say in one line why a source was not loaded."""
    if source.error is None:
        return f"{name} {source.status}"
    return f"{name} {source.status}: {source.error.message}"
