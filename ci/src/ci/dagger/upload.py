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
# A folder is named twice: for who reads the patterns as git does, and as Docker does.
ONLY_WHAT_THE_IMAGE_HOLDS = [
    "*",
    "!Dockerfile",
    "!.dockerignore",
    *(f"!{name}{tail}" for name in IMAGE for tail in ("", "/**")),
    *NEVER,
]
ALL_BUT_WHAT_IS_PRIVATE = NEVER
