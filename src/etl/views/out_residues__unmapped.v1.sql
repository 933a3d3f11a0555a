-- One row per year and commodity of the commissioners' reports that has acres and no
-- residue estimate, and why: what the estimate leaves out.
--   year: year of the harvest
--   commodity_code: code of NASS California
--   commodity: name as printed
--   acres: acres harvested in all counties
--   reason: why no factor applies; "not in the mapping" for a new code
SELECT
    c.year,
    c.commodity_code,
    max(c.commodity) AS commodity,
    sum(c.acres) AS acres,
    coalesce(max(m.reason), 'not in the mapping') AS reason
FROM out_cac__production AS c
LEFT JOIN core_cac__crop AS m USING (commodity_code)
WHERE m.crop IS NULL AND m.by_product IS NULL
GROUP BY c.year, c.commodity_code
HAVING sum(c.acres) > 0
