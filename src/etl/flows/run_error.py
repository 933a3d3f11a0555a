"""The error of a run: the worse of Prefect's state and the ledger's receipt."""

from __future__ import annotations

from etl.errors import ConfigError, DataError, EtlError, SourceChanged
from etl.ledger.receipt import RunReceipt, SourceReceipt

CONTRACT_CODES = {DataError.code, SourceChanged.code}
GOOD_STATUSES = {"succeeded", "partial"}


class RunFailed(EtlError):
    """A source was not loaded; its own error has the fix."""

    code = "RUN_FAILED"


class ContractBroken(EtlError):
    """A source was not loaded because its data are not what its spec promises."""

    code = "CONTRACT_BROKEN"
    exit_code = 5


class RunMisconfigured(RunFailed):
    """A source was not loaded because a setting or its input is wrong."""

    code = ConfigError.code
    exit_code = ConfigError.exit_code


class RunCrashed(EtlError):
    """The run's process ended before the run; the database is unchanged."""

    code = "RUN_CRASHED"


class RunStopped(EtlError):
    """The run was cancelled."""

    code = "RUN_CANCELLED"


def run_error(state: str, message: str, receipt: RunReceipt | None) -> EtlError | None:
    """Return why a run that ended is not a success; None if it is one.

    Args:
        state: Prefect's final state type: COMPLETED, FAILED, CRASHED or CANCELLED.
        message: Prefect's message of that state.
        receipt: The receipt in the ledger; None if the run did not open one.
    """
    status = receipt.status if receipt else "missing"
    if receipt and status == "failed" and state in {"COMPLETED", "FAILED"}:
        return failed(receipt)
    if state == "CANCELLED":
        return RunStopped(f"the run was cancelled (ledger: {status})", "./etl run")
    if state == "CRASHED" or status == "crashed":
        return RunCrashed(
            f"the run's process ended unexpectedly: {message or 'no reason given'} "
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
    hints = [cause.hint for cause in causes if cause.hint]
    codes = {s.error.code for s in bad.values() if s.error and s.status == "failed"}
    kind: type[EtlError] = RunFailed
    if codes & CONTRACT_CODES:
        kind = ContractBroken
    elif codes == {ConfigError.code}:
        kind = RunMisconfigured
    return kind(
        "; ".join(reason(name, source) for name, source in bad.items()),
        hints[0] if hints else f"./etl report {receipt.run_id}",
    )


def reason(name: str, source: SourceReceipt) -> str:
    """Return in one line why a source was not loaded."""
    if source.error is None:
        return f"{name} {source.status}"
    return f"{name} {source.status}: {source.error.message}"
