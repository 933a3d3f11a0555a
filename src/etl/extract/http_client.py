"""Asks a JSON API politely: a pause between requests, retries with back-off, no leaks.

QuickStats wants its key as a parameter of the address, and HTTP libraries log addresses
and put them into errors. So the key is struck from their log lines, and no error of
theirs is passed on.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any, Self

import httpx
from pydantic import SecretStr
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_before_delay,
    wait_random_exponential,
)

from etl.errors import ConfigError, EtlError, SourceChanged, SourceUnavailable
from etl.settings import Settings

TIMEOUT = httpx.Timeout(120, connect=10)
LONGEST_WAIT_S = 30
TALKATIVE = ("httpx", "httpcore.connection", "httpcore.http11")
STRUCK = "***"


class TooManyRecords(EtlError):
    """The API refuses to send so much at once."""

    code = "TOO_MANY_RECORDS"


class TryAgain(SourceUnavailable):
    """A failed request that may succeed later, with the wait the server requested."""

    def __init__(self, message: str, hint: str = "", wait_s: float = 0.0) -> None:
        super().__init__(message, hint)
        self.args = (message, hint, wait_s)
        self.wait_s = wait_s


class ApiClient:
    """One conversation with an API; a context manager."""

    def __init__(self, url: str, key: SecretStr, settings: Settings) -> None:
        self._url = url.rstrip("/")
        self._key = key.get_secret_value()
        self._pause_s = settings.nass_api_pause_s
        self._budget_s = settings.nass_api_budget_s
        self._back_off = wait_random_exponential(self._pause_s, LONGEST_WAIT_S)
        self._last = 0.0
        self._filter = KeyFilter(self._key)

    def __enter__(self) -> Self:
        self._client = httpx.Client(timeout=TIMEOUT)
        for name in TALKATIVE:
            logging.getLogger(name).addFilter(self._filter)
        return self

    def __exit__(self, *exception: object) -> None:
        self._client.close()
        for name in TALKATIVE:
            logging.getLogger(name).removeFilter(self._filter)

    def get(self, what: str, parameters: Mapping[str, str]) -> dict[str, Any]:
        """Return a JSON object; try again within the budget when that may help.

        Raises:
            SourceUnavailable: It did not answer in time.
            ConfigError: It refuses the key or the parameters.
            TooManyRecords: It refuses to send so many.
            SourceChanged: It answers something else.
        """
        retrying = Retrying(
            retry=retry_if_exception_type(TryAgain),
            wait=self._wait,
            stop=stop_before_delay(self._budget_s),
            reraise=True,
        )
        try:
            answer: dict[str, Any] = retrying(self._get_once, what, parameters)
        except TryAgain as error:
            raise SourceUnavailable(error.message, error.hint) from None
        return answer

    def _get_once(self, what: str, parameters: Mapping[str, str]) -> dict[str, Any]:
        self._be_polite()
        try:
            response = self._client.get(
                f"{self._url}/{what}/", params={**parameters, "key": self._key}
            )
        except httpx.TransportError as error:
            raise TryAgain(
                f"{self._url} does not answer: {type(error).__name__}",
                "check the network; then run again",
            ) from None
        return self._understand(response)

    def _be_polite(self) -> None:
        """Keep the pause between the starts of two requests."""
        wait = self._last + self._pause_s - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        self._last = time.monotonic()

    def _wait(self, state: RetryCallState) -> float:
        """Back off with jitter, at least as long as the server requested."""
        error = state.outcome and state.outcome.exception()
        asked = error.wait_s if isinstance(error, TryAgain) else 0.0
        return max(asked, self._back_off(state))

    def _understand(self, response: httpx.Response) -> dict[str, Any]:
        status = response.status_code
        text = response.text.replace(self._key, STRUCK)[:200]
        if status == httpx.codes.TOO_MANY_REQUESTS or status >= 500:
            raise TryAgain(
                f"{self._url} answers {status}", "run again later", _asked(response)
            )
        if status == httpx.codes.REQUEST_ENTITY_TOO_LARGE or "exceeds limit" in text:
            raise TooManyRecords(f"{self._url} answers {status}: {text}")
        if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            raise ConfigError(
                f"{self._url} refuses the key: {text}", "correct USDA_NASS_API_KEY"
            )
        if status != httpx.codes.OK:
            raise ConfigError(
                f"{self._url} refuses the request with {status}: {text}",
                "correct the conditions after `api:`",
            )
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise SourceChanged(f"{self._url} does not answer with JSON", "run again")
        return answer


class KeyFilter(logging.Filter):
    """Strikes the key from log records."""

    def __init__(self, key: str) -> None:
        super().__init__()
        self._key = key

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass, without the key."""
        message = record.getMessage()
        if self._key in message:
            record.msg, record.args = message.replace(self._key, STRUCK), ()
        return True


def _asked(response: httpx.Response) -> float:
    """Return the seconds to wait that the server requested; 0 for a date."""
    asked = response.headers.get("Retry-After", "")
    return float(asked) if asked.isdigit() else 0.0
