"""The local engine: supervised processes and an embedded PostgreSQL."""
