"""What holds for every source: its spec, its sample, its tables fit together."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import Engine

from etl.extract.raw_store import RawFile, RawStore
from etl.ledger.runs import close_run, open_run
from etl.models.registry import metadata
from etl.run.load_source import load_source
from etl.specs.registry import SOURCES, dependencies, load_order
from etl.specs.rules import Named, Reference
from etl.specs.spec import SourceSpec
from etl.transform.tables import find_transform

pytestmark = pytest.mark.parametrize("spec", SOURCES.values(), ids=list(SOURCES))


def sample(spec: SourceSpec, store: RawStore) -> RawFile:
    """Return the sample of a source as a raw file."""
    content = files("etl.data").joinpath(spec.sample).read_bytes()
    return store.put_bytes(content, spec.sample)


def test_tables_are_those_of_the_models(spec: SourceSpec) -> None:
    for table in spec.tables:
        model = metadata.tables[table.name]
        line = ["raw_line"] if table.kind == "facts" else []
        given = {*table.key, *table.columns, *line}
        written = {"load_run_id", "raw_file_id"} if table.kind == "facts" else set()
        assert given | written == set(model.c.keys())
        assert {column.name for column in model.primary_key} == set(table.key)
        assert set(table.compared) <= set(table.columns)


def test_parents_are_the_foreign_keys_of_the_models(spec: SourceSpec) -> None:
    """A foreign key that the spec lacks would not be checked."""
    by_construction = {"ledger_run", "ledger_raw_file"}
    for table in spec.tables:
        model = metadata.tables[table.name]
        declared = {(p.column, p.table, p.key) for p in table.parents}
        modelled = {
            (key.parent.name, key.column.table.name, key.column.name)
            for key in model.foreign_keys
            if key.column.table.name not in by_construction
        }
        assert declared == modelled


def test_history_has_every_column_of_its_table(spec: SourceSpec) -> None:
    for table in spec.tables:
        if table.history:
            history = set(metadata.tables[table.history].c.keys())
            assert set(metadata.tables[table.name].c.keys()) <= history


def test_dimensions_come_before_the_facts(spec: SourceSpec) -> None:
    kinds = [table.kind for table in spec.tables]
    assert kinds == ["dimension"] * (len(kinds) - 1) + ["facts"]


def test_names_are_distinct(spec: SourceSpec) -> None:
    for form in spec.forms:
        headers = [h.casefold() for c in form.columns for h in (c.header, *c.also)]
        assert len(set(headers)) == len(headers)
        assert len({column.name for column in form.columns}) == len(form.columns)


def test_rules_ask_about_columns_that_exist(spec: SourceSpec) -> None:
    names = {column.name for column in spec.columns}
    for rule in spec.rules:
        columns = {rule.column} if not isinstance(rule, Reference) else set()
        columns |= set(getattr(rule, "columns", ())) | set(getattr(rule, "when", ()))
        assert columns <= names
    for conditions in (*spec.out_of_scope, *spec.in_scope):
        assert set(conditions) <= names


def test_what_it_depends_on_is_loaded_before(spec: SourceSpec) -> None:
    order = load_order()
    assert set(spec.depends_on) <= set(order[: order.index(spec.name)])
    assert dependencies([spec.name]) == {spec.name: set()}


def test_rules_refer_to_sources_it_depends_on(spec: SourceSpec) -> None:
    tables = {t.name for name in spec.depends_on for t in SOURCES[name].tables}
    for rule in spec.rules:
        if isinstance(rule, (Reference, Named)):
            assert rule.table in tables


def test_transform_is_found(spec: SourceSpec) -> None:
    assert callable(find_transform(spec))


def test_a_source_has_a_citation_and_a_licence(spec: SourceSpec) -> None:
    assert spec.title
    assert spec.licence
    assert spec.citation


def test_sample_loads_whole_and_again_without_change(
    spec: SourceSpec, db: Engine, tmp_path: Path
) -> None:
    store = RawStore(tmp_path / "raw")
    for _ in range(2):
        run_id, names = uuid4(), list(dependencies([*spec.depends_on, spec.name]))
        open_run(db, run_id=run_id, sources=names, inputs={}, trigger="test")
        for name in names:
            receipt = load_source(
                db, name, run_id=run_id, raw=sample(SOURCES[name], store), reload=True
            )
        assert close_run(db, run_id).status == "succeeded"
    assert receipt.counts.read == receipt.counts.unchanged > 0
    assert receipt.counts.rejected == 0
