"""Last step: COPY into a stage, checks over the whole set, one MERGE per table."""
