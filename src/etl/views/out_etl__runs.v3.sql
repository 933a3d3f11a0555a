-- One row per run, planned source and input: with the counts of its rows.
-- A source that was not reached has one row without an input. `input_kind` is "sample"
-- for the small file that the package ships; rows of a sample are no published data.
SELECT
    run.run_id,
    run.status AS run_status,
    run.trigger,
    run.started_at AS run_started_at,
    run.finished_at AS run_finished_at,
    planned.source,
    coalesce(step.position, 1) AS position,
    coalesce(step.status, 'missing') AS source_status,
    step.input_name,
    step.input_kind,
    coalesce(step.input_kind = 'sample', false) AS is_sample,
    file.sha256 AS input_sha256,
    step.same_input,
    step.read,
    step.kept,
    step.rejected,
    step.rejects_stored,
    step.inserted,
    step.updated,
    step.unchanged,
    step.retracted,
    step.out_of_scope,
    step.sample_rows_replaced,
    step.rows_before,
    step.rows_after,
    step.error_code,
    step.error_message,
    run.schema_revision,
    run.lock_digest
FROM ledger_run AS run
CROSS JOIN LATERAL unnest(run.sources) AS planned (source)
LEFT JOIN ledger_step AS step
    ON step.run_id = run.run_id AND step.source = planned.source
LEFT JOIN ledger_raw_file AS file ON file.raw_file_id = step.raw_file_id
