"""What a Dagger engine 0.21.8 does with services: its rules, as the tests apply them.

Each rule was seen on a real engine or read in its source, which is named beside it.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from dagger.mod import default_module
from tests.dagger.engine import Engine, Made
from tests.dagger.read import Box, plaintext

# `host:port` in an address, an option of the proxy, or the words of a probe.
HOST_AND_PORT = re.compile(
    r"(?:^|[\s/@:=])([A-Za-z][A-Za-z0-9.-]*):\d{2,5}(?=$|[\s:/])"
)
TCP_PROBE = re.compile(r"\btcp ([A-Za-z][A-Za-z0-9.-]*) \d+")
ITSELF = {"localhost", "127.0.0.1"}


def evaluations(function: str) -> int:
    """Return how often one CLI command evaluates a function that it starts.

    Once to list or type it and once to start it (core/up.go). The second one is a
    cache hit unless the policy is `never`, which mixes a random input into the call
    (core/modfunc.go, cacheImplicitInputs).
    """
    policy = default_module()._objects["Etl"].functions[function].cache_policy
    return 2 if policy == "never" else 1


async def brought_up(
    engine: Engine, name: str, call: Callable[[], Awaitable[Any]]
) -> Made:
    """Do what `dagger up` and `dagger call NAME up` do; return the service they start.

    Raises AssertionError if a name that the service uses does not resolve in it.
    """
    service = None
    for _ in range(evaluations(name)):
        service = await engine.account(await call())
    assert service is not None
    engine.start(service)
    unknown = set(hosts_used(service)) - set(names_for_cli(engine, service))
    assert not unknown, f"Name or service not known: {sorted(unknown)}"
    return service


def hosts_used(service: Made) -> Iterator[str]:
    """Yield the hosts that a service's command, variables and probe name."""
    box = Box(service)
    texts = [value for name, value in box.variables.items() if "UI" not in name]
    texts += [" ".join(service.call("asService")["args"])]
    texts += [" ".join(box.health["args"])]
    for text in texts:
        for pattern in (HOST_AND_PORT, TCP_PROBE):
            yield from (h for h in pattern.findall(text) if h not in ITSELF)
    if (host := box.variables.get("PGHOST")) and host not in ITSELF:
        yield host


def names_for_cli(engine: Engine, service: Made) -> Iterator[str]:
    """Yield the names that resolve in a service which the CLI starts itself.

    It searches the session's domain only (core/service.go: no module is its parent). A
    name from `with_hostname` of a service that the module has started is in the
    module's domain, so neither the name nor an alias bound to it resolves.
    """
    for alias, bound in Box(service).bindings.items():
        if not (bound.calls("withHostname") and bound.key in engine.running):
            yield alias
    yield from engine.host_names


def health_environment(service: Made) -> dict[str, str]:
    """Return the environment in which the engine runs a health check.

    The plain variables only: no secret variable (core/healthcheck.go, metaSpec).
    """
    calls = service.calls("withEnvVariable")
    return {call["name"]: call["value"] for call in calls}


def health_files(service: Made) -> dict[str, str]:
    """Return the secret files that a health check can read, by path."""
    calls = service.calls("withMountedSecret")
    return {call["path"]: plaintext(call["source"]) for call in calls}
