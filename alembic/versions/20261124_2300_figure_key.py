"""The key of a figure: what every form of QuickStats data has; the rest describes.

Until now all 36 columns of QuickStats were the key, so another spelling of a county
made a second figure. This computes the new ids in SQL, as etl.transform.identity
does, and merges rows that are the same series, location, period or figure:

- The state of a merged description that was loaded last stays; former ones go into the
  history of the dimension.
- Of merged figures the one loaded last stays. Those before it go into the history of
  the values where value, flag or CV differ; a repetition is dropped, as a load does.

It rewrites every NASS table and locks them for as long: seconds per million figures.
"""

from alembic import context, op
from alembic.util import CommandError
from sqlalchemy import text

from etl.views.definitions import definition

revision = "20261124_2300"
down_revision = "20261124_2240"
branch_labels = None
depends_on = None

VIEWS = ("out_nass__values", "out_nass__value_history")
FUNCTION = """
CREATE FUNCTION pg_temp.content_id(VARIADIC cells text[]) RETURNS bigint
LANGUAGE sql IMMUTABLE AS $$
    SELECT (('x' || encode(substr(sha256(string_agg(convert_to(cell, 'UTF8'),
               '\\x00'::bytea ORDER BY nth)), 1, 8), 'hex'))::bit(64) >> 1)::bigint
    FROM unnest(cells) WITH ORDINALITY AS joined (cell, nth)
$$;
"""
LOCATION_KEY = """concat_ws('|', agg_level, state_fips, CASE
    WHEN agg_level = 'COUNTY' AND county_code = '998'
        THEN county_code || '|' || asd_code
    WHEN agg_level = 'COUNTY' THEN county_code
    WHEN agg_level = 'AGRICULTURAL DISTRICT' THEN asd_code
    WHEN agg_level = 'ZIP CODE' THEN zip_5
    WHEN agg_level = 'CONGRESSIONAL DISTRICT' THEN congr_district_code
    WHEN agg_level = 'WATERSHED' THEN watershed_code
    WHEN agg_level IN ('REGION : SUB-STATE', 'REGION : MULTI-STATE',
                       'AMERICAN INDIAN RESERVATION') THEN region_desc
    ELSE '' END)"""

KEYS = {
    "series": (
        "pg_temp.content_id(source, short_desc, domain, domain_category)",
        ("source", "short_desc", "domain", "domain_category", "commodity"),
        ("sector", "group_desc", "class_desc", "production_practice",
         "utilization_practice", "statistic", "unit"),
    ),
    "location": (
        f"pg_temp.content_id({LOCATION_KEY})",
        ("location_key", "agg_level", "state_fips"),
        ("state_ansi", "state_alpha", "state_name", "asd_code", "asd_desc",
         "county_ansi", "county_code", "county_name", "region_desc", "zip_5",
         "watershed_code", "watershed_desc", "congr_district_code", "country_code",
         "country_name", "location_desc", "geoid"),
    ),
    "period": (
        "pg_temp.content_id(year::text, reference_period, week_ending)",
        ("year", "reference_period", "week_ending"),
        ("freq", "begin_code", "end_code"),
    ),
}  # fmt: skip
"""By dimension: the new id, its columns that are never null, those that may be."""

NEW_DIMENSION = """
CREATE TABLE new_{name} AS
SELECT {new_id} AS new_id, d.{name}_id AS old_id, {columns}, loaded.at AS loaded_at,
       loaded.run_id
FROM (SELECT *{extra} FROM core_nass__{name}) AS d
LEFT JOIN (
    SELECT DISTINCT ON (v.{name}_id) v.{name}_id, run.started_at AS at, run.run_id
    FROM core_nass__value AS v JOIN ledger_run AS run ON run.run_id = v.load_run_id
    ORDER BY v.{name}_id, run.started_at DESC
) AS loaded ON loaded.{name}_id = d.{name}_id
"""

FILL_DIMENSION = """
INSERT INTO core_nass__{name} ({name}_id, {columns})
SELECT new_id, {last} FROM new_{name} GROUP BY new_id;

INSERT INTO core_nass__{name}_history
    ({name}_id, {columns}, replaced_by_run_id, replaced_at)
SELECT f.new_id, {former}, last.run_id, coalesce(last.loaded_at, now())
FROM new_{name} AS f
JOIN LATERAL (
    SELECT run_id, loaded_at FROM new_{name} AS other WHERE other.new_id = f.new_id
    ORDER BY loaded_at DESC NULLS LAST, old_id DESC LIMIT 1
) AS last ON true
JOIN core_nass__{name} AS d ON d.{name}_id = f.new_id
WHERE ({coalesced}) IS DISTINCT FROM ({current});
"""

