"""Places. A new table only: no lock on anything that exists."""

from alembic import op

revision = "20261123_1901"
down_revision = "20261123_1900"
branch_labels = None
depends_on = None

PLACE = """
CREATE TABLE core_geography__place (
    geoid text NOT NULL,
    level text NOT NULL,
    place_name text NOT NULL,
    state_fips text NOT NULL,
    state_name text NOT NULL,
    county_code text,
    load_run_id uuid NOT NULL,
    raw_file_id integer NOT NULL,
    raw_line bigint NOT NULL,
    CONSTRAINT pk_core_geography__place PRIMARY KEY (geoid),
    CONSTRAINT fk_core_geography__place__load_run_id FOREIGN KEY (load_run_id)
        REFERENCES ledger_run (run_id),
    CONSTRAINT fk_core_geography__place__raw_file_id FOREIGN KEY (raw_file_id)
        REFERENCES ledger_raw_file (raw_file_id),
    CONSTRAINT ck_core_geography__place__level CHECK (
        level IN ('state', 'county', 'combined_counties')
    ),
    CONSTRAINT ck_core_geography__place__county CHECK (
        (level = 'state') = (county_code IS NULL)
    ),
    CONSTRAINT ck_core_geography__place__geoid CHECK (
        geoid = state_fips || coalesce(county_code, '')
    )
);
"""


def upgrade() -> None:
    """Make the table."""
    op.execute(PLACE)


def downgrade() -> None:
    """Drop it; its rows come back with the next run."""
    op.drop_table("core_geography__place")
