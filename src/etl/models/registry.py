"""The metadata of all models, for migrations and tests."""

from __future__ import annotations

from etl.models import geography, ledger, nass, residues
from etl.models.base import Base

__all__ = ["geography", "ledger", "metadata", "nass", "residues"]

metadata = Base.metadata
