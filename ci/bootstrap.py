"""Makes one locked environment: a venv, uv by its hash, then exactly the lock's wheels.

Run by the launcher `etl` with any Python >= 3.11; standard library only, because
nothing is installed yet.

    python3 ci/bootstrap.py ROOT ENVIRONMENT LOCK
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

EXIT_FAILED, EXIT_PREREQUISITE = 1, 4
MANIFEST = "pixi.toml"


class BootstrapError(Exception):
    """What failed, the command that fixes it, and the exit code to end with."""

    def __init__(self, what: str, fix: str, code: int = EXIT_FAILED) -> None:
        super().__init__(what)
        self.what, self.fix, self.code = what, fix, code


def say(line: str) -> None:
    """Print one line of progress to standard error."""
    print(f"etl: {line}", file=sys.stderr, flush=True)


def open_lock(path: Path) -> IO[str]:
    """Open a lock file. Raises BootstrapError when its folder cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("w")
    except OSError as error:
        raise unusable(path.parent, error) from None


def unusable(folder: Path, error: OSError) -> BootstrapError:
    """Return the error for a folder in which nothing can be written."""
    why = error.strerror or str(error)
    if isinstance(error, PermissionError) and (owner := owner_of(folder)):
        why += f"; it belongs to {owner}"
    return BootstrapError(
        f"{folder} cannot be used for state: {why}",
        "ETL_HOME=/a/folder/you/can/write ./etl …",
        EXIT_PREREQUISITE,
    )


def owner_of(folder: Path) -> str | None:
    """Return the owner of a folder, or of the nearest one above it that exists."""
    for path in (folder, *folder.parents):
        try:
            return path.owner()
        except KeyError:
            return f"user {path.stat().st_uid}"
        except OSError:
            continue
    return None


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock, so that two first runs make one environment."""
    with open_lock(path) as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another process is making {path.stem}; waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def run(*command: str | Path, fix: str) -> None:
    """Run a command quietly; on failure raise with the last lines it printed."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONHOME"}
    done = subprocess.run(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=environment,
        check=False,
    )
    if done.returncode:
        tail = "\n".join(f"  | {line}" for line in done.stdout.splitlines()[-12:])
        raise BootstrapError(f"{Path(command[0]).name} failed:\n{tail}", fix)


def pinned(lock: Path, package: str) -> str:
    """Return the lock's entry of one package: its version and all its hashes."""
    entry = re.search(rf"(?m)^{package}==(?:.*\\\n)+.*$", lock.read_text())
    if entry is None:
        raise BootstrapError(
            f"{lock.name} does not pin {package}", "git checkout " + lock.name
        )
    return entry.group(0) + "\n"


def make_venv(target: Path) -> None:
    """Make an empty environment with pip in it."""
    if sys.platform == "linux" and not has_ensurepip():
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise BootstrapError(
            "this Python cannot make environments: its module ensurepip is missing",
            f"apt-get install python{version}-venv",
            EXIT_PREREQUISITE,
        )
    run(
        sys.executable,
        "-m",
        "venv",
        "--clear",
        target,
        fix=f"rm -rf {target}; then run ./etl again",
    )


def has_ensurepip() -> bool:
    """Return whether venv can install pip (Debian has it in a package of its own)."""
    from importlib.util import find_spec

    return find_spec("ensurepip") is not None


AGAIN = "check the network and pip's package index, then run ./etl again"


def install_uv(python: Path, lock: Path) -> None:
    """Install the lock's uv, by its hashes, with the pip that venv brings."""
    pip = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    with tempfile.TemporaryDirectory() as folder:
        pin = Path(folder) / "uv.lock"
        pin.write_text(pinned(lock, "uv"))
        run(*pip, "--require-hashes", "--no-deps", "-r", pin, fix=AGAIN)


def trust() -> tuple[str, ...]:
    """Return uv's option for the system's certificates, if there are any."""
    paths = ssl.get_default_verify_paths()
    known = paths.cafile or (paths.capath and any(Path(paths.capath).iterdir()))
    return ("--system-certs",) if known else ()


def install(root: Path, target: Path, lock: Path) -> None:
    """Install exactly the lock's wheels by hash, then this checkout itself."""
    python = target / "bin" / "python"
    install_uv(python, lock)
    started = time.monotonic()
    quiet = ("--quiet", "--no-config", "--no-progress", *trust())
    uv = (str(target / "bin" / "uv"), *quiet, "pip")
    exact = ("--require-hashes", "--compile-bytecode", "--link-mode", "copy")
    run(*uv, "sync", *exact, "--python", python, lock, fix=AGAIN)
    say(f"wheels installed and checked by hash ({time.monotonic() - started:.1f} s)")
    # The build backend is uv's own: nothing is downloaded for these two.
    own = ("--no-deps", "--offline", "-e", str(root), "-e", str(root / "ci"))
    run(*uv, "install", "--python", python, *own, fix=AGAIN)
    # What `pixi add --pypi` has added; it prints its own errors.
    extras = (python, root / "ci" / "extras.py", root / MANIFEST, lock)
    if code := subprocess.run(extras, check=False).returncode:
        raise SystemExit(code)


def main(root: Path, target: Path, lock_name: str) -> None:
    """Make the environment from the checkout's lock; record its inputs last."""
    stamps = {
        root / lock_name: target / "synced.lock",
        root / MANIFEST: target / "synced.toml",
    }
    with locked(target.parent / f"{target.name}.making"):
        has_python = (target / "bin" / "python").exists()
        if has_python and all(same(*pair) for pair in stamps.items()):
            return
        started = time.monotonic()
        say(f"making the locked environment in {target} (first use or new lock)")
        for stamp in stamps.values():
            stamp.unlink(missing_ok=True)
        make_venv(target)
        install(root, target, root / lock_name)
        for source, stamp in stamps.items():
            shutil.copyfile(source, stamp)
        say(f"environment ready ({time.monotonic() - started:.1f} s)")


def same(source: Path, stamp: Path) -> bool:
    """Whether the environment was made from the file as it is now."""
    return stamp.exists() and stamp.read_bytes() == source.read_bytes()


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
    except (BootstrapError, OSError) as failure:
        error = failure
        if isinstance(error, OSError):
            error = unusable(Path(error.filename or sys.argv[2]), error)
        say(error.what)
        print(f"  fix: {error.fix}", file=sys.stderr)
        sys.exit(error.code)
    except KeyboardInterrupt:
        sys.exit(130)
