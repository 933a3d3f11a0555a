"""All sources: this folder's modules that have a SPEC, and the order to load them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from graphlib import TopologicalSorter
from importlib import import_module
from pkgutil import iter_modules
from types import MappingProxyType

from etl import specs
from etl.errors import ConfigError
from etl.specs.spec import SourceSpec


def _discover() -> Mapping[str, SourceSpec]:
    """Return the SPEC of every module beside this one."""
    modules = (
        import_module(f"{specs.__name__}.{module.name}")
        for module in iter_modules(specs.__path__)
        if module.name != "registry"
    )
    found = (module.SPEC for module in modules if hasattr(module, "SPEC"))
    return MappingProxyType({spec.name: spec for spec in found})


SOURCES: Mapping[str, SourceSpec] = _discover()


def require_source(name: str) -> SourceSpec:
    """Return a source by name.

    Raises:
        ConfigError: There is none of that name.
    """
    if name in SOURCES:
        return SOURCES[name]
    near = difflib.get_close_matches(name, SOURCES, n=1)
    guess = f"did you mean {near[0]}? " if near else ""
    raise ConfigError(
        f"there is no source {name!r}", f"{guess}The sources are: {', '.join(SOURCES)}"
    )


def dependencies(names: Iterable[str] | None = None) -> dict[str, set[str]]:
    """Return the chosen sources, in load order, with what each needs among them.

    A dependency that was not chosen is not loaded: what is in its tables counts.

    Raises:
        ConfigError: A name is no source.
    """
    chosen = {name: require_source(name) for name in (names or SOURCES)}
    needs = {name: set(spec.depends_on) & set(chosen) for name, spec in chosen.items()}
    return {name: needs[name] for name in TopologicalSorter(needs).static_order()}


def load_order() -> list[str]:
    """Return all sources, each after those it depends on."""
    return list(dependencies())
