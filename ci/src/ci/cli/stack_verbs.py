"""Declares the verbs of the stack: options, help, examples, exit codes."""

from __future__ import annotations

from typing import Any

import click

from ci.cli.command import STACK, TOOLS, Verb
from ci.cli.complete import SHELLS, service_names

STARTS = (0, 1, 2, 4, 124, 130)
"""Exit codes of a verb that may start the stack."""


class Service(click.ParamType[str]):
    """The name of a service or job of the stack; the engine checks it."""

    name = "service"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[Any]:
        """Return the services that begin with what was typed."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(n) for n in service_names() if n.startswith(incomplete)]


SERVICE = click.Argument(["service"], required=False, type=Service())

STACK_VERBS = (
    Verb(
        "up",
        handler="up",
        section=STACK,
        help="Start every service and leave them running.",
        examples=[
            ("up", "returns when all are ready"),
            ("up --engine docker", "in containers"),
        ],
        exit_codes=STARTS,
        announces=True,
        starts_server=True,
        params=[
            click.Option(
                ["--wait"], is_flag=True, help="wait until ready (it always does)"
            )
        ],
    ),
    Verb(
        "down",
        handler="down",
        section=STACK,
        help="Stop the stack; --volumes deletes its data.",
        examples=[
            ("down", "the data stay"),
            ("down --volumes --yes", "delete the data without a question"),
        ],
        exit_codes=(0, 1, 2, 124, 130),
        announces=True,
        params=[
            click.Option(["--volumes"], is_flag=True, help="delete the data too"),
            click.Option(["--yes"], is_flag=True, help="do not ask"),
        ],
    ),
    Verb(
        "restart",
        handler="restart",
        section=STACK,
        help="Restart one service, or all with freshly read settings.",
        examples=[
            ("restart", "apply a changed .env"),
            ("restart prefect-worker", "one service"),
        ],
        exit_codes=STARTS,
        announces=True,
        starts_server=True,
        params=[SERVICE],
    ),
    Verb(
        "status",
        handler="status",
        section=STACK,
        help="Show every service, its health, and the migration's exit code.",
        examples=[
            ("status", "services, jobs, the address of Prefect's UI"),
            ("status --json", "for a program"),
        ],
        exit_codes=(0, 1, 2, 4, 130),
        params=[
            click.Option(
                ["--show-login"], is_flag=True, help="show the login of Prefect's UI"
            )
        ],
    ),
    Verb(
        "logs",
        handler="logs",
        section=STACK,
        help="Show the logs; -f follows.",
        examples=[
            ("logs", "the last lines of every service"),
            ("logs prefect-worker -f", "follow one"),
        ],
        exit_codes=(0, 1, 2, 130),
        params=[
            SERVICE,
            click.Option(
                ["-f", "--follow"],
                is_flag=True,
                help="print lines as they come",
            ),
            click.Option(
                ["-n", "--lines"],
                type=click.IntRange(min=0),
                default=100,
                metavar="N",
                help="last lines of each service (100)",
            ),
        ],
    ),
    Verb(
        "deploy",
        handler="deploy",
        section=STACK,
        help="Make or update the deployments of prefect.yaml.",
        examples=[("deploy", "after a change of prefect.yaml")],
        exit_codes=STARTS,
        announces=True,
        starts_server=True,
    ),
    Verb(
        "migrate",
        handler="migrate",
        section=STACK,
        help="Bring the application database to the newest revision.",
        examples=[("migrate", "after an update of the code")],
        exit_codes=STARTS,
        announces=True,
    ),
    Verb(
        "health",
        handler="health",
        section=STACK,
        help="Report whether the database accepts connections; starts nothing.",
        examples=[("health", "fails when the stack is down")],
        exit_codes=(0, 1, 2, 130),
    ),
    Verb(
        "rebuild",
        handler="rebuild",
        section=STACK,
        help="Build the image of the Docker engine.",
        examples=[
            ("--engine docker rebuild", "after a change of dependencies"),
        ],
        exit_codes=(0, 1, 2, 4, 130),
        announces=True,
    ),
)
"""The verbs that start, stop and show the stack."""

TOOL_VERBS = (
    Verb(
        "psql",
        handler="psql",
        section=TOOLS,
        help="Open a SQL shell on the application database, or pass ARGS to psql.",
        examples=[
            ("psql", "interactive"),
            ("psql -- -c 'TABLE out_etl__runs'", "one query"),
            ("psql --prefect", "Prefect's database"),
        ],
        exit_codes=STARTS,
        passes=0,
        options_metavar="[OPTIONS] [--] [ARGS]...",
        params=[click.Option(["--prefect"], is_flag=True, help="Prefect's database")],
    ),
    Verb(
        "exec",
        handler="exec",
        section=TOOLS,
        help="Run a command with a service's programs and environment.",
        examples=[
            ("exec prefect-worker alembic history", "list the migrations"),
            ("exec db -- psql --version", "`--` is optional"),
        ],
        exit_codes=STARTS,
        passes=1,
        starts_server=True,
        options_metavar="[OPTIONS] SERVICE [--] CMD [ARGS]...",
        params=[click.Argument(["service"], type=Service(), metavar="")],
    ),
    Verb(
        "test",
        handler="test",
        section=TOOLS,
        help="Run the tests; ARGS go to pytest.",
        examples=[("test", "all"), ("test -k settings -x", "some")],
        exit_codes=(0, 1, 2, 130),
        passes=0,
        options_metavar="[OPTIONS] [--] [ARGS]...",
    ),
    Verb(
        "completion",
        handler="completion",
        section=TOOLS,
        help="Print the script that completes verbs and options in a shell.",
        examples=[
            ("completion bash > ~/.etl-completion", "sourced by ~/.bashrc"),
            ("completion zsh > ~/.zfunc/_etl", "a folder of $fpath"),
            ("completion fish > FOLDER/etl.fish", "in ~/.config/fish/completions"),
        ],
        exit_codes=(0, 2, 130),
        params=[click.Argument(["shell"], type=click.Choice(SHELLS))],
    ),
)
"""The verbs that run another program, and those about the program itself."""
