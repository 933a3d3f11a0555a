"""The command tree: the verbs of the stack, and those that other packages register."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

import click

from ci.cli.command import DATA, WIDTH, Program, Verb
from ci.cli.stack_verbs import STACK_VERBS, TOOL_VERBS

ENTRY_POINTS = "etl.verbs"


def new_program() -> Program:
    """Return the whole command tree."""
    mounted = [
        mount(command)
        for point in entry_points(group=ENTRY_POINTS)
        if not point.value.startswith("ci.")
        for command in point.load()
    ]
    return Program(
        "etl",
        commands=[*mounted, *STACK_VERBS, *TOOL_VERBS],
        help="Load data on California's crop residues into PostgreSQL.",
        examples=[
            ("run", "start what is missing, load, print the receipt"),
            ("run --input nass=qs.crops.txt.gz", "load a QuickStats bulk file"),
            ("up", "start the stack and leave it running"),
            ("psql -- -c 'TABLE out_etl__runs'", "query the application database"),
        ],
        context_settings={"max_content_width": WIDTH},
    )


def mount(declared: Any) -> Verb | Program:
    """Return a verb of the program for a command that another package declares.

    Args:
        declared: A click command with the attributes job, module, examples and
            exit_codes, or a click group of such commands.
    """
    if isinstance(declared, click.Group):
        commands = [mount(command) for command in declared.commands.values()]
        return Program(str(declared.name), commands=commands, help=declared.help)
    return Verb(
        declared.name,
        handler="data",
        section=DATA,
        examples=declared.examples,
        exit_codes=declared.exit_codes,
        announces=declared.job not in (None, "data"),
        starts_server=declared.job not in (None, "data"),
        declared=declared,
        params=declared.params,
        help=declared.help,
        context_settings=declared.context_settings,
        options_metavar=declared.options_metavar,
    )
