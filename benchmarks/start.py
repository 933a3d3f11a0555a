"""Times what a newcomer waits for: clean clone to receipt, warm start, --help.

    .etl/env/bin/python benchmarks/start.py [--rounds N]

Everything is measured in one run, the warm cases interleaved. Downloads are included in
the first case: its package cache is empty. Nothing here passes or fails.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent


def timed(command: list[str], folder: Path, environment: dict[str, str]) -> float:
    """Run a command quietly; return the seconds until it has ended."""
    started = time.perf_counter()
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return time.perf_counter() - started


def until_receipt(folder: Path, environment: dict[str, str]) -> tuple[float, float]:
    """Run the pipeline; return seconds to the receipt and to the end of the command.

    The receipt is the first thing on standard output; progress goes to standard error.
    """
    started = time.perf_counter()
    process = subprocess.Popen(
        ["./etl", "run"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout
    process.stdout.readline()
    receipt = time.perf_counter() - started
    process.communicate()
    if process.returncode:
        raise SystemExit(f"./etl run failed in {folder}")
    return receipt, time.perf_counter() - started


def machine() -> str:
    """Name the machine that the figures come from."""
    names = [
        line.split(":", 1)[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    model = names[0] if names else platform.processor()
    python = platform.python_version()
    return f"{os.cpu_count()} × {model}, {platform.system()}, Python {python}"


def show(what: str, values: list[float], at_most: float) -> None:
    """Print one row: minimum, median, maximum, and the budget."""
    low, middle, high = min(values), statistics.median(values), max(values)
    times = f"{low:8.2f}{middle:8.2f}{high:8.2f}"
    print(f"{what:<50}{times}  n={len(values)}  budget {at_most:g} s")


def main() -> None:
    """Clone into an empty folder and measure there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    folder = Path(tempfile.mkdtemp(prefix="etl-benchmark-"))
    folder.chmod(0o755)
    clone, cache = folder / "clone", folder / "cache"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("ETL_")}
    environment |= {"UV_CACHE_DIR": str(cache), "PIP_NO_CACHE_DIR": "1"}
    try:
        subprocess.run(["git", "clone", "--quiet", CHECKOUT, clone], check=True)
        cold = timed(["./etl", "run"], clone, environment)
        warm, ends, helps = [], [], []
        for _ in range(rounds):
            receipt, ended = until_receipt(clone, environment)
            warm.append(receipt)
            ends.append(ended)
            helps.append(timed(["./etl", "--help"], clone, environment))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(machine())
    print(f"{'seconds':<50}{'min':>8}{'median':>8}{'max':>8}")
    show("clean clone to receipt, every download included", [cold], 120)
    show("warm environment, nothing running, to receipt", warm, 15)
    show("the same, until everything has stopped again", ends, 15)
    show("./etl --help", helps, 0.3)


if __name__ == "__main__":
    main()
