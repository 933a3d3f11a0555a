"""Writes the generated files: what each holds, and the program that writes them.

Run it at the root of the checkout; it names what it has changed:

    python -m ci.docsgen.generate
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

from ci.docsgen.generated import GENERATED
from ci.docsgen.map import with_map
from ci.docsgen.reference import compose_file, env_example, settings_page, stack_page
from ci.docsgen.sources import sources_page
from ci.docsgen.verbs import verbs_page
from ci.stack import images

Rewrite = Callable[[str], str]
CHECKOUT = Path(__file__).resolve().parents[4]


def dockerfile(text: str) -> str:
    """Put the images into the Dockerfile's build arguments."""
    for name, image in images.DOCKERFILE_ARGS.items():
        text = replace_once(rf"(?m)^ARG {name}=.*$", f"ARG {name}={image}", text)
    return text


def dagger_base_image(text: str) -> str:
    """Put the image of the module's own code into ci/pyproject.toml."""
    line = f'base-image = "{images.PYTHON}"'
    return replace_once(r"(?m)^base-image = .*$", line, text)


def replace_once(pattern: str, line: str, text: str) -> str:
    """Replace the one line that matches. Raises ValueError when it is not there."""
    text, count = re.subn(pattern, lambda _match: line, text)
    if count != 1:
        raise ValueError(f"{count} lines match {pattern}, one is expected")
    return text


# The contents of each file, given its present contents; in the order of GENERATED.
REWRITES: tuple[Rewrite, ...] = (
    lambda _now: env_example(),
    dockerfile,
    dagger_base_image,
    lambda now: with_map(now, CHECKOUT),
    lambda _now: compose_file(),
    lambda _now: settings_page(),
    lambda _now: sources_page(),
    lambda _now: stack_page(),
    lambda _now: verbs_page(),
)


def outdated(checkout: Path) -> dict[str, str]:
    """Return the files that are out of date, with what they should hold."""
    found = {}
    for name, rewrite in zip(GENERATED, REWRITES, strict=True):
        path = checkout / name
        now = path.read_text() if path.is_file() else ""
        if (wanted := rewrite(now)) != now:
            found[name] = wanted
    return found


def main() -> int:
    """Write what is out of date in the current folder."""
    for name, text in outdated(Path.cwd()).items():
        Path(name).write_text(text)
        sys.stdout.write(f"{name}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
