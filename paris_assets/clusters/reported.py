"""The cluster report of a whole run: figures as a table, pictures and pages under ``analysis``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import polars as pl

from paris_assets.clusters.centroids import read_model
from paris_assets.clusters.contents import sample_labels
from paris_assets.clusters.features import Chunk, choose, collect
from paris_assets.clusters.quality import measure, metrics_frame
from paris_assets.clusters.report import write_report
from paris_assets.clusters.sweep import swept
from paris_assets.config import Clusters
from paris_assets.storage.output import Output


def reported(
    vectors: Iterable[Chunk],
    centroids: pl.DataFrame,
    assignments: pl.LazyFrame,
    captions: pl.LazyFrame,
    read: Callable[[str], bytes],
    settings: Clusters,
    seed: int,
    account: Sequence[dict[str, Any]],
) -> Output:
    """Rows of `cluster_report` and the files beside it.

    Args:
        vectors: of all shards.
        centroids: `cluster_model`.
        assignments: `cluster_assignments` of all shards.
        captions: `captions` of all shards.
        read: image_id -> file bytes.
        account: how rows of the source became these images, see ``report.write_report``.
    """
    model = read_model(centroids)
    sample = choose(assignments.select("image_id").collect()["image_id"], settings.sample, seed)
    matrix = collect(vectors, sample, settings)
    quality = measure(matrix, sample_labels(assignments, sample), assignments, model, settings, seed)
    known = {name: value for name, value in quality.figures.items() if value is not None}
    sizes = [row["images"] for row in quality.clusters]
    places = model.placed(matrix)
    sweep = swept(places, settings, seed)
    advised = {"recommended_k": sweep["k"]} if sweep else {}
    output = Output(rows_in=quality.figures["images"], facts={**known, **advised, "sizes": sizes})

    def write() -> Iterator[pl.DataFrame]:
        texts = captions.select("image_id", "caption")
        names = write_report(
            output.scratch, model, quality, assignments, texts, sample, places, read, settings, seed, account, sweep
        )
        output.files.update({f"analysis/{name}": output.scratch / name for name in names})
        grids = [f"cluster_{number}_grid.png" for number in range(model.k)]
        for name in ("cluster_map.png", "cluster_sizes.png", *grids):
            output.pictures[f"analysis/{name}"] = (output.scratch / name).read_bytes()
        output.links["report"] = "analysis/cluster_report.html"
        yield metrics_frame(quality)

    output.rows = write()
    return output
