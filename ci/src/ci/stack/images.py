"""Every image, by digest: the one place that names one.

Standard library only. The Dockerfile and ci/pyproject.toml hold copies, because they are
read by programs that cannot import this; `python -m ci.docsgen.generate` writes these copies,
and a test proves them equal. Renovate moves the digests here.
"""

from __future__ import annotations

from collections.abc import Mapping

# Build stage: brings pixi. At least 0.68, which reads our format of pixi.lock.
PIXI = "ghcr.io/prefix-dev/pixi:0.81.0@sha256:788ae451641666e2d1f79d3dbe35392dfc7e9b394b16a3acb75c347f3badb2ab"

# Runtime stage: a C library and a shell; everything else comes from the environment.
DEBIAN = "docker.io/library/debian:trixie-slim@sha256:a29215f6a35e51e22adffa17f89e9d2ef06214e64a2bad10d765c46aea49f11f"

# The service db. From 18 on it keeps its data below /var/lib/postgresql, in a folder
# named by major version.
POSTGRES = "docker.io/library/postgres:18.6@sha256:5a5a84b19854a9ffaa54082c166ff4ec27473a361e496e5ea167f298f2da9722"

# What Dagger runs our module's own code in; the one that its engine comes with.
PYTHON = "docker.io/library/python:3.14-slim@sha256:486b8092bfb12997e10d4920897213a06563449c951c5506c2a2cfaf591c599f"

# Dagger's engine, as the workflows run it; its version is that of dagger.json.
ENGINE = "registry.dagger.io/engine:v0.21.8@sha256:c9c1a0a6546380983d42e8d75adde070a2a0935c54b498d8bc9045d9cb2ee336"

# Build arguments of the Dockerfile, so that a mirror or a stand-in can be given.
DOCKERFILE_ARGS: Mapping[str, str] = {"PIXI_IMAGE": PIXI, "DEBIAN_IMAGE": DEBIAN}


def postgres_major() -> str:
    """Return the major version of the database's image: part of its volume's name."""
    tag = POSTGRES.partition("@")[0].rpartition(":")[2]
    return tag.partition(".")[0]
