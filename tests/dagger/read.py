"""Reads what the engine recorded: a container as plain data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.dagger.engine import Engine, Made, Step

from ci.dagger.containers import INIT


@dataclass(frozen=True)
class Box:
    """What a container is made of, by the chain that makes it."""

    made: Made

    @property
    def image(self) -> str:
        """The image by name, or the stage of the Dockerfile."""
        if builds := self.made.calls("dockerBuild"):
            return f"stage {builds[0].get('target')}"
        return str(self.made.call("from")["address"])

    @property
    def variables(self) -> dict[str, str]:
        """Plain variables and secret ones, with the text of these."""
        plain = {c["name"]: c["value"] for c in self.made.calls("withEnvVariable")}
        return plain | self.secrets

    @property
    def secrets(self) -> dict[str, str]:
        """The secret variables."""
        return {
            call["name"]: plaintext(call["secret"])
            for call in self.made.calls("withSecretVariable")
        }

    @property
    def volumes(self) -> dict[str, dict[str, Any]]:
        """Cache volumes: path → key, sharing, owner."""
        return {
            call["path"]: {
                "key": call["cache"].call("cacheVolume")["key"],
                "sharing": str(call.get("sharing", "SHARED")),
                "owner": call.get("owner", ""),
            }
            for call in self.made.calls("withMountedCache")
        }

    @property
    def bindings(self) -> dict[str, Made]:
        """Services bound, by name."""
        calls = self.made.calls("withServiceBinding")
        return {call["alias"]: call["service"] for call in calls}

    @property
    def files(self) -> dict[str, str]:
        """Files written into it."""
        calls = self.made.calls("withNewFile")
        return {call["path"]: call["contents"] for call in calls}

    @property
    def commands(self) -> list[list[str]]:
        """What was executed in it."""
        return [call["args"] for call in self.made.calls("withExec")]

    @property
    def health(self) -> dict[str, Any]:
        """Its health check."""
        return self.made.call("withDockerHealthcheck")


def executed(engine: Engine) -> list[Box]:
    """Return the containers that ran commands, in order."""
    synced = [Box(made) for made in engine.happened("Container.sync")]
    return [box for box in synced if box.commands]


def every_step(made: Made) -> Iterator[Step]:
    """Yield the steps of an object and of all objects that it was given."""
    for step in made.steps:
        yield step
        for value in step.arguments.values():
            for item in value if isinstance(value, list) else [value]:
                if isinstance(item, Made):
                    yield from every_step(item)


def plaintext(secret: Made) -> str:
    """Return the text of a secret."""
    return str(secret.call("setSecret")["plaintext"])


def service_name(service: Made) -> str:
    """Return a service's name, which its supervisor is given."""
    init, name, *_ = service.call("asService")["args"]
    assert init == INIT
    return str(name)
