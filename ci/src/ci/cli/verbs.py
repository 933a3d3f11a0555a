"""The verbs of the stack. Each returns a Result and prints nothing itself."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace as Options

from ci.cli.command import Invocation, Program
from ci.cli.complete import completion_script
from ci.cli.engines import new_engine
from ci.cli.output import Result, ask, read_job_output, stream
from ci.cli.progress import StartProgress
from ci.cli.status import described, login_lines
from ci.host.engine import Engine
from ci.host.env_file import find_env_file, read_settings
from ci.host.home import Home
from ci.stack.errors import UnitFailed, UsageError
from ci.stack.settings import StackSettings

DATA_JOB = "data"


@dataclass(frozen=True)
class Context:
    """What every verb is given. The engine is made when a verb first uses it."""

    invocation: Invocation
    program: Program
    progress: StartProgress
    checkout: Path
    home: Home
    engine_name: str

    @property
    def as_json(self) -> bool:
        """Whether the result is one JSON document."""
        return self.invocation.json

    @property
    def arguments(self) -> list[str]:
        """Words for the program that the verb runs."""
        return self.invocation.arguments

    @cached_property
    def settings(self) -> StackSettings:
        """The settings, from the environment and the settings file."""
        return read_settings(os.environ, find_env_file(self.checkout))

    @cached_property
    def engine(self) -> Engine:
        """The engine that runs the stack."""
        return new_engine(self.engine_name, self.checkout, self.home, self.settings)


def up(args: Options, ctx: Context) -> Result:
    """Start every service; return when all are ready."""
    status = ctx.engine.up(ctx.progress)
    ready = f"ready in {ctx.progress.elapsed_s:.1f} s: {status.ui_url}"
    return described(status, (ready, *login_lines(status, show=False)))


def down(args: Options, ctx: Context) -> Result:
    """Stop the stack; the data stay unless --volumes."""
    losses = ctx.engine.losses() if args.volumes else []
    if losses and not args.yes:
        confirm(losses)
    ran = ctx.engine.down(volumes=args.volumes)
    words = ["stopped" if ran else "nothing was running"]
    words += [f"deleted {loss.split(':', 1)[0]}" for loss in losses]
    return Result({"stopped": ran, "deleted": losses}, tuple(words))


def confirm(losses: list[str]) -> None:
    """Ask before data are deleted. Raises UsageError without a terminal."""
    lost = "".join(f"\n  {loss}" for loss in losses)
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(f"this deletes{lost}", "./etl down --volumes --yes")
    if ask(f"This deletes{lost}\nType yes to go on: ") != "yes":
        raise UsageError("nothing was deleted", "./etl down   # keeps the data")


def restart(args: Options, ctx: Context) -> Result:
    """Restart one service, or all of them with a freshly read .env."""
    return described(ctx.engine.restart(args.service, ctx.progress))


def status(args: Options, ctx: Context) -> Result:
    """Show every service and job of the stack."""
    return described(ctx.engine.status(), show_login=args.show_login)


def logs(args: Options, ctx: Context) -> Result:
    """Show the services' logs; -f follows them."""
    if ctx.as_json and args.follow:
        raise UsageError(
            "--follow has no end, and --json prints one document at the end",
            "./etl logs --json",
        )
    lines = ctx.engine.logs(args.service, follow=args.follow, lines=args.lines)
    if ctx.as_json:
        return Result({"lines": list(lines)})
    stream(lines)
    return Result()


def deploy(args: Options, ctx: Context) -> Result:
    """Make or update the work pool and the deployments of prefect.yaml."""
    return job("deploy", ["--json"] if ctx.as_json else [], ctx)


def migrate(args: Options, ctx: Context) -> Result:
    """Bring the application database to the newest revision."""
    return job("setup-db", ["--json"] if ctx.as_json else [], ctx)


def job(
    name: str, arguments: list[str], ctx: Context, files: Iterable[Path] = ()
) -> Result:
    """Run a job and return its exit code; with --json read its document."""
    with ctx.engine.hold([name], ctx.progress) as session:
        code, output = session.run_job(
            name, arguments, capture=ctx.as_json, files=files
        )
    return read_job_output(output, code) if ctx.as_json else Result(exit_code=code)


