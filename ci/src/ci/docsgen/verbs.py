"""Writes docs/reference/verbs.md: every verb with its options and exit codes."""

from __future__ import annotations

from collections.abc import Iterator

import click

from ci.cli.command import PROGRAM, WIDTH, Program
from ci.cli.tree import new_program
from ci.docsgen.markdown import page, table


def verbs_page() -> str:
    """Return docs/reference/verbs.md."""
    program = new_program()
    verbs = list(leaves(program, PROGRAM))
    return page(
        "Verbs",
        "What `./etl --help` and `./etl VERB --help` print. "
        "[Exit codes](exit-codes.md) are explained on their own page.",
        table(
            ("verb", "what it does"),
            [
                (
                    f"[`{name}`](#{anchor(name)})",
                    command.get_short_help_str(limit=WIDTH),
                )
                for name, command, _ in verbs
            ],
        ),
        *(section(name, command, ctx) for name, command, ctx in verbs),
    )


def leaves(
    group: click.Group, path: str, parent: click.Context | None = None
) -> Iterator[tuple[str, click.Command, click.Context]]:
    """Yield each verb below a group: its name, its command, and a context for it."""
    ctx = click.Context(group, parent=parent, info_name=path, max_content_width=WIDTH)
    ctx.terminal_width = WIDTH
    for name, command in group.commands.items():
        if isinstance(command, Program):
            yield from leaves(command, name, ctx)
        else:
            own = click.Context(command, parent=ctx, info_name=name)
            yield own.command_path.removeprefix(f"{PROGRAM} "), command, own


def anchor(name: str) -> str:
    """Return the fragment that Markdown makes of a heading."""
    return name.replace(" ", "-")


def section(name: str, command: click.Command, ctx: click.Context) -> str:
    """Return a verb's heading and its help."""
    lines = [line.rstrip() for line in command.get_help(ctx).splitlines()]
    return "\n".join([f"## {name}", "", "```text", *lines, "```"])
