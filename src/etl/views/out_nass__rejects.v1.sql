-- One row per line of a NASS input that was not loaded, and why.
-- `line` counts from 1 with the header; in a JSON input it is the number of the record.
SELECT
    r.run_id,
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
FROM ledger_reject AS r
JOIN ledger_step AS step USING (run_id, source)
JOIN ledger_raw_file AS f ON f.raw_file_id = r.raw_file_id
WHERE r.source = 'nass'
