-- One row per year and commodity with a printed total of the state: whether the
-- counties and the sum of other counties add up to it.
--   year: year of the harvest
--   commodity_code: code of NASS California
--   commodity: name as printed with the total
--   total_acres: acres of the printed total; null where 0 stands for not reported
--   sum_acres: acres of the counties and of the sum of other counties
--   acres_differ: whether they differ by more than 1 acre and 0.5 %
--   total_value_usd: value of the printed total
--   sum_value_usd: value of the counties and of the sum of other counties
--   value_differs: whether they differ by more than 30,000 dollars and 1 %
SELECT
    t.year::integer AS year,
    t.commodity_code,
    nullif(t.commodity, '') AS commodity,
    t.acres AS total_acres,
    s.acres AS sum_acres,
    coalesce(abs(t.acres - s.acres) > greatest(1, 0.005 * t.acres), false)
        AS acres_differ,
    t.value_usd AS total_value_usd,
    s.value_usd AS sum_value_usd,
    coalesce(
        abs(t.value_usd - s.value_usd) > greatest(30000, 0.01 * t.value_usd), false
    ) AS value_differs
FROM (
    SELECT
        year,
        commodity_code,
        commodity,
        value_usd,
        CASE WHEN acres_flag IS NULL THEN acres END AS acres
    FROM core_cac__report
    WHERE level = 'state_total'
) AS t
LEFT JOIN (
    SELECT
        year,
        commodity_code,
        sum(acres) AS acres,
        sum(value_usd) AS value_usd
    FROM core_cac__report
    WHERE level <> 'state_total'
    GROUP BY year, commodity_code
) AS s USING (year, commodity_code)
