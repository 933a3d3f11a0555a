"""StackSettings: read, typed, derived, and contradictions reported."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ci.local.layout import digest
from ci.stack.errors import InvalidSetting
from ci.stack.settings import (
    Secret,
    StackSettings,
    read_settings,
    secret_names,
    variable_names,
)

CHECKOUT = Path(__file__).resolve().parents[2]


def test_the_example_works_unedited_and_names_every_variable() -> None:
    example = CHECKOUT / ".env.example"
    assert read_settings({}, example) == StackSettings()
    named = {
        line.split("=")[0]
        for line in example.read_text().splitlines()
        if "=" in line and not line.startswith("#")
    }
    assert named == set(variable_names())


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("POSTGRES_USER=from_file\nPOSTGRES_DB=from_file\n")
    settings = read_settings({"POSTGRES_USER": "from_environment"}, file)
    assert settings.postgres_user == "from_environment"
    assert settings.postgres_db == "from_file"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("POSTGRES_PORT", "54x2", "a whole number from 1 to 65535"),
        ("POSTGRES_PORT", "0", "a whole number from 1 to 65535"),
        ("POSTGRES_USER", "Robert'); DROP", "lower-case letters, digits and _ only"),
        ("PREFECT_API_URL", "localhost:4200", "an http:// or https:// address"),
        ("PREFECT_API_URL", "http://localhost:4200", "ends with /api"),
        ("DATABASE_URL", "mysql://x", "starts with postgresql+psycopg://"),
        ("PREFECT_WORKER_QUERY_SECONDS", "soon", "seconds, from 0.05 to 3600"),
    ],
)
def test_a_malformed_value_names_variable_and_rule(
    name: str, value: str, said: str
) -> None:
    with pytest.raises(InvalidSetting, match=re.escape(said)) as failure:
        read_settings({name: value})
    assert name in str(failure.value)
    assert "the environment" in failure.value.hint


@pytest.mark.parametrize(
    ("environment", "both"),
    [
        (
            {"DATABASE_URL": "postgresql://other@db/biocirv_db"},
            ("DATABASE_URL", "POSTGRES_USER"),
        ),
        (
            {"DATABASE_URL": "postgresql://biocirv_user@localhost:5433/elsewhere"},
            ("DATABASE_URL", "POSTGRES_DB"),
        ),
        (
            {
                "DATABASE_URL": "postgresql://biocirv_user:one@db/biocirv_db",
                "POSTGRES_PASSWORD": "two",
            },
            ("DATABASE_URL", "POSTGRES_PASSWORD"),
        ),
        (
            {
                "PREFECT_API_URL": "http://127.0.0.1:4200/api",
                "PREFECT_SERVER_API_PORT": "4300",
            },
            ("PREFECT_API_URL", "PREFECT_SERVER_API_PORT"),
        ),
        (
            {"PREFECT_API_DATABASE_CONNECTION_URL": "postgresql://other@db/prefect_db"},
            ("PREFECT_API_DATABASE_CONNECTION_URL", "POSTGRES_USER"),
        ),
    ],
)
def test_a_contradiction_names_both_sides(
    environment: dict[str, str], both: tuple[str, str]
) -> None:
    with pytest.raises(InvalidSetting) as failure:
        read_settings(environment)
    assert both[0] in str(failure.value)
    assert both[1] in str(failure.value)
    assert "one" not in str(failure.value)  # no password is shown


def test_a_url_with_another_host_is_a_database_brought_in() -> None:
    url = "postgresql://reader:word@warehouse.example.org/figures"
    with pytest.raises(InvalidSetting, match="where Prefect's own database is"):
        read_settings({"DATABASE_URL": url})
    prefect = "postgresql://reader:word@warehouse.example.org/prefect"
    settings = read_settings(
        {"DATABASE_URL": url, "PREFECT_API_DATABASE_CONNECTION_URL": prefect}
    )
    assert settings.external_database
    assert settings.database_url == Secret(
        url.replace("postgresql:", "postgresql+psycopg:")
    )


def test_a_misspelt_name_in_the_file_is_an_error_and_a_foreign_one_is_not(
    tmp_path: Path,
) -> None:
    file = tmp_path / ".env"
    file.write_text("MY_OWN_FLAG=1\n")
    assert read_settings({}, file) == StackSettings()
    file.write_text("POSTGRES_PASWORD=x\n")
    with pytest.raises(InvalidSetting, match="did you mean POSTGRES_PASSWORD"):
        read_settings({}, file)


def test_secrets_never_show() -> None:
    environment = {name: "canary-7f3a" for name in secret_names() if "URL" not in name}
    settings = read_settings(environment)
    assert len(environment) >= 4
    assert "canary-7f3a" not in repr(settings)
    assert "canary-7f3a" not in digest(settings)


def test_a_changed_secret_changes_the_digest() -> None:
    assert digest(StackSettings(postgres_password=Secret("a"))) != digest(
        StackSettings(postgres_password=Secret("b"))
    )
