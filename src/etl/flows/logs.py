"""Makes the package's ordinary loggers heard: on the console, and in a flow run's logs.

Prefect's own setting for this (PREFECT_LOGGING_EXTRA_LOGGERS) attaches its handler but
leaves the level at the root logger's, so that nothing below a warning arrives.
"""

from __future__ import annotations

import logging

from prefect.logging.handlers import APILogHandler
from prefect.settings import get_current_settings

PACKAGE = logging.getLogger("etl")


def heed_log_level() -> None:
    """Let the package say as much as Prefect does."""
    PACKAGE.setLevel(get_current_settings().logging.level)


def send_logs_to_flow_run() -> None:
    """Send what the package logs to the flow run in whose context it is logged."""
    heed_log_level()
    if not any(isinstance(handler, APILogHandler) for handler in PACKAGE.handlers):
        PACKAGE.addHandler(APILogHandler())
