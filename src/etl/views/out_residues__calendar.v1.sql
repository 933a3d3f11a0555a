-- One row per row of out_residues__estimate and month of availability: the tons of the
-- year in equal parts. The months of a season that spans the turn of the year count
-- for the year of the harvest.
--   year: year of the harvest
--   month: 1 to 12
--   geoid: FIPS code of the county; null for the sum of other counties
--   county_name: name of the county; null for what cannot be placed in a county
--   crop: crop of the residue factors
--   residue: name of the residue
--   residue_type: Prunings, Straw, …; null where the factor table has none
--   dry_tons: dry matter, short tons
--   dry_tons_low: the lower end of the range, short tons
--   dry_tons_high: the upper end of the range, short tons
--   wet_tons: residue as it lies in the field, short tons
SELECT
    e.year,
    m.month::integer AS month,
    e.geoid,
    e.county_name,
    e.crop,
    e.residue,
    e.residue_type,
    e.dry_tons / cardinality(e.months) AS dry_tons,
    e.dry_tons_low / cardinality(e.months) AS dry_tons_low,
    e.dry_tons_high / cardinality(e.months) AS dry_tons_high,
    e.wet_tons / cardinality(e.months) AS wet_tons
FROM out_residues__estimate AS e
CROSS JOIN LATERAL unnest(e.months) AS m (month)
