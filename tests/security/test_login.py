"""The login of Prefect's API: asked for, printed on request, usable by users' tools."""

from __future__ import annotations

import json
import os
import re
import stat
from pathlib import Path

import pytest
from tests.security.api import (
    OK,
    READ,
    Api,
    assert_asks_for_the_login,
    assert_other_origins_get_no_permission,
)
from tests.stack.conftest import Program, made_home
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from ci.host.env_file import read_settings
from ci.host.home import Home
from ci.host.secrets import login_of
from ci.stack.errors import InvalidSetting


def test_the_api_asks_for_the_login(api: Api) -> None:
    assert_asks_for_the_login(api)


def test_other_origins_get_no_permission(api: Api) -> None:
    assert_other_origins_get_no_permission(api)


@pytest.mark.parametrize(
    ("protocols", "token"), [([], None), (["prefect"], None), (["prefect"], "wrong")]
)
def test_a_websocket_asks_for_the_login(
    api: Api, protocols: list[str], token: str | None
) -> None:
    address = api.ui_url.replace("http", "ws") + "/api/events/out"
    with pytest.raises((ConnectionClosed, InvalidStatus)):
        ask_for_events(address, protocols, token)


def ask_for_events(address: str, protocols: list[str], token: str | None) -> None:
    """Open a websocket, log in, and wait for the first answer."""
    offered = [Subprotocol(name) for name in protocols]
    with connect(address, subprotocols=offered or None) as socket:
        socket.send(json.dumps({"type": "auth", "token": token}))
        socket.recv(timeout=10)


def test_a_websocket_accepts_the_login(api: Api) -> None:
    address = api.ui_url.replace("http", "ws") + "/api/events/out"
    ask_for_events(address, ["prefect"], api.login)


def test_the_login_is_kept_for_its_owner_and_shown_on_request(
    stack: Program, api: Api
) -> None:
    kept = stack.home.root / "prefect_login"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    password = kept.read_text()
    assert api.login == f"etl:{password}"
    assert f"login: {api.login}" in stack("status", "--show-login").stdout
    for words in (("up",), ("status",), ("status", "--json"), ("up", "--json")):
        assert password not in "".join(stack(*words).stdout)
    assert "login: ./etl status --show-login" in stack("status").stdout


def test_on_a_terminal_up_and_status_show_the_login(stack: Program, api: Api) -> None:
    for verb in ("up", "status"):
        assert f"login: {api.login}" in on_a_terminal(stack, verb)


def on_a_terminal(stack: Program, verb: str) -> str:
    """Run a verb on a terminal; return what it prints there."""
    ours, theirs = os.openpty()
    shown = b""
    with (
        stack.start(verb, output=theirs) as process,
        open(ours, "rb", buffering=0) as terminal,  # noqa: PTH123
    ):
        os.close(theirs)
        try:
            while part := terminal.read(4096):
                shown += part
        except OSError:  # Linux: the last process has closed its side
            pass
    assert process.returncode == 0
    return shown.decode()


def test_prefects_own_program_is_logged_in_under_exec(stack: Program) -> None:
    words = ("env", "COLUMNS=200", "prefect", "deployment", "ls")
    for service in ("prefect-worker", "prefect-server"):
        assert "master-etl" in stack("exec", service, *words).stdout


def test_a_login_that_is_set_takes_the_place_of_a_generated_one(tmp_path: Path) -> None:
    settings = read_settings({"PREFECT_API_LOGIN": "someone:as:long-as-it-gets"})
    assert login_of(Home(tmp_path), settings) == "someone:as:long-as-it-gets"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("value", "allowed"),
    [
        ("canary-canary", "user:password"),
        (":canary-canary", "user:password"),
        ("me:canary canary", "user:password"),
        ("me:cänary-canary", "user:password"),
        ("me:canary", "at least 12 characters"),
    ],
)
def test_a_malformed_login_is_reported_without_its_value(
    value: str, allowed: str
) -> None:
    with pytest.raises(InvalidSetting, match=re.escape(allowed)) as failure:
        read_settings({"PREFECT_API_LOGIN": value})
    assert "PREFECT_API_LOGIN" in failure.value.what
    assert "anary" not in failure.value.what + failure.value.hint


def test_switched_off_it_is_not_asked_for_and_each_start_prints_what_that_opens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PREFECT_API_LOGIN", "off")
    with made_home() as home:
        etl = Program(home)
        warning = etl("up").stderr
        assert "PREFECT_API_LOGIN=off" in warning
        assert "every user and program of this machine" in warning
        status = etl.json("status", "--show-login")["data"]
        assert status["login"] is None
        assert not status["login_required"]
        assert Api(status["ui_url"], "").ask(*READ).status_code == OK
        assert "PREFECT_API_LOGIN=off" in etl("status").stdout
        etl("down")
