"""The pipeline's image: which, from what it was built, and whether that is still so."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ci.docker.client import Docker
from ci.docker.compose import build_document
from ci.docker.layout import Folder
from ci.host.engine import Reporter
from ci.stack import images
from ci.stack.errors import StackError
from ci.stack.model import Runtime

LABEL = "biocirv-etl.inputs"
# What the environment layers are made from. Code is no part of it: it is mounted.
INPUTS = ("Dockerfile", "pixi.lock", "requirements.lock", "ci/extras.py")


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
    """Return what pixi.toml says of dependencies; a changed task changes no image."""
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
        """Build the image if there is none; say so if it is out of date."""
        if self.built_from() is None:
            progress.say("etl: there is no image yet; building it (minutes, once)")
            self.build(progress)
        elif self.is_stale():
            progress.say("etl: the image was built from another Dockerfile, lock, base")
            progress.say("  fix: ./etl --engine docker rebuild, then restart")

    def built_from(self) -> str | None:
        """Return the fingerprint of the image's inputs; None without an image."""
        label = f'{{{{index .Config.Labels "{LABEL}"}}}}'
        words = ("image", "inspect", "--format", label, self.folder.image)
        try:
            return self.docker.run(*words).strip()
        except StackError:
            return None

    def is_stale(self) -> bool:
        """Whether the image was built from other inputs than the checkout has now."""
        return self.built_from() != inputs_digest(self.checkout, self.images)

    def build(self, progress: Reporter) -> None:
        """Build the image. What the builder says goes to standard error."""
        digest = inputs_digest(self.checkout, self.images)
        self.folder.build_file.write_text(
            build_document(
                self.folder.image,
                self.checkout,
                self.images.arguments,
                {LABEL: digest},
            )
        )
        process = self.docker.compose(
            self.folder.build_file,
            "build",
            stdout=subprocess.PIPE if progress.quiet else sys.stderr,
            stderr=subprocess.STDOUT,
        )
        said, _ = process.communicate()
        if process.returncode:
            raise StackError(
                "the image could not be built" + (f":\n{said.strip()}" if said else ""),
                "read what the builder said last",
            )
