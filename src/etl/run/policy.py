"""Decides what a load may replace: sample or real rows, and how much is retracted."""

from __future__ import annotations

import math

from etl.counts import Check
from etl.errors import ConfigError, DataError
from etl.load.sample import delete_sample_rows, has_real_rows, retract_real_rows
from etl.load.stage import Cursor
from etl.run.findings import Findings
from etl.run.request import LoadRequest

NEVER_COMPLETE = {
    "sample": "it is the sample that the package ships",
    "filtered_api": "it is an API answer to a part of what the API has",
}


def refuse_unfit_input(cursor: Cursor, request: LoadRequest, kind: str) -> None:
    """Refuse an input that may not do what is asked of it.

    Raises:
        ConfigError: A complete input is a sample or a filtered answer, or the sample
            would be loaded over real data.
    """
    source, name = request.spec.name, request.raw.name
    if request.complete and kind in NEVER_COMPLETE:
        raise ConfigError(
            f"{source}: {name} cannot be a complete input: {NEVER_COMPLETE[kind]}",
            f"./etl run --input {source}=FILE --complete {source}",
        )
    if (
        kind == "sample"
        and not request.replace_real
        and has_real_rows(cursor, request.spec)
    ):
        raise ConfigError(
            f"{source}: the sample is not loaded over real data",
            f"to retract the real data and load the sample: ./etl run --source "
            f"{source} --sample --replace-real",
        )


def make_room(
    cursor: Cursor, request: LoadRequest, kind: str, findings: Findings
) -> int:
    """Remove the rows that never stand beside this input; return how many it retracted.

    The first real input replaces the rows of the sample. A sample replaces real rows
    where that was asked for.
    """
    if kind == "sample":
        if not request.replace_real:
            return 0
        return retract_real_rows(cursor, request.spec, request.run_id)
    if findings.read:  # an input about other states only replaces nothing
        findings.sample_rows_replaced = delete_sample_rows(cursor, request.spec)
    return 0


def may_retract(request: LoadRequest, findings: Findings) -> bool:
    """Whether absence from the input means that a fact is retracted.

    Not if a row was rejected: the input may well have had the fact, in a line that
    could not be read. A repeated line is no such case, since its first one was kept.
    """
    if not request.complete:
        return False
    doubtful = findings.rejected - findings.by_rule["repeated_key"]
    if doubtful:
        findings.checks.append(
            Check(
                "a complete input has no rejects, else nothing is retracted",
                expected="0",
                seen=f"{doubtful:,}",
                passed=False,
                severity="warning",
            )
        )
    return not doubtful


def check_retraction(
    request: LoadRequest, findings: Findings, *, retracted: int, of: int
) -> None:
    """Refuse to retract more of a source's rows than the request allows.

    Args:
        of: How many rows the source had before the load, without those of the sample.

    Raises:
        DataError: It would retract more.
    """
    if not request.complete:
        return
    allowed = math.floor(request.retract_limit * of)
    limit = f"{request.retract_limit:.4%}".rstrip("0%").rstrip(".") + " %"
    passed = retracted <= allowed
    findings.checks.append(
        Check(
            f"a complete input retracts at most {limit} of the rows",
            expected=f"at most {allowed:,} of {of:,}",
            seen=f"{retracted:,}",
            passed=passed,
        )
    )
    if not passed:
        source, percent = request.spec.name, math.ceil(100 * retracted / of)
        raise DataError(
            f"{source}: {request.raw.name} would retract {retracted:,} of {of:,} rows, "
            f"more than {limit}; nothing was loaded",
            f"if that is meant: ./etl run --input {source}=FILE --complete {source} "
            f"--retract-up-to {percent}",
        )
