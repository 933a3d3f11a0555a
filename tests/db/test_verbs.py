"""The verbs of the data, as a user types them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from etl.cli import VERBS


def test_rejects_are_listed(lab: Any, table: Any, etl: Any) -> None:
    table.set(5, "VALUE", "[red]oops[/red]").set(7, "YEAR", "never")
    lab.nass(table.text())
    code, out, err = etl("rejects")
    assert (code, err) == (0, "")
    assert "[red]oops[/red]" in out
    assert "not_a_year" in out
    assert "2 of 2 stored rejects" in out
    code, out, _ = etl("rejects", "--limit", "1", "--source", "nass", "--json")
    (reject,) = json.loads(out)["data"]["rejects"]
    assert (reject["line"], reject["rule"]) == (5, "not_a_number")
    assert reject["raw_text"].startswith("SURVEY\t")


def test_values_of_a_file_cannot_control_the_terminal(
    lab: Any, table: Any, etl: Any
) -> None:
    table.set(5, "VALUE", "1\x1b[2J\x1b]0;title\x07\u202e2")
    lab.nass(table.text())
    code, out, err = etl("rejects")
    assert code == 0
    assert "1\\x1b[2J\\x1b]0;title\\x07\\u202e2" in out
    assert not {"\x1b", "\x07", "\u202e"} & set(out + err)


def test_run_is_found_by_the_start_of_its_id(lab: Any, table: Any, etl: Any) -> None:
    lab.nass(table.text())
    (run,) = json.loads(etl("runs", "--limit", "1", "--json")[1])["data"]["runs"]
    code, out, _ = etl("report", run["run_id"][:13])
    assert code == 0
    assert out.startswith(f"run {run['run_id']}: succeeded")
    data = json.loads(etl("report", "--json")[1])["data"]
    assert data["sources"]["nass"]["inserted"] == 238


def test_trace_leads_to_file_and_line(lab: Any, table: Any, etl: Any) -> None:
    lab.nass(table.text())
    lab.nass(table.set(2, "VALUE", "77").text())
    code, out, _ = etl("trace", "--value", "77", "--county-code=021", "--json")
    (figure,) = json.loads(out)["data"]["figures"]
    assert code == 0
    assert figure["raw_line"] == 2
    assert figure["raw_text"] == table.lines()[1]
    assert lab.store.path(figure["sha256"]).is_file()
    assert [entry["change"] for entry in figure["earlier"]] == ["updated"]
    assert "made_up.tsv" in etl("trace", "--value", "77")[1]


def test_trace_shows_the_history_of_the_figure_alone(
    lab: Any, table: Any, etl: Any
) -> None:
    """Figures that differ in a column of the key that is not among the shown ones."""
    table.rows = [list(table.rows[0]) for _ in range(3)]
    table.set(3, "DOMAIN_DESC", "AREA").set(4, "COUNTY_CODE", "001")
    table.set(4, "COUNTY_NAME", "ALAMEDA")  # but the location described as the other
    lab.nass(table.text())
    lab.nass(table.set(2, "VALUE", "77").text())
    figures = json.loads(etl("trace", "--year", table.get(2, "YEAR"), "--json")[1])
    by_line = {figure["raw_line"]: figure for figure in figures["data"]["figures"]}
    assert {line: len(f["earlier"]) for line, f in by_line.items()} == {
        2: 1,
        3: 0,
        4: 0,
    }
    (earlier,) = by_line[2]["earlier"]
    assert (earlier["input_name"], earlier["raw_line"]) == ("made_up.tsv", 2)
    assert earlier["raw_text"] != by_line[2]["raw_text"]


def test_trace_finds_what_was_retracted(lab: Any, table: Any, etl: Any) -> None:
    lab.nass(table.text())
    value = table.get(2, "VALUE").replace(",", "")
    key = ("--year", table.get(2, "YEAR"), "--short_desc", table.get(2, "SHORT_DESC"))
    table.set(2, "YEAR", table.get(3, "YEAR")).set(2, "SHORT_DESC", "ANOTHER")
    lab.execute("DELETE FROM core_nass__value WHERE raw_line <> 2")
    lab.execute(
        "WITH gone AS (DELETE FROM core_nass__value RETURNING *) "
        "INSERT INTO core_nass__value_history (series_id, location_id, period_id, "
        "value, load_time, load_run_id, raw_file_id, raw_line, change, "
        "replaced_by_run_id) SELECT series_id, location_id, period_id, value, "
        "load_time, load_run_id, raw_file_id, raw_line, 'retracted', load_run_id "
        "FROM gone"
    )
    code, out, _ = etl("trace", *key, "--json")
    (figure,) = json.loads(out)["data"]["figures"]
    assert (code, figure["state"], figure["raw_line"]) == (0, "retracted", 2)
    assert float(figure["value"]) == float(value)
    assert "retracted" in etl("trace", *key)[1]


def test_trace_takes_values_as_values(etl: Any) -> None:
    code, out, _ = etl("trace", "--commodity", "x'; DROP TABLE core_nass__value; --")
    assert (code, out.splitlines()[0]) == (0, "no figures")


def test_sources(etl: Any) -> None:
    assert "geography" in etl("sources")[1]
    assert "CV_%" in etl("sources", "nass")[1]


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["trace", "--comodity", "CORN"], "did you mean --commodity?"),
        (["trace"], "./etl trace --commodity"),
        (["trace", "CORN"], "--help"),
        (["rejects", "--run", "zzz"], "./etl runs"),
        (["rejects", "--source", "nas"], "did you mean nass?"),
        (["rejects", "--limit", "many"], "--help"),
        (["runs", "--bogus"], "--help"),
        (["bogus"], "--help"),
    ],
)
def test_usage_errors_say_what_to_type(etl: Any, words: list[str], hint: str) -> None:
    code, out, err = etl(*words)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert hint in err.splitlines()[1]
    code, out, err = etl(*words, "--json")
    assert (code, err) == (2, "")
    assert json.loads(out)["error"]["code"] == "CONFIG"


def test_database_that_is_away(etl: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://none@/none?host=/nowhere")
    code, _, err = etl("runs")
    assert code == 1
    assert "fix: ./etl status" in err


def test_help_of_the_verbs_costs_no_import() -> None:
    """The stack's program reads VERBS each time it prints its help."""
    code = "import sys, etl.cli; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    heavy = {"sqlalchemy", "polars", "psycopg", "pydantic", "prefect", "rich"}
    assert not heavy & set(done.stdout.split())
    assert all(verb.get_short_help_str() for verb in VERBS)


def test_output_that_a_terminal_cannot_encode() -> None:
    """The descriptions have an ellipsis, which ASCII has not."""
    done = subprocess.run(
        [sys.executable, "-m", "etl.cli", "sources", "nass"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "\\u2026" in done.stdout
