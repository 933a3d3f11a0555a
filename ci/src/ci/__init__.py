"""How the pipeline runs: one stack description, three engines."""
