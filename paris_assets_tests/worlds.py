"""Small made-up tables under a root, for tests of what reads them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from paris_assets.dag.commit import commit
from paris_assets.dag.fingerprint import Node
from paris_assets.dag.s3 import open_location
from paris_assets.dag.store import Store
from paris_assets.definitions import asset_graph
from paris_assets.experts import tables as expert_tables
from paris_assets.profiles import load_profile
from paris_assets.storage.checksum import seal
from paris_assets.storage.output import Output

SHARD = "00000"
TOKENS, TEXT_DIM, DIM = 5, 3, 6


def flat_store(folder: Path, **overrides: Any) -> Store:
    """A store whose assets depend on nothing, so that tables can be put in any order."""
    graph = {
        name: Node(name, node.partitioned, "1", (), (), data_files=node.data_files)
        for name, node in asset_graph().items()
    }
    settings = {"text.tokens": TOKENS, "clusters.k": 2, "experts.validation_fraction": 0.3, **overrides}
    store = Store(open_location(folder), load_profile("demo", settings), graph)
    registry = pl.DataFrame({"shard": [SHARD], "file": [""], "rows": [1]})
    folder.mkdir(parents=True, exist_ok=True)
    put_registry(folder, registry)
    return store


def put_registry(folder: Path, registry: pl.DataFrame) -> None:
    """Write the shards of a local root as `paris run` does."""
    path = folder / "shards.parquet"
    registry.write_parquet(path)
    with open(path, "r+b") as file:
        seal(file)


def put(store: Store, asset: str, rows: pl.DataFrame, shard: str = SHARD, **fields: Any) -> None:
    """Commit a table as an asset would."""
    commit(store, asset, shard if store.graph[asset].partitioned else "all", Output(rows=[rows], **fields))


def ids(count: int) -> list[str]:
    """Distinct image_ids, sorted."""
    return sorted(hashlib.sha256(str(number).encode()).hexdigest()[:32] for number in range(count))


def publishable(store: Store, count: int = 24, seed: int = 0) -> list[str]:
    """Everything that the experts stage reads, for ``count`` images in two clusters; returns their ids."""
    names, generator = ids(count), np.random.default_rng(seed)
    clusters = pl.Series("cluster", [number % 2 for number in range(count)], pl.Int32)
    rows = pl.DataFrame({"image_id": names})
    curated = rows.with_columns(
        source_row=pl.int_range(pl.len()),
        url=pl.format("http://photos.example/{}.jpg", "image_id"),
        text=pl.lit("x"),
        alt_texts=pl.lit([], pl.List(pl.String)),
        width=pl.lit(300, pl.Int32),
        height=pl.lit(200, pl.Int32),
        group_id="image_id",
        aesthetic=pl.lit(None, pl.Float64),
    )
    put(store, "curated_images", curated)
    captions = rows.with_columns(
        caption=pl.format("caption {}", pl.int_range(pl.len())),
        captioner=pl.lit("source_text"),
        source_text=pl.lit("x"),
    )
    put(store, "captions", captions)
    text = generator.standard_normal((count, TOKENS, TEXT_DIM)).astype(np.float16)
    put(
        store,
        "text_embeddings",
        rows.with_columns(
            captions["caption"],
            pl.Series("embedding", text),
            pl.Series("pooled", text[:, 0]),
            pl.Series("tokens", [2 + number % 3 for number in range(count)], pl.Int32),
        ),
    )
    vectors = generator.standard_normal((count, DIM)).astype(np.float16)
    put(store, "image_embeddings", rows.with_columns(pl.Series("embedding", vectors)))
    latents = generator.standard_normal((count, 4, 32, 32)).astype(np.float16)
    placed = rows.with_columns(
        pl.Series("latent_256", latents),
        upscaled=pl.lit(False),
        crop_top=pl.lit(0, pl.Int32),
        crop_left=pl.lit(22, pl.Int32),
    )
    put(store, "latents", placed)
    assigned = rows.with_columns(
        clusters,
        distance=pl.lit(0.5, pl.Float32),
        second_distance=pl.lit(0.9, pl.Float32),
        fine_cluster=pl.lit(None, pl.Int32),
    )
    put(store, "cluster_assignments", assigned)
    chosen = rows.with_columns(clusters, selected=pl.lit(True), reason=pl.lit(None, pl.String))
    put(store, "training_selection", chosen)
    return names


def publish(store: Store) -> None:
    """Write the expert shards and router arrays of the made-up shard."""
    commit(store, "expert_shards", SHARD, expert_tables.expert_shards(store, SHARD))
    commit(store, "router_arrays", SHARD, expert_tables.router_arrays(store, SHARD))


def replace(store: Store, asset: str, **columns: pl.Expr) -> None:
    """Rewrite a table with some columns changed, as a defect."""
    put(store, asset, store.read(asset, SHARD if store.graph[asset].partitioned else "all").with_columns(**columns))
