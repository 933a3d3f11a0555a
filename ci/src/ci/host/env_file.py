"""Reads a checkout's settings: the environment and, below it, the one file `.env`."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path

from ci.stack.errors import InvalidSetting
from ci.stack.settings import StackSettings, parse_settings, variable_names

# The second is where the users of the former workflow keep it.
ENV_FILES = (".env", "resources/docker/.env")


def find_env_file(checkout: Path) -> Path:
    """Return the file with the settings, which may be absent.

    Raises InvalidSetting when there are two, or when it is no file.
    """
    found = [p for name in ENV_FILES if os.path.lexists(p := checkout / name)]
    if len(found) > 1:
        raise InvalidSetting(
            f"there are two files with settings: {found[0]} and {found[1]}",
            f"keep one of them: rm {found[1]}",
        )
    for path in found:
        if not path.is_file():
            what = "a folder" if path.is_dir() else "not a regular file"
            raise InvalidSetting(
                f"{path} is {what}; settings are read from a text file",
                f"mv {path} {path}.old && cp .env.example {path}",
            )
    return found[0] if found else checkout / ENV_FILES[0]


def read_settings(
    environment: Mapping[str, str], env_file: Path | None = None
) -> StackSettings:
    """Read all settings. Raises InvalidSetting, see `parse_settings`."""
    present = env_file is not None and env_file.exists()
    entries = read_env_file(env_file) if env_file and present else {}
    return parse_settings(environment, entries, str(env_file))


def read_env_file(path: Path) -> dict[str, str]:
    """Read a `.env` file; a misspelt name of ours is an error, other names pass."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSetting(
            f"{path} cannot be read: {error}", "cp .env.example .env"
        ) from None
    check_syntax(path, text)
    from io import StringIO

    from dotenv import dotenv_values

    entries = {k: v or "" for k, v in dotenv_values(stream=StringIO(text)).items()}
    known = variable_names()
    for name in entries:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.9)
        if name not in known and near:
            raise InvalidSetting(
                f"{path} sets {name}, which nothing reads; did you mean {near[0]}?",
                f"rename {name} to {near[0]} in {path}",
            )
    return entries


def check_syntax(path: Path, text: str) -> None:
    """Raise InvalidSetting for the first line that python-dotenv would leave out."""
    from io import StringIO

    from dotenv.parser import parse_stream

    for binding in parse_stream(StringIO(text)):
        if binding.error:
            name = binding.original.string.strip().partition("=")[0].strip()
            raise InvalidSetting(
                f"{path}, line {binding.original.line}: {name} is not written as "
                "NAME=value; a quote that opens must close on the same line",
                f"edit line {binding.original.line} of {path}",
            )
