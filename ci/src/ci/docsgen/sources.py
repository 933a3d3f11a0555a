"""Writes docs/reference/sources.md: every source with its columns.

The sources belong to the package `etl`, which `ci` does not import: the page is made of
what `./etl sources --json` prints.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from ci.docsgen.markdown import page, table

COMMAND = (sys.executable, "-m", "etl.cli", "sources", "--json")


def sources_page() -> str:
    """Return docs/reference/sources.md."""
    printed = subprocess.run(COMMAND, stdout=subprocess.PIPE, check=True).stdout
    sources = json.loads(printed)["data"]["sources"]
    return page(
        "Sources",
        "What `./etl sources` and `./etl sources NAME` print. A source is described in "
        "`src/etl/specs/`. Sources are in load order.",
        table(
            ("source", "what", "depends on", "inputs"),
            [
                (
                    f"[`{source['name']}`](#{source['name']})",
                    source["title"],
                    ", ".join(source["depends_on"]) or "none",
                    ", ".join(source["inputs"]),
                )
                for source in sources
            ],
        ),
        *map(section, sources),
    )


def section(source: dict[str, Any]) -> str:
    """Return a source's heading, licence, tables and columns."""
    tables = ", ".join(f"`{name}`" for name in source["tables"])
    columns = [
        (f"`{column['header']}`", f"`{column['name']}`", column["meaning"])
        for column in source["columns"]
    ]
    return "\n\n".join(
        [
            f"## {source['name']}",
            f"{source['title']}. {source['licence']}. Cite: {source['citation']}.",
            f"Tables: {tables}.",
            table(("column of the input", "name", "meaning"), columns),
        ]
    )
