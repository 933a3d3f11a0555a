"""The same input is recognised, and only when loading it would change nothing."""

from __future__ import annotations

import shutil
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from etl.ledger.dependence import LIBRARIES, code_digest
from etl.specs.registry import SOURCES


def test_same_input_is_not_loaded_again(lab: Any, table: Any) -> None:
    table.set(5, "VALUE", "oops")
    first = lab.nass(table.text())
    same = lab.nass(table.text())
    assert same.same_input
    assert same.counts.unchanged == first.counts.kept == 237
    assert [reject.line for reject in same.first_rejects] == [5]
    assert same.first_rejects == first.first_rejects
    assert same.rejects_by_rule == {"not_a_number": 1}


def test_reload_forces_a_load(lab: Any, table: Any) -> None:
    lab.nass(table.text())
    assert not lab.nass(table.text(), reload=True).same_input


def test_a_then_b_then_a_loads_a(lab: Any, table: Any) -> None:
    first = table.text()
    lab.nass(first)
    after_first = lab.rows(
        "SELECT value FROM out_nass__values ORDER BY raw_line, value"
    )
    lab.nass(table.set(2, "VALUE", "77").text())
    back = lab.nass(first)
    assert (back.same_input, back.counts.updated) == (False, 1)
    again = lab.rows("SELECT value FROM out_nass__values ORDER BY raw_line, value")
    assert again == after_first


def test_table_changed_by_other_hands_is_loaded(lab: Any, table: Any) -> None:
    lab.nass(table.text())
    lab.execute("DELETE FROM core_nass__value WHERE raw_line = 7")
    receipt = lab.nass(table.text())
    assert (receipt.same_input, receipt.counts.inserted) == (False, 1)


def test_other_places_make_it_another_load(lab: Any, table: Any) -> None:
    """A county that was unknown yesterday may be known today."""
    lab.nass(table.text())
    places = lab.sample("california_places.csv").path.read_text()
    lab.run({"geography": lab.file(places + "06999,county,Test,06,California,999\n")})
    assert not lab.nass(table.text()).same_input


def test_complete_is_more_than_an_ordinary_load(lab: Any, table: Any) -> None:
    lab.nass(table.text())
    assert not lab.nass(table.text(), complete=True).same_input
    assert lab.nass(table.text(), complete=True).same_input
    assert lab.nass(table.text()).same_input


def test_failed_load_is_tried_again(lab: Any, table: Any) -> None:
    good = table.text()
    lab.nass(good)
    bad = good.replace("CV_%", "CV")
    assert [lab.nass(bad).status for _ in range(2)] == ["failed", "failed"]
    assert lab.nass(good).same_input


def test_row_changed_outside_a_run_is_noticed(lab: Any, table: Any) -> None:
    """The number of rows is the same, and so is everything that a count would see."""
    lab.nass(table.text())
    before = lab.contents()
    lab.execute("UPDATE core_nass__value SET value = 999 WHERE raw_line = 2")
    receipt = lab.nass(table.text())
    assert (receipt.same_input, receipt.counts.updated) == (False, 1)
    values = [row for row in lab.contents() if row[-1] == "now"]
    assert values == before


def test_rows_that_were_restored_in_another_order_are_the_same(
    lab: Any, table: Any
) -> None:
    lab.nass(table.text())
    lab.execute(
        "CREATE TABLE kept AS SELECT * FROM core_nass__value "
        "ORDER BY md5(raw_line::text);"
        "DELETE FROM core_nass__value; INSERT INTO core_nass__value TABLE kept;"
    )
    assert lab.nass(table.text()).same_input


@pytest.mark.parametrize("library", LIBRARIES)
def test_another_version_of_a_library_makes_it_another_load(
    lab: Any, table: Any, library: str
) -> None:
    lab.nass(table.text())
    path = f"{{basis,libraries,{library}}}"
    lab.execute(f"UPDATE ledger_cursor SET state = jsonb_set(state, '{path}', '\"0\"')")
    assert not lab.nass(table.text()).same_input
    assert lab.nass(table.text()).same_input


@pytest.mark.parametrize(
    ("file", "reloaded"),
    [
        ("specs/nass.py", {"nass"}),
        ("specs/nass_forms.py", {"nass"}),
        ("specs/cac_crops.py", {"cac_crops"}),
        ("transform/nass.py", {"nass"}),
        ("specs/geography.py", {"geography"}),
        ("specs/spec.py", set(SOURCES)),
        ("readers/delimited.py", set(SOURCES)),
        ("validate/rules.py", set(SOURCES)),
        ("load/merge.py", set(SOURCES)),
        ("run/stage.py", set(SOURCES)),
        ("rejects.py", set(SOURCES)),
        ("report/render.py", set()),
    ],
)
def test_changed_code_reloads_the_sources_that_it_loads(
    tmp_path: Path, file: str, reloaded: set[str]
) -> None:
    package = tmp_path / "etl"
    shutil.copytree(str(files("etl")), package)
    before = {name: code_digest(name, package, SOURCES) for name in SOURCES}
    (package / file).write_text((package / file).read_text() + "# changed\n")
    after = {name: code_digest(name, package, SOURCES) for name in SOURCES}
    assert {name for name in SOURCES if before[name] != after[name]} == reloaded
