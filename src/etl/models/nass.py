"""USDA NASS statistics: series, location, period, the published values, their history.

The key of a figure is what every form of QuickStats data has: program, data item,
domain and domain category; level and codes of the location; year, reference period and
week. All other columns describe: they are updated when a later input differs, and the
former state is kept. An identifying column that is blank is the empty string; a
describing one that was never stated is null.

An id is 63 bits of the SHA-256 of its identifying columns: equal on every machine, and
known before the row is inserted. Against UUIDs it halves the time of a load. Every
load verifies that a stored row has the identity that its id was computed from.
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

# What an id is computed from. Were ids ever computed in another way, these would turn
# the duplicates into an error.
SERIES_IDENTITY = ("source", "short_desc", "domain", "domain_category")
PERIOD_IDENTITY = ("year", "reference_period", "week_ending")


class Replaced:
    """Columns of a dimension's former state.

    Attributes:
        replaced_by_run_id: The run with the input that states otherwise; null: rows
            were merged by a migration.
    """

    history_id: Mapped[int] = mapped_column(
        BigInteger, Identity(always=True), primary_key=True
    )
    replaced_by_run_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("ledger_run.run_id")
    )
    replaced_at: Mapped[datetime] = mapped_column(server_default=func.now())


class SeriesColumns:
    """What a series is: what is measured, of what, and how."""

    source: Mapped[str]
    short_desc: Mapped[str]
    domain: Mapped[str]
    domain_category: Mapped[str]
    commodity: Mapped[str]
    sector: Mapped[str | None]
    group_desc: Mapped[str | None]
    class_desc: Mapped[str | None]
    production_practice: Mapped[str | None]
    utilization_practice: Mapped[str | None]
    statistic: Mapped[str | None]
    unit: Mapped[str | None]


class NassSeries(SeriesColumns, Base):
    """One row per published series; its identity is SERIES_IDENTITY."""

    __tablename__ = "core_nass__series"
    __table_args__ = (
        UniqueConstraint(*SERIES_IDENTITY, name="uq_core_nass__series__identity"),
    )

    series_id: Mapped[int] = mapped_column(
        BigInteger, primary_key=True, autoincrement=False
    )


class NassSeriesHistory(SeriesColumns, Replaced, Base):
    """One row per former description of a series."""

    __tablename__ = "core_nass__series_history"

    series_id: Mapped[int] = mapped_column(
        ForeignKey("core_nass__series.series_id"), index=True
    )


class LocationColumns:
    """Where a figure is of, as published; `geoid` is null where it is no place.

    Attributes:
        location_key: Level, state and code, such as "COUNTY|06|001". For the combined
            counties, which NASS publishes once per district, it ends with the code of
            the district: "COUNTY|06|998|40".
    """

    location_key: Mapped[str]
    agg_level: Mapped[str]
    state_fips: Mapped[str]
    state_ansi: Mapped[str | None]
    state_alpha: Mapped[str | None]
    state_name: Mapped[str | None]
    asd_code: Mapped[str | None]
    asd_desc: Mapped[str | None]
    county_ansi: Mapped[str | None]
    county_code: Mapped[str | None]
    county_name: Mapped[str | None]
    region_desc: Mapped[str | None]
    zip_5: Mapped[str | None]
    watershed_code: Mapped[str | None]
    watershed_desc: Mapped[str | None]
    congr_district_code: Mapped[str | None]
    country_code: Mapped[str | None]
    country_name: Mapped[str | None]
    location_desc: Mapped[str | None]


class NassLocation(LocationColumns, Base):
    """One row per location; its identity is `location_key`."""

    __tablename__ = "core_nass__location"
    __table_args__ = (
        UniqueConstraint("location_key", name="uq_core_nass__location__identity"),
    )

    location_id: Mapped[int] = mapped_column(
        BigInteger, primary_key=True, autoincrement=False
    )
    geoid: Mapped[str | None] = mapped_column(
        ForeignKey("core_geography__place.geoid"), index=True
    )


class NassLocationHistory(LocationColumns, Replaced, Base):
    """One row per former description of a location."""

    __tablename__ = "core_nass__location_history"

    location_id: Mapped[int] = mapped_column(
        ForeignKey("core_nass__location.location_id"), index=True
    )
    geoid: Mapped[str | None]


class PeriodColumns:
    """The period of time of a figure, as published."""

    year: Mapped[int] = mapped_column(SmallInteger)
    reference_period: Mapped[str]
    week_ending: Mapped[str]
    freq: Mapped[str | None]
    begin_code: Mapped[str | None]
    end_code: Mapped[str | None]


class NassPeriod(PeriodColumns, Base):
    """One row per period of time; its identity is PERIOD_IDENTITY."""

    __tablename__ = "core_nass__period"
    __table_args__ = (
        UniqueConstraint(*PERIOD_IDENTITY, name="uq_core_nass__period__identity"),
    )

    period_id: Mapped[int] = mapped_column(
        BigInteger, primary_key=True, autoincrement=False
    )


class NassPeriodHistory(PeriodColumns, Replaced, Base):
    """One row per former description of a period."""

    __tablename__ = "core_nass__period_history"

    period_id: Mapped[int] = mapped_column(
        ForeignKey("core_nass__period.period_id"), index=True
    )


class NassFigure:
    """The published part of a value.

    Attributes:
        value: In the series' unit; null when NASS printed a code instead.
        value_flag: That code, such as "(D)": withheld to avoid disclosing data.
        cv_pct: Coefficient of variation in percent; null when none was published.
        cv_flag: The code that was printed in place of it.
        load_time: When NASS loaded the figure, as published; a web download has none.
            It changes without the figure changing, so a new one alone is no revision.
    """

    value: Mapped[Decimal | None]
    value_flag: Mapped[str | None]
    cv_pct: Mapped[Decimal | None]
    cv_flag: Mapped[str | None]
    load_time: Mapped[str | None]


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
