"""The cluster model of all shards, and what it says of one of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from paris_assets.clusters.assignment import assign
from paris_assets.clusters.centroids import ClusterModel, model_frame, read_model
from paris_assets.clusters.features import choose, chosen_vectors, collect, join, vectors
from paris_assets.clusters.kmeans import fit
from paris_assets.clusters.numbers import numbered_as
from paris_assets.compute import Compute
from paris_assets.config import Clusters
from paris_assets.storage.output import Output
from paris_assets.storage.shards import Shards


def fitted(
    images: Shards, texts: Shards | None, settings: Clusters, seed: int, compute: Compute | None = None
) -> Output:
    """`cluster_model`, fitted on all shards, or on ``settings.max_train`` images chosen by hash when there are more.

    With ``settings.keep_numbers`` clusters are numbered after those of the model that stands, if there is one.

    Args:
        images: `image_embeddings`.
        texts: `text_embeddings` where the settings cluster on text.
        compute: who does the work; by default the threads of this process.
    """
    output, compute = Output(facts={"shards": list(images.keys)}), compute or Compute()

    def rows(standing: pl.LazyFrame | None) -> Iterator[pl.DataFrame]:
        ids = images.frame().select("image_id").collect()["image_id"]
        chosen = choose(ids, settings.max_train, seed)
        matrix = collect(chosen_vectors(images, texts, chosen, compute), chosen, settings, output.scratch)
        model = fit(matrix, settings, seed, len(ids), compute)
        kept = model if standing is None else numbered_as(model, read_model(standing.collect()), matrix)
        output.rows_in = len(ids)
        output.facts |= _facts(kept)
        yield model_frame(kept)

    output.rows = rows if settings.keep_numbers else rows(None)
    return output


def _facts(model: ClusterModel) -> dict[str, Any]:
    return {key: value for key, value in model.statistics.items() if value is not None}


def assigned(images: pl.LazyFrame, texts: pl.LazyFrame | None, centroids: pl.DataFrame, settings: Clusters) -> Output:
    """`cluster_assignments` of one shard.

    Args:
        images: its `image_embeddings`.
        texts: its `text_embeddings` where the settings cluster on text.
        centroids: `cluster_model`.
    """
    model = read_model(centroids)
    shard = Shards.of({"": images}), None if texts is None else Shards.of({"": texts})
    frames = [assign(ids, join(ids, image, text, settings), model) for ids, image, text in vectors(*shard)]
    empty = assign([], np.zeros((0, model.dimensions), np.float32), model)
    rows = pl.concat([empty, *frames]).sort("image_id")
    sizes = {str(cluster): count for cluster, count in sorted(rows["cluster"].value_counts().iter_rows())}
    return Output(rows=[rows], rows_in=rows.height, facts={"images_per_cluster": sizes})
