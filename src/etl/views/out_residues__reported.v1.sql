-- One row per year, county and by-product that the commissioners report themselves,
-- such as almond hulls. Shown beside the estimate and never added to it: what is sold
-- is not what grows, and part of it is in the estimate already.
--   year: year of the harvest
--   geoid: FIPS code of the county; null for the sum of other counties
--   county_name: name of the county; null for what cannot be placed in a county
--   by_product: name of the by-product
--   commodity_code: its code in the report
--   amount: what was sold, in the column unit; null where the report has none
--   unit: unit of the amount; null where none is printed
--   price_usd_per_unit: US dollars per unit
--   value_usd: US dollars
--   load_run_id: the run that last changed the figure
--   raw_file_id: the input that the figure is from
--   raw_line: the line of the input
SELECT
    c.year,
    c.geoid,
    c.county_name,
    m.by_product,
    c.commodity_code,
    c.production AS amount,
    c.unit,
    c.price_usd_per_unit,
    c.value_usd,
    c.load_run_id,
    c.raw_file_id,
    c.raw_line
FROM out_cac__production AS c
JOIN core_cac__crop AS m USING (commodity_code)
WHERE m.by_product IS NOT NULL
