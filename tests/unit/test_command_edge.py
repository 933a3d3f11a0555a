"""The program's edge: whatever happens, one clear error and the right exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from ci.cli.main import result_of
from ci.cli.output import Result, captured_output
from ci.stack.errors import StackError
from etl.command import WrongValue, readable_file
from etl.console import printable, render_table, run_program, with_command
from etl.errors import ConfigError, EtlError

ETL = Path(sys.executable).with_name("etl")


class Odd(BaseException):
    """An exception that is no Exception, as some libraries raise."""


RAISED: list[tuple[BaseException, int, str]] = [
    (StackError("broken"), 1, "broken"),
    (RuntimeError("a defect"), 1, "a defect"),
    (BrokenPipeError("a socket"), 1, "a socket"),
    (RecursionError("deep"), 1, "deep"),
    (Odd("odd"), 1, "odd"),
    (SystemExit(7), 1, "SystemExit"),
    (KeyboardInterrupt(), 130, "interrupted"),
    (BaseExceptionGroup("tasks", [KeyboardInterrupt()]), 130, "interrupted"),
    (ExceptionGroup("tasks", [ExceptionGroup("more", [OSError("x")])]), 1, "x"),
]


@pytest.mark.parametrize(("error", "code", "message"), RAISED, ids=repr)
def test_whatever_a_verb_raises_becomes_its_result(
    error: BaseException, code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def action() -> Result:
        raise error

    result = result_of(action, debug=lambda: False)
    assert result.exit_code == code
    assert result.error is not None
    assert message in result.error["message"]
    assert capsys.readouterr().err == ""
    result_of(action, debug=lambda: True)
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [*RAISED[1:], (ConfigError("wrong", "do this"), 2, "wrong")],
    ids=repr,
)
def test_the_same_holds_for_the_programs_of_the_data(
    error: BaseException, code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def action() -> None:
        raise error

    command = click.Command("it", callback=action)
    assert run_program(command, []) == code
    seen = capsys.readouterr()
    assert seen.out == ""
    assert message in seen.err
    assert "Traceback" not in seen.err
    flagged = click.Command(
        "it",
        callback=lambda json: action(),
        params=[click.Option(["--json"], is_flag=True)],
    )
    assert run_program(flagged, ["--json"]) == code
    seen = capsys.readouterr()
    document = json.loads(seen.out)
    assert set(document) == {"version", "ok", "data", "error", "duration_s"}
    assert not document["ok"]
    assert message in document["error"]["message"]
    assert seen.err == ""


def test_what_another_program_prints_stays_out_of_the_document(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with captured_output() as printed:
        subprocess.run(["printf", "rows\\377"], check=True)
    assert printed == ["rows\\xff"]
    assert capfd.readouterr().out == ""


def etl(
    *words: str | bytes, home: Path, **options: object
) -> subprocess.CompletedProcess[str]:
    """Run the program with a state folder of its own."""
    done: subprocess.CompletedProcess[str] = subprocess.run(
        [ETL, *words],
        env=os.environ | {"ETL_HOME": str(home)},
        text=True,
        check=False,
        **options,  # type: ignore[call-overload]
    )
    return done


def test_an_output_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = etl("status", home=tmp_path, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert done.stderr.startswith("error: cannot write to standard output: No space")
    assert done.stderr.count("\n") == 1


def test_a_reader_that_leaves_ends_the_program_in_silence(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = etl("status", home=tmp_path, stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


INPUTS: dict[str, Callable[[Path], object]] = {
    "does not exist": lambda path: None,
    "is a folder": lambda path: path.mkdir(),
    "Too many levels of symbolic links": lambda path: path.symlink_to(path),
    "is not a regular file": os.mkfifo,
}


@pytest.mark.parametrize("message", INPUTS)
def test_an_input_that_is_no_file_is_a_usage_error(
    message: str, tmp_path: Path
) -> None:
    path = tmp_path / "input.tsv"
    INPUTS[message](path)
    done = etl(
        "run", "--input", f"nass={path}", home=tmp_path / "home", capture_output=True
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert "\n  fix: " in done.stderr
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("name", [b"a\nb.tsv", b"a\xff.tsv", b"\x1b[31m.tsv"])
def test_a_file_name_that_cannot_be_printed_is_a_usage_error(
    name: bytes, tmp_path: Path
) -> None:
    path = os.fsencode(tmp_path) + b"/" + name
    os.close(os.open(path, os.O_CREAT))
    for words in ((), ("--json",)):
        done = etl(
            "run",
            "--input",
            b"nass=" + path,
            *words,
            home=tmp_path / "home",
            capture_output=True,
        )
        assert done.returncode == 2
        assert "not printable UTF-8" in done.stdout + done.stderr
        assert "\x1b" not in done.stdout + done.stderr
    assert json.loads(done.stdout)["error"]["code"] == "USAGE"


def test_an_input_that_may_not_be_read_is_a_usage_error(tmp_path: Path) -> None:
    path = tmp_path / "input.tsv"
    path.touch(0o000)
    code = (
        "import os, sys\n"
        "from etl.command import WrongValue, readable_file\n"
        "if os.getuid() == 0: os.setgid(65534); os.setuid(65534)\n"
        "try: readable_file(sys.argv[1])\n"
        "except WrongValue as error: print(error.message)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, path], capture_output=True, text=True, check=True
    )
    assert "may not be read" in done.stdout or "Permission denied" in done.stdout


@pytest.mark.parametrize("limit", ["-1", "0", "many", "1e3", "99999999999999999999"])
def test_a_number_of_rows_is_checked_before_anything_starts(
    limit: str, tmp_path: Path
) -> None:
    done = etl("rejects", "--limit", limit, home=tmp_path / "home", capture_output=True)
    assert done.returncode == 2
    assert "is not a number from 1 to 10,000,000" in done.stderr
    assert not (tmp_path / "home").exists()


def test_the_home_of_an_unknown_user_does_not_exist() -> None:
    with pytest.raises(WrongValue, match="does not exist"):
        readable_file("~no-such-user-here/x.tsv")


def test_control_characters_are_escaped() -> None:
    assert printable("a\x1b[31m\x07\u202eb\r\n\tc") == "a\\x1b[31m\\x07\\u202eb\\r\n\tc"
    assert printable("\udcff é") == "\\udcff é"


def test_a_hint_names_the_engine_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    hint = "./etl logs db; then ./etl run"
    assert with_command(hint) == hint
    monkeypatch.setenv("ETL_COMMAND", "./etl --engine docker")
    assert (
        with_command(hint)
        == "./etl --engine docker logs db; then ./etl --engine docker run"
    )
    assert with_command("./etl --engine local up") == "./etl --engine local up"
    assert with_command("see /opt/etl run") == "see /opt/etl run"


def test_errors_of_a_program_show_the_command_of_the_engine(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def action() -> None:
        raise EtlError("gone", "./etl status")

    monkeypatch.setenv("ETL_COMMAND", "./etl --engine docker")
    run_program(click.Command("it", callback=action), [])
    assert capsys.readouterr().err == (
        "error: gone\n  fix: ./etl --engine docker status\n"
    )


def test_a_table_on_a_terminal_has_no_control_characters(tmp_path: Path) -> None:
    """Its styles would be escaped like those in a value."""
    code = "import pty, sys\npty.spawn([sys.executable, '-m', 'etl.cli', 'sources'])\n"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"TERM": "xterm-256color"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "geography" in done.stdout
    assert "\\x1b" not in done.stdout
    assert "\x1b" not in done.stdout


def test_numbers_stand_to_the_right_and_long_cells_go_on_below() -> None:
    text = render_table(
        ["name", "rows"], [["a", "1"], ["b" * 30, "1,000"]], right=["rows"], width=20
    )
    lines = text.splitlines()
    assert lines[0].endswith(" rows")
    assert lines[1].endswith("     1")
    assert "".join(line.split()[0] for line in lines[2:]) == "b" * 30
    assert max(map(len, lines)) <= 20


def test_a_narrow_terminal_leaves_out_what_it_has_no_room_for() -> None:
    header, rows = ["name", "kind", "rows"], [["n" * 12, "k" * 12, "1,000"]]
    text = render_table(header, rows, optional=["kind"], width=24)
    assert text.splitlines()[0].split() == ["name", "rows"]
    assert text.splitlines()[-1] == "(no room for: kind)"
    assert "kind" in render_table(header, rows, optional=["kind"], width=40)
    assert "no room" not in render_table(header, rows, optional=["kind"], width=40)
