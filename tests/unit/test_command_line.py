"""The command line: what is ours and what is handed on, help, the JSON envelope."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from ci.cli.command import Invocation, Verb
from ci.cli.main import parse as parse_command_line
from ci.cli.output import Result, failed, read_job_output, write
from ci.cli.progress import StartProgress
from ci.cli.tree import new_program
from ci.cli.verbs import HANDLERS
from ci.stack.errors import UsageError

PROGRAM = new_program()
VERBS = {n: v for n, v in PROGRAM.commands.items() if isinstance(v, Verb)}


def parse(words: list[str]) -> Invocation:
    """Parse a command line."""
    return parse_command_line(PROGRAM, words)


def test_every_verb_has_a_handler() -> None:
    assert {verb.handler for verb in VERBS.values()} == set(HANDLERS)


@pytest.mark.parametrize(
    ("words", "handed_on"),
    [
        (["psql", "--", "-c", "SELECT 1"], ["-c", "SELECT 1"]),
        (["psql", "-c", "SELECT 1"], ["-c", "SELECT 1"]),
        (["psql", "--prefect", "--", "--json"], ["--json"]),
        (["exec", "db", "ls", "-la", "--debug"], ["ls", "-la", "--debug"]),
        (["exec", "db", "--", "ls"], ["ls"]),
        (["test", "-k", "stack", "-x"], ["-k", "stack", "-x"]),
        (["--debug", "test", "tests/unit"], ["tests/unit"]),
    ],
)
def test_words_of_other_programs_are_handed_on_untouched(
    words: list[str], handed_on: list[str]
) -> None:
    assert parse(words).arguments == handed_on


def test_exec_knows_its_service() -> None:
    args = parse(["exec", "prefect-worker", "python", "-c", "print('x')"])
    assert args.options.service == "prefect-worker"
    assert args.arguments == ["python", "-c", "print('x')"]


def test_verbs_of_the_data_take_our_options_anywhere_and_keep_the_rest() -> None:
    args = parse(["rejects", "--limit", "3", "--json"])
    assert args.json
    assert args.arguments == ["--limit=3"]


def test_a_misspelt_verb_is_a_usage_error_with_the_near_one() -> None:
    with pytest.raises(UsageError, match=r"Did you mean .*'status'"):
        parse(["statsu"])


def test_an_input_is_checked_and_made_absolute_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a=b.tsv").write_text("x")
    monkeypatch.chdir(tmp_path)
    for written, converted in (
        ("nass=a=b.tsv", f"nass={tmp_path}/a=b.tsv"),
        ("nass=sample", "nass=sample"),
        ("nass=api:year=2020", "nass=api:year=2020"),
    ):
        words = parse(["run", "--input", written]).arguments
        assert words == [f"--input={converted}"]


def test_json_is_one_document_also_for_an_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    write(failed(UsageError("no", "do this")), as_json=True, duration_s=0.25)
    seen = capsys.readouterr()
    assert json.loads(seen.out) == {
        "version": 1,
        "ok": False,
        "data": {},
        "error": {"code": "USAGE", "message": "no", "hint": "do this"},
        "duration_s": 0.25,
    }
    assert seen.err == ""


def test_people_read_what_went_wrong_and_what_to_type(
    capsys: pytest.CaptureFixture[str],
) -> None:
    write(failed(UsageError("no", "do this")), as_json=False, duration_s=0)
    seen = capsys.readouterr()
    assert seen.out == ""
    assert seen.err == "error: no\n  fix: do this\n"


@pytest.mark.parametrize("text", ["", "not json", "[]", '{"data": {}}'])
def test_a_job_without_a_readable_result_has_failed(text: str) -> None:
    result = read_job_output(text, 0)
    assert result.exit_code == 1
    assert result.error is not None
    assert result.error["code"] == "JOB_FAILED"


def test_a_job_s_result_becomes_the_verb_s() -> None:
    text = json.dumps({"data": {"run_id": "1"}, "error": None})
    assert read_job_output(text, 0) == Result({"run_id": "1"}, (), 0, None)


def test_progress_is_plain_lines_where_nothing_can_be_redrawn() -> None:
    stream = io.StringIO()
    progress = StartProgress(stream)
    state = {
        "name": "db",
        "status": "starting",
        "detail": "",
        "took_s": None,
        "restarts": 0,
    }
    progress.unit_changed(state)
    progress.unit_changed(state | {"status": "ready", "took_s": 0.25})
    progress.unit_changed(state | {"status": "ready", "took_s": 0.25})
    lines = stream.getvalue().splitlines()
    assert len(lines) == 1
    assert "db" in lines[0]
    assert "ready (0.25 s)" in lines[0]
    assert "\x1b" not in lines[0]


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from ci.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'anyio', 'httpx', 'prefect', 'polars', 'rich', 'sqlalchemy'}\n"
        "print('HEAVY', sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert "HEAVY []" in done.stdout
    assert all(verb in done.stdout for verb in VERBS)
    assert "rejects" in done.stdout  # the verbs of the data are there too
