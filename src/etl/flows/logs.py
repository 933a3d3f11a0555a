"""Sends the package's log records to the console and to a flow run's logs.

Prefect's own setting for this (PREFECT_LOGGING_EXTRA_LOGGERS) attaches its handler but
leaves the level at the root logger's, so that records below a warning are dropped.
"""

from __future__ import annotations

import logging

from prefect.logging.handlers import APILogHandler
from prefect.settings import get_current_settings

PACKAGE = logging.getLogger("etl")


def set_log_level() -> None:
    """Set the package's log level to Prefect's."""
    PACKAGE.setLevel(get_current_settings().logging.level)


def send_logs_to_flow_run() -> None:
    """Send log records of the package to the flow run that is active."""
    set_log_level()
    if not any(isinstance(handler, APILogHandler) for handler in PACKAGE.handlers):
        PACKAGE.addHandler(APILogHandler())
