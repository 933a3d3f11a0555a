"""The module as Dagger's own runtime drives it: registered, constructed, called."""

from __future__ import annotations

import dagger
import pytest
from dagger import dag
from dagger.mod import Module, default_module
from tests.dagger.called import command, last, volume_keys
from tests.dagger.engine import Engine, Made
from tests.dagger.read import every_step

from ci.dagger.policy import CallFailed

pytestmark = pytest.mark.anyio


@pytest.fixture
def module(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Module:
    """The module; the runtime gives it the name of its main object."""
    module = default_module()
    monkeypatch.setattr(module, "_main_name", "Etl")
    monkeypatch.setattr(module, "_main", module.get_object("Etl"))
    return module


async def constructed(module: Module, **arguments: object) -> dict[str, object]:
    """Construct the main object; return the state that Dagger keeps of it."""
    source = await dag.directory().id()
    state = await module.get_result("Etl", {}, "", {"source": source, **arguments})
    assert isinstance(state, dict)
    return state


def declared(registered: Made, step: str) -> list[Made]:
    """Return what was given to a step of the registration."""
    return [
        value
        for call in every_step(registered)
        if call.name == step
        for value in call.arguments.values()
        if isinstance(value, Made)
    ]


async def test_every_type_is_one_that_the_engine_knows(
    engine: Engine, module: Module
) -> None:
    registered = engine.known[await module._typedefs()]
    functions = {
        made.call("function")["name"]: made
        for made in declared(registered, "withFunction")
    }
    assert {"up", "stack", "run_etl", "check_migrations"} <= set(functions)
    policies = {
        name: [str(call["policy"]) for call in made.calls("withCachePolicy")]
        for name, made in functions.items()
    }
    assert {tuple(policy) for policy in policies.values()} == {
        (),
        ("Never",),
        ("PerSession",),
    }
    assert functions["test"].calls("withCheck") == [{}]
    assert functions["stack"].calls("withUp") == [{}]
    assert functions["generate"].calls("withGenerator") == [{}]
    (constructor,) = declared(registered, "withConstructor")
    source = next(
        call for call in constructor.calls("withArg") if call["name"] == "source"
    )
    assert source["defaultPath"] == "/"
    assert "!src/**" in source["ignore"]


async def test_options_survive_from_the_constructor_to_the_call(
    engine: Engine, module: Module
) -> None:
    """Each is one run of an interpreter; between them the object is JSON."""
    secret = await dag.set_secret("w", "word").id()
    engine.answers["Secret.plaintext"] = "word"
    state = await constructed(module, project="pond", postgres_password=secret)
    await module.get_result("Etl", state, "migrate", {})
    await module.get_result("Etl", state, "reset", {"yes": True})
    keys = {v["key"] for v in last(engine, "Container.sync").volumes.values()}
    assert keys == set(volume_keys("pond").values())


async def test_a_call_through_the_runtime_is_the_function(
    engine: Engine, module: Module
) -> None:
    engine.answers["Container.stdout"] = "the receipt\n"
    state = await constructed(module)
    arguments = {"sources": ["nass"], "reload": True}
    printed = await module.get_result("Etl", state, "run_etl", arguments)
    assert printed == "the receipt\n"
    words = ["--source", "nass", "--reload"]
    assert last(engine, "Container.stdout").commands == [command("run-etl", *words)]
    service = await module.get_result("Etl", state, "stack", {})
    assert engine.known[str(service)].type == "Service"


async def test_an_error_reaches_the_caller_with_its_fix(module: Module) -> None:
    state = await constructed(module)
    with pytest.raises(Exception, match=r"fix: dagger call reset --yes") as failed:
        await module.get_result("Etl", state, "reset", {})
    assert isinstance(failed.value.__cause__, CallFailed)


async def test_a_failed_command_reaches_the_caller_as_it_is(
    engine: Engine, module: Module
) -> None:
    engine.answers["exit codes"] = {"etl.flows.run": 5}
    state = await constructed(module)
    with pytest.raises(dagger.ExecError) as failed:
        await module.get_result("Etl", state, "up", {})
    assert failed.value.exit_code == 5
