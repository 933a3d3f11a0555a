"""USDA NASS statistics and their history.

New tables only: no lock on anything that exists.
"""

from alembic import op

revision = "20261123_1902"
down_revision = "20261123_1901"
branch_labels = None
depends_on = None

DIMENSIONS = """
CREATE TABLE core_nass__series (
    series_id bigint NOT NULL,
    source text NOT NULL,
    sector text NOT NULL,
    group_desc text NOT NULL,
    commodity text NOT NULL,
    class_desc text NOT NULL,
    production_practice text NOT NULL,
    utilization_practice text NOT NULL,
    statistic text NOT NULL,
    unit text NOT NULL,
    short_desc text NOT NULL,
    domain text NOT NULL,
    domain_category text NOT NULL,
    CONSTRAINT pk_core_nass__series PRIMARY KEY (series_id),
    CONSTRAINT uq_core_nass__series__identity UNIQUE (
        source, sector, group_desc, commodity, class_desc, production_practice,
        utilization_practice, statistic, unit, short_desc, domain, domain_category
    )
);

CREATE TABLE core_nass__location (
    location_id bigint NOT NULL,
    agg_level text NOT NULL,
    state_ansi text NOT NULL,
    state_fips text NOT NULL,
    state_alpha text NOT NULL,
    state_name text NOT NULL,
    asd_code text NOT NULL,
    asd_desc text NOT NULL,
    county_ansi text NOT NULL,
    county_code text NOT NULL,
    county_name text NOT NULL,
    region_desc text NOT NULL,
    zip_5 text NOT NULL,
    watershed_code text NOT NULL,
    watershed_desc text NOT NULL,
    congr_district_code text NOT NULL,
    country_code text NOT NULL,
    country_name text NOT NULL,
    location_desc text NOT NULL,
    geoid text,
    CONSTRAINT pk_core_nass__location PRIMARY KEY (location_id),
    CONSTRAINT uq_core_nass__location__identity UNIQUE (
        agg_level, state_ansi, state_fips, state_alpha, state_name, asd_code,
        asd_desc, county_ansi, county_code, county_name, region_desc, zip_5,
        watershed_code, watershed_desc, congr_district_code, country_code,
        country_name, location_desc
    ),
    CONSTRAINT fk_core_nass__location__geoid FOREIGN KEY (geoid)
        REFERENCES core_geography__place (geoid)
);
CREATE INDEX ix_core_nass__location__geoid ON core_nass__location (geoid);

CREATE TABLE core_nass__period (
    period_id bigint NOT NULL,
    year smallint NOT NULL,
    freq text NOT NULL,
    begin_code text NOT NULL,
    end_code text NOT NULL,
    reference_period text NOT NULL,
    week_ending text NOT NULL,
    CONSTRAINT pk_core_nass__period PRIMARY KEY (period_id),
    CONSTRAINT uq_core_nass__period__identity UNIQUE (
        year, freq, begin_code, end_code, reference_period, week_ending
    )
);
"""

VALUE = """
CREATE TABLE core_nass__value (
    series_id bigint NOT NULL,
    location_id bigint NOT NULL,
    period_id bigint NOT NULL,
    value numeric,
    value_flag text,
    cv_pct numeric,
    cv_flag text,
    load_time text NOT NULL,
    load_run_id uuid NOT NULL,
    raw_file_id integer NOT NULL,
    raw_line bigint NOT NULL,
    CONSTRAINT pk_core_nass__value PRIMARY KEY (series_id, location_id, period_id),
    CONSTRAINT fk_core_nass__value__series_id FOREIGN KEY (series_id)
        REFERENCES core_nass__series (series_id),
    CONSTRAINT fk_core_nass__value__location_id FOREIGN KEY (location_id)
        REFERENCES core_nass__location (location_id),
    CONSTRAINT fk_core_nass__value__period_id FOREIGN KEY (period_id)
        REFERENCES core_nass__period (period_id),
    CONSTRAINT fk_core_nass__value__load_run_id FOREIGN KEY (load_run_id)
        REFERENCES ledger_run (run_id),
    CONSTRAINT fk_core_nass__value__raw_file_id FOREIGN KEY (raw_file_id)
        REFERENCES ledger_raw_file (raw_file_id),
    CONSTRAINT ck_core_nass__value__value CHECK (
        (value IS NULL) = (value_flag IS NOT NULL)
    ),
    CONSTRAINT ck_core_nass__value__cv CHECK (cv_pct IS NULL OR cv_flag IS NULL)
);
"""

HISTORY = """
CREATE TABLE core_nass__value_history (
    history_id bigint GENERATED ALWAYS AS IDENTITY,
    series_id bigint NOT NULL,
    location_id bigint NOT NULL,
    period_id bigint NOT NULL,
    value numeric,
    value_flag text,
    cv_pct numeric,
    cv_flag text,
    load_time text NOT NULL,
    load_run_id uuid NOT NULL,
    raw_file_id integer NOT NULL,
    raw_line bigint NOT NULL,
    change text NOT NULL,
    replaced_by_run_id uuid NOT NULL,
    replaced_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_core_nass__value_history PRIMARY KEY (history_id),
    CONSTRAINT fk_core_nass__value_history__series_id FOREIGN KEY (series_id)
        REFERENCES core_nass__series (series_id),
    CONSTRAINT fk_core_nass__value_history__location_id FOREIGN KEY (location_id)
        REFERENCES core_nass__location (location_id),
    CONSTRAINT fk_core_nass__value_history__period_id FOREIGN KEY (period_id)
        REFERENCES core_nass__period (period_id),
    CONSTRAINT fk_core_nass__value_history__load_run_id FOREIGN KEY (load_run_id)
        REFERENCES ledger_run (run_id),
    CONSTRAINT fk_core_nass__value_history__raw_file_id FOREIGN KEY (raw_file_id)
        REFERENCES ledger_raw_file (raw_file_id),
    CONSTRAINT fk_core_nass__value_history__replaced_by_run_id
        FOREIGN KEY (replaced_by_run_id) REFERENCES ledger_run (run_id),
    CONSTRAINT ck_core_nass__value_history__change CHECK (
        change IN ('updated', 'deleted')
    )
);
CREATE INDEX ix_core_nass__value_history__key
    ON core_nass__value_history (series_id, location_id, period_id);
"""

TABLES = (
    "core_nass__value_history",
    "core_nass__value",
    "core_nass__period",
    "core_nass__location",
    "core_nass__series",
)


def upgrade() -> None:
    """Make the five tables."""
    for statements in (DIMENSIONS, VALUE, HISTORY):
        op.execute(statements)


def downgrade() -> None:
    """Drop them, and with them every revision that was ever noticed."""
    for table in TABLES:
        op.drop_table(table)
