"""Which files of the checkout a call uploads. Less is faster, and keeps caches."""

from __future__ import annotations

# What the image is built from; equal to .dockerignore's allow-list (tested).
IMAGE = (
    "alembic",
    "alembic.ini",
    "ci",
    "pixi.lock",
    "pixi.toml",
    "prefect.yaml",
    "pyproject.toml",
    "requirements-dev.lock",
    "requirements.lock",
    "run_prefect_flow.py",
    "src",
)
# What its environment is made from. The rest is code: a stack gets it without a build.
ENVIRONMENT = (
    "ci/extras.py",
    "pixi.lock",
    "pixi.toml",
    "requirements-dev.lock",
    "requirements.lock",
)
BUILD = ("Dockerfile", ".dockerignore")
# Never uploaded, wherever they are.
NEVER = [
    ".git",
    ".etl",
    ".pixi",
    "ci/sdk",
    "**/.env",
    "**/.venv",
    "**/__pycache__",
    "**/*.egg-info",
    "**/.*_cache",
    "**/*.key",
    "**/*.pem",
    "**/*credentials*",
]
# A folder is named twice: git reads such patterns in one way, Docker in another.
ONLY_WHAT_THE_IMAGE_HOLDS = [
    "*",
    *(f"!{name}" for name in BUILD),
    *(f"!{name}{tail}" for name in IMAGE for tail in ("", "/**")),
    *NEVER,
]
ALL_BUT_WHAT_IS_PRIVATE = NEVER
