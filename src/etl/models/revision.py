"""The schema revision that this code is written for."""

REVISION = "20261124_2330"
"""The one head of `alembic/versions`; a test compares. Kept as a constant because a
program that asks Alembic for it pays 0.4 s of imports."""
