"""First step: brings an input, whatever it is, into the raw store."""
