-- One row per figure that was revised ('updated') or retracted ('retracted'), as it was
-- before; `replaced_by_run_id` is the run that replaced it.
SELECT
    s.source,
    s.commodity,
    nullif(s.class_desc, '') AS class,
    nullif(s.production_practice, '') AS production_practice,
    nullif(s.utilization_practice, '') AS utilization_practice,
    s.statistic,
    s.unit,
    s.short_desc,
    nullif(s.domain, '') AS domain,
    nullif(s.domain_category, '') AS domain_category,
    l.agg_level,
    nullif(l.state_fips, '') AS state_fips,
    nullif(l.county_code, '') AS county_code,
    nullif(l.location_desc, '') AS location_desc,
    l.geoid,
    p.year::integer AS year,
    nullif(p.freq, '') AS freq,
    nullif(p.reference_period, '') AS period,
    nullif(p.week_ending, '') AS week_ending,
    h.value,
    h.value_flag,
    h.cv_pct,
    h.cv_flag,
    h.load_time,
    h.load_run_id,
    h.raw_file_id,
    h.raw_line,
    h.change,
    h.replaced_by_run_id,
    h.replaced_at,
    h.series_id,
    h.location_id,
    h.period_id,
    l.location_key
FROM core_nass__value_history AS h
JOIN core_nass__series AS s USING (series_id)
JOIN core_nass__location AS l USING (location_id)
JOIN core_nass__period AS p USING (period_id)
