"""Times the load of a NASS file against the server's own COPY of the same text.

    .etl/env-dev/bin/python benchmarks/load.py [--file FILE] [--rounds N]

It starts a Postgres of its own as the local engine does, durable (fsync on). Each round
times, one after the other: the server's `COPY bare FROM '<file>'` into a table of as
many text columns, a first load, and a load of the same file into full tables. A load is
timed from the file's bytes to the commit, the raw store's copy included. Ratios are of
times of the same round; the machine may be busy. Nothing here passes or fails, except
that counts are compared.
"""

from __future__ import annotations

import argparse
import gzip
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from uuid import uuid4

import psycopg
from anyio.from_thread import start_blocking_portal
from sqlalchemy import Engine, create_engine, text

from ci.host.home import Home
from ci.local.launch import Launcher
from ci.local.postgres import Postgres
from ci.local.supervisor import Supervisor
from ci.stack.model import Cluster, Service, SqlProbe, Stack
from etl.extract.raw_store import RawStore
from etl.ledger.receipt import StepReceipt
from etl.ledger.runs import close_run, open_run
from etl.load.lookups import read_lookups
from etl.readers.read import read_batches
from etl.run.load_source import load_source
from etl.specs.registry import SOURCES
from etl.transform.tables import find_transform
from etl.validate.judge import judge, lookups_of

CHECKOUT = Path(__file__).resolve().parent.parent
CALIFORNIA = CHECKOUT.parent / "shared/data/nass_california.tsv.gz"
CALIFORNIA_COUNTS = (66_984, 69, 207, 386)
COUNTS = """
SELECT count(*), count(DISTINCT short_desc), count(*) FILTER (WHERE value = 0),
       count(cv_pct)
FROM out_nass__values
"""
EMPTY = """
TRUNCATE core_nass__value, core_nass__value_history, core_nass__series,
         core_nass__location, core_nass__period, core_nass__series_history,
         core_nass__location_history, core_nass__period_history, ledger_cursor
"""


@contextmanager
def server(root: Path) -> Iterator[Postgres]:
    """Run a durable Postgres with an application database."""
    home = Home(root)
    home.make()
    postgres = Postgres.at(home.pgdata, home.pg_sockets, 5432)
    service = Service(
        name="db",
        summary="PostgreSQL of the benchmark",
        command=("postgres", "-c", "listen_addresses=", "-c", "max_wal_size=4GB"),
        probe=SqlProbe("postgres"),
        cluster=Cluster("biocirv", ("biocirv_db",)),
    )
    supervisor = Supervisor(
        Stack({"db": service}), Launcher(CHECKOUT, home, postgres), password="unused"
    )
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(supervisor),
    ):
        portal.call(supervisor.ensure, ["db"])
        yield postgres


def migrated(postgres: Postgres) -> Engine:
    """Return an engine on the application database, at head."""
    where = f"host={postgres.sockets}&port={postgres.port}"
    url = f"postgresql+psycopg://biocirv@/biocirv_db?{where}"
    subprocess.run(
        [sys.executable, "-m", "alembic", "upgrade", "head"],
        cwd=CHECKOUT,
        env=os.environ | {"DATABASE_URL": url},
        check=True,
        capture_output=True,
    )
    return create_engine(url)


