"""USDA NASS statistics: series, location, period, the published values, their history.

Together the identifying columns of the three dimensions are all 36 of QuickStats, so
no two published figures share a key. A blank identifying column is the empty string,
never null, because keys compare; the views show it as null.

An id is 63 bits of the SHA-256 of its identifying columns: equal on every machine, and
known before the row is inserted. Against UUIDs it halves the time of a load. Every
load verifies that a stored dimension row equals the one it derived the id from.
"""

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
    UniqueConstraint,
    func,
)
from sqlalchemy.orm import Mapped, mapped_column

from etl.models.base import Base, LoadedRow

# What an id is made from. Were ids ever made in another way, these would turn the
# duplicates into an error.
SERIES_IDENTITY = (
    "source",
    "sector",
    "group_desc",
    "commodity",
    "class_desc",
    "production_practice",
    "utilization_practice",
    "statistic",
    "unit",
    "short_desc",
    "domain",
    "domain_category",
)
LOCATION_IDENTITY = (
    "agg_level",
    "state_ansi",
    "state_fips",
    "state_alpha",
    "state_name",
    "asd_code",
    "asd_desc",
    "county_ansi",
    "county_code",
    "county_name",
    "region_desc",
    "zip_5",
    "watershed_code",
    "watershed_desc",
    "congr_district_code",
    "country_code",
    "country_name",
    "location_desc",
)
PERIOD_IDENTITY = (
    "year",
    "freq",
    "begin_code",
    "end_code",
    "reference_period",
    "week_ending",
)


class NassSeries(Base):
    """One row per published series: what is measured, of what, and how."""

    __tablename__ = "core_nass__series"
    __table_args__ = (
        UniqueConstraint(*SERIES_IDENTITY, name="uq_core_nass__series__identity"),
    )

    series_id: Mapped[int] = mapped_column(
        BigInteger, primary_key=True, autoincrement=False
    )
    source: Mapped[str]
    sector: Mapped[str]
    group_desc: Mapped[str]
    commodity: Mapped[str]
    class_desc: Mapped[str]
    production_practice: Mapped[str]
    utilization_practice: Mapped[str]
    statistic: Mapped[str]
    unit: Mapped[str]
    short_desc: Mapped[str]
    domain: Mapped[str]
    domain_category: Mapped[str]


class NassLocation(Base):
    """One row per location as published; `geoid` is null where it is no place."""

    __tablename__ = "core_nass__location"
    __table_args__ = (
        UniqueConstraint(*LOCATION_IDENTITY, name="uq_core_nass__location__identity"),
    )

    location_id: Mapped[int] = mapped_column(
        BigInteger, primary_key=True, autoincrement=False
    )
    agg_level: Mapped[str]
    state_ansi: Mapped[str]
    state_fips: Mapped[str]
    state_alpha: Mapped[str]
    state_name: Mapped[str]
    asd_code: Mapped[str]
    asd_desc: Mapped[str]
    county_ansi: Mapped[str]
    county_code: Mapped[str]
    county_name: Mapped[str]
    region_desc: Mapped[str]
    zip_5: Mapped[str]
    watershed_code: Mapped[str]
    watershed_desc: Mapped[str]
    congr_district_code: Mapped[str]
    country_code: Mapped[str]
    country_name: Mapped[str]
    location_desc: Mapped[str]
    geoid: Mapped[str | None] = mapped_column(
        ForeignKey("core_geography__place.geoid"), index=True
    )


class NassPeriod(Base):
    """One row per period of time as published."""

    __tablename__ = "core_nass__period"
    __table_args__ = (
        UniqueConstraint(*PERIOD_IDENTITY, name="uq_core_nass__period__identity"),
    )

    period_id: Mapped[int] = mapped_column(
        BigInteger, primary_key=True, autoincrement=False
    )
    year: Mapped[int] = mapped_column(SmallInteger)
    freq: Mapped[str]
    begin_code: Mapped[str]
    end_code: Mapped[str]
    reference_period: Mapped[str]
    week_ending: Mapped[str]


class NassFigure:
    """The published part of a value.

    Attributes:
        value: In the series' unit; null when NASS printed a code instead.
        value_flag: That code, such as "(D)": withheld to avoid disclosing data.
        cv_pct: Coefficient of variation in percent; null when none was published.
        cv_flag: The code that was printed in place of it.
        load_time: When NASS loaded the figure, as published. It changes without the
            figure changing, so a new one alone is no revision.
    """

    value: Mapped[Decimal | None]
    value_flag: Mapped[str | None]
    cv_pct: Mapped[Decimal | None]
    cv_flag: Mapped[str | None]
    load_time: Mapped[str]


class NassValue(NassFigure, LoadedRow, Base):
    """One row per published figure, as last published."""

    __tablename__ = "core_nass__value"
    __table_args__ = (
        CheckConstraint("(value IS NULL) = (value_flag IS NOT NULL)", name="value"),
        CheckConstraint("cv_pct IS NULL OR cv_flag IS NULL", name="cv"),
    )

    series_id: Mapped[int] = mapped_column(
        ForeignKey("core_nass__series.series_id"), primary_key=True
    )
    location_id: Mapped[int] = mapped_column(
        ForeignKey("core_nass__location.location_id"), primary_key=True
    )
    period_id: Mapped[int] = mapped_column(
        ForeignKey("core_nass__period.period_id"), primary_key=True
    )


class NassValueHistory(NassFigure, LoadedRow, Base):
    """One row per figure that was revised or retracted, as it was before."""

    __tablename__ = "core_nass__value_history"
    __table_args__ = (
        CheckConstraint("change IN ('updated', 'retracted')", name="change"),
        Index(
            "ix_core_nass__value_history__key", "series_id", "location_id", "period_id"
        ),
    )

    history_id: Mapped[int] = mapped_column(
        BigInteger, Identity(always=True), primary_key=True
    )
    series_id: Mapped[int] = mapped_column(ForeignKey("core_nass__series.series_id"))
    location_id: Mapped[int] = mapped_column(
        ForeignKey("core_nass__location.location_id")
    )
    period_id: Mapped[int] = mapped_column(ForeignKey("core_nass__period.period_id"))
    change: Mapped[str]
    replaced_by_run_id: Mapped[UUID] = mapped_column(ForeignKey("ledger_run.run_id"))
    replaced_at: Mapped[datetime] = mapped_column(server_default=func.now())
