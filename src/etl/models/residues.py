"""Commissioners' reports, the crops they mean, and the residue per acre of a crop."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    SmallInteger,
    func,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from etl.models.base import Base, LoadedRow


class ResidueFactor(LoadedRow, Base):
    """One row per crop: short tons of residue per acre and year, and its months."""

    __tablename__ = "core_residues__factor"
    __table_args__ = (
        CheckConstraint("moisture_fraction BETWEEN 0 AND 1", name="moisture"),
        CheckConstraint(
            "array_length(available_months, 1) >= 1 "
            "AND available_months <@ '{1,2,3,4,5,6,7,8,9,10,11,12}'",
            name="months",
        ),
    )

    crop: Mapped[str] = mapped_column(primary_key=True)
    category: Mapped[str]
    residue_type: Mapped[str | None]
    residue: Mapped[str]
    wet_tons_per_acre: Mapped[Decimal]
    moisture_fraction: Mapped[Decimal]
    dry_tons_per_acre: Mapped[Decimal]
    available_months: Mapped[list[int]] = mapped_column(ARRAY(SmallInteger))


class CacCrop(LoadedRow, Base):
    """One row per commodity code: the crop it means, or the by-product it is."""

    __tablename__ = "core_cac__crop"
    __table_args__ = (
        CheckConstraint("crop IS NULL OR by_product IS NULL", name="one_meaning"),
    )

    commodity_code: Mapped[str] = mapped_column(primary_key=True)
    commodity: Mapped[str]
    crop: Mapped[str | None] = mapped_column(ForeignKey("core_residues__factor.crop"))
    by_product: Mapped[str | None]
    reason: Mapped[str]


class CacFigures:
    """The published part of a line.

    Attributes:
        level: county, other_counties (991: a sum) or state_total (999).
        geoid: Null for the two sums.
        acres_flag: zero_not_reported for a zero that production or value contradicts.
        unit: Of production; null where the spelling is unknown: see unit_printed.
    """

    commodity: Mapped[str]
    county_name: Mapped[str]
    level: Mapped[str]
    geoid: Mapped[str | None]
    acres: Mapped[Decimal | None]
    acres_flag: Mapped[str | None]
    yield_per_acre: Mapped[Decimal | None]
    production: Mapped[Decimal | None]
    production_flag: Mapped[str | None]
    unit: Mapped[str | None]
    unit_printed: Mapped[str]
    price_usd_per_unit: Mapped[Decimal | None]
    value_usd: Mapped[Decimal | None]


class CacReport(CacFigures, LoadedRow, Base):
    """One row per year, commodity and county, as last published."""

    __tablename__ = "core_cac__report"
    __table_args__ = (
        CheckConstraint(
            "level IN ('county', 'other_counties', 'state_total')", name="level"
        ),
        CheckConstraint("(level = 'county') = (geoid IS NOT NULL)", name="geoid"),
        Index("ix_core_cac__report__commodity_code", "commodity_code"),
    )

    year: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    commodity_code: Mapped[str] = mapped_column(primary_key=True)
    county_code: Mapped[str] = mapped_column(primary_key=True)
    geoid: Mapped[str | None] = mapped_column(ForeignKey("core_geography__place.geoid"))


class CacReportHistory(CacFigures, LoadedRow, Base):
    """One row per line that was replaced or retracted, as it was before."""

    __tablename__ = "core_cac__report_history"
    __table_args__ = (
        CheckConstraint("change IN ('updated', 'retracted')", name="change"),
        Index(
            "ix_core_cac__report_history__key", "year", "commodity_code", "county_code"
        ),
    )

    history_id: Mapped[int] = mapped_column(
        BigInteger, Identity(always=True), primary_key=True
    )
    year: Mapped[int] = mapped_column(SmallInteger)
    commodity_code: Mapped[str]
    county_code: Mapped[str]
    change: Mapped[str]
    replaced_by_run_id: Mapped[UUID] = mapped_column(ForeignKey("ledger_run.run_id"))
    replaced_at: Mapped[datetime] = mapped_column(server_default=func.now())
