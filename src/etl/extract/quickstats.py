"""Fetches records from QuickStats; splits requests that are too large."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from typing import Any

from etl.errors import ConfigError, DataError, SourceChanged, SourceUnavailable
from etl.extract.http_client import ApiClient, TooManyRecords
from etl.extract.raw_store import RawFile, RawStore
from etl.progress import Progress
from etl.settings import Settings
from etl.specs.spec import ApiSpec, SourceSpec

logger = logging.getLogger(__name__)

Conditions = Mapping[str, str]


def fetch_records(
    spec: SourceSpec, conditions: Conditions, settings: Settings, store: RawStore
) -> RawFile:
    """Fetch all records that match, as one JSON document in the raw store.

    Raises:
        ConfigError: The source has no API, the key is missing or refused, or the
            conditions are wrong.
        SourceUnavailable: It did not answer, or answered less than it has.
        DataError: It has no such records.
    """
    if spec.api is None:
        raise ConfigError(f"{spec.name} has no API", "pass a file, or: sample")
    key = settings.usda_nass_api_key
    if key is None:
        raise ConfigError(
            f"{spec.name}: the API wants a key, and USDA_NASS_API_KEY is not set",
            "get one at https://quickstats.nass.usda.gov/api and put it into .env",
        )
    progress = Progress(logger, f"{spec.name}: records from the API")
    with (
        ApiClient(settings.nass_api_url, key, settings) as client,
        store.writing(f"{spec.name}_api.json") as target,
    ):
        separator = b'{"data": [\n'
        for page in _pages(client, spec.api, {**spec.api.base, **conditions}):
            for record in page:
                target.write(separator + json.dumps(record).encode())
                separator = b",\n"
            progress.advance(len(page))
        if not progress.done:
            raise DataError(
                f"{spec.name}: the API has no records for {_as_text(conditions)}",
                "correct the conditions after `api:`",
            )
        target.write(b"\n]}\n")
    logger.info("%s: %s records, %.1f s", spec.name, progress.done, progress.seconds)
    return target.stored


def _pages(
    client: ApiClient, api: ApiSpec, conditions: Conditions
) -> Iterator[list[Any]]:
    """Yield the records that match, in as few answers as the limit allows."""
    count = _count(client, conditions)
    if count == 0:
        return
    if count <= api.page_limit:
        try:
            page = _get(client, conditions)
        except TooManyRecords:
            logger.info("the API refuses %s records at once; splitting", count)
        else:
            _require_all(page, count, conditions)
            yield page
            return
    for part in _split(client, api, conditions):
        yield from _pages(client, api, part)


def _split(
    client: ApiClient, api: ApiSpec, conditions: Conditions
) -> Iterator[Conditions]:
    """Yield the conditions once for each value of the next column to split by."""
    column = next((name for name in api.split_by if name not in conditions), None)
    if column is None:
        raise SourceChanged(
            f"{_as_text(conditions)} has over {api.page_limit:,} records and cannot be "
            "split further",
            "add a column to split_by of the source's spec",
        )
    answer = client.get("get_param_values", {**conditions, "param": column})
    values = answer.get(column)
    if not isinstance(values, list):
        raise SourceChanged(f"the API gave no values of {column}", "report it")
    for value in values:
        yield {**conditions, column: str(value)}


def _count(client: ApiClient, conditions: Conditions) -> int:
    answer = client.get("get_counts", conditions)
    try:
        return int(answer["count"])
    except (KeyError, TypeError, ValueError):
        raise SourceChanged("the API gave no count", "report it") from None


def _get(client: ApiClient, conditions: Conditions) -> list[Any]:
    records = client.get("api_GET", {**conditions, "format": "JSON"}).get("data")
    if not isinstance(records, list):
        raise SourceChanged("the API gave no records", "report it")
    return records


def _require_all(page: list[Any], count: int, conditions: Conditions) -> None:
    """Refuse an answer that is shorter or longer than was announced."""
    if len(page) != count:
        raise SourceUnavailable(
            f"the API announced {count:,} records for {_as_text(conditions)} and sent "
            f"{len(page):,}",
            "run again; it may have been loading new data",
        )


def _as_text(conditions: Conditions) -> str:
    return ", ".join(f"{name}={value}" for name, value in conditions.items()) or "all"
