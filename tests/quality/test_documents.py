"""The documents: links resolve, and what is said twice agrees with the code."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from ci.cli.tree import new_program
from ci.docsgen import map as tree
from ci.docsgen.generate import outdated
from ci.docsgen.reference import default_stack
from ci.stack import errors
from ci.stack.settings import variable_names

CHECKOUT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(
    path
    for path in (*CHECKOUT.glob("*.md"), *CHECKOUT.glob("docs/**/*.md"))
    if path.is_file()
)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: str(p.relative_to(CHECKOUT)))
def test_links_resolve(path: Path) -> None:
    broken = [
        target
        for target in LINK.findall(path.read_text())
        if "://" not in target
        and not target.startswith("#")
        and not (path.parent / target.split("#")[0]).exists()
    ]
    assert broken == []


def test_the_exit_codes_are_those_of_the_code() -> None:
    text = (CHECKOUT / "docs/reference/exit-codes.md").read_text()
    documented = {int(number) for number in re.findall(r"^\| (\d+) \|", text, re.M)}
    assert documented == {
        errors.DONE,
        errors.FAILED,
        errors.USAGE,
        errors.DRIFT,
        errors.PREREQUISITE,
        errors.CONTRACT,
        errors.TIMED_OUT,
        errors.INTERRUPTED,
    }


def test_the_readme_names_every_verb() -> None:
    table = (CHECKOUT / "README.md").read_text().split("| verb |")[1].split("\n\n")[0]
    missing = [
        verb for verb in new_program().commands if not re.search(rf"`{verb}\b", table)
    ]
    assert missing == []


def test_the_environment_example_explains_every_setting() -> None:
    text = (CHECKOUT / ".env.example").read_text()
    assert [name for name in variable_names() if f"\n{name}=" not in text] == []


def test_the_rules_for_rejects_are_those_of_the_code() -> None:
    text = (CHECKOUT / "docs/explanation/loading.md").read_text()
    table = text.split("| rule | the row |")[1].split("\n\n")[0]
    documented = set(re.findall(r"`(\w+)`", table))
    code = "".join(
        path.read_text()
        for folder in ("specs", "readers", "validate", "load")
        for path in (CHECKOUT / "src" / "etl" / folder).glob("*.py")
    )
    assert [rule for rule in documented if f'"{rule}"' not in code] == []
    named = set(re.findall(r'(?:rule(?:: str)? ?= ?|return |fault = )"(\w+)"', code))
    assert named <= documented | {"fact", "dimension"}


def test_the_map_of_the_readme_is_the_tree() -> None:
    text = (CHECKOUT / "README.md").read_text()
    tree = text.split("## Where things are")[1].split("## ")[0]
    folder, missing = CHECKOUT, []
    for line in tree.splitlines():
        names = line.strip().split("  ")[0].split()
        indent = len(line) - len(line.lstrip())
        if not names:
            continue
        base = CHECKOUT if indent == 4 else folder
        missing += [name for name in names if not (base / name).exists()]
        folder = CHECKOUT / names[0] if indent == 4 else folder
    assert missing == []


@pytest.mark.parametrize("package", tree.PACKAGES)
def test_the_map_of_the_readme_has_every_folder_of_the_code(package: str) -> None:
    text = (CHECKOUT / "README.md").read_text().split("## Where things are")[1]
    part = text.split(f"    {tree.PACKAGES[package]}/ ")[1]
    named = set(re.findall(r"^ {6}(\S+/(?: \S+/)*)", part, re.M))
    folders = {name for line in named for name in line.split()}
    rooms = {room.path for room in tree.rooms(CHECKOUT, package)}
    assert {path for path in rooms if path.endswith("/")} <= folders


def test_the_generated_files_are_current() -> None:
    """Among them: the map in architecture.md, and the images in the Dockerfile."""
    stale = sorted(outdated(CHECKOUT))
    assert stale == [], "run: .etl/env-dev/bin/python -m ci.docsgen.generate"


def test_the_map_shows_imports_within_functions(tmp_path: Path) -> None:
    rooms = {"a.py": "from etl.b import c", "b.py": "def f():\n    from etl import c"}
    (tmp_path / "src/etl").mkdir(parents=True)
    for name, text in (rooms | {"c.py": ""}).items():
        (tmp_path / "src/etl" / name).write_text(f'"""Job of {name}."""\n{text}\n')
    assert tree.drawing(tmp_path, "etl").splitlines()[2:] == [
        "| `a.py` | Job of a.py | `b` |",
        "| `b.py` | Job of b.py | `c` |",
        "| `c.py` | Job of c.py | none |",
    ]


def test_the_citation_names_the_version_of_the_package() -> None:
    cited = yaml.safe_load((CHECKOUT / "CITATION.cff").read_text())
    package = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    assert cited["version"] == package["version"]
    assert cited["license"] == package["license"]


def test_every_verb_setting_unit_and_column_has_a_description() -> None:
    """A blank last cell of a reference page is something undocumented."""
    blank = [
        line
        for name in ("verbs", "settings", "sources")
        for line in (CHECKOUT / f"docs/reference/{name}.md").read_text().splitlines()
        if line.startswith("| ") and line.endswith("|  |")
    ]
    blank += [
        unit.name for unit in default_stack().units.values() if not unit.summary.strip()
    ]
    assert blank == []


def test_decisions_have_a_number_each_and_are_all_listed() -> None:
    folder = CHECKOUT / "docs/decisions"
    pages = sorted(path.name for path in folder.glob("0*.md"))
    assert [int(name[:4]) for name in pages] == list(range(1, len(pages) + 1))
    listed = re.findall(r"\((0[\w.-]+\.md)\)", (folder / "README.md").read_text())
    assert sorted(listed) == pages


def test_the_table_of_where_to_look_names_files_that_exist() -> None:
    text = (CHECKOUT / "docs/explanation/architecture.md").read_text()
    table = text.split("## Where to look")[1]
    paths = re.findall(r"`([\w./]+/[\w./]*)`", table)
    assert len(paths) >= 6
    assert [path for path in paths if not (CHECKOUT / path).exists()] == []
