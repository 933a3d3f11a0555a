"""Second step: reads a raw file into frames and rejects."""
