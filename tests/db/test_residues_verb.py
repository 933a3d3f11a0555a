"""The verb `residues`: rows by county, crop and month, and what is missing."""

from __future__ import annotations

import csv

import pytest
from sqlalchemy import Engine
from tests.db.conftest import Lab
from tests.db.residue_files import shipped

from etl.errors import ConfigError
from etl.report.residues import Question, answer_question, as_result
from etl.specs.cac import OTHERS


def test_the_verb_answers_by_county_crop_and_month(residues: Lab) -> None:
    merced = answer_question(residues.engine, Question(county="merced", crop="almonds"))
    (row,) = merced.rows
    assert (row["residue"], row["dry_tons"]) == ("Almond prunings", 154_500)
    by_code = answer_question(residues.engine, Question(county="47", crop="ALMONDS"))
    assert by_code.rows == merced.rows
    january = Question(county="06047", crop="Almonds", month=1)
    assert [
        row["dry_tons"] for row in answer_question(residues.engine, january).rows
    ] == [30_900]
    may = Question(county="Merced County", crop="Almonds", month=5)
    assert answer_question(residues.engine, may).rows == []


def test_the_verb_prints_a_table_csv_and_json(residues: Lab) -> None:
    answer = answer_question(residues.engine, Question(county="Colusa", crop="Rice"))
    table = as_result(answer, as_csv=False)
    assert "Rice straw" in table.text
    assert "217,152" in table.text
    assert "210,095 to 217,152" in table.text
    assert "missing: 0 rows lack acres" in table.text
    (line,) = csv.DictReader(as_result(answer, as_csv=True).text.splitlines())
    assert (line["dry_tons"], line["months"]) == ("217152", "9 10")
    (row,) = table.data["residues"]
    assert (row["acres"], row["dry_tons"]) == (135_720, 217_152)


def test_the_verb_counts_what_is_missing(residues: Lab) -> None:
    answer = answer_question(residues.engine, Question())
    printed = shipped("cac_sample.csv")
    others = {r["Commodity Code"] for r in printed if r["County Code"] == OTHERS}
    assert 0 < answer.unplaced <= len(others)
    assert answer.unmapped_commodities == 0
    table = as_result(answer, as_csv=False).text
    assert f"{answer.unplaced} rows have no county" in table
    assert "(no county)" in table


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        (Question(county="Mercd"), "did you mean Merced"),
        (Question(crop="Almond"), "did you mean Almonds"),
        (Question(year=1999), "there is one for 2020"),
    ],
)
def test_the_verb_corrects_a_question(
    residues: Lab, question: Question, expected: str
) -> None:
    with pytest.raises(ConfigError, match=expected):
        answer_question(residues.engine, question)


def test_without_reports_the_verb_gives_the_command_that_loads_them(
    db: Engine,
) -> None:
    with pytest.raises(ConfigError) as failure:
        answer_question(db, Question())
    assert failure.value.hint == "./etl run"
