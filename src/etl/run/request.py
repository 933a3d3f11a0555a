"""What a load is asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict
from uuid import UUID

from etl.extract.raw_store import RawFile
from etl.specs.spec import SourceSpec

RETRACT_LIMIT = 0.05
"""Share of a source's rows that a complete input may retract without being asked."""


class LoadChoices(TypedDict, total=False):
    """What a user may choose for the inputs of a source; see `LoadRequest`."""

    complete: bool
    retract_limit: float
    reload: bool
    replace_real: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadRequest:
    """What is to be loaded, under which run.

    Attributes:
        position: Which input of the source it is in this run, from 1.
        sequence: The digests of all inputs of the source in this run, in order.
        complete: The input holds everything there is: facts it lacks are retracted.
        retract_limit: Share of the source's rows that this may retract, 0 to 1.
        reload: Load it even if the same input was loaded before.
        replace_real: Load a sample over real data, which are retracted.
    """

    spec: SourceSpec
    raw: RawFile
    run_id: UUID
    position: int = 1
    sequence: tuple[str, ...] = ()
    complete: bool = False
    retract_limit: float = RETRACT_LIMIT
    reload: bool = False
    replace_real: bool = False
