"""The Docker engine: long-lived containers, driven by a rendered compose file."""
