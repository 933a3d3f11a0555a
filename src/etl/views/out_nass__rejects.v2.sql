-- One row per run and line of a NASS input that was rejected, and why.
-- `line` counts from 1 with the header; in a JSON input it is the number of the record.
-- A run that recognised its input shows the rejects of the step that had loaded it;
-- they are stored once.
SELECT
    step.run_id,
    step.position,
    step.started_at,
    step.status,
    step.input_name,
    f.sha256,
    r.line,
    r.column_name,
    r.value,
    r.rule,
    r.reason,
    r.raw_text
FROM ledger_step AS step
JOIN ledger_reject AS r
    ON r.run_id = coalesce(step.rejects_run_id, step.run_id)
    AND r.source = step.source
    AND r.position = coalesce(step.rejects_position, step.position)
JOIN ledger_raw_file AS f ON f.raw_file_id = r.raw_file_id
WHERE step.source = 'nass'
