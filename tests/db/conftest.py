"""What database tests share: a run around files that a test makes up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, text

from etl.cli import program
from etl.console import run_program
from etl.errors import EtlError
from etl.extract.raw_store import RawFile, RawStore
from etl.ledger.holding import hold_run
from etl.ledger.receipt import RunReceipt, SourceReceipt
from etl.ledger.runs import close_run, open_run
from etl.ledger.unfinished import record_input_failure
from etl.run.load_source import load_source
from etl.run.plan import plan
from etl.specs.registry import SOURCES

DATA = files("etl.data")


@dataclass(frozen=True)
class Lab:
    """A migrated database and a raw store of one test."""

    engine: Engine
    store: RawStore

    def file(self, content: bytes | str, name: str = "made_up.tsv") -> RawFile:
        """Put a file into the raw store."""
        data = content.encode() if isinstance(content, str) else content
        return self.store.put_bytes(data, name)

    def sample(self, name: str) -> RawFile:
        """Put a file of the package into the raw store."""
        return self.file(DATA.joinpath(name).read_bytes(), name)

    def shipped(self, source: str) -> RawFile:
        """Return the file that the package ships for a source, as `sample` does."""
        spec = SOURCES[source]
        return replace(self.sample(spec.sample), kind=spec.shipped)

    def run(
        self, inputs: Mapping[str, RawFile | Sequence[RawFile]], **options: Any
    ) -> RunReceipt:
        """Run sources one after the other, as a flow does; go on after failures."""
        run_id = uuid4()
        sources = list(plan(list(inputs)))
        raws = {
            name: [given] if isinstance(given, RawFile) else list(given)
            for name, given in inputs.items()
        }
        texts = {name: [raw.name for raw in given] for name, given in raws.items()}
        open_run(
            self.engine, run_id=run_id, sources=sources, inputs=texts, trigger="test"
        )
        with hold_run(self.engine, run_id):
            for source in sources:
                self._load(run_id, source, raws[source], options)
            return close_run(self.engine, run_id)

    def _load(
        self, run_id: UUID, source: str, raws: list[RawFile], options: dict[str, Any]
    ) -> None:
        """Load the inputs of a source in order; stop at the first that fails."""
        for position, raw in enumerate(raws, start=1):
            try:
                load_source(
                    self.engine,
                    source,
                    run_id=run_id,
                    raw=raw,
                    position=position,
                    sequence=tuple(each.sha256 for each in raws),
                    **options,
                )
            except EtlError as error:
                names = [each.name for each in raws]
                record_input_failure(
                    self.engine, run_id, source, error, position=position, names=names
                )
                return

    def geography(self) -> SourceReceipt:
        """Load the places that the package carries."""
        return self.run({"geography": self.shipped("geography")}).sources["geography"]

    def nass(self, content: bytes | str | RawFile, **options: Any) -> SourceReceipt:
        """Load a NASS file."""
        raw = content if isinstance(content, RawFile) else self.file(content)
        return self.run({"nass": raw}, **options).sources["nass"]

    def rows(self, query: str, **values: Any) -> list[tuple[Any, ...]]:
        """Return what a query gives."""
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(query), values)]

    def one(self, query: str, **values: Any) -> Any:
        """Return the only value of a query."""
        ((value,),) = self.rows(query, **values)
        return value

    def execute(self, statement: str) -> None:
        """Change something behind the pipeline's back."""
        with self.engine.begin() as connection:
            connection.execute(text(statement))

    def contents(self) -> list[tuple[Any, ...]]:
        """Return every published figure and its history, without who loaded it."""
        columns = "short_desc, location_desc, year, period, value, value_flag, cv_pct"
        return self.rows(
            f"SELECT {columns}, 'now' AS what FROM out_nass__values UNION ALL "
            f"SELECT {columns}, change FROM out_nass__value_history "
            "ORDER BY 1, 2, 3, 4, 8, 5"
        )


@pytest.fixture
def lab(db: Engine, tmp_path: Path) -> Lab:
    """A migrated database, places loaded, and a raw store."""
    lab = Lab(db, RawStore(tmp_path / "raw"))
    lab.geography()
    return lab


@pytest.fixture
def residues(lab: Lab) -> Lab:
    """Places, factors, the mapping and the sample of the reports, loaded."""
    receipt = lab.run(
        {
            "residue_factors": lab.sample("residue_factors.csv"),
            "cac_crops": lab.sample("cac_crops.csv"),
            "cac": lab.sample("cac_sample.csv"),
        }
    )
    assert receipt.status == "succeeded"
    return lab


class Table:
    """A NASS file with cells that a test can change. Line numbers count from 1."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.header = lines[0].split("\t")
        self.rows = [line.split("\t") for line in lines[1:]]

    def set(self, line: int, column: str, value: str) -> Table:
        """Change one cell."""
        self.rows[line - 2][self.header.index(column)] = value
        return self

    def get(self, line: int, column: str) -> str:
        """Return one cell."""
        return self.rows[line - 2][self.header.index(column)]

    def lines(self) -> list[str]:
        """Return the lines, header first."""
        return ["\t".join(row) for row in (self.header, *self.rows)]

    def text(self) -> str:
        """Return the file."""
        return "\n".join(self.lines()) + "\n"


@pytest.fixture
def table() -> Table:
    """The sample that the package carries: 238 rows."""
    return Table(DATA.joinpath("nass_sample.tsv").read_text("utf-8").splitlines())


@pytest.fixture
def etl(
    lab: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Any:
    """Run a verb on the test's database; return exit code, output and errors."""
    url = lab.engine.url.render_as_string(hide_password=False)
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("ETL_RAW_DIR", str(lab.store.root))

    def run(*words: str) -> tuple[int, str, str]:
        code = run_program(program, words)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run
