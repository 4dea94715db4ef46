"""What tables hold is written down once, in the schema.py of a stage."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import polars as pl
import pytest

import paris_assets
from paris_assets.dag.assets import TableAsset
from paris_assets.definitions import ASSETS
from paris_assets.ingest.schema import RAW_IMAGES
from paris_assets.rules.columns import FILE_COLUMNS
from paris_assets.storage.schema import Schema, WrongColumns

PACKAGE = Path(paris_assets.__file__).parent
STAGES = ("ingest", "pool", "signals", "curation", "captions", "concepts", "clusters", "latents", "experts", "proof")
BY_NAME = {asset.name: asset for asset in ASSETS}
# Column types outside the stages' schema.py, and why.
ELSEWHERE = {
    "ingest/sources.py": "the registry of shards, which is no asset's table",
    "verification/sample_shapes.py": "metadata.json inside tars, and what the verifier notes of each sample",
    "signals/provenance.py": "what a signal adds, as every signal says itself; compared with the stage's on commit",
    "planning/run_times.py": "what runs took, in the home of Dagster: no table of a root",
    "rules/columns.py": "the ledger as rules see it: rules import no stage; compared below",
}


def stage_schemas() -> Iterator[tuple[str, Schema]]:
    for stage in STAGES:
        for name, value in vars(import_module(f"paris_assets.{stage}.schema")).items():
            if isinstance(value, Schema):
                yield f"{stage}.{name}", value


def test_each_schema_is_that_of_one_table() -> None:
    described = {id(schema): name for name, schema in stage_schemas()}
    users = [id(asset.schema) for asset in ASSETS]
    assert sorted(users) == sorted(described), "every table has one schema of its own, and no schema is left over"


@pytest.mark.parametrize("asset", ASSETS, ids=lambda asset: asset.name)
def test_origins_are_columns_of_what_the_asset_reads(asset: TableAsset) -> None:
    for column, described in asset.schema.items():
        for origin in described.origins:
            table, _, name = origin.partition(".")
            assert name in BY_NAME[table].schema, f"{asset.name}.{column} comes from {origin}, which there is not"
            assert table in {*inspect.signature(asset.body).parameters, *asset.deps}, (
                f"{asset.name} does not read {table}"
            )


def is_column_type(node: ast.expr) -> bool:
    """Whether an expression is ``pl.Int64``, ``pl.List(...)``, or a tuple that begins with one."""
    if isinstance(node, ast.Tuple):
        return bool(node.elts) and is_column_type(node.elts[0])
    called = node.func if isinstance(node, ast.Call) else node
    if not (isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name) and called.value.id == "pl"):
        return False
    kind = getattr(pl, called.attr)
    return isinstance(kind, type) and issubclass(kind, pl.DataType)


def test_columns_are_written_down_once() -> None:
    found = set()
    for path in PACKAGE.rglob("*.py"):
        dicts = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Dict)]
        if path.name != "schema.py" and any(sum(map(is_column_type, node.values)) >= 5 for node in dicts):
            found.add(path.relative_to(PACKAGE).as_posix())
    assert found == set(ELSEWHERE)


def test_rules_see_the_ledger_as_it_is() -> None:
    ledger = RAW_IMAGES.polars()
    assert {name: ledger[name] for name in FILE_COLUMNS} == {name: kind() for name, kind in FILE_COLUMNS.items()}


def test_shapes_that_only_a_network_knows_are_given_to_the_schema() -> None:
    schema = BY_NAME["text_embeddings"].schema
    known = schema.polars(embedding=(77, 384), pooled=(384,))
    assert list(known) == list(schema)
    assert (known["embedding"], known["tokens"]) == (pl.Array(pl.Float16, (77, 384)), pl.Int32)
    schema.require(known, "text_embeddings")
    with pytest.raises(TypeError, match=r"\['pooled'\] have no size of their own"):
        schema.polars(embedding=(77, 384))
    ragged = schema.polars(without=("pooled",), embedding=None)
    assert list(ragged) == ["image_id", "caption", "embedding", "tokens", "truncated"]
    assert ragged["embedding"] == pl.Binary
    schema.require(ragged, "text_embeddings")
    with pytest.raises(WrongColumns, match=r"image_embeddings\.embedding holds Binary, not Array"):
        BY_NAME["image_embeddings"].schema.require({"image_id": pl.String, "embedding": pl.Binary}, "image_embeddings")
