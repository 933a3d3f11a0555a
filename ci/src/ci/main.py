"""The Dagger module `etl`: its one object, put together from its themes.

Every call imports this in a fresh interpreter, so nothing here reaches further than the
description of the stack.
"""

from dagger import object_type

from ci.module.checks import CheckFunctions
from ci.module.databases import DatabaseFunctions
from ci.module.migrations import MigrationFunctions
from ci.module.runs import RunFunctions
from ci.module.services import ServiceFunctions


@object_type
class Etl(
    CheckFunctions,
    DatabaseFunctions,
    MigrationFunctions,
    RunFunctions,
    ServiceFunctions,
):
    """Loads data on California's crop residues into PostgreSQL, in containers.

    `dagger call up` loads everything in one call; `dagger call stack up` stays, with
    Prefect's UI on port 4200; `dagger check` is what a pull request must pass.
    """
