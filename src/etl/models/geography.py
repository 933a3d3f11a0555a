"""Places: the state, its counties, and the pseudo-county of combined counties."""

from __future__ import annotations

from sqlalchemy import CheckConstraint
from sqlalchemy.orm import Mapped, mapped_column

from etl.models.base import Base, LoadedRow


class Place(LoadedRow, Base):
    """One row per place; parent of all geographic facts.

    `geoid` is the state's FIPS code ('06'), followed for the two county levels by the
    county code ('06001'). '06998' is what NASS calls "other (combined) counties": the
    sum of those it does not publish one by one, so a different set in each series.
    """

    __tablename__ = "core_geography__place"
    __table_args__ = (
        CheckConstraint(
            "level IN ('state', 'county', 'combined_counties')", name="level"
        ),
        CheckConstraint("(level = 'state') = (county_code IS NULL)", name="county"),
        CheckConstraint(
            "geoid = state_fips || coalesce(county_code, '')", name="geoid"
        ),
    )

    geoid: Mapped[str] = mapped_column(primary_key=True)
    level: Mapped[str]
    place_name: Mapped[str]
    state_fips: Mapped[str]
    state_name: Mapped[str]
    county_code: Mapped[str | None]
