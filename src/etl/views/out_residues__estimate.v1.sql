-- One row per county, crop, residue and year: harvested acres × residue per acre.
-- What a report does not place in a county is a row of its own without county. A
-- missing acreage is a gap, not zero. Figures of several commodities (table, wine and
-- raisin grapes) are separate acres and are added. The range is that of the two dry
-- factors that the factor table implies: the printed one, and wet × (1 - moisture).
--   year: year of the harvest
--   geoid: FIPS code of the county; null for the sum of other counties
--   county_name: name of the county; null for what cannot be placed in a county
--   crop: crop of the residue factors
--   residue: name of the residue
--   residue_type: Prunings, Straw, …; null where the factor table has none
--   acres: acres harvested; null where no commodity has an acreage
--   acres_source: the source of the acres: cac, the commissioners' reports
--   acres_flag: not_reported or partly_reported where commodities have no acreage
--   dry_tons: dry matter, short tons
--   dry_tons_low: the lower end of the range, short tons
--   dry_tons_high: the upper end of the range, short tons
--   wet_tons: residue as it lies in the field, short tons
--   months: months (1 to 12) in which the residue is available
--   acres_ref: the acreage figures: source, year, county code, commodity codes
--   factor_ref: the factor: source and crop
SELECT
    a.year::integer AS year,
    a.geoid,
    regexp_replace(p.place_name, ' County$', '') AS county_name,
    f.crop,
    f.residue,
    f.residue_type,
    a.acres,
    'cac' AS acres_source,
    CASE
        WHEN a.reported = 0 THEN 'not_reported'
        WHEN a.reported < a.commodities THEN 'partly_reported'
    END AS acres_flag,
    a.acres * f.dry_tons_per_acre AS dry_tons,
    a.acres * least(
        f.dry_tons_per_acre, f.wet_tons_per_acre * (1 - f.moisture_fraction)
    ) AS dry_tons_low,
    a.acres * greatest(
        f.dry_tons_per_acre, f.wet_tons_per_acre * (1 - f.moisture_fraction)
    ) AS dry_tons_high,
    a.acres * f.wet_tons_per_acre AS wet_tons,
    f.available_months AS months,
    concat_ws(' ', 'cac', a.year, a.county_code, a.codes) AS acres_ref,
    'residue_factors ' || f.crop AS factor_ref
FROM (
    SELECT
        r.year,
        r.county_code,
        r.geoid,
        m.crop,
        sum(r.acres) FILTER (WHERE r.acres_flag IS NULL) AS acres,
        count(r.acres) FILTER (WHERE r.acres_flag IS NULL) AS reported,
        count(*) AS commodities,
        string_agg(r.commodity_code, '+' ORDER BY r.commodity_code) AS codes
    FROM core_cac__report AS r
    JOIN core_cac__crop AS m USING (commodity_code)
    WHERE r.level <> 'state_total' AND m.crop IS NOT NULL
    GROUP BY r.year, r.county_code, r.geoid, m.crop
) AS a
JOIN core_residues__factor AS f USING (crop)
LEFT JOIN core_geography__place AS p USING (geoid)
