"""Writes the ledger: runs, steps with their rejects and checks, cursors."""
