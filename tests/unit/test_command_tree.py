"""Every command of the tree: its help, its examples, its exit codes, its JSON."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from ci.cli.command import MEANINGS, HelpRequested, Program, Verb
from ci.cli.main import parse, result_of
from ci.cli.output import Result
from ci.cli.tree import mount, new_program

CHECKOUT = Path(__file__).resolve().parents[2]
ETL = Path(sys.executable).with_name("etl")
PROGRAM = new_program()


def leaves(program: Program, *path: str) -> Iterator[tuple[tuple[str, ...], Verb]]:
    """Yield every verb with the words that name it."""
    for name, command in program.commands.items():
        if isinstance(command, Program):
            yield from leaves(command, *path, name)
        else:
            assert isinstance(command, Verb)
            yield (*path, name), command


VERBS = dict(leaves(PROGRAM))


def help_of(*words: str, program: Program = PROGRAM) -> str:
    """Return the help that a command line asks for."""
    with pytest.raises(HelpRequested) as asked:
        parse(program, [*words, "--help"])
    return asked.value.text


@pytest.mark.parametrize("path", VERBS, ids=" ".join)
def test_help_has_examples_that_parse_and_documented_exit_codes(
    path: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    verb = VERBS[path]
    monkeypatch.chdir(tmp_path)
    Path("qs.crops.txt.gz").touch()
    for line, purpose in verb.examples:
        assert purpose
        words = shlex.split(line.split(" > ")[0])
        assert tuple(parse(PROGRAM, words).path) == path
    assert verb.examples
    text = help_of(*path)
    assert "Examples:\n" in text
    listed = set(re.findall(r"^  (\d+) ", text.split("Exit codes:")[1], re.M))
    page = (CHECKOUT / "docs/reference/exit-codes.md").read_text()
    assert listed == {str(code) for code in verb.exit_codes}
    assert listed <= set(re.findall(r"^\| (\d+) \|", page, re.M))
    assert set(verb.exit_codes) <= set(MEANINGS)
    assert {0, 2, 130} <= set(verb.exit_codes)


def test_an_exit_code_that_no_verb_lists_is_documented_as_reserved() -> None:
    page = (CHECKOUT / "docs/reference/exit-codes.md").read_text()
    reserved = set(re.findall(r"^\| (\d+) \|.*reserved", page, re.M))
    listed = {str(code) for verb in VERBS.values() for code in verb.exit_codes}
    assert listed | reserved == {str(code) for code in MEANINGS}
    assert not listed & reserved


@pytest.mark.parametrize("path", [(), *VERBS], ids=" ".join)
@pytest.mark.parametrize("columns", ["80", "120"])
def test_help_fits_the_terminal(
    path: tuple[str, ...], columns: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert [
        line for line in help_of(*path).splitlines() if len(line) > int(columns)
    ] == []


@pytest.mark.parametrize("path", [*VERBS, ("bogus",)], ids=" ".join)
def test_json_is_one_document_for_help_and_for_usage_errors(
    path: tuple[str, ...], tmp_path: Path
) -> None:
    for words in ([*path, "--json", "--help"], ["--json", "--engine=none", *path]):
        done = subprocess.run(
            [ETL, *words],
            env=os.environ | {"ETL_HOME": str(tmp_path / "home")},
            capture_output=True,
            text=True,
            check=False,
        )
        document = json.loads(done.stdout)
        assert set(document) == {"version", "ok", "data", "error", "duration_s"}
        assert document["ok"] == (done.returncode == 0)
        assert done.stderr == ""
    assert (done.returncode, document["error"]["code"]) == (2, "USAGE")
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["status"], 0),
        (["down"], 0),
        (["logs"], 0),
        (["rebuild"], 0),
        (["health"], 1),
        (["sources", "nass"], 0),
        (["completion", "bash"], 0),
        (["test", "--version"], 0),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_verb_that_needs_no_service_starts_none(
    words: list[str], code: int, tmp_path: Path
) -> None:
    """It works on a machine without the stack's state, with the same JSON."""
    words = [words[0], "--json", *words[1:]]
    done = subprocess.run(
        [ETL, *words],
        env=os.environ | {"ETL_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert json.loads(done.stdout)["ok"] == (code == 0)
    assert not (tmp_path / "home" / "state.json").exists()


@pytest.mark.parametrize(
    ("words", "near"),
    [
        (["rejcts"], "'rejects'"),
        (["runs", "--limt", "3"], "'--limit'"),
        (["--jsn", "runs"], "'--json'"),
        (["run", "--inptu", "nass=x"], "'--input'"),
        (["down", "--volume"], "'--volumes'"),
        (["run", "--source", "nas"], "nass"),
    ],
)
def test_a_misspelt_word_is_answered_with_the_near_one(
    words: list[str], near: str
) -> None:
    result = result_of(lambda: Result(vars(parse(PROGRAM, words))), debug=bool)
    assert result.exit_code == 2
    assert result.error is not None
    assert near in result.error["message"] + result.error["hint"]


@pytest.mark.parametrize(
    "words", [["--engine", "docker", "up"], ["up", "--engine=docker"]]
)
def test_common_options_stand_before_or_after_the_verb(words: list[str]) -> None:
    invocation = parse(PROGRAM, ["--json", *words, "--debug"])
    assert invocation.engine == "docker"
    assert invocation.json
    assert invocation.debug


def test_a_group_of_commands_is_mounted_with_its_commands() -> None:
    """The form that `etl vocabulary list` and `etl db dump` will have."""

    class Declared(click.Command):
        job, module = "data", "etl.cli"
        examples = (("vocabulary list", "all"),)
        exit_codes = (0, 2, 130)

    listing = Declared(
        "list", params=[click.Option(["--limit"])], help="List the vocabularies."
    )
    group = click.Group("vocabulary", commands=[listing], help="Look at vocabularies.")
    program = Program("etl", commands=[mount(group)])
    assert "vocabulary" in help_of(program=program)
    assert "List the vocabularies." in help_of("vocabulary", program=program)
    assert "--limit" in help_of("vocabulary", "list", program=program)
    invocation = parse(program, ["vocabulary", "list", "--limit", "3", "--json"])
    assert invocation.path == ["vocabulary", "list"]
    assert invocation.arguments == ["--limit=3"]
    assert invocation.json


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_works_in_the_real_shell(shell: str) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    script = subprocess.run(
        [ETL, "completion", shell], capture_output=True, text=True, check=True
    ).stdout
    asked = {
        "bash": "COMP_WORDS=({etl} rej); COMP_CWORD=1; _etl_completion {etl}; "
        'printf "%s\\n" "${{COMPREPLY[@]}}"',
        "zsh": "compadd() {{ print -l $completions }}; _describe() {{ "
        "print -l $completions_with_descriptions }}; "
        "words=({etl} rej); CURRENT=2; _etl_completion",
        "fish": "complete -C '{etl} rej'",
    }[shell].format(etl=ETL)
    before = {"zsh": "compdef() { }\n"}.get(shell, "")
    done = subprocess.run(
        [program, "-c", f"{before}{script}\n{asked}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert re.search(r"^rejects\b", done.stdout, re.M), done.stdout + done.stderr