# raw_file_id is the order in which files were seen, where two runs began together.
CHAIN = """
CREATE TABLE new_figure AS
SELECT chained.*, row_number() OVER later AS nth_last,
       lead(load_run_id) OVER earlier AS next_run_id,
       lead(started_at) OVER earlier AS next_at
FROM (
    SELECT s.new_id AS series_id, l.new_id AS location_id, p.new_id AS period_id,
           v.value, v.value_flag, v.cv_pct, v.cv_flag, v.load_time, v.load_run_id,
           v.raw_file_id, v.raw_line, run.started_at,
           (v.value, v.value_flag, v.cv_pct, v.cv_flag) IS NOT DISTINCT FROM
           lag((v.value, v.value_flag, v.cv_pct, v.cv_flag)) OVER chain
           AND row_number() OVER chain > 1 AS repeats
    FROM core_nass__value AS v
    JOIN new_series AS s ON s.old_id = v.series_id
    JOIN new_location AS l ON l.old_id = v.location_id
    JOIN new_period AS p ON p.old_id = v.period_id
    JOIN ledger_run AS run ON run.run_id = v.load_run_id
    WINDOW chain AS (
        PARTITION BY s.new_id, l.new_id, p.new_id
        ORDER BY run.started_at, v.raw_file_id, v.raw_line
    )
) AS chained
WHERE NOT repeats
WINDOW earlier AS (
           PARTITION BY series_id, location_id, period_id
           ORDER BY started_at, raw_file_id, raw_line
       ),
       later AS (
           PARTITION BY series_id, location_id, period_id
           ORDER BY started_at DESC, raw_file_id DESC, raw_line DESC
       )
"""

REKEY = """
CREATE TABLE new_history AS
SELECT h.history_id, s.new_id AS series_id, l.new_id AS location_id,
       p.new_id AS period_id
FROM core_nass__value_history AS h
JOIN new_series AS s ON s.old_id = h.series_id
JOIN new_location AS l ON l.old_id = h.location_id
JOIN new_period AS p ON p.old_id = h.period_id;

TRUNCATE core_nass__value;
"""

FILL = """
INSERT INTO core_nass__value
SELECT series_id, location_id, period_id, value, value_flag, cv_pct, cv_flag, load_time,
       load_run_id, raw_file_id, raw_line
FROM new_figure WHERE nth_last = 1;

INSERT INTO core_nass__value_history (series_id, location_id, period_id, value,
    value_flag, cv_pct, cv_flag, load_time, load_run_id, raw_file_id, raw_line, change,
    replaced_by_run_id, replaced_at)
SELECT series_id, location_id, period_id, value, value_flag, cv_pct, cv_flag, load_time,
       load_run_id, raw_file_id, raw_line, 'updated', next_run_id, next_at
FROM new_figure WHERE nth_last > 1 ORDER BY next_at, raw_line;

UPDATE core_nass__value_history AS h
SET series_id = n.series_id, location_id = n.location_id, period_id = n.period_id
FROM new_history AS n WHERE n.history_id = h.history_id;

DROP TABLE new_history, new_figure, new_series, new_location, new_period;

ALTER TABLE core_nass__value ALTER load_time DROP NOT NULL;
ALTER TABLE core_nass__value_history ALTER load_time DROP NOT NULL;
"""


def describe(name: str) -> None:
    """Compute the new ids of a dimension beside its old ones."""
    new_id, fixed, described = KEYS[name]
    extra = f", {LOCATION_KEY} AS location_key" if name == "location" else ""
    columns = ", ".join(
        [*fixed, *(f"nullif({column}, '') AS {column}" for column in described)]
    )
    op.execute(
        NEW_DIMENSION.format(name=name, new_id=new_id, columns=columns, extra=extra)
    )


