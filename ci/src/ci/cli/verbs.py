"""The verbs of the stack. Each returns a Result and prints nothing itself."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ci.cli.output import Result, ask, read_job_output, stream
from ci.cli.progress import StartProgress
from ci.host.engine import Engine, Status
from ci.stack.errors import DONE, InvalidSetting, UnitFailed, UsageError


@dataclass(frozen=True)
class Context:
    """What every verb is given."""

    engine: Engine
    progress: StartProgress
    checkout: Path
    as_json: bool


def up(args: Namespace, ctx: Context) -> Result:
    """Start every service; return when all are ready."""
    status = ctx.engine.up(ctx.progress)
    ready = f"ready in {ctx.progress.elapsed_s:.1f} s: {status.ui_url}"
    return described(status, (ready, *login_lines(status, show=False)))


def down(args: Namespace, ctx: Context) -> Result:
    """Stop the stack; the data stay unless --volumes."""
    losses = ctx.engine.losses() if args.volumes else []
    if losses and not args.yes:
        confirm(losses)
    ran = ctx.engine.down(volumes=args.volumes)
    words = ["stopped" if ran else "nothing was running"]
    words += [f"deleted {loss.split(':', 1)[0]}" for loss in losses]
    return Result({"stopped": ran, "deleted": losses}, tuple(words))


def confirm(losses: list[str]) -> None:
    """Ask before data are deleted; without a terminal there is nobody to ask."""
    lost = "".join(f"\n  {loss}" for loss in losses)
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(f"this deletes{lost}", "./etl down --volumes --yes")
    if ask(f"This deletes{lost}\nType yes to go on: ") != "yes":
        raise UsageError("nothing was deleted", "./etl down   # keeps the data")


def restart(args: Namespace, ctx: Context) -> Result:
    """Restart one service, or all of them with a freshly read .env."""
    return described(ctx.engine.restart(args.service, ctx.progress))


def status(args: Namespace, ctx: Context) -> Result:
    """Show every service and job of the stack."""
    return described(ctx.engine.status(), show_login=args.show_login)


def described(
    status: Status, lines: tuple[str, ...] = (), *, show_login: bool = False
) -> Result:
    """Return a status as data and as a table."""
    if not lines:
        lines = tuple(status_lines(status, show_login=show_login))
    return Result(status.as_data(show_login=show_login), lines)


def login_lines(status: Status, *, show: bool) -> tuple[str, ...]:
    """Return how to log in to the UI.

    The login is shown on a terminal, or when asked for: what a program runs often goes
    to a log, which other people read.
    """
    if status.api_login is None:
        return ("login: none (PREFECT_API_LOGIN=off)",)
    if show or sys.stdout.isatty():
        return (f"login: {status.api_login}",)
    return ("login: ./etl status --show-login",)


def status_lines(status: Status, *, show_login: bool) -> Iterator[str]:
    """Yield the table of a status."""
    if not status.running:
        yield "nothing is running (./etl up starts the stack)"
        return
    yield f"{'NAME':<16}{'KIND':<9}{'STATUS':<11}{'PID':>8}{'EXIT':>6}{'RESTARTS':>10}"
    for unit in status.units:
        if unit["kind"] == "job" and unit["status"] == "stopped":
            continue
        pid = unit["pid"] or ""
        code = "" if unit["exit_code"] is None else unit["exit_code"]
        yield (
            f"{unit['name']:<16}{unit['kind']:<9}{unit['status']:<11}"
            f"{pid:>8}{code:>6}{unit['restarts']:>10}"
        )
    yield f"UI {status.ui_url}"
    yield from login_lines(status, show=show_login)
    if status.stale_settings:
        yield "the settings have changed since the start: ./etl restart applies them"
    if status.stale_image:
        yield "the image was built from other inputs: ./etl rebuild, then ./etl restart"


def logs(args: Namespace, ctx: Context) -> Result:
    """Show the services' logs; -f follows them."""
    lines = ctx.engine.logs(args.service, follow=args.follow, lines=args.lines)
    if ctx.as_json:
        return Result({"lines": list(lines)})
    stream(lines)  # with -f there is no end to wait for
    return Result()


def run(args: Namespace, ctx: Context) -> Result:
    """Deploy and run the master flow; wait for its receipt."""
    inputs = [absolute(pair) for pair in args.input]
    arguments = [word for pair in inputs for word in ("--input", pair)]
    for option in ("source", "complete"):
        arguments += [
            w for name in getattr(args, option) for w in (f"--{option}", name)
        ]
    arguments += [
        f"--{flag}"
        for flag in ("reload", "no-wait")
        if getattr(args, flag.replace("-", "_"))
    ]
    values = [Path(pair.partition("=")[2]) for pair in inputs]
    return job(
        "run-etl", arguments, ctx, [path for path in values if path.is_absolute()]
    )


