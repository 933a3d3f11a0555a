"""Reports what a stack does, in a form that can be compared between engines.

The report holds of each verb its exit code and the shape of its JSON, and of the
databases the schema and a hash of every table's rows. Nothing in it depends on when or
where it was made.
"""

from __future__ import annotations

import json
import re
from typing import Any

from tests.docker.site import Site
from tests.waiting import eventually

# Of every row, what differs from run to run by its nature. Raw files are numbered in
# the order in which independent sources, which load side by side, come to them.
VOLATILE = (
    "run_id", "load_run_id", "flow_run_id", "closed_by_run_id", "created_at",
    "updated_at", "loaded_at", "started_at", "finished_at", "replaced_at",
    "raw_file_id",
)  # fmt: skip
# Of every document: Docker does not record how long a service took to be ready.
LEFT_OUT = ("took_s",)
# In the order in which a user would type them: verb, arguments.
VERBS = (
    ("status",),
    ("health",),
    ("up",),
    ("status",),
    ("health",),
    ("deploy",),
    ("run",),
    ("run", "--reload"),
    ("run", "--no-wait"),
    ("run", "--source", "nothing"),
    ("run", "--input", "nass=/no/such/file"),
    ("run", "--input", "nass"),
    ("runs",),
    ("report",),
    ("rejects",),
    ("sources",),
    ("sources", "nass"),
    ("trace", "--year", "2022"),
    ("trace",),
    ("migrate",),
    ("logs", "db", "--lines", "1"),
    ("logs", "nothing"),
    ("restart", "prefect-worker"),
    ("restart", "nothing"),
    ("restart", "setup-db"),
    ("rebuild",),
    ("down", "--volumes"),
    ("no-such-verb",),
)
# Verbs that run another program have no JSON: their output is compared as it is.
PASSED_ON = (
    ("psql", "--", "-Atc", "SELECT count(*) FROM out_nass__values"),
    ("psql", "--", "-Atc", "SELECT 1/0"),
    ("psql", "--prefect", "--", "-Atc", "SELECT current_database()"),
    ("exec", "prefect-worker", "sh", "-c", "exit 7"),
    ("exec", "prefect-worker", "python", "-c", "print('it''s')"),
    ("exec", "db", "sh", "-c", "echo $PGDATABASE"),
    ("exec", "setup-db", "alembic", "heads"),
    ("exec", "prefect-worker", "no-such-program"),
    ("exec", "no-such-service", "true"),
    ("exec", "db"),
)
# Not `logs`: containers that are removed take their log with them, files stay.
DOWN = (("down",), ("status",), ("restart", "db"), ("down",))
RUN_ENDS_WITHIN_S = 90
TABLES = (
    "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' "
    "AND table_type = 'BASE TABLE' AND table_name ~ '^(core|raw|out)_' ORDER BY 1"
)


def report(site: Site) -> dict[str, Any]:
    """Operate a stack that is down, from nothing to nothing; return the report."""
    verbs = [answer(site, *words) for words in VERBS]
    passed = [output_of(site, *words) for words in PASSED_ON]
    found = {"schema": schema(site), "rows": rows(site)}
    ended = [answer(site, *words) for words in DOWN]
    return {"verbs": verbs, "passed on": passed, **found, "ended": ended}


def answer(site: Site, *words: str) -> tuple[str, int, Any]:
    """Return what a verb's JSON looks like, with its exit code."""
    done = site.etl(*words, "--json", code=None)
    if "--no-wait" in words:
        # The next verbs must not depend on the progress of that run.
        assert done.returncode == 0, done.stdout + done.stderr
        run = f"/flow_runs/{json.loads(done.stdout)['data']['run_id']}"
        eventually(
            lambda: site.api(run)["state_type"] == "COMPLETED",
            within_s=RUN_ENDS_WITHIN_S,
        )
    return (" ".join(words), done.returncode, looks(done.stdout))


def looks(text: str) -> Any:
    """Return what a verb's JSON looks like: its shape, and whether it went well."""
    try:
        document = json.loads(text)
    except ValueError:
        return f"no JSON: {text}"
    error = document["error"] and document["error"]["code"]
    return shape(document) | {"ok": document["ok"], "error": error}


def shape(value: Any) -> Any:
    """Return a document with its values replaced by their types.

    A list becomes the different shapes of its elements. A whole number is a number.
    """
    match value:
        case dict():
            return {k: shape(value[k]) for k in sorted(value) if k not in LEFT_OUT}
        case list():
            shapes = {json.dumps(shape(item)) for item in value}
            return [json.loads(text) for text in sorted(shapes)]
        case bool() | None:
            return type(value).__name__
        case int() | float():
            return "number"
    return "text"


def output_of(site: Site, *words: str) -> tuple[str, int, str]:
    """Return what a command printed, with its exit code."""
    done = site.etl(*words, code=None)
    return (" ".join(words), done.returncode, done.stdout)


def schema(site: Site) -> str:
    """Return the application database's schema as its own program writes it."""
    words = ("exec", "db", "pg_dump", "--schema-only", "--no-owner", "--no-comments")
    text = site.etl(*words).stdout
    # A dump begins and ends with a key that is random for each dump.
    return re.sub(r"(?m)^\\(un)?restrict .*$", "", text)


def rows(site: Site) -> dict[str, str]:
    """Return a hash of every table's rows."""
    dropped = ",".join(VOLATILE)
    hashed = (
        "SELECT concat(count(*), ' ', md5(string_agg(line, ',' ORDER BY line)))"
        " FROM (SELECT (to_jsonb(t) - string_to_array('{drop}', ','))::text AS line"
        " FROM {table} t) lines"
    )
    return {
        table: site.sql(hashed.format(drop=dropped, table=table))
        for table in site.sql(TABLES).splitlines()
    }
