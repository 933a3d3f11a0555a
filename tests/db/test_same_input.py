"""The same input is recognised, and only when loading it would change nothing."""

from __future__ import annotations

from typing import Any


def test_same_input_is_not_loaded_again(lab: Any, table: Any) -> None:
    table.set(5, "VALUE", "oops")
    first = lab.nass(table.text())
    same = lab.nass(table.text())
    assert same.same_input
    assert same.counts.unchanged == first.counts.kept == 237
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
