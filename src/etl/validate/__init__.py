"""Second step: reads a raw file and parts its rows into good ones and rejects."""
