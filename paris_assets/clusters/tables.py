"""The tables of this stage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl

from paris_assets.clusters.assignment import assign
from paris_assets.clusters.centroids import model_frame, read_model
from paris_assets.clusters.contents import sample_labels
from paris_assets.clusters.embedding import embed
from paris_assets.clusters.features import Chunk, choose, collect, join
from paris_assets.clusters.kmeans import fit
from paris_assets.clusters.quality import measure, metrics_frame
from paris_assets.clusters.report import write_report
from paris_assets.clusters.selection import select
from paris_assets.clusters.values import FIGURES
from paris_assets.clusters.values import cluster_values as judge_clusters
from paris_assets.dag.store import Store
from paris_assets.models.batches import BatchStats
from paris_assets.storage.output import Output
from paris_assets.storage.reuse import reuse_rows

BATCH_ROWS = 65_536


def image_embeddings(store: Store, shard: str, curated: pl.LazyFrame) -> Output:
    """Embeddings of the shard's curated images."""
    stats = BatchStats()
    wanted = curated.select("image_id").sort("image_id").collect()
    output = Output(rows_in=wanted.height)

    def compute(missing: pl.DataFrame) -> Iterator[pl.DataFrame]:
        embedder = store.model(store.profile.embedder)
        yield from embed(store.images(shard, missing), embedder, stats=stats)
        output.facts["models"] = {"embedder": embedder.identity()}
        output.note_halved(stats.halved)

    output.rows = reuse_rows(wanted, store.previous_rows("image_embeddings", shard), compute)
    return output


def vectors(store: Store, shards: Sequence[str]) -> Iterator[Chunk]:
    """Image and, where the profile clusters on them, text vectors, shard by shard in bounded chunks."""
    text = "text" in store.profile.clusters.features
    for shard in shards:
        table = store.scan("image_embeddings", [shard])
        if text:
            pooled = store.scan("text_embeddings", [shard]).select("image_id", "pooled")
            table = table.join(pooled, on="image_id", how="left", maintain_order="left")
        for chunk in table.collect_batches(chunk_size=BATCH_ROWS, maintain_order=True):
            if chunk.height:
                ids = chunk["image_id"].to_list()
                yield ids, chunk["embedding"].to_numpy(), chunk["pooled"].to_numpy() if text else None


def _complete(store: Store, asset: str) -> list[str]:
    """Shards that have all that the asset reads under this profile."""
    return store.present(*(name for name in store.graph[asset].inputs if store.graph[name].partitioned))


def cluster_model(store: Store) -> Output:
    """The fit on all shards, or on ``max_train`` images chosen by hash when there are more."""
    profile, shards = store.profile, _complete(store, "cluster_model")
    ids = store.scan("image_embeddings", shards).select("image_id").collect()["image_id"]
    chosen = choose(ids, profile.clusters.max_train, profile.seed)
    matrix = collect(vectors(store, shards), chosen, profile.clusters)
    model = fit(matrix, profile.clusters, profile.seed, len(ids))
    facts = {key: value for key, value in model.statistics.items() if value is not None}
    return Output(rows=[model_frame(model)], rows_in=len(ids), facts={**facts, "shards": shards})


def cluster_assignments(store: Store, shard: str) -> Output:
    """Cluster and distances of the shard's images."""
    model = read_model(store.read("cluster_model"))
    frames = [
        assign(ids, join(ids, image, text, store.profile.clusters), model)
        for ids, image, text in vectors(store, [shard])
    ]
    empty = assign([], np.zeros((0, model.coarse.shape[1]), np.float32), model)
    rows = pl.concat([empty, *frames]).sort("image_id")
    sizes = {str(cluster): count for cluster, count in sorted(rows["cluster"].value_counts().iter_rows())}
    return Output(rows=[rows], rows_in=rows.height, facts={"images_per_cluster": sizes})


def cluster_report(store: Store) -> Output:
    """Figures of the clustering; pictures, charts and pages lie under ``analysis``."""
    profile, shards = store.profile, _complete(store, "cluster_report")
    settings, model = profile.clusters, read_model(store.read("cluster_model"))
    assignments = store.scan("cluster_assignments", shards)
    captions = store.scan("captions", shards).select("image_id", "caption")
    sample = choose(assignments.select("image_id").collect()["image_id"], settings.sample, profile.seed)
    matrix = collect(vectors(store, shards), sample, settings)
    quality = measure(matrix, sample_labels(assignments, sample), assignments, model, settings, profile.seed)
    known = {name: value for name, value in quality.figures.items() if value is not None}
    output = Output(
        rows_in=quality.figures["images"], facts={**known, "sizes": [row["images"] for row in quality.clusters]}
    )

    def write() -> Iterator[pl.DataFrame]:
        read = store.image_reader(shards)
        names = write_report(
            output.scratch, model, quality, assignments, captions, sample, matrix, read, settings, profile.seed
        )
        output.files.update({f"analysis/{name}": output.scratch / name for name in names})
        for name in (
            "cluster_map.png",
            "cluster_sizes.png",
            *(f"cluster_{number}_grid.png" for number in range(model.k)),
        ):
            output.show_picture(store.root, f"analysis/{name}", (output.scratch / name).read_bytes())
        output.display["report"] = output.link(store.root, "analysis/cluster_report.html")
        yield metrics_frame(quality)

    output.rows = write()
    return output


def cluster_values(store: Store) -> Output:
    """Value of every cluster, with its reason."""
    shards = store.present("captions", "cluster_assignments")
    assignments = store.scan("cluster_assignments", shards)
    captions = store.scan("captions", shards).select("image_id", "caption")
    rows = judge_clusters(assignments, captions, store.profile.clusters)
    low = rows.filter(value="low").height
    return Output(rows=[rows], rows_in=rows.height, facts={"low_value_clusters": low}, volatile=FIGURES)


def training_selection(store: Store, shard: str) -> Output:
    """The shard's images that go into training."""
    rows = select(store.read("cluster_assignments", shard), store.read("cluster_values"), store.profile.clusters)
    dropped = rows.filter(~pl.col("selected")).group_by("reason").len().sort("reason").rows()
    kept = int(rows["selected"].sum())
    return Output(rows=[rows], rows_in=rows.height, rejects=dict(dropped), facts={"kept": kept})
