"""StackSettings: read, typed, derived, and contradictions reported."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ci.host.env_file import find_env_file, read_settings
from ci.local.layout import digest
from ci.stack.addresses import bind_address
from ci.stack.errors import InvalidSetting
from ci.stack.settings import Secret, StackSettings, secret_names, variable_names

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
    ("name", "value", "allowed"),
    [
        ("POSTGRES_PORT", "54x2", "a whole number from 1 to 65535"),
        ("POSTGRES_PORT", "0", "a whole number from 1 to 65535"),
        ("POSTGRES_PORT", "٥٤٣٢", "a whole number from 1 to 65535"),
        ("POSTGRES_USER", "Robert'); DROP", "lower-case letters, digits and _ only"),
        ("POSTGRES_HOST", "999.1.1.1", "a host name or an IP address"),
        ("PREFECT_API_URL", "localhost:4200", "an http:// or https:// address"),
        ("PREFECT_API_URL", "http://localhost:4200", "ends with /api"),
        ("PREFECT_API_URL", "http://localhost:42000000/api", "a port from 1 to 65535"),
        ("PREFECT_SERVER_API_HOST", "999.1.1.1", "an IP address or localhost"),
        ("PREFECT_SERVER_API_HOST", "nonsense", "an IP address or localhost"),
        ("PREFECT_SERVER_API_HOST", "[::1]", "an IP address or localhost"),
        ("PREFECT_WORKER_QUERY_SECONDS", "soon", "seconds, from 0.05 to 3600"),
        ("PREFECT_WORKER_QUERY_SECONDS", "nan", "seconds, from 0.05 to 3600"),
        ("PREFECT_WORKER_LIMIT", "0", "a whole number from 1"),
        ("PREFECT_WORK_POOL_NAME", "a/b", "letters, digits, - _ and . only"),
        ("PREFECT_WORK_POOL_NAME", "prefect-etl", "does not start with prefect"),
        ("PREFECT_LOGGING_LEVEL", "LOUD", "one of DEBUG, INFO, WARNING, ERROR"),
        ("NASS_API_URL", "ftp://x", "an http:// or https:// address"),
        ("TZ", "Mars/Phobos", "a name of the time zone database"),
        ("TZ", "../../etc/passwd", "a name of the time zone database"),
    ],
)
def test_a_malformed_value_is_reported_with_name_value_and_what_is_allowed(
    name: str, value: str, allowed: str
) -> None:
    with pytest.raises(InvalidSetting, match=re.escape(allowed)) as failure:
        read_settings({name: value})
    assert name in failure.value.what
    assert repr(value) in failure.value.what
    assert failure.value.hint == f"edit {name} in the environment"
    assert failure.value.exit_code == 2


@pytest.mark.parametrize(
    ("value", "allowed"),
    [
        ("mysql://u:canary@h/n", "starts with postgresql+psycopg://"),
        ("postgresql://u:canary@h:54x2/n", "a port from 1 to 65535"),
        ("postgresql://u:canary@999.1.1.1/n", "a valid host name or address"),
        ("postgresql://u:canary@[h/n", "a valid host name or address"),
        ("postgresql://u:canary@h", "ends with the name of the database"),
    ],
)
def test_a_malformed_url_is_reported_without_its_password(
    value: str, allowed: str
) -> None:
    with pytest.raises(InvalidSetting, match=re.escape(allowed)) as failure:
        read_settings({"DATABASE_URL": value})
    assert "DATABASE_URL" in failure.value.what
    assert "canary" not in failure.value.what + failure.value.hint


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("PREFECT_LOGGING_LEVEL", "debug", "DEBUG"),
        ("PREFECT_SERVER_API_HOST", "localhost", "127.0.0.1"),
        ("PREFECT_SERVER_API_HOST", "::1", "::1"),
        ("TZ", "America/Los_Angeles", "America/Los_Angeles"),
        ("TZ", ":UTC", ":UTC"),
        ("TZ", "PST8PDT", "PST8PDT"),
        ("PREFECT_WORKER_LIMIT", "3", 3),
    ],
)
def test_values_are_normalised(name: str, value: str, read: object) -> None:
    assert getattr(read_settings({name: value}), name.lower()) == read


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("POSTGRES_DB=etl\nPOSTGRES_PASSWORD='canary\n", 2),
        ('POSTGRES_DB="etl', 1),
        ("# first\n=canary\nPOSTGRES_DB=etl\n", 2),
    ],
)
def test_a_line_of_the_file_that_cannot_be_parsed_is_reported(
    tmp_path: Path, text: str, line: int
) -> None:
    file = tmp_path / ".env"
    file.write_text(text)
    with pytest.raises(InvalidSetting, match=f"line {line}") as failure:
        read_settings({}, file)
    assert "canary" not in failure.value.what
    assert str(file) in failure.value.hint


def test_a_settings_file_that_is_no_file_is_reported(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.mkdir()
    with pytest.raises(InvalidSetting, match="is a folder"):
        find_env_file(tmp_path)
    path.rmdir()
    path.symlink_to(tmp_path / "missing")
    with pytest.raises(InvalidSetting, match="is not a regular file"):
        find_env_file(tmp_path)


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_bytes(b"\xef\xbb\xbfPOSTGRES_DB=etl\n")
    assert read_settings({}, file).postgres_db == "etl"


@pytest.mark.parametrize(
    ("environment", "both"),
    [
        (
            {"DATABASE_URL": "postgresql://other@db/biocirv_db"},
            ("DATABASE_URL", "POSTGRES_USER"),
        ),
        (
            {"DATABASE_URL": "postgresql://biocirv_user@localhost:5432/elsewhere"},
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
            {"POSTGRES_PORT": "4300", "PREFECT_SERVER_API_PORT": "4300"},
            ("POSTGRES_PORT", "PREFECT_SERVER_API_PORT"),
        ),
        (
            {"POSTGRES_PORT": "4300", "PREFECT_API_URL": "http://127.0.0.1:4300/api"},
            ("POSTGRES_PORT", "PREFECT_SERVER_API_PORT"),
        ),
        (
            {"PREFECT_API_URL": "http://prefect.example.org:4200/api"},
            ("PREFECT_API_URL", "PREFECT_SERVER_API_HOST"),
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
    text = failure.value.what + failure.value.hint
    assert both[0] in text
    assert both[1] in text
    assert ":one" not in text  # no password is shown


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


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://reader:word@localhost:5433/figures",
        "postgresql://reader:word@[::1]:5433/figures",
        "postgresql://reader:word@127.0.0.2:5433/figures",
        "postgresql://reader@/figures?host=/var/run/postgresql",
    ],
)
def test_another_port_of_this_machine_is_another_server(url: str) -> None:
    with pytest.raises(InvalidSetting, match="DATABASE_URL names another server"):
        read_settings({"DATABASE_URL": url})
    prefect = url.replace("figures", "prefect")
    settings = read_settings(
        {"DATABASE_URL": url, "PREFECT_API_DATABASE_CONNECTION_URL": prefect}
    )
    assert settings.external_database
    assert settings.external_prefect_database
    assert settings.database_port is None


def test_a_database_url_with_the_stacks_own_port_asks_for_that_port() -> None:
    url = "postgresql://biocirv_user@localhost/biocirv_db"
    settings = read_settings({"DATABASE_URL": url})
    assert not settings.external_database
    assert settings.database_port == 5432
    moved = url.replace("localhost", "127.0.0.1:5433")
    settings = read_settings({"DATABASE_URL": moved, "POSTGRES_PORT": "5433"})
    assert not settings.external_database
    assert settings.database_port == 5433


def test_prefects_database_may_be_on_another_server_by_itself() -> None:
    url = "postgresql://keeper@warehouse.example.org/prefect"
    settings = read_settings({"PREFECT_API_DATABASE_CONNECTION_URL": url})
    assert settings.external_prefect_database
    assert not settings.external_database


@pytest.mark.parametrize(
    ("text", "client", "in_url", "opened"),
    [
        ("127.0.0.1", "127.0.0.1", "127.0.0.1", None),
        ("localhost", "127.0.0.1", "127.0.0.1", None),
        ("::1", "::1", "[::1]", None),
        ("0.0.0.0", "127.0.0.1", "127.0.0.1", "every network of this machine"),
        ("::", "::1", "[::1]", "every network of this machine, at [::]:4200"),
        ("192.168.7.1", "192.168.7.1", "192.168.7.1", "a network, at 192.168.7.1:4200"),
    ],
)
def test_an_address_of_the_server_and_what_it_opens(
    text: str, client: str, in_url: str, opened: str | None
) -> None:
    bind = bind_address(text)
    assert (bind.client_host, bind.url_host) == (client, in_url)
    assert bind.is_loopback is (opened is None)
    assert (opened or "") in (bind.opened(4200) or "")
    assert bool(bind.opened(4200)) is bool(opened)


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
    environment = {
        name: "me:canary-7f3a-secret" for name in secret_names() if "URL" not in name
    }
    settings = read_settings(environment)
    assert len(environment) >= 4
    assert "canary-7f3a" not in repr(settings)
    assert "canary-7f3a" not in digest(settings)


def test_a_changed_secret_changes_the_digest() -> None:
    assert digest(StackSettings(postgres_password=Secret("a"))) != digest(
        StackSettings(postgres_password=Secret("b"))
    )
