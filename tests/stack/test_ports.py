"""Ports: no two stacks ever choose the same one, and a holder is named."""

from __future__ import annotations

import os
import socket

import pytest

from ci.host.ports import LOOPBACK, choose
from ci.stack.errors import PortTaken
from ci.stack.model import Port


def test_a_chosen_port_is_not_chosen_again_before_a_process_listens() -> None:
    """The server that is to listen takes seconds to start."""
    first = choose(Port("http", 18200, None))
    usual = first.number
    second = choose(Port("http", usual, None))
    assert second.number != usual
    with pytest.raises(PortTaken, match=f"process {os.getpid()}"):
        choose(Port("http", usual, usual))
    first.release()
    again = choose(Port("http", usual, usual))
    assert again.number == usual
    again.release()
    second.release()


def test_a_port_that_is_listened_on_is_not_chosen() -> None:
    with socket.socket() as other:
        other.bind((LOOPBACK, 0))
        other.listen()
        number = other.getsockname()[1]
        assert choose(Port("http", number, None), preferred=number).number != number
