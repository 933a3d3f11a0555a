"""The ledger has one step per input of a source; rejects are stored once.

Takes ACCESS EXCLUSIVE locks on the ledger's tables, for as long as it takes to add
columns and to check keys; they are small. Everything in the ledger is kept: what there
was becomes the first input of its source.
"""

from alembic import op

from etl.views.definitions import definition

revision = "20261124_2335"
down_revision = "20261124_2330"
branch_labels = None
depends_on = None

VIEWS = {"out_etl__runs": 3, "out_nass__rejects": 2}
"""The views that get other columns, with the version of this revision."""

DROP_KEYS = """
ALTER TABLE ledger_cursor DROP CONSTRAINT fk_ledger_cursor__run_id_source{suffix};
ALTER TABLE ledger_check_result
    DROP CONSTRAINT fk_ledger_check_result__run_id_source{suffix},
    DROP CONSTRAINT pk_ledger_check_result;
ALTER TABLE ledger_reject DROP CONSTRAINT fk_ledger_reject__run_id_source{suffix};
DROP INDEX ix_ledger_reject__run_id_source{suffix};
"""

ADD_KEYS = """
ALTER TABLE ledger_step ADD CONSTRAINT pk_ledger_step PRIMARY KEY ({key});
ALTER TABLE ledger_reject ADD CONSTRAINT fk_ledger_reject__run_id_source{suffix}
    FOREIGN KEY ({key}) REFERENCES ledger_step ({key}) ON DELETE CASCADE;
CREATE INDEX ix_ledger_reject__run_id_source{suffix} ON ledger_reject ({key});
ALTER TABLE ledger_check_result
    ADD CONSTRAINT pk_ledger_check_result PRIMARY KEY ({key}, name),
    ADD CONSTRAINT fk_ledger_check_result__run_id_source{suffix}
        FOREIGN KEY ({key}) REFERENCES ledger_step ({key}) ON DELETE CASCADE;
ALTER TABLE ledger_cursor ADD CONSTRAINT fk_ledger_cursor__run_id_source{suffix}
    FOREIGN KEY ({key}) REFERENCES ledger_step ({key});
"""

ADD_POSITIONS = """
ALTER TABLE ledger_step
    DROP CONSTRAINT pk_ledger_step,
    ADD COLUMN position integer NOT NULL DEFAULT 1;
ALTER TABLE ledger_reject ADD COLUMN position integer NOT NULL DEFAULT 1;
ALTER TABLE ledger_check_result ADD COLUMN position integer NOT NULL DEFAULT 1;
ALTER TABLE ledger_cursor
    ADD COLUMN position integer NOT NULL DEFAULT 1,
    ADD COLUMN target_digest text NOT NULL DEFAULT '',
    DROP COLUMN target_rows;
"""

ADD_COLUMNS = """
ALTER TABLE ledger_step
    ADD COLUMN input_kind text,
    ADD COLUMN rows_before bigint,
    ADD COLUMN rows_after bigint,
    ADD COLUMN sample_rows_replaced bigint NOT NULL DEFAULT 0,
    ADD COLUMN rejects_stored bigint NOT NULL DEFAULT 0,
    ADD COLUMN rejects_run_id uuid,
    ADD COLUMN rejects_position integer,
    ADD CONSTRAINT ck_ledger_step__input_kind CHECK (
        input_kind IN ('file', 'api', 'filtered_api', 'sample', 'reference')
    ),
    ADD CONSTRAINT ck_ledger_step__position CHECK (position >= 1),
    ADD CONSTRAINT ck_ledger_step__rejects_of CHECK (
        (rejects_run_id IS NULL) = (rejects_position IS NULL)
    );
ALTER TABLE ledger_step
    ADD CONSTRAINT fk_ledger_step__rejects_run_id_source_rejects_position
        FOREIGN KEY (rejects_run_id, source, rejects_position)
        REFERENCES ledger_step (run_id, source, position);
ALTER TABLE ledger_raw_file ADD COLUMN pruned_at timestamptz;
"""

FILL = """
UPDATE ledger_step AS step SET
    rejects_stored = (
        SELECT count(*) FROM ledger_reject AS r
        WHERE (r.run_id, r.source) = (step.run_id, step.source)
    ),
    input_kind = CASE
        WHEN step.raw_file_id IS NULL THEN NULL
        WHEN run.inputs ->> step.source = 'api' THEN 'api'
        WHEN run.inputs ->> step.source LIKE 'api:%' THEN 'filtered_api'
        WHEN run.inputs ->> step.source IS DISTINCT FROM 'sample' THEN 'file'
        WHEN step.source IN ('geography', 'cac_crops', 'residue_factors')
            THEN 'reference'
        ELSE 'sample'
    END
FROM ledger_run AS run WHERE run.run_id = step.run_id;
UPDATE ledger_run SET inputs = coalesce(
    (SELECT jsonb_object_agg(key, jsonb_build_array(value)) FROM jsonb_each(inputs)),
    '{}'
);
UPDATE ledger_cursor SET state = '{}';
"""

REMOVE = """
ALTER TABLE ledger_step
    DROP CONSTRAINT fk_ledger_step__rejects_run_id_source_rejects_position,
    DROP CONSTRAINT pk_ledger_step;
DELETE FROM ledger_cursor;
DELETE FROM ledger_check_result WHERE position > 1;
DELETE FROM ledger_reject WHERE position > 1;
DELETE FROM ledger_step WHERE position > 1;
UPDATE ledger_run SET inputs = coalesce(
    (SELECT jsonb_object_agg(key, value -> 0) FROM jsonb_each(inputs)
     WHERE value -> 0 IS NOT NULL),
    '{}'
);
ALTER TABLE ledger_raw_file DROP COLUMN pruned_at;
ALTER TABLE ledger_step
    DROP COLUMN position,
    DROP COLUMN input_kind,
    DROP COLUMN rows_before,
    DROP COLUMN rows_after,
    DROP COLUMN sample_rows_replaced,
    DROP COLUMN rejects_stored,
    DROP COLUMN rejects_run_id,
    DROP COLUMN rejects_position;
ALTER TABLE ledger_reject DROP COLUMN position;
ALTER TABLE ledger_check_result DROP COLUMN position;
ALTER TABLE ledger_cursor
    DROP COLUMN position,
    DROP COLUMN target_digest,
    ADD COLUMN target_rows bigint NOT NULL;
"""


def upgrade() -> None:
    """Add the position to every key, then what a step knows of its input."""
    drop_views()
    op.execute(DROP_KEYS.format(suffix=""))
    op.execute(ADD_POSITIONS)
    op.execute(ADD_KEYS.format(suffix="_position", key="run_id, source, position"))
    op.execute(ADD_COLUMNS)
    op.execute(FILL)
    create_views(VIEWS)


def downgrade() -> None:
    """Keep the first input of each source; what only this revision knows is lost."""
    drop_views()
    op.execute(DROP_KEYS.format(suffix="_position"))
    op.execute(REMOVE)
    op.execute(ADD_KEYS.format(suffix="", key="run_id, source"))
    create_views({view: version - 1 for view, version in VIEWS.items()})


def drop_views() -> None:
    """Drop the views that get other columns; they hold no data."""
    for view in VIEWS:
        op.execute(f"DROP VIEW {view}")


def create_views(versions: dict[str, int]) -> None:
    """Create the views in some versions."""
    for view, version in versions.items():
        op.execute(f"CREATE VIEW {view} AS {definition(view, version=version)}")
