"""Checks that no other stack uses the fixed names of the containers."""

from __future__ import annotations

from pathlib import Path

from ci.docker.client import LABEL, Docker
from ci.docker.layout import CONTAINER_PREFIX
from ci.stack.errors import NamesTaken


def check_names(docker: Docker) -> None:
    """Raise NamesTaken when a container that is not of this project has such a name."""
    fields = ("project", "project.working_dir")
    labels = "\t".join(f'{{{{.Label "{LABEL}.{field}"}}}}' for field in fields)
    listed = docker.run(
        *("ps", "--all", "--filter", f"name=^/?{CONTAINER_PREFIX}"),
        *("--format", f"{{{{.Names}}}}\t{labels}"),
    )
    for line in listed.splitlines():
        name, project, folder = line.split("\t")
        if project != docker.project:
            raise taken(name, folder)


def taken(name: str, folder: str) -> NamesTaken:
    """Return the error for a container; `folder` holds its compose file, if any."""
    if not folder:
        return NamesTaken(
            f"the container {name} belongs to no stack of this project, and a stack "
            "needs its name",
            f"docker rm -f {name}",
        )
    checkout = Path(folder).parent.parent
    return NamesTaken(
        f"the container {name} belongs to another stack ({checkout}); "
        "the names are the same in every checkout",
        f"cd {checkout} && ./etl --engine docker down",
    )