def absolute(pair: str) -> str:
    """Make the file of SOURCE=FILE absolute, and check it before anything starts."""
    source, equals, value = pair.partition("=")
    if not (source and equals and value):
        raise UsageError(f"--input wants SOURCE=FILE, got {pair!r}", "./etl run --help")
    if value == "sample" or value.split(":", 1)[0] == "api":
        return pair
    path = Path(value).expanduser().resolve()
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise InvalidSetting(
            f"the input of {source} {what}: {path}", f"ls -l {path.parent}"
        )
    if not os.access(path, os.R_OK):
        raise InvalidSetting(
            f"the input of {source} may not be read: {path}", f"ls -l {path}"
        )
    return f"{source}={path}"


def deploy(args: Namespace, ctx: Context) -> Result:
    """Make or update the work pool and the deployments of prefect.yaml."""
    return job("deploy", [], ctx)


def migrate(args: Namespace, ctx: Context) -> Result:
    """Bring the application database to the newest revision."""
    with ctx.engine.hold(["setup-db"], ctx.progress) as session:
        code, _ = session.run_job("setup-db", [], capture=False)
    return Result({"exit_code": code}, (), code)


def job(
    name: str, arguments: list[str], ctx: Context, files: Iterable[Path] = ()
) -> Result:
    """Run a job that speaks JSON under --json; its exit code is the verb's."""
    words = [*arguments, "--json"] if ctx.as_json else arguments
    with ctx.engine.hold([name], ctx.progress) as session:
        code, output = session.run_job(name, words, capture=ctx.as_json, files=files)
    return read_job_output(output, code) if ctx.as_json else Result(exit_code=code)


def data(args: Namespace, ctx: Context) -> Result:
    """Run a verb of the data, which knows nothing of the stack."""
    debug = ["--debug"] if args.debug else []
    return job("data", [args.verb, *args.arguments, *debug], ctx)


def psql(args: Namespace, ctx: Context) -> Result:
    """Open a SQL shell, or pass ARGS to psql."""
    name = "psql-prefect" if args.prefect else "psql"
    with ctx.engine.hold([name], ctx.progress) as session:
        code, _ = session.run_job(name, args.arguments, capture=False)
    explain_lost_quotes(code, args.arguments, ctx)
    return Result(exit_code=code)


def execute(args: Namespace, ctx: Context) -> Result:
    """Run a command with a service's programs and environment."""
    if not args.arguments:
        raise UsageError("exec wants a command", f"./etl exec {args.service} CMD…")
    with ctx.engine.hold([args.service], ctx.progress) as session:
        code = session.run_command(args.service, args.arguments)
    explain_lost_quotes(code, args.arguments, ctx)
    return Result(exit_code=code)


def explain_lost_quotes(code: int, words: list[str], ctx: Context) -> None:
    """Say what pixi does to single quotes where that may be why a command failed."""
    if code and "-c" in words and "PIXI_PROJECT_ROOT" in os.environ:
        ctx.progress.say("etl: pixi drops single quotes that are inside an argument;")
        ctx.progress.say("  fix: call ./etl itself, or write: python -c 'print(\"x\")'")


def health(args: Namespace, ctx: Context) -> Result:
    """Ask whether the database accepts connections; fail when the stack is down."""
    if not ctx.engine.status().running:
        raise UnitFailed("no response: the stack is not up", "./etl up")
    with ctx.engine.hold(["check-db-health"], ctx.progress) as session:
        code, said = session.run_job("check-db-health", [], capture=True)
    return Result({"said": said.strip()}, tuple(said.splitlines()), code)


def rebuild(args: Namespace, ctx: Context) -> Result:
    """Build the image that services run in."""
    built = ctx.engine.rebuild(ctx.progress)
    took = f"built in {ctx.progress.elapsed_s:.1f} s; ./etl restart uses it"
    nothing = "this engine has no image: ./etl keeps its environment up to date"
    return Result({"built": built}, (took if built else nothing,))


def test(args: Namespace, ctx: Context) -> Result:
    """Run the tests; ARGS go to pytest."""
    os.chdir(ctx.checkout)
    os.execv(sys.executable, [sys.executable, "-m", "pytest", *args.arguments])  # noqa: S606
    return Result(exit_code=DONE)


Handler = Callable[[Namespace, Context], Result]
HANDLERS: Mapping[str, Handler] = {
    "up": up, "down": down, "restart": restart, "status": status, "logs": logs,
    "run": run, "deploy": deploy, "migrate": migrate, "psql": psql, "exec": execute,
    "health": health, "rebuild": rebuild, "test": test,
}  # fmt: skip
