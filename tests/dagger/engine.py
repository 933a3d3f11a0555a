"""A recording engine: answers every valid query, runs nothing, remembers it all.

An object is the chain of fields that led to it, so a test can look at what a container
is made of. Asking an object for a plain value, or to sync or start, is an event.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from graphql import (
    GraphQLError,
    GraphQLList,
    GraphQLResolveInfo,
    get_named_type,
    get_nullable_type,
    graphql_sync,
    is_composite_type,
    parse,
    validate,
)
from tests.dagger.schema import dagger_schema

# Answers that differ from object to object, as an engine's do.
BY_CONTENT = ("Service.hostname", "File.contents")
DEFAULTS = {"String": "stub", "Int": 5432, "Boolean": False, "Float": 0.0, "JSON": "{}"}


@dataclass(frozen=True)
class Step:
    """One field of a chain, with its arguments; objects in place of their IDs."""

    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Made:
    """An object of the engine: its type and the chain that makes it.

    `key` is that chain as text: equal objects have equal keys.
    """

    type: str
    steps: tuple[Step, ...] = field(compare=False, repr=False)
    key: str

    def calls(self, name: str) -> list[dict[str, Any]]:
        """Return the arguments of every call of a field in the chain."""
        return [step.arguments for step in self.steps if step.name == name]

    def call(self, name: str) -> dict[str, Any]:
        """Return the arguments of the one call of a field in the chain."""
        (only,) = self.calls(name)
        return only

    def bound(self) -> Iterator[Made]:
        """Yield the services that start before this object, each after its own."""
        for step in self.steps:
            for value in step.arguments.values():
                if isinstance(value, Made) and value.type in ("Service", "Container"):
                    yield from value.bound()
                    if value.type == "Service":
                        yield value

    def locked_volumes(self) -> set[str]:
        """Return the keys of the volumes that one running service at a time may use."""
        return {
            call["cache"].call("cacheVolume")["key"]
            for call in self.calls("withMountedCache")
            if str(call.get("sharing")) == "LOCKED"
        }


@dataclass
class Engine:
    """What was asked, and what to answer in place of the defaults."""

    answers: dict[str, Any] = field(default_factory=dict)
    events: list[tuple[str, Made]] = field(default_factory=list)
    queries: list[str] = field(default_factory=list)
    known: dict[str, Made] = field(default_factory=dict)
    identities: dict[str, str] = field(default_factory=dict)
    running: dict[str, Made] = field(default_factory=dict)
    host_names: dict[str, str] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def happened(self, name: str) -> list[Made]:
        """Return the objects of an event such as Service.start, in order."""
        return [made for event, made in self.events if event == name]

    async def account(self, thing: Any) -> Made:
        """Return what the engine knows of an object of the SDK."""
        return self.known[await thing.id()]

    def execute(self, body: dict[str, Any]) -> dict[str, Any]:
        """Validate a query against Dagger's schema and answer it."""
        query, schema = body["query"], dagger_schema()
        with self.lock:
            errors = validate(schema, parse(query))
            if errors:
                return {"errors": [error.formatted for error in errors]}
            if "__schema" not in query:
                self.queries.append(query)
            done = graphql_sync(
                schema,
                query,
                root_value=Made("Query", (), ""),
                variable_values=body.get("variables"),
                field_resolver=self.resolve,
                type_resolver=lambda made, info, kind: made.type,
            )
            return dict(done.formatted)

    def resolve(self, made: Made, info: GraphQLResolveInfo[Any], **given: Any) -> Any:
        """Return the object or value behind a field."""
        kind, name = get_named_type(info.return_type), info.field_name
        if name == "node":
            return self.known[given["id"]]
        arguments = {key: self.known_as(value) for key, value in given.items()}
        if is_composite_type(kind):
            key = f"{made.key}.{name}{json.dumps(given, default=str)}"
            step = Made(kind.name, (*made.steps, Step(name, arguments)), key)
            several = isinstance(get_nullable_type(info.return_type), GraphQLList)
            return [step] if several else step
        if name == "id":
            return self.remember(made)
        event = f"{made.type}.{name}"
        self.events.append((event, made))
        self.refuse(event, made)
        if event == "Service.start":
            self.start(made)
        if kind.name == "ID":
            return self.remember(made)
        if event not in self.answers and event in BY_CONTENT:
            return self.by_content(event, made)
        return self.answers.get(event, DEFAULTS.get(kind.name))

    def by_content(self, event: str, made: Made) -> str:
        """Answer with a text that is equal for equal objects."""
        text = hashlib.sha256(made.key.encode()).hexdigest()[:16]
        if event == "Service.hostname":
            if own := made.calls("withHostname"):
                return str(own[-1]["hostname"])
            self.host_names[text] = made.key
        return text

    def start(self, service: Made) -> None:
        """Start a service with all that is bound to it, each once in the session.

        A service that wants an exclusive volume which another one holds waits without
        limit and without a message; here that is an error.
        """
        for unit in (*service.bound(), service):
            if unit.key in self.running or not unit.calls("asService"):
                continue
            for holder in self.running.values():
                if held := unit.locked_volumes() & holder.locked_volumes():
                    raise GraphQLError(f"waits for {held}, which another service holds")
            self.running[unit.key] = unit

    def refuse(self, event: str, made: Made) -> None:
        """Fail as an exec does, if the table of answers has an exit code for it."""
        for wanted, code in self.answers.get("exit codes", {}).items():
            if any(wanted in step.arguments.get("args", []) for step in made.steps):
                details = {"_type": "EXEC_ERROR", "exitCode": code, "cmd": [wanted]}
                output = {"stdout": "", "stderr": f"{event} failed"}
                raise GraphQLError(
                    f"exit code: {code}", extensions={**details, **output}
                )

    def remember(self, made: Made) -> str:
        """Return the ID of an object; equal objects have the same."""
        identity = self.identities.setdefault(
            made.key, f"{made.type}:{len(self.identities)}"
        )
        self.known.setdefault(identity, made)
        return identity

    def known_as(self, value: Any) -> Any:
        """Return objects in the place of their IDs."""
        if isinstance(value, list):
            return [self.known_as(item) for item in value]
        return self.known.get(value, value) if isinstance(value, str) else value


@contextmanager
def served(engine: Engine) -> Iterator[int]:
    """Serve an engine on a port of the loopback."""

    class Handler(BaseHTTPRequestHandler):
        """Serves GraphQL over HTTP."""

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer = json.dumps(engine.execute(body)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *arguments: Any) -> None:
            """Say nothing: pytest shows what matters."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
