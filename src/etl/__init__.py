"""BioCirV ETL: what the pipeline does, from a source file to published views."""
