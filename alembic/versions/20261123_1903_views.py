"""The published views. No lock on anything that exists."""

from alembic import op

from etl.views.definitions import definition

revision = "20261123_1903"
down_revision = "20261123_1902"
branch_labels = None
depends_on = None

VIEWS = (
    "out_etl__runs",
    "out_geography__places",
    "out_nass__values",
    "out_nass__value_history",
    "out_nass__rejects",
)


def upgrade() -> None:
    """Make the first version of each view."""
    for view in VIEWS:
        op.execute(f"CREATE VIEW {view} AS {definition(view, version=1)}")


def downgrade() -> None:
    """Drop them; they hold no data."""
    for view in reversed(VIEWS):
        op.execute(f"DROP VIEW {view}")
