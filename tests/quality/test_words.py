"""Plain words: no odd phrase in code, comments, messages and documents."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
THIS = "tests/quality/test_words.py"
KINDS = {".cff", ".md", ".py", ".sh", ".sql", ".toml", ".yaml", ".yml", ".example"}
NAMES = {"Dockerfile", "etl", "run", "pre-commit"}

PHRASES = (
    *("told", "tells?", "tale", "bears?", "heeds?", "strangers?", "speaks?", "nobody"),
    *("somebody", "anybody", "whose", "the dead", "last words", "by hand", "a word"),
    *(
        r"in step(?!\.\w)",
        "by rights",
        "for ever",
        "says who",
        "(?:what|how) it came to",
    ),
    "what (?:became|becomes|has become) of",
)
VARIABLES = {"told", "said", "one"}

# Legitimate uses, by file.
ALLOWED: dict[str, set[str]] = {
    # Names in the database, and views that migrations have made.
    "alembic/versions/20261123_1900_ledger.py": {"told"},
    "src/etl/models/ledger.py": {"told"},
    "src/etl/views/out_etl__runs.v1.sql": {"what became of"},
    "src/etl/views/out_etl__runs.v2.sql": {"what became of"},
    "src/etl/views/out_nass__value_history.v1.sql": {"whose"},
    # The user of that name.
    "ci/src/ci/local/postgres.py": {"nobody"},
}

# Files that were written before this test. A file may leave the list, none may join it.
PENDING: set[str] = set()


def files() -> list[str]:
    """Return the text files of the checkout that people write."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=CHECKOUT, capture_output=True, text=True, check=True
    ).stdout.split()
    return [
        name
        for name in listed
        if (Path(name).suffix in KINDS or Path(name).name in NAMES)
        and name != THIS
        and (CHECKOUT / name).is_file()
    ]


def odd_phrases(text: str) -> list[str]:
    """Return the phrases of the list that occur, in any case, also across lines."""
    plain = re.sub(r"[\s_#*]+", " ", text)
    found = re.findall(
        rf"(?<![A-Za-z.])(?:{'|'.join(PHRASES)})(?![A-Za-z])", plain, re.IGNORECASE
    )
    return sorted({phrase.lower() for phrase in found})


def odd_variables(code: str) -> list[str]:
    """Return the names of the list that are assigned, or are parameters."""
    names = {
        node.id
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    names |= {
        node.arg for node in ast.walk(ast.parse(code)) if isinstance(node, ast.arg)
    }
    return sorted(names & VARIABLES)


@pytest.mark.parametrize("name", files())
def test_the_words_are_plain(name: str) -> None:
    text = (CHECKOUT / name).read_text()
    found = set(odd_phrases(text)) - ALLOWED.get(name, set())
    if name.endswith(".py"):
        found |= {f"variable {variable}" for variable in odd_variables(text)}
    if name in PENDING and found:
        pytest.xfail(f"written before this test: {sorted(found)}")
    assert found == set()


def test_a_phrase_is_found_across_lines_and_in_names() -> None:
    assert odd_phrases("# the\n# dead\nwas_told = 1  # bearer") == ["the dead", "told"]
    assert odd_variables("def f(one):\n    told = one") == ["one", "told"]
