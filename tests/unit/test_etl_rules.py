"""Rules: which texts are numbers, years, codes; and that the first fault counts."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from decimal import Decimal

import polars as pl
import pytest

from etl.readers.batch import Batch
from etl.rejects import no_rejects
from etl.specs.nass import FLAGS, SPEC
from etl.specs.rules import Number, Year
from etl.validate.judge import judge, lookups_of
from etl.validate.rules import faults_of

NUMBER = Number("value", FLAGS, low=-1e15, high=1e15)


def faults(rule: Number | Year, *texts: str) -> list[str | None]:
    """Return the first fault of each text."""
    frame = pl.DataFrame({rule.column: texts})
    first: list[str | None] = [None] * len(texts)
    for fault in reversed(faults_of(rule, {})):
        broken = frame.select(fault.broken).to_series()
        assert broken.null_count() == 0
        first = [fault.rule if b else f for b, f in zip(broken, first, strict=True)]
    return first


@pytest.mark.parametrize("seed", range(5))
def test_every_number_is_a_number_however_it_is_printed(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(50):
        digits = chance.choice([0, 1, 2, 3, 6])
        number = Decimal(chance.randint(-(10**12), 10**12)).scaleb(-digits)
        assert faults(NUMBER, f"{number:,f}", f"{number:f}") == [None, None]


@pytest.mark.parametrize("seed", range(5))
def test_a_separator_in_a_wrong_place_is_no_number(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(50):
        digits = str(chance.randint(10**6, 10**9))
        place = chance.randrange(1, len(digits))
        text = f"{digits[:place]},{digits[place:]}"
        assert faults(NUMBER, text) == ["not_a_number"]


@pytest.mark.parametrize(
    "text",
    ["1,23", "0,123", ",123", "1,234,", "1..2", "1.", "--1", "+1", "1e5", "0x1F",
     "NaN", "inf", "١٢٣", "１２", "1 234",
      "1\u00a0234", "12 acres", "-", ".", "1,234.5,6", "½"],
)  # fmt: skip
def test_no_number(text: str) -> None:
    assert faults(NUMBER, text) == ["not_a_number"]


def test_codes() -> None:
    assert faults(NUMBER, *FLAGS) == [None] * len(FLAGS)
    assert faults(NUMBER, "(d)", "()", "(DD)") == ["unknown_flag"] * 3


def test_range_and_length() -> None:
    beyond = ["1,000,000,000,000,001", "-1000000000000001", "0." + "1" * 60]
    assert faults(NUMBER, *beyond) == ["number_out_of_range"] * 3
    assert faults(NUMBER, "0", "-0", "1000000000000000") == [None] * 3


def test_blank_is_a_fault_unless_optional() -> None:
    optional = Number("value", FLAGS, low=0, high=1, optional=True)
    assert faults(NUMBER, "") == ["blank"]
    assert faults(optional, "") == [None]


def test_years() -> None:
    next_year = datetime.now(UTC).year + 1
    good = faults(Year("year", 1800), "1800", "1945", str(next_year))
    bad = faults(Year("year", 1800), "1799", str(next_year + 1), "", "22", "2022 ", "x")
    assert good == [None] * 3
    assert bad == ["not_a_year"] * 6


def test_a_row_is_rejected_once_under_the_first_rule_it_breaks() -> None:
    row = {column.name: "x" for column in SPEC.columns} | {"raw_line": 2}
    row |= {"agg_level": "COUNTY", "state_fips": "06", "commodity": ""}
    row["source"] = "SURVEY"
    batch = Batch(pl.DataFrame([row]), no_rejects())
    judged = judge(SPEC, batch, {lookup: {} for lookup in lookups_of(SPEC)})
    assert judged.read == len(judged.rejects) == 1
    assert judged.rejects["rule"].item() == "blank"
    assert judged.rejects["column_name"].item() == "commodity"