def rebuild(name: str) -> None:
    """Give a dimension its new columns and rows, and a history."""
    _, fixed, described = KEYS[name]
    table = f"core_nass__{name}"
    identity = [c for c in fixed if c not in ("commodity", "agg_level", "state_fips")]
    op.execute(f"TRUNCATE {table}")
    op.execute(f"ALTER TABLE {table} DROP CONSTRAINT uq_{table}__identity")
    if name == "location":
        op.execute(f"ALTER TABLE {table} ADD location_key text NOT NULL")
    for column in described:
        op.execute(f"ALTER TABLE {table} ALTER {column} DROP NOT NULL")
    op.execute(
        f"ALTER TABLE {table} ADD CONSTRAINT uq_{table}__identity "
        f"UNIQUE ({', '.join(identity)})"
    )
    columns = (*fixed, *described)
    definitions = "".join(
        f"{column} {'smallint' if column == 'year' else 'text'}"
        f"{' NOT NULL' if column in fixed else ''}, "
        for column in columns
    )
    op.execute(
        f"CREATE TABLE {table}_history ("
        "history_id bigint GENERATED ALWAYS AS IDENTITY, "
        f"{name}_id bigint NOT NULL, {definitions} replaced_by_run_id uuid, "
        "replaced_at timestamptz NOT NULL DEFAULT now(), "
        f"CONSTRAINT pk_{table}_history PRIMARY KEY (history_id), "
        f"CONSTRAINT fk_{table}_history__{name}_id FOREIGN KEY ({name}_id) "
        f"REFERENCES {table} ({name}_id), "
        f"CONSTRAINT fk_{table}_history__replaced_by_run_id "
        "FOREIGN KEY (replaced_by_run_id) REFERENCES ledger_run (run_id))"
    )
    index = f"ix_{table}_history__{name}_id"
    op.execute(f"CREATE INDEX {index} ON {table}_history ({name}_id)")


def fill(name: str) -> None:
    """Fill a dimension from its new rows, and its history with what they replace."""
    _, fixed, described = KEYS[name]
    columns = (*fixed, *described)
    last = ", ".join(
        f"(array_agg({column} ORDER BY loaded_at DESC NULLS LAST, old_id DESC) "
        f"FILTER (WHERE {column} IS NOT NULL))[1]"
        for column in columns
    )
    op.execute(
        FILL_DIMENSION.format(
            name=name,
            columns=", ".join(columns),
            last=last,
            former=", ".join(f"f.{column}" for column in columns),
            coalesced=", ".join(f"coalesce(f.{c}, d.{c})" for c in columns),
            current=", ".join(f"d.{c}" for c in columns),
        )
    )


def foreign_keys(change: str) -> None:
    """Drop or add the foreign keys between the NASS tables."""
    for table in ("core_nass__value", "core_nass__value_history"):
        for name in KEYS:
            key = f"FOREIGN KEY ({name}_id) REFERENCES core_nass__{name} ({name}_id)"
            statement = (
                f"ALTER TABLE {table} {change} CONSTRAINT fk_{table}__{name}_id "
            )
            op.execute(statement + (key if change == "ADD" else ""))


def make_views(version: int) -> None:
    """Make one version of the two views of figures."""
    for view in VIEWS:
        op.execute(f"CREATE VIEW {view} AS {definition(view, version=version)}")


def upgrade() -> None:
    """Compute new ids, merge what is the same, and keep every former state."""
    op.execute("DROP VIEW out_nass__values, out_nass__value_history")
    op.execute(FUNCTION)
    foreign_keys("DROP")
    for name in KEYS:
        describe(name)
    op.execute(CHAIN)
    op.execute(REKEY)
    for name in KEYS:
        rebuild(name)
        fill(name)
    op.execute(FILL)
    foreign_keys("ADD")
    make_views(2)


def downgrade() -> None:
    """Restore the old columns, in tables without figures."""
    figures = text("SELECT EXISTS (SELECT FROM core_nass__series)")
    if not context.is_offline_mode() and op.get_bind().scalar(figures):
        raise CommandError(
            "cannot go back before 20261124_2300 while there are NASS figures: "
            "descriptions that it merged cannot be separated again. Restore a backup "
            "from before the upgrade."
        )
    op.execute("DROP VIEW out_nass__values, out_nass__value_history")
    for name, (_, fixed, described) in KEYS.items():
        table = f"core_nass__{name}"
        op.execute(f"DROP TABLE {table}_history")
        op.execute(f"ALTER TABLE {table} DROP CONSTRAINT uq_{table}__identity")
        if name == "location":
            op.execute(f"ALTER TABLE {table} DROP COLUMN location_key")
        identity = [
            c for c in (*fixed, *described) if c not in ("geoid", "location_key")
        ]
        for column in identity:
            op.execute(f"ALTER TABLE {table} ALTER {column} SET NOT NULL")
        op.execute(
            f"ALTER TABLE {table} ADD CONSTRAINT uq_{table}__identity "
            f"UNIQUE ({', '.join(identity)})"
        )
    for table in ("core_nass__value", "core_nass__value_history"):
        op.execute(f"ALTER TABLE {table} ALTER load_time SET NOT NULL")
    make_views(1)
