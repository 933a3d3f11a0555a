"""First step: stores an input of any kind in the raw store."""