def data(args: Options, ctx: Context) -> Result:
    """Run a verb that another package declares, as a job of the stack or without it."""
    declared = ctx.invocation.verb.declared
    words = [*(ctx.invocation.path if declared.job in (None, DATA_JOB) else ())]
    words += ["--debug"] if ctx.invocation.debug else []
    words += ["--json"] if ctx.as_json else []
    words += ctx.arguments
    if declared.job is None:
        return without_stack([sys.executable, "-m", declared.module, *words], ctx)
    files = [
        path
        for param in declared.params
        if hasattr(param.type, "files")
        for value in getattr(args, param.name)
        for path in param.type.files(value)
    ]
    return job(declared.job, words, ctx, files)


def without_stack(command: list[str], ctx: Context) -> Result:
    """Run a program on this machine."""
    output = subprocess.PIPE if ctx.as_json else None
    done = subprocess.run(command, stdout=output, text=True, check=False)
    if ctx.as_json:
        return read_job_output(done.stdout, done.returncode)
    return Result(exit_code=done.returncode)


def psql(args: Options, ctx: Context) -> Result:
    """Open a SQL shell, or pass ARGS to psql."""
    name = "psql-prefect" if args.prefect else "psql"
    with ctx.engine.hold([name], ctx.progress) as session:
        code, _ = session.run_job(name, ctx.arguments, capture=False)
    explain_lost_quotes(code, ctx.arguments, ctx)
    return Result(exit_code=code)


def execute(args: Options, ctx: Context) -> Result:
    """Run a command with a service's programs and environment."""
    if not ctx.arguments:
        raise UsageError("exec wants a command", f"./etl exec {args.service} CMD…")
    with ctx.engine.hold([args.service], ctx.progress) as session:
        code = session.run_command(args.service, ctx.arguments)
    explain_lost_quotes(code, ctx.arguments, ctx)
    return Result(exit_code=code)


def explain_lost_quotes(code: int, words: list[str], ctx: Context) -> None:
    """Say what pixi does to single quotes where that may be why a command failed."""
    if code and "-c" in words and "PIXI_PROJECT_ROOT" in os.environ:
        ctx.progress.say("etl: pixi drops single quotes that are inside an argument;")
        ctx.progress.say("  fix: call ./etl itself, or write: python -c 'print(\"x\")'")


def health(args: Options, ctx: Context) -> Result:
    """Ask whether the database accepts connections; fail when the stack is down."""
    if not ctx.engine.status().running:
        raise UnitFailed("no response: the stack is not up", "./etl up")
    with ctx.engine.hold([], ctx.progress) as session:  # asks only, starts nothing
        code, output = session.run_job("check-db-health", [], capture=True)
    if code:
        raise UnitFailed(output.strip() or "no response", "./etl up")
    return Result({"output": output.strip()}, tuple(output.splitlines()))


def rebuild(args: Options, ctx: Context) -> Result:
    """Build the image that services run in."""
    built = ctx.engine.rebuild(ctx.progress)
    took = f"built in {ctx.progress.elapsed_s:.1f} s; ./etl restart uses it"
    nothing = "this engine has no image: ./etl keeps its environment up to date"
    return Result({"built": built}, (took if built else nothing,))


def test(args: Options, ctx: Context) -> Result:
    """Run the tests; ARGS go to pytest."""
    command = [sys.executable, "-m", "pytest", *ctx.arguments]
    if not ctx.as_json:
        os.chdir(ctx.checkout)
        os.execv(sys.executable, command)  # noqa: S606
    done = subprocess.run(command, cwd=ctx.checkout, check=False)
    return Result({"exit_code": done.returncode}, (), done.returncode)


def completion(args: Options, ctx: Context) -> Result:
    """Print the completion script of a shell."""
    script = completion_script(ctx.program, args.shell)
    return Result({"shell": args.shell, "script": script}, tuple(script.splitlines()))


Handler = Callable[[Options, Context], Result]
HANDLERS: Mapping[str, Handler] = {
    "up": up, "down": down, "restart": restart, "status": status, "logs": logs,
    "data": data, "deploy": deploy, "migrate": migrate, "psql": psql, "exec": execute,
    "health": health, "rebuild": rebuild, "test": test, "completion": completion,
}  # fmt: skip
