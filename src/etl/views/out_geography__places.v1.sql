-- One row per place: the state, its counties, and NASS's "other (combined) counties".
SELECT geoid, level, place_name, state_fips, state_name, county_code, load_run_id
FROM core_geography__place
