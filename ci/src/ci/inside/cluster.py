"""SQL for psql that sets up role and databases of a server in a container.

Standard library only. It runs at each start and changes nothing that is already so. A
changed password takes effect, and an interrupted first start is completed.
"""

from __future__ import annotations

from ci.stack.model import Cluster


def ensure_sql(cluster: Cluster) -> str:
    """Return the script that creates role, password, privileges and databases.

    psql reads the password from PGPASSWORD, so that no file or command line has it.
    Names are lower-case identifiers (the settings check that): they need no quotes.
    """
    role = cluster.role
    return "\n".join(
        [
            "\\set ON_ERROR_STOP on",
            "\\getenv password PGPASSWORD",
            "SET log_statement = 'none';",
            unless("pg_roles", "rolname", role, f"CREATE ROLE {role} LOGIN"),
            f"ALTER ROLE {role} LOGIN PASSWORD :'password';",
            *(
                f"GRANT SET ON PARAMETER {setting} TO {role};"
                for setting in cluster.may_set
            ),
            *(
                unless("pg_database", "datname", name, create(name, role))
                for name in cluster.databases
            ),
            *(owner_of(name) for name in cluster.databases),
            *(line for name in cluster.databases for line in hand_over(name, role)),
            "",
        ]
    )


def owner_of(database: str) -> str:
    """Return the query that keeps a database's owner in a variable of psql."""
    return (
        f"SELECT pg_get_userbyid(datdba) AS owner_{database} "  # noqa: S608
        f"FROM pg_database WHERE datname = '{database}' \\gset"
    )


def hand_over(database: str, role: str) -> tuple[str, ...]:
    """Return the lines that give a database of a former role to the present one.

    After POSTGRES_USER has changed. Owners are read before the first REASSIGN, which
    changes those of the other databases too. The former role cannot log in any more.
    """
    owner = f":'owner_{database}'"
    former = f"WHERE {owner} NOT IN ('{role}', 'postgres') \\gexec"
    return (
        f"\\connect {database}",
        f"SELECT format('REASSIGN OWNED BY %I TO {role}', {owner}) {former}",
        f"SELECT format('ALTER ROLE %I NOLOGIN', {owner}) {former}",
    )


def create(name: str, owner: str) -> str:
    """Return the statement that creates a database."""
    return f"CREATE DATABASE {name} OWNER {owner}"


def unless(catalogue: str, column: str, name: str, statement: str) -> str:
    r"""Return the lines that run a statement unless a catalogue has this name.

    CREATE DATABASE has no IF NOT EXISTS and refuses to run in a block; \gexec runs
    what the query returns, which is nothing when the name is there.
    """
    query = f"SELECT '{statement}' WHERE NOT EXISTS "  # checked names
    return query + f"(SELECT FROM {catalogue} WHERE {column} = '{name}') \\gexec"
