"""Fixtures of the parity tests: the Docker tests' machine."""

from tests.docker.conftest import machine

__all__ = ["machine"]