def seconds(work: Callable[[], object]) -> float:
    """Return how long something takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


class Bench:
    """One server, one file, and the ways to bring the one into the other."""

    def __init__(self, postgres: Postgres, root: Path, file: Path) -> None:
        self.engine = migrated(postgres)
        self.owner = postgres.connect_as_owner()
        self.file, self.store = file, RawStore(root / "raw")
        content = file.read_bytes()
        packed = content.startswith(b"\x1f\x8b")
        self.text = root / "plain.tsv"
        self.text.write_bytes(gzip.decompress(content) if packed else content)
        self.text.chmod(0o644)
        columns = self.text.open("rb").readline().count(b"\t") + 1
        self.owner.execute(
            "CREATE TABLE bare ("
            + ", ".join(f"c{n} text" for n in range(columns))
            + ")"
        )
        self.load("geography", Path(str(files("etl.data") / "california_places.csv")))

    def copy(self) -> None:
        """Let the server copy the text, as fast as it can."""
        self.owner.execute("TRUNCATE bare")
        self.owner.execute(f"COPY bare FROM '{self.text}' (HEADER)")

    def load(self, source: str, file: Path) -> StepReceipt:
        """Load a file as a run does."""
        run_id = uuid4()
        open_run(
            self.engine, run_id=run_id, sources=[source], inputs={}, trigger="benchmark"
        )
        raw = self.store.put(file)
        receipt = load_source(self.engine, source, run_id=run_id, raw=raw, reload=True)
        close_run(self.engine, run_id)
        return receipt

    def round(self) -> dict[str, float]:
        """Time each way once."""
        self.copy()  # the first COPY after a TRUNCATE also grows the file
        with self.engine.begin() as connection:
            connection.execute(text(EMPTY))
        return {
            "server COPY": seconds(self.copy),
            "first load": seconds(lambda: self.load("nass", self.file)),
            "same again": seconds(lambda: self.load("nass", self.file)),
            **self.phases(),
        }

    def phases(self) -> dict[str, float]:
        """Time the steps before the database by themselves."""
        spec = SOURCES["nass"]
        with self.engine.connect() as connection:
            driver = connection.connection.driver_connection
            assert driver is not None
            with driver.cursor() as cursor:
                lookups = read_lookups(cursor, lookups_of(spec))
        started = time.perf_counter()
        batches = list(read_batches(spec, self.file, name=self.file.name))
        read = time.perf_counter()
        judged = [judge(spec, batch, lookups) for batch in batches]
        validated = time.perf_counter()
        for batch in judged:
            find_transform(spec)(batch.good)
        return {
            "  read": read - started,
            "  validate": validated - read,
            "  transform": time.perf_counter() - validated,
        }

    def require_counts(self) -> None:
        """Compare what is in the database with what the file is known to hold."""
        with self.engine.connect() as connection:
            counts = tuple(connection.execute(text(COUNTS)).one())
        print("values, series, zeros, CVs:", *(f"{count:,}" for count in counts))
        if self.file == CALIFORNIA and counts != CALIFORNIA_COUNTS:
            raise SystemExit(f"wanted {CALIFORNIA_COUNTS}")


def show(rounds: list[dict[str, float]]) -> None:
    """Print minimum, median and maximum of each time, and of its ratio to COPY."""
    print(
        f"{'':14}{'seconds: min  median     max':>28}{'ratio: min  median     max':>30}"
    )
    for name in rounds[0]:
        times = sorted(times_of[name] for times_of in rounds)
        ratios = sorted(times_of[name] / times_of["server COPY"] for times_of in rounds)
        cells = "".join(
            f"{values[0]:8.3f}{statistics.median(values):8.3f}{values[-1]:8.3f}"
            + " " * 6
            for values in (times, ratios)
        )
        print(f"{name:16}{cells}")


def main() -> None:
    """Run the rounds and print them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--file", type=Path, default=CALIFORNIA)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    print(
        f"{platform.platform()}, {os.cpu_count()} CPUs, Python "
        f"{platform.python_version()}, psycopg {psycopg.__version__}"
    )
    root = Path(tempfile.mkdtemp(prefix="etl-bench-"))
    root.chmod(0o755)  # Postgres runs as another user when we run as root
    try:
        with server(root) as postgres:
            bench = Bench(postgres, root, args.file)
            bench.round()  # the first one warms caches and is not counted
            show([bench.round() for _ in range(args.rounds)])
            bench.require_counts()
            bench.engine.dispose()
            bench.owner.close()
    finally:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
