"""The pipeline's image: its name, its inputs, how it is built and replaced."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import time
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ci.docker.client import Docker
from ci.docker.compose import build_document
from ci.docker.failures import failure
from ci.docker.layout import Folder
from ci.host.engine import Reporter
from ci.stack import images
from ci.stack.errors import StackError, UnitFailed
from ci.stack.model import Runtime

INPUTS_LABEL, HOME_LABEL = "biocirv-etl.inputs", "biocirv-etl.home"
# What the environment layers are made from. Code is no part of it: it is mounted.
INPUTS = ("Dockerfile", "pixi.lock", "requirements.lock", "ci/extras.py")
# How BuildKit announces a step: "#12 [image environment 6/8] RUN uv pip install …"
STEP = re.compile(r"#\d+ \[(?:image )?([^\]]+\] .{0,60})")
REPORT_EVERY_S = 10.0
LOG_LINES = 20


@dataclass(frozen=True)
class Images:
    """The images of one machine: by digest, unless it has stand-ins or a mirror."""

    arguments: Mapping[str, str]
    postgres: str

    def of(self, pipeline: str) -> dict[Runtime, str]:
        """Return the image of each runtime."""
        return {Runtime.PIPELINE: pipeline, Runtime.POSTGRES: self.postgres}


def read_images(environment: Mapping[str, str]) -> Images:
    """Return the images; ETL_PIXI_IMAGE, ETL_DEBIAN_IMAGE, ETL_POSTGRES_IMAGE win."""
    arguments = {
        name: environment.get(f"ETL_{name}") or image
        for name, image in images.DOCKERFILE_ARGS.items()
    }
    return Images(arguments, environment.get("ETL_POSTGRES_IMAGE") or images.POSTGRES)


def inputs_digest(checkout: Path, images: Images) -> str:
    """Return a fingerprint of everything that the image's environment is built from."""
    digest = hashlib.sha256(json.dumps(dict(images.arguments)).encode())
    for name in INPUTS:
        digest.update((checkout / name).read_bytes())
    digest.update(json.dumps(dependencies(checkout)).encode())
    return digest.hexdigest()


def dependencies(checkout: Path) -> dict[str, Any]:
    """Return the dependency tables of pixi.toml; a changed task changes no image."""
    manifest = tomllib.loads((checkout / "pixi.toml").read_text())
    tables = ("workspace", "dependencies", "pypi-dependencies", "feature")
    return {
        name: manifest[name] for name in (*tables, "environments") if name in manifest
    }


@dataclass(frozen=True)
class Image:
    """One checkout's image on one machine."""

    docker: Docker
    folder: Folder
    checkout: Path
    images: Images

    def ensure(self, progress: Reporter) -> None:
        """Build the image if there is none; report one that is out of date."""
        if self.built_from() is None:
            progress.say("etl: there is no image yet; building it (minutes, once)")
            self.build(progress)
        elif self.is_stale():
            progress.say("etl: the image was built from another Dockerfile, lock, base")
            progress.say("  fix: ./etl --engine docker rebuild, then restart")

    def built_from(self) -> str | None:
        """Return the fingerprint of the image's inputs; None without an image."""
        try:
            return self._shown(f'{{{{index .Config.Labels "{INPUTS_LABEL}"}}}}')
        except StackError:
            return None

    def is_stale(self) -> bool:
        """Whether the image was built from other inputs than the checkout has now."""
        return self.built_from() != inputs_digest(self.checkout, self.images)

    def build(self, progress: Reporter) -> None:
        """Build the image; its predecessor is removed once no container uses it.

        The builder's output goes to a file, and with --debug to standard error too.
        """
        labels = {
            INPUTS_LABEL: inputs_digest(self.checkout, self.images),
            HOME_LABEL: self.folder.home.key,
        }
        self.folder.build_file.write_text(
            build_document(
                self.folder.image, self.checkout, self.images.arguments, labels
            )
        )
        started = time.monotonic()
        self._run_builder(progress)
        took_s = time.monotonic() - started
        size_mb = int(self._shown("{{.Size}}")) / 1e6
        progress.say(f"etl: image built in {took_s:.1f} s, {size_mb:,.0f} MB")
        self.remove_old()

    def remove_old(self) -> None:
        """Remove this checkout's images that have no name and no container."""
        only = ("--filter", f"label={HOME_LABEL}={self.folder.home.key}")
        self.docker.run("image", "prune", "--force", *only)

    def _shown(self, template: str) -> str:
        return self.docker.run(
            *("image", "inspect", "--format", template, self.folder.image)
        ).strip()

    def _run_builder(self, progress: Reporter) -> None:
        log = self.folder.build_log
        process = self.docker.compose(
            self.folder.build_file,
            *("--progress", "plain", "build"),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        reported = time.monotonic()
        with process, log.open("w") as file:
            for line in process.stdout or ():
                file.write(line)
                step = STEP.match(line)
                if progress.verbose:
                    progress.say(line.rstrip())
                elif step and time.monotonic() - reported > REPORT_EVERY_S:
                    reported = time.monotonic()
                    progress.say(f"  building: [{step[1]}")
        if process.returncode:
            output = log.read_text()
            error = failure(output, "build of the image", f"less {log}")
            if isinstance(error, UnitFailed):  # no known cause: show where it ended
                error.what += "\n" + "".join(output.splitlines(True)[-LOG_LINES:])
            raise error
