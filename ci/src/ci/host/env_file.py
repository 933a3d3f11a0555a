"""Finds the one file with a checkout's settings."""

from __future__ import annotations

from pathlib import Path

from ci.stack.errors import InvalidSetting

# The second is where the users of the former workflow keep it.
ENV_FILES = (".env", "resources/docker/.env")


def find_env_file(checkout: Path) -> Path:
    """Return the file with the settings. Raises InvalidSetting when there are two."""
    found = [checkout / name for name in ENV_FILES if (checkout / name).is_file()]
    if len(found) > 1:
        raise InvalidSetting(
            f"there are two files with settings: {found[0]} and {found[1]}",
            f"keep one of them: rm {found[1]}",
        )
    return found[0] if found else checkout / ENV_FILES[0]
