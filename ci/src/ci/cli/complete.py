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
CALLS = {
    "bash": ("_complete $1)", "_complete $1)"),
    "zsh": ("_complete %(prog_name)s)", "_complete ${words[1]})"),
    "fish": ("-t) %(prog_name)s)", "-t) (commandline -opc)[1])"),
}
ONLY_ON_PATH = "    (( ! $+commands[%(prog_name)s] )) && return 1\n"


def completion_script(program: Program, shell: str) -> str:
    """Return the script that a shell reads to complete `etl` and `./etl`."""
    completion = completer(program, shell)
    template = completion.source_template.replace(ONLY_ON_PATH, "")
    return template.replace(*CALLS[shell]) % completion.source_vars()


def is_completion() -> bool:
    """Return whether a completion script has started the program."""
    return bool(os.environ.get(VARIABLE))


def print_completions(program: Program) -> None:
    """Print the completions that a completion script asks for."""
    shell = os.environ[VARIABLE].partition("_")[0]
    if shell in SHELLS:
        print(completer(program, shell).complete())


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
