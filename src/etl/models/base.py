"""What every table shares: constraint names, column types, origin of a row."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, ForeignKey, MetaData, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s__%(column_0_N_name)s",
    "uq": "uq_%(table_name)s__%(column_0_N_name)s",
    "ck": "ck_%(table_name)s__%(constraint_name)s",
    "fk": "fk_%(table_name)s__%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Base of all models. Text is `text`, a time is `timestamptz`."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map = {str: Text, datetime: DateTime(timezone=True)}  # noqa: RUF012


class LoadedRow:
    """Columns of a row that came from a line of a raw file.

    They name the load that last *changed* the row: a later file that says the same
    leaves the row, and these columns, as they are.
    """

    load_run_id: Mapped[UUID] = mapped_column(ForeignKey("ledger_run.run_id"))
    raw_file_id: Mapped[int] = mapped_column(ForeignKey("ledger_raw_file.raw_file_id"))
    raw_line: Mapped[int] = mapped_column(BigInteger)
