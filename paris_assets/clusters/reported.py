"""The cluster report of a whole run: figures as a table, pictures and pages under ``analysis``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from paris_assets.clusters import map_points
from paris_assets.clusters.centroids import ClusterModel, read_model
from paris_assets.clusters.contents import sample_labels
from paris_assets.clusters.copies import asked, groups_of, near_copies, split_copies
from paris_assets.clusters.features import choose, collect, stored_vectors, vectors
from paris_assets.clusters.latent_features import pooled_latents
from paris_assets.clusters.learnability import learnability
from paris_assets.clusters.map_points import Mapped
from paris_assets.clusters.quality import measure, metrics_frame
from paris_assets.clusters.report import Told, write_report
from paris_assets.clusters.sweep import swept
from paris_assets.config import Profile
from paris_assets.storage.output import Output
from paris_assets.storage.shards import Shards
from paris_assets.vectors.plane import positions

GRIDS_SHOWN = 8
"""Clusters whose pictures stand beside the asset in the UI; the report has all."""


@dataclass(frozen=True)
class Read:
    """The tables that the report reads, of all shards, named as the assets are."""

    image_embeddings: Shards
    text_embeddings: Shards | None
    cluster_assignments: pl.LazyFrame
    captions: pl.LazyFrame
    curated_images: pl.LazyFrame
    latents: Shards


@dataclass(frozen=True)
class Sampled:
    """Images whose vectors the report holds.

    Attributes:
        image_ids: sorted.
        features: (n, D) float32, of ``features.collect``.
    """

    image_ids: list[str]
    features: np.ndarray

    def of(self, image_ids: Sequence[str]) -> np.ndarray:
        """The rows of some of them, in their order."""
        return self.features[np.searchsorted(self.image_ids, image_ids)]


def reported(
    read: Read,
    centroids: pl.DataFrame,
    file: Callable[[str], bytes],
    profile: Profile,
    account: Sequence[dict[str, Any]],
) -> Output:
    """Rows of `cluster_report` and the files beside it.

    Args:
        centroids: `cluster_model`.
        file: image_id -> file bytes.
        account: how rows of the source became these images, see ``report.write_report``.
    """
    settings, seed, assignments = profile.clusters, profile.seed, read.cluster_assignments
    model, every = read_model(centroids), assignments.select("image_id").collect()["image_id"]
    sample = choose(every, settings.sample, seed)
    probed = choose(every, settings.probe_sample, seed)
    mapped = map_points.chosen(assignments, sample, model.k)
    names = sorted({*sample, *probed, *mapped})
    held = Sampled(names, collect(vectors(read.image_embeddings, read.text_embeddings), names, settings))
    quality = measure(held.of(sample), sample_labels(assignments, sample), assignments, model, settings, seed)
    known = {name: value for name, value in quality.figures.items() if value is not None}
    sizes = [row["images"] for row in quality.clusters]
    places = model.placed(held.of(sample))
    sweep, found = swept(places, settings, seed), learnt(read, held, probed, len(every), profile)
    advised = {"recommended_k": sweep["k"]} if sweep else {}
    facts = {**known, **advised, "sizes": sizes, "learnability": found}
    output = Output(rows_in=quality.figures["images"], facts=facts)

    def write() -> Iterator[pl.DataFrame]:
        texts = read.captions.select("image_id", "caption")
        told = Told(account, found, _mapped(model, held, mapped, assignments, seed), sweep)
        files = write_report(
            output.scratch, model, quality, assignments, texts, sample, places, file, settings, seed, told
        )
        output.files.update({f"analysis/{name}": output.scratch / name for name in files})
        grids = [f"cluster_{number}_grid.png" for number in range(min(model.k, GRIDS_SHOWN))]
        for name in ("cluster_map.png", "cluster_sizes.png", *grids):
            output.pictures[f"analysis/{name}"] = (output.scratch / name).read_bytes()
        output.links["report"] = "analysis/cluster_report.html"
        yield metrics_frame(quality)

    output.rows = write()
    return output


def _mapped(model: ClusterModel, held: Sampled, image_ids: list[str], assignments: pl.LazyFrame, seed: int) -> Mapped:
    places = positions(model.placed(held.of(image_ids)), seed)
    return Mapped(image_ids, sample_labels(assignments, image_ids), places)


def learnt(read: Read, held: Sampled, probed: list[str], images: int, profile: Profile) -> dict[str, Any]:
    """``embeddings`` and ``latents`` of ``learnability``, and ``copies`` of ``split_copies`` with the ``cosine``.

    Args:
        held: at least the vectors of the images that probes are taught and judged by.
        probed: these, sorted.
        images: how many there are in all.
    """
    settings, seed, assignments = profile.clusters, profile.seed, read.cluster_assignments
    queries, least = asked(probed, images), settings.near_copy_cosine
    stored = stored_vectors(read.image_embeddings, probed)
    groups = assignments.select("image_id").join(read.curated_images.select("image_id", "group_id"), on="image_id")
    every = vectors(read.image_embeddings, None)
    copies = near_copies(every, queries, stored[: len(queries)], least, groups)
    latents = pooled_latents(read.latents, probed, f"latent_{profile.router_resolution}")
    labels, together = sample_labels(assignments, probed), groups_of(probed, stored, least, groups)
    return {
        **learnability(held.of(probed), labels, together, latents, seed),
        "copies": {"cosine": least, **split_copies(copies, assignments, len(queries))},
    }
