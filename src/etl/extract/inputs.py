"""Inputs as text, and how each becomes a raw file.

    sample                              the file that the package carries
    api                                 everything the source covers, from its API
    api:commodity_desc=ALMONDS&year=2022    a part of it
    raw:<sha256>:<file name>            a file in the raw store

Text, because an input is a parameter of a flow and has to mean the same in another
process. It never holds a secret.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from importlib.resources import as_file, files
from pathlib import Path
from urllib.parse import parse_qsl

from etl.errors import ConfigError, EtlError, SourceUnavailable
from etl.extract.raw_store import RawFile, RawStore
from etl.settings import Settings
from etl.specs.spec import SourceSpec

SAMPLE, API = "sample", "api"
RAW = re.compile(r"raw:(?P<sha256>[0-9a-f]{64}):(?P<name>.+)")


def store_input(value: str, settings: Settings) -> str:
    """Turn what a user typed into an input: a path becomes a file of the raw store.

    Raises:
        ConfigError: There is no such file, or it cannot be read.
    """
    if value.startswith(f"{API}:"):
        api_conditions(value)
    if value in (SAMPLE, API) or value.startswith(f"{API}:") or RAW.fullmatch(value):
        return value
    path = Path(value).expanduser()
    try:
        raw = RawStore(settings.raw_dir).put(path)
    except OSError as error:
        if error.filename is not None and Path(error.filename) == path:
            raise _unreadable(path, error) from None
        raise _store_failed(settings, error) from error
    return f"raw:{raw.sha256}:{raw.name}"


def fetch(spec: SourceSpec, input_text: str, settings: Settings) -> RawFile:
    """Bring an input into the raw store: the extract step.

    Raises:
        ConfigError: The input is of no known form, or the store does not have it.
        SourceUnavailable: The API did not answer.
    """
    store = RawStore(settings.raw_dir)
    try:
        if input_text == SAMPLE:
            return _fetch_sample(spec, store)
        if input_text == API or input_text.startswith(f"{API}:"):
            return _fetch_api(spec, input_text, settings, store)
        if match := RAW.fullmatch(input_text):
            raw = store.describe(match["sha256"], match["name"])
            return replace(raw, kind=spec.shipped) if _is_shipped(spec, raw) else raw
    except FileNotFoundError:
        raise ConfigError(
            f"{spec.name}: the raw store {store.root} does not have "
            f"{input_name(input_text)} any more ({input_text})",
            f"pass the file again: ./etl run --input "
            f"{spec.name}={input_name(input_text)}",
        ) from None
    except OSError as error:
        raise _store_failed(settings, error) from error
    raise ConfigError(
        f"{spec.name}: {input_text!r} is no input",
        "pass a file, or: sample, api, api:column=value&…",
    )


def _fetch_sample(spec: SourceSpec, store: RawStore) -> RawFile:
    with as_file(files("etl.data").joinpath(spec.sample)) as path:
        return replace(store.put(path), kind=spec.shipped)


def _is_shipped(spec: SourceSpec, raw: RawFile) -> bool:
    """Whether a file that a user named has the bytes of the one in the package."""
    shipped = files("etl.data").joinpath(spec.sample).read_bytes()
    return hashlib.sha256(shipped).hexdigest() == raw.sha256


def input_name(input_text: str) -> str:
    """Return what people call an input: the file's name, or the text itself."""
    match = RAW.fullmatch(input_text)
    return match["name"] if match else input_text


def is_filtered(input_text: str) -> bool:
    """Whether an input is an API answer that leaves records out by its conditions."""
    return input_text.startswith(f"{API}:") and bool(api_conditions(input_text))


def _fetch_api(
    spec: SourceSpec, input_text: str, settings: Settings, store: RawStore
) -> RawFile:
    # Imported here, because staging a file must not cost the import of an HTTP client.
    from etl.extract.quickstats import fetch_records

    raw = fetch_records(spec, api_conditions(input_text), settings, store)
    return replace(raw, kind="filtered_api" if is_filtered(input_text) else "api")


def api_conditions(input_text: str) -> dict[str, str]:
    """Return the conditions of an "api:…" input.

    Raises:
        ConfigError: It is not written as conditions, or holds the key, which would then
            be stored with the run.
    """
    text = input_text.removeprefix(API).removeprefix(":")
    try:
        conditions = dict(parse_qsl(text, strict_parsing=True) if text else ())
    except ValueError:
        raise ConfigError(
            f"{text!r} is not written as conditions",
            "write them as api:commodity_desc=ALMONDS&year__GE=2020",
        ) from None
    if {"key", "format"} & {name.lower() for name in conditions}:
        raise ConfigError(
            "an input holds neither the API's key nor its format",
            "put the key into .env as USDA_NASS_API_KEY",
        )
    return conditions


def _unreadable(path: Path, error: OSError) -> ConfigError:
    """Say what is wrong with a file that a user named."""
    near = path.parent if path.parent.is_dir() else Path.cwd()
    return ConfigError(
        f"cannot read {path}: {error.strerror}",
        f"look for it: ls -l {near}" if not path.is_dir() else "name a file in it",
    )


def _store_failed(settings: Settings, error: OSError) -> EtlError:
    """Say that the raw store, not the input, is what failed."""
    return SourceUnavailable(
        f"cannot write to the raw store {settings.raw_dir}: {error.strerror}",
        f"df -h {settings.raw_dir}; or set ETL_RAW_DIR",
    )
