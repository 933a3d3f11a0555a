"""Completion of verbs, options and names in bash, zsh and fish."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from click.shell_completion import ShellComplete

    from ci.cli.command import Program

SHELLS = ("bash", "zsh", "fish")
PROGRAM, VARIABLE = "etl", "_ETL_COMPLETE"
# Click's scripts call a program on PATH; ours is called as it was typed: ./etl.
AS_TYPED = {"bash": "$1", "zsh": "${words[1]}", "fish": "(commandline -opc)[1]"}
ONLY_ON_PATH = "    (( ! $+commands[%(prog_name)s] )) && return 1\n"


def completion_script(program: Program, shell: str) -> str:
    """Return the script that a shell reads to complete `etl` and `./etl`."""
    completion = completer(program, shell)
    call = f"{VARIABLE}={shell}_complete "
    template = completion.source_template.replace("%(complete_var)s", VARIABLE)
    template = template.replace(ONLY_ON_PATH, "")
    for named in ("%(prog_name)s", "$1"):
        template = template.replace(call + named, call + AS_TYPED[shell])
    return template % completion.source_vars()


def print_completions(program: Program) -> bool:
    """Print completions if a completion script asks for them; return whether it did."""
    shell, _, task = os.environ.get(VARIABLE, "").partition("_")
    if shell not in SHELLS or task != "complete":
        return False
    print(completer(program, shell).complete())
    return True


def completer(program: Program, shell: str) -> ShellComplete:
    """Return click's support of a shell."""
    from click.shell_completion import get_completion_class

    support = get_completion_class(shell)
    if support is None:
        raise ValueError(shell)
    return support(program, {}, PROGRAM, VARIABLE)


def service_names() -> list[str]:
    """Return the names of the stack's services."""
    from ci.stack.model import Endpoints
    from ci.stack.services import describe
    from ci.stack.settings import StackSettings

    nowhere = Endpoints("", 0, "", "", 0, "", "", "")
    return list(describe(StackSettings(), nowhere).services)
