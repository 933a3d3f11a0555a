-- One row per year, commodity and county of the commissioners' reports, plus one per
-- year and commodity for the sum of counties that are not shown one by one. Totals of
-- the state are left out, so that no figure is counted twice.
--   year: year of the harvest
--   geoid: FIPS code of the county; null for the sum of other counties
--   county_name: name of the county; null for the sum of other counties
--   commodity_code: code of NASS California
--   commodity: name as printed; null where the report has none
--   acres: acres harvested; null where blank, or 0 beside production or value
--   acres_flag: zero_not_reported where the report prints such a 0
--   yield: production per acre, in the unit of production
--   production: in the column unit; null where blank, or 0 beside a value
--   production_flag: zero_not_reported where the report prints such a 0
--   unit: unit of production; null where none or an unknown one is printed
--   unit_printed: the unit as printed
--   price_usd_per_unit: US dollars per unit
--   value_usd: US dollars
--   load_run_id: the run that last changed the figure
--   raw_file_id: the input that the figure is from
--   raw_line: the line of the input
SELECT
    r.year::integer AS year,
    r.geoid,
    regexp_replace(p.place_name, ' County$', '') AS county_name,
    r.commodity_code,
    nullif(r.commodity, '') AS commodity,
    CASE WHEN r.acres_flag IS NULL THEN r.acres END AS acres,
    r.acres_flag,
    r.yield_per_acre AS yield,
    CASE WHEN r.production_flag IS NULL THEN r.production END AS production,
    r.production_flag,
    r.unit,
    nullif(r.unit_printed, '') AS unit_printed,
    r.price_usd_per_unit,
    r.value_usd,
    r.load_run_id,
    r.raw_file_id,
    r.raw_line
FROM core_cac__report AS r
LEFT JOIN core_geography__place AS p USING (geoid)
WHERE r.level <> 'state_total'
