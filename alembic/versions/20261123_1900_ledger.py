"""The ledger: runs, steps, raw files, rejects, check results, cursors.

New tables only: no lock on anything that exists.
"""

from alembic import op

revision = "20261123_1900"
down_revision = None
branch_labels = None
depends_on = None

RUNS = """
CREATE TABLE ledger_run (
    run_id uuid NOT NULL,
    status text NOT NULL,
    trigger text NOT NULL,
    sources text[] NOT NULL,
    inputs jsonb NOT NULL,
    schema_revision text NOT NULL,
    lock_digest text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    held_at timestamptz,
    finished_at timestamptz,
    CONSTRAINT pk_ledger_run PRIMARY KEY (run_id),
    CONSTRAINT ck_ledger_run__status CHECK (
        status IN ('running', 'succeeded', 'partial', 'failed', 'crashed')
    ),
    CONSTRAINT ck_ledger_run__closed_once CHECK (
        (status = 'running') = (finished_at IS NULL)
    )
);
CREATE INDEX ix_ledger_run__started_at ON ledger_run (started_at);

CREATE TABLE ledger_raw_file (
    raw_file_id integer GENERATED ALWAYS AS IDENTITY,
    sha256 text NOT NULL,
    name text NOT NULL,
    size_bytes bigint NOT NULL,
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_ledger_raw_file PRIMARY KEY (raw_file_id),
    CONSTRAINT uq_ledger_raw_file__sha256 UNIQUE (sha256)
);
"""

STEPS = """
CREATE TABLE ledger_step (
    run_id uuid NOT NULL,
    source text NOT NULL,
    status text NOT NULL,
    raw_file_id integer,
    input_name text,
    same_input boolean NOT NULL DEFAULT false,
    read bigint NOT NULL DEFAULT 0,
    kept bigint NOT NULL DEFAULT 0,
    rejected bigint NOT NULL DEFAULT 0,
    inserted bigint NOT NULL DEFAULT 0,
    updated bigint NOT NULL DEFAULT 0,
    unchanged bigint NOT NULL DEFAULT 0,
    deleted bigint NOT NULL DEFAULT 0,
    out_of_scope bigint NOT NULL DEFAULT 0,
    tables jsonb NOT NULL DEFAULT '{}',
    rejects_by_rule jsonb NOT NULL DEFAULT '{}',
    error_code text,
    error_message text,
    error_hint text,
    blocked_by text,
    started_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_ledger_step PRIMARY KEY (run_id, source),
    CONSTRAINT fk_ledger_step__run_id FOREIGN KEY (run_id)
        REFERENCES ledger_run (run_id) ON DELETE CASCADE,
    CONSTRAINT fk_ledger_step__raw_file_id FOREIGN KEY (raw_file_id)
        REFERENCES ledger_raw_file (raw_file_id),
    CONSTRAINT ck_ledger_step__status CHECK (
        status IN ('loaded', 'failed', 'blocked')
    ),
    CONSTRAINT ck_ledger_step__every_row_counted CHECK (read = kept + rejected),
    CONSTRAINT ck_ledger_step__every_kept_row_counted CHECK (
        status <> 'loaded' OR kept = inserted + updated + unchanged
    ),
    CONSTRAINT ck_ledger_step__error_told CHECK (
        (status = 'loaded') = (error_code IS NULL)
    )
);
"""

FINDINGS = """
CREATE TABLE ledger_reject (
    reject_id bigint GENERATED ALWAYS AS IDENTITY,
    run_id uuid NOT NULL,
    source text NOT NULL,
    raw_file_id integer NOT NULL,
    line bigint NOT NULL,
    column_name text NOT NULL,
    value text NOT NULL,
    rule text NOT NULL,
    reason text NOT NULL,
    raw_text text NOT NULL,
    CONSTRAINT pk_ledger_reject PRIMARY KEY (reject_id),
    CONSTRAINT fk_ledger_reject__run_id_source FOREIGN KEY (run_id, source)
        REFERENCES ledger_step (run_id, source) ON DELETE CASCADE,
    CONSTRAINT fk_ledger_reject__raw_file_id FOREIGN KEY (raw_file_id)
        REFERENCES ledger_raw_file (raw_file_id)
);
CREATE INDEX ix_ledger_reject__run_id_source ON ledger_reject (run_id, source);

CREATE TABLE ledger_check_result (
    run_id uuid NOT NULL,
    source text NOT NULL,
    name text NOT NULL,
    severity text NOT NULL,
    expected text NOT NULL,
    seen text NOT NULL,
    passed boolean NOT NULL,
    CONSTRAINT pk_ledger_check_result PRIMARY KEY (run_id, source, name),
    CONSTRAINT fk_ledger_check_result__run_id_source FOREIGN KEY (run_id, source)
        REFERENCES ledger_step (run_id, source) ON DELETE CASCADE,
    CONSTRAINT ck_ledger_check_result__severity CHECK (
        severity IN ('error', 'warning')
    )
);

CREATE TABLE ledger_cursor (
    source text NOT NULL,
    run_id uuid NOT NULL,
    state jsonb NOT NULL,
    target_rows bigint NOT NULL,
    CONSTRAINT pk_ledger_cursor PRIMARY KEY (source),
    CONSTRAINT fk_ledger_cursor__run_id_source FOREIGN KEY (run_id, source)
        REFERENCES ledger_step (run_id, source)
);
"""

TABLES = (
    "ledger_cursor",
    "ledger_check_result",
    "ledger_reject",
    "ledger_step",
    "ledger_raw_file",
    "ledger_run",
)


def upgrade() -> None:
    """Make the six tables."""
    for statements in (RUNS, STEPS, FINDINGS):
        op.execute(statements)


def downgrade() -> None:
    """Drop them, and with them the record of what was loaded."""
    for table in TABLES:
        op.drop_table(table)
