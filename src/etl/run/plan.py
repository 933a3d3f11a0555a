"""Which sources a run loads, in which order, and which inputs may be complete."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from etl.errors import ConfigError
from etl.extract.inputs import SAMPLE, is_filtered
from etl.specs.registry import dependencies

Inputs = Mapping[str, Sequence[str]]
"""The inputs of each source as text, in load order."""


def plan(sources: Sequence[str] | None) -> dict[str, set[str]]:
    """Return the chosen sources (None: all), in load order, with what each waits for.

    Raises:
        ConfigError: A name is no source.
    """
    return dependencies(sources)


def as_lists(inputs: Mapping[str, str | Sequence[str]] | None) -> dict[str, list[str]]:
    """Return the inputs of each source as a list; a single one may be a plain text."""
    return {
        source: [given] if isinstance(given, str) else list(given)
        for source, given in (inputs or {}).items()
    }


def check_request(
    chosen: Collection[str],
    named: Inputs,
    complete: Sequence[str],
    retract_up_to: float | None,
) -> None:
    """Refuse inputs and options that contradict each other or the chosen sources.

    Raises:
        ConfigError: They do.
    """
    check_named_sources([*named, *complete], chosen)
    check_complete(named, complete)
    check_percent(retract_up_to)


def check_named_sources(named: Iterable[str], chosen: Collection[str]) -> None:
    """Refuse an input for a source that the run is not going to load.

    Raises:
        ConfigError: There is such an input, or a name is no source.
    """
    others = sorted(set(named) - set(chosen))
    if others:
        plan(others)  # has a better message for a name that is no source
        raise ConfigError(
            f"there is an input for {', '.join(others)}, "
            f"but the run loads {', '.join(chosen)} only",
            "name it as a source too, or leave its input out",
        )


def check_complete(named: Inputs, complete: Iterable[str]) -> None:
    """Refuse to take for complete what cannot be known to be so.

    Raises:
        ConfigError: A source's input is not named, is one of several, is the sample, or
            is an API answer with conditions.
    """
    for source in complete:
        why = _why_not_complete(list(named.get(source, ())))
        if why:
            raise ConfigError(
                f"--complete {source}: {why}",
                f"./etl run --input {source}=FILE --complete {source}",
            )


def _why_not_complete(inputs: list[str]) -> str | None:
    if not inputs:
        return "only an input that is named can be complete, and none is"
    if len(inputs) > 1:
        return "one of several inputs is not complete; load it in a run by itself"
    if inputs[0] == SAMPLE:
        return "the sample is no complete input"
    if is_filtered(inputs[0]):
        return "an API answer with conditions is no complete input"
    return None


def check_percent(retract_up_to: float | None) -> None:
    """Refuse a limit that is no percentage.

    Raises:
        ConfigError: It is below 0 or above 100.
    """
    if retract_up_to is not None and not 0 <= retract_up_to <= 100:
        raise ConfigError(
            f"--retract-up-to {retract_up_to:g} is no percentage",
            "write a number from 0 to 100",
        )
