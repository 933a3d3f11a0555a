"""The files that `python -m ci.docsgen.generate` writes, by path in the checkout.

Apart from the program: the Dagger module needs the names alone, and is imported at
every call.
"""

from __future__ import annotations

GENERATED = (
    ".env.example",
    "Dockerfile",
    "ci/pyproject.toml",
    "docs/explanation/architecture.md",
    "docs/reference/compose.yaml",
    "docs/reference/settings.md",
    "docs/reference/sources.md",
    "docs/reference/stack.md",
    "docs/reference/verbs.md",
)
