"""One name for a figure that a complete input lacks: retracted.

Renames ledger_step.deleted and the history's change value 'deleted'. It rewrites the
rows of the history that have that value, and locks both tables for as long.
"""

from alembic import op

from etl.views.definitions import definition

revision = "20261124_2240"
down_revision = "20261123_1903"
branch_labels = None
depends_on = None

STEP_TABLES = """
UPDATE ledger_step SET tables = (
    SELECT jsonb_object_agg(
        name, counts - '{old}' || jsonb_build_object('{new}', counts -> '{old}')
    )
    FROM jsonb_each(tables) AS merged (name, counts)
)
WHERE tables <> '{{}}'
"""

RENAME_CHANGE = """
UPDATE core_nass__value_history SET change = '{new}' WHERE change = '{old}'
"""


def rename(old: str, new: str) -> None:
    """Rename the column, the keys of the counts per table, and the change value."""
    op.execute(f"ALTER TABLE ledger_step RENAME COLUMN {old} TO {new}")
    op.execute(STEP_TABLES.format(old=old, new=new))
    constraint = "ck_core_nass__value_history__change"
    history = "core_nass__value_history"
    op.execute(f"ALTER TABLE {history} DROP CONSTRAINT {constraint}")
    op.execute(RENAME_CHANGE.format(old=old, new=new))
    op.execute(
        f"ALTER TABLE {history} ADD CONSTRAINT {constraint} "
        f"CHECK (change IN ('updated', '{new}'))"
    )


def upgrade() -> None:
    """Call it retracted."""
    op.execute("DROP VIEW out_etl__runs")
    rename("deleted", "retracted")
    op.execute(f"CREATE VIEW out_etl__runs AS {definition('out_etl__runs', version=2)}")


def downgrade() -> None:
    """Call it deleted."""
    op.execute("DROP VIEW out_etl__runs")
    rename("retracted", "deleted")
    op.execute(f"CREATE VIEW out_etl__runs AS {definition('out_etl__runs', version=1)}")
