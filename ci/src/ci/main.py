"""The Dagger module `etl`: its one object, put together from its themes.

Every call imports this in a fresh interpreter, so nothing here reaches further than the
description of the stack.
"""

from dagger import object_type

from ci.dagger.functions.checks import CheckFunctions
from ci.dagger.functions.databases import DatabaseFunctions
from ci.dagger.functions.migrations import MigrationFunctions
from ci.dagger.functions.runs import RunFunctions
from ci.dagger.functions.services import ServiceFunctions


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
