"""Commissioners' reports, residue factors, and the residue estimate.

New tables and views only: no lock on anything that exists.
"""

from alembic import op

from etl.views.definitions import create_statements

revision = "20261124_2330"
down_revision = "20261124_2300"
branch_labels = None
depends_on = None

FACTOR = """
CREATE TABLE core_residues__factor (
    crop text NOT NULL,
    category text NOT NULL,
    residue_type text,
    residue text NOT NULL,
    wet_tons_per_acre numeric NOT NULL,
    moisture_fraction numeric NOT NULL,
    dry_tons_per_acre numeric NOT NULL,
    available_months smallint[] NOT NULL,
    load_run_id uuid NOT NULL,
    raw_file_id integer NOT NULL,
    raw_line bigint NOT NULL,
    CONSTRAINT pk_core_residues__factor PRIMARY KEY (crop),
    CONSTRAINT fk_core_residues__factor__load_run_id FOREIGN KEY (load_run_id)
        REFERENCES ledger_run (run_id),
    CONSTRAINT fk_core_residues__factor__raw_file_id FOREIGN KEY (raw_file_id)
        REFERENCES ledger_raw_file (raw_file_id),
    CONSTRAINT ck_core_residues__factor__moisture CHECK (
        moisture_fraction BETWEEN 0 AND 1
    ),
    CONSTRAINT ck_core_residues__factor__months CHECK (
        array_length(available_months, 1) >= 1
        AND available_months <@ '{1,2,3,4,5,6,7,8,9,10,11,12}'
    )
);
"""

CROP = """
CREATE TABLE core_cac__crop (
    commodity_code text NOT NULL,
    commodity text NOT NULL,
    crop text,
    by_product text,
    reason text NOT NULL,
    load_run_id uuid NOT NULL,
    raw_file_id integer NOT NULL,
    raw_line bigint NOT NULL,
    CONSTRAINT pk_core_cac__crop PRIMARY KEY (commodity_code),
    CONSTRAINT fk_core_cac__crop__crop FOREIGN KEY (crop)
        REFERENCES core_residues__factor (crop),
    CONSTRAINT fk_core_cac__crop__load_run_id FOREIGN KEY (load_run_id)
        REFERENCES ledger_run (run_id),
    CONSTRAINT fk_core_cac__crop__raw_file_id FOREIGN KEY (raw_file_id)
        REFERENCES ledger_raw_file (raw_file_id),
    CONSTRAINT ck_core_cac__crop__one_meaning CHECK (
        crop IS NULL OR by_product IS NULL
    )
);
"""

REPORT = """
CREATE TABLE core_cac__report (
    year smallint NOT NULL,
    commodity_code text NOT NULL,
    county_code text NOT NULL,
    commodity text NOT NULL,
    county_name text NOT NULL,
    level text NOT NULL,
    geoid text,
    acres numeric,
    acres_flag text,
    yield_per_acre numeric,
    production numeric,
    production_flag text,
    unit text,
    unit_printed text NOT NULL,
    price_usd_per_unit numeric,
    value_usd numeric,
    load_run_id uuid NOT NULL,
    raw_file_id integer NOT NULL,
    raw_line bigint NOT NULL,
    CONSTRAINT pk_core_cac__report PRIMARY KEY (year, commodity_code, county_code),
    CONSTRAINT fk_core_cac__report__geoid FOREIGN KEY (geoid)
        REFERENCES core_geography__place (geoid),
    CONSTRAINT fk_core_cac__report__load_run_id FOREIGN KEY (load_run_id)
        REFERENCES ledger_run (run_id),
    CONSTRAINT fk_core_cac__report__raw_file_id FOREIGN KEY (raw_file_id)
        REFERENCES ledger_raw_file (raw_file_id),
    CONSTRAINT ck_core_cac__report__level CHECK (
        level IN ('county', 'other_counties', 'state_total')
    ),
    CONSTRAINT ck_core_cac__report__geoid CHECK (
        (level = 'county') = (geoid IS NOT NULL)
    )
);
CREATE INDEX ix_core_cac__report__commodity_code
    ON core_cac__report (commodity_code);
"""

HISTORY = """
CREATE TABLE core_cac__report_history (
    history_id bigint GENERATED ALWAYS AS IDENTITY,
    year smallint NOT NULL,
    commodity_code text NOT NULL,
    county_code text NOT NULL,
    commodity text NOT NULL,
    county_name text NOT NULL,
    level text NOT NULL,
    geoid text,
    acres numeric,
    acres_flag text,
    yield_per_acre numeric,
    production numeric,
    production_flag text,
    unit text,
    unit_printed text NOT NULL,
    price_usd_per_unit numeric,
    value_usd numeric,
    load_run_id uuid NOT NULL,
    raw_file_id integer NOT NULL,
    raw_line bigint NOT NULL,
    change text NOT NULL,
    replaced_by_run_id uuid NOT NULL,
    replaced_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_core_cac__report_history PRIMARY KEY (history_id),
    CONSTRAINT fk_core_cac__report_history__load_run_id FOREIGN KEY (load_run_id)
        REFERENCES ledger_run (run_id),
    CONSTRAINT fk_core_cac__report_history__raw_file_id FOREIGN KEY (raw_file_id)
        REFERENCES ledger_raw_file (raw_file_id),
    CONSTRAINT fk_core_cac__report_history__replaced_by_run_id
        FOREIGN KEY (replaced_by_run_id) REFERENCES ledger_run (run_id),
    CONSTRAINT ck_core_cac__report_history__change CHECK (
        change IN ('updated', 'retracted')
    )
);
CREATE INDEX ix_core_cac__report_history__key
    ON core_cac__report_history (year, commodity_code, county_code);
"""

TABLES = (
    "core_cac__report_history",
    "core_cac__report",
    "core_cac__crop",
    "core_residues__factor",
)
VIEWS = (
    "out_cac__production",
    "out_cac__reconciliation",
    "out_residues__estimate",
    "out_residues__calendar",
    "out_residues__reported",
    "out_residues__unmapped",
)


def upgrade() -> None:
    """Make the four tables and the six views."""
    for statements in (FACTOR, CROP, REPORT, HISTORY):
        op.execute(statements)
    for view in VIEWS:
        for statement in create_statements(view, version=1):
            op.execute(statement)


def downgrade() -> None:
    """Drop them; all but the history of the reports comes back with the next run."""
    for view in reversed(VIEWS):
        op.execute(f"DROP VIEW {view}")
    for table in TABLES:
        op.drop_table(table)
