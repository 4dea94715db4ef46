"""Assets and checks as they stand in the code: what a function reads are its parameters, and they can be called."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import dagster as dg
import polars as pl
import pytest

import paris_assets
from paris_assets.clusters.assets import cluster_values, training_selection
from paris_assets.clusters.schema import CLUSTER_ASSIGNMENTS, CLUSTER_VALUES
from paris_assets.compute import Compute
from paris_assets.config import Profile
from paris_assets.curation.assets import curated_images, filtered_images
from paris_assets.curation.schema import CURATED_IMAGES, DUPLICATE_GROUPS, FILTERED_IMAGES
from paris_assets.dag.assets import TableAsset
from paris_assets.dag.checks import TableCheck, checks_of
from paris_assets.dag.records import Records
from paris_assets.dag.takedowns import Takedowns
from paris_assets.definitions import ASSETS, asset_graph
from paris_assets.definitions import CHECKS as CHECK_MODULES
from paris_assets.demo.resource import LoopbackServer
from paris_assets.images.reader import ImageTars
from paris_assets.ingest.registered import RegisteredSource
from paris_assets.ingest.schema import RAW_IMAGES, SOURCE_ROWS
from paris_assets.models.registry import Models
from paris_assets.profiles import PROFILES, load_profile
from paris_assets.signals.schema import IMAGE_SIGNALS
from paris_assets.storage.files import LocalFiles
from paris_assets.storage.location import Location
from paris_assets.storage.output import Output
from paris_assets.storage.shards import Shards

PACKAGE = Path(paris_assets.__file__).parent
STAGES = ("ingest", "pool", "signals", "curation", "captions", "concepts", "clusters", "latents", "experts", "proof")
SHIPPED = sorted(path.stem for path in PROFILES.glob("*.yaml"))
BY_NAME = {asset.name: asset for asset in ASSETS}
CHECKS = checks_of(BY_NAME, *CHECK_MODULES)
MOST_LINES = 20
# What a function may be given beside tables: each of one purpose, none that hands out tables.
RESOURCES = {str, Profile, Models, ImageTars, LocalFiles, Records, RegisteredSource, LoopbackServer, Takedowns, Compute}


def function_of(made: TableAsset | TableCheck) -> ast.FunctionDef:
    (node,) = ast.parse(textwrap.dedent(inspect.getsource(made.body))).body
    assert isinstance(node, ast.FunctionDef)
    return node


def statements(function: ast.FunctionDef) -> list[ast.stmt]:
    """Its body without the docstring."""
    assert ast.get_docstring(function)
    return function.body[1:]


def names_read(function: ast.FunctionDef) -> set[str]:
    nodes = [node for statement in statements(function) for node in ast.walk(statement)]
    return {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}


def kinds(parameter: inspect.Parameter) -> set[Any]:
    """What a parameter may be, without None."""
    return set(get_args(parameter.annotation) or (parameter.annotation,)) - {type(None)}


def tables_read(body: Callable[..., Any]) -> list[str]:
    """Parameters that are tables."""
    found = inspect.signature(body).parameters.items()
    return [name for name, parameter in found if kinds(parameter) <= {pl.LazyFrame, Shards}]


def is_loaded(given: dg.In) -> bool:
    """Whether the IO manager reads it; what is only waited for is of no type."""
    return isinstance(given.dagster_type, dg.DagsterType) and not given.dagster_type.is_nothing


def named(made: TableAsset | TableCheck) -> str:
    return f"{made.asset}.{made.name}" if isinstance(made, TableCheck) else made.name


def everything() -> list[TableAsset | TableCheck]:
    return [*ASSETS, *CHECKS]


@pytest.mark.parametrize("made", everything(), ids=named)
def test_every_parameter_is_used(made: TableAsset | TableCheck) -> None:
    function = function_of(made)
    assert set(inspect.signature(made.body).parameters) - names_read(function) == set()


def test_all_assets_and_checks_of_the_project_are_looked_at() -> None:
    decorators = {"shard_asset", "all_asset", "shard_check", "all_check"}
    found = 0
    for path in PACKAGE.rglob("*.py"):
        if path.relative_to(PACKAGE).parts[0] in STAGES:
            calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
            found += sum(isinstance(call.func, ast.Name) and call.func.id in decorators for call in calls)
    assert found == len(everything()) == len({named(made) for made in everything()})


@pytest.mark.parametrize("asset", ASSETS, ids=named)
def test_an_asset_is_a_few_lines_that_read_nothing_but_its_parameters(asset: TableAsset) -> None:
    function = function_of(asset)
    body = statements(function)
    assert (body[-1].end_lineno or 0) - body[0].lineno + 1 <= MOST_LINES
    assert not {"catalog", "context", "Catalog"} & names_read(function)
    others = set(inspect.signature(asset.body).parameters) - set(tables_read(asset.body))
    types = {kind for name in others for kind in kinds(inspect.signature(asset.body).parameters[name])}
    assert types <= RESOURCES, "an asset is given tables, its shard and resources of one purpose"


@pytest.mark.parametrize("stage", STAGES)
def test_no_stage_knows_the_catalog_or_opens_tables(stage: str) -> None:
    for path in (PACKAGE / stage).rglob("*.py"):
        imports = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
        modules = {node.module for node in imports}
        modules |= {f"{node.module}.{alias.name}" for node in imports for alias in node.names}
        assert not modules & {"paris_assets.dag.catalog", "paris_assets.dag.tables"}, path


@pytest.mark.parametrize("name", SHIPPED)
def test_dagsters_inputs_are_the_tables_among_the_parameters(name: str) -> None:
    profile = load_profile(name)
    graph = asset_graph(profile)
    assert len(graph) > 15
    for asset in (BY_NAME[name] for name in graph):
        read = {
            table
            for table in tables_read(asset.body)
            if table in graph and (table not in asset.optional_inputs or asset.optional_inputs[table](profile))
        }
        definition = asset.define(profile, graph)
        (spec,) = definition.specs
        assert {dep.asset_key.to_user_string() for dep in spec.deps} == read | set(asset.deps) & set(graph), asset.name
        assert not read & set(asset.deps), f"{asset.name} declares an order that its parameters say already"
        loaded = {key for key, value in definition.op.ins.items() if is_loaded(value)}
        assert loaded == read, f"{asset.name}: what is loaded"
        others = set(inspect.signature(asset.body).parameters) - set(tables_read(asset.body)) - {"shard"}
        assert definition.required_resource_keys - {"catalog", "tables"} == others, f"{asset.name}: its resources"


@pytest.mark.parametrize("asset", ASSETS, ids=named)
def test_conditions_and_orders_are_of_assets_that_exist(asset: TableAsset) -> None:
    assert set(tables_read(asset.body)) | set(asset.deps) <= set(BY_NAME)
    optional = {
        name
        for name, parameter in inspect.signature(asset.body).parameters.items()
        if type(None) in get_args(parameter.annotation)
    }
    kinds = {"caption_kinds", "repeated_captions"} if asset.name == "captions" else set()  # each needs the other
    of_pools = {
        "raw_images": {"pool_selection"},
        "pool_scores": {"pool_vectors", "concept_model", "concept_assignments", "concept_verdicts"},
    }.get(asset.name, set())
    absent_sometimes = {"content_scores", "score_quantiles", "copy_embeddings", *kinds, *of_pools} & set(
        tables_read(asset.body)
    )
    assert optional == set(asset.optional_inputs) | absent_sometimes


def test_without_scorers_there_are_no_scores() -> None:
    with_scores = asset_graph(load_profile("demo"))
    assert "content_scores" in with_scores["filtered_images"].inputs
    graph = asset_graph(load_profile("demo", {"scores": {}, "curation.score_rules": []}))
    assert graph.keys() == with_scores.keys() - {"content_scores"}
    assert graph["filtered_images"].inputs == ("image_signals", "raw_images", "source_rows")
    assert not any("content_scores" in spec.inputs for spec in graph.values())


@pytest.mark.parametrize(
    ("features", "reads_text"), [(["image"], False), (["text"], True), (["image", "text"], True)], ids=repr
)
def test_clusters_depend_on_texts_only_where_they_are_made_from_them(features: list[str], reads_text: bool) -> None:
    graph = asset_graph(load_profile("demo", {"clusters.features": features}))
    for name in ("cluster_model", "cluster_assignments", "cluster_report"):
        assert ("text_embeddings" in graph[name].inputs) is reads_text, name
        assert "image_embeddings" in graph[name].inputs, name


def rows_of(output: Output) -> pl.DataFrame:
    assert not callable(output.rows)
    return pl.concat([chunk for chunk in output.rows if isinstance(chunk, pl.DataFrame)])


def test_a_selection_is_made_by_calling_the_asset() -> None:
    profile = load_profile("demo", {"clusters.k": 2, "clusters.min_images": 2, "clusters.min_caption_diversity": 0.0})
    assigned = CLUSTER_ASSIGNMENTS.frame(
        [{"image_id": name, "cluster": cluster, "distance": 0.5} for name, cluster in (("a", 0), ("b", 0), ("c", 1))]
    )
    captions = pl.DataFrame({"image_id": ["a", "b", "c"], "caption": ["one", "two", "three"]})
    values = rows_of(cluster_values.body(profile, Shards.of({"00000": captions}), Shards.of({"00000": assigned})))
    assert dict(values.schema) == dict(CLUSTER_VALUES.polars())
    assert values["value"].to_list() == ["high", "low"]
    output = training_selection.body(profile, assigned.lazy(), values.lazy())
    assert rows_of(output).select("image_id", "selected", "reason").rows() == [
        ("a", True, None),
        ("b", True, None),
        ("c", False, "low_value_cluster"),
    ]
    assert (output.rows_in, output.rejects, output.facts) == (3, {"low_value_cluster": 1}, {"kept": 2})


IMAGES = ImageTars(LocalFiles(Location("/nonexistent")))  # which nobody reads but who shows a sample
SOURCES = SOURCE_ROWS.frame(
    [{"source_row": 7, "aesthetic": 6.5, "alt_texts": ["own", "t"]}, {"source_row": 8, "aesthetic": 4.0}]
).lazy()
LEDGER = RAW_IMAGES.frame(
    [
        {"source_row": row, "image_id": name, "url": f"http://h.example/{name}", "text": "t", "status": "ok", **size}
        for row, name, size in (
            (7, "a", {"width": 300, "height": 200, "size_bytes": 9}),
            (8, "b", {"width": 100, "height": 90, "size_bytes": 9}),
        )
    ]
).lazy()


def test_images_are_curated_by_calling_the_asset() -> None:
    group = {"shard": "00000", "group_id": "a", "alt_texts": ["t", "other"]}
    groups = DUPLICATE_GROUPS.frame(
        [
            {**group, "image_id": "a", "source_row": 7, "keeper": True},
            {**group, "image_id": "b", "source_row": 8, "keeper": False, "distance": 2, "method": "phash"},
        ]
    )
    profile = load_profile("demo")
    output = curated_images.body("00000", IMAGES, profile, SOURCES, LEDGER, groups.lazy(), None)
    (row,) = rows_of(output).to_dicts()
    assert dict(rows_of(output).schema) == {
        k: v for k, v in CURATED_IMAGES.polars().items() if k not in ("tier", "boost")
    }
    verdicts = FILTERED_IMAGES.frame([{"image_id": name, "kept": True, "tier": "512"} for name in ("a", "b")])
    (tiered,) = rows_of(
        curated_images.body("00000", IMAGES, profile, SOURCES, LEDGER, groups.lazy(), verdicts.lazy())
    ).to_dicts()
    assert tiered == {**row, "tier": "512"}
    assert (row["image_id"], row["url"], row["alt_texts"], row["aesthetic"]) == (
        "a",
        "http://h.example/a",
        ["own", "other"],
        6.5,
    )
    assert (output.rows_in, output.rejects) == (2, {"duplicate": 1})


def test_images_are_judged_without_scores_by_calling_the_asset() -> None:
    rules = {
        "scores": {},
        "curation.signal_rules": [{"name": "short_side", "column": "short_side", "min": 160}],
        "curation.score_rules": [{"name": "aesthetic", "column": "aesthetic", "min": 5.0}],
    }
    signals = IMAGE_SIGNALS.frame([{"image_id": name, "undecodable": False} for name in ("a", "b")]).lazy()
    output = filtered_images.body("00000", IMAGES, load_profile("demo", rules), SOURCES, LEDGER, signals, None, None)
    assert rows_of(output).select("image_id", "kept", "reason").rows() == [
        ("a", True, None),
        ("b", False, "short_side"),
    ]
    assert (output.rows_in, output.rejects, output.facts) == (2, {"short_side": 1}, {"kept": 1})


def test_a_score_of_the_profile_stands_in_place_of_the_lists() -> None:
    rules = {
        "picture_embeddings": {"clip": {"implementation": "clip-image", "path": "o/c"}},
        "scores": {"aesthetic": {"implementation": "linear-head", "on": "clip", "path": "head.pth"}},
        "curation.signal_rules": [],
        "curation.score_rules": [{"name": "aesthetic", "column": "aesthetic", "min": 5.0}],
    }
    signals = IMAGE_SIGNALS.frame([{"image_id": name, "undecodable": False} for name in ("a", "b")]).lazy()
    scores = pl.LazyFrame({"image_id": ["a", "b"], "aesthetic": pl.Series([3.0, 7.0], dtype=pl.Float32)})
    output = filtered_images.body("00000", IMAGES, load_profile("demo", rules), SOURCES, LEDGER, signals, scores, None)
    assert rows_of(output).select("image_id", "kept", "value").rows() == [("a", False, 3.0), ("b", True, None)]
