"""Judgement on embeddings and clusters."""

from __future__ import annotations

import polars as pl

from paris_assets.storage.asset_check import Judgement, all_check, shard_check
from paris_assets.storage.invariants import MissingInput
from paris_assets.storage.joins import same_images
from paris_assets.storage.moments import scale
from paris_assets.storage.records import Record
from paris_assets.storage.store import Store


def embeddings_sane(store: Store, shard: str) -> Judgement:
    """Image embeddings are one per curated image, finite, of sane scale, and differ between images."""
    joined = same_images(store, "image_embeddings", shard, store.scan("curated_images", [shard]))
    found, bounds = scale(store.scan("image_embeddings", [shard]), "embedding"), store.profile.checks
    zero = found.rows > 0 and found.smallest_norm == 0
    flat = found.rows > 1 and found.spread < bounds.min_embedding_std
    large = found.largest_norm > bounds.max_embedding_norm
    said = (
        f"{joined.said}; {found.not_finite} rows not finite, norms {found.smallest_norm:.3g} to "
        f"{found.largest_norm:.3g} (at most {bounds.max_embedding_norm:g}), mean deviation {found.spread:.3g}"
    )
    figures: dict[str, float | int | str] = {
        "not_finite": found.not_finite,
        "largest_norm": found.largest_norm,
        "deviation": found.spread,
    }
    return Judgement(joined.passed and not (found.not_finite or zero or flat or large), said, figures)


def ids_joined(store: Store, shard: str) -> Judgement:
    """Every embedded image is assigned to exactly one cluster that the model has."""
    joined = same_images(
        store, "cluster_assignments", shard, store.scan("image_embeddings", [shard]).select("image_id")
    )
    k = store.profile.clusters.k
    outside = store.scan("cluster_assignments", [shard]).select((~pl.col("cluster").is_between(0, k - 1)).sum())
    unknown = int(outside.collect().item() or 0)
    return Judgement(
        joined.passed and not unknown, f"{joined.said}; {unknown} in clusters outside 0..{k - 1}", joined.figures
    )


def silhouette(store: Store, shard: str) -> Judgement:
    """Mean silhouette (cosine) is above its bound: images are nearer to their own cluster than to the next."""
    found, least = _report(store).facts.get("silhouette"), store.profile.checks.min_silhouette
    if found is None:
        said = "silhouette is undefined: it needs two clusters that hold images, one of them more than one"
        return Judgement(store.profile.clusters.k == 1, said)
    value = float(found)
    return Judgement(
        value >= least, f"silhouette {value:.3f} (at least {least:g})", {"silhouette": value, "bound": least}
    )


def smallest_cluster(store: Store, shard: str) -> Judgement:
    """The smallest cluster holds enough of the images to train an expert."""
    sizes, least = _sizes(store), store.profile.checks.min_share
    share = min(sizes) / max(sum(sizes), 1)
    said = f"smallest cluster {min(sizes)} of {sum(sizes)} images, {share:.1%} (at least {least:.1%})"
    return Judgement(share >= least, said, {"share": share, "bound": least})


def largest_cluster(store: Store, shard: str) -> Judgement:
    """The largest cluster does not hold too many of the images."""
    sizes, most = _sizes(store), store.profile.checks.max_share
    share = max(sizes) / max(sum(sizes), 1)
    said = f"largest cluster {max(sizes)} of {sum(sizes)} images, {share:.1%} (at most {most:.1%})"
    return Judgement(len(sizes) == 1 or share <= most, said, {"share": share, "bound": most})


def dead_clusters(store: Store, shard: str) -> Judgement:
    """Every cluster holds images."""
    sizes = _sizes(store)
    dead = [number for number, size in enumerate(sizes) if size == 0]
    return Judgement(
        not dead, f"{len(dead)} of {len(sizes)} clusters hold no images: {dead or 'none'}", {"dead": len(dead)}
    )


def boundary(store: Store, shard: str) -> Judgement:
    """Not too many images lie between two clusters (d2 / d1 < 1.2, Euclidean distances in the fitted space)."""
    value, most = float(_report(store).facts["boundary_fraction"]), store.profile.checks.max_boundary
    return Judgement(
        value <= most,
        f"{value:.1%} of images lie at a boundary (at most {most:.0%})",
        {"boundary": value, "bound": most},
    )


def _report(store: Store) -> Record:
    record = store.record("cluster_report")
    if record is None:
        raise MissingInput("cluster_report has not been made: materialise it first")
    return record


def _sizes(store: Store) -> list[int]:
    return [int(size) for size in _report(store).facts["sizes"]]


image_embeddings_check = shard_check("image_embeddings")(embeddings_sane)
assignment_ids_check = shard_check("cluster_assignments")(ids_joined)
silhouette_check = all_check("cluster_report")(silhouette)
smallest_cluster_check = all_check("cluster_report")(smallest_cluster)
largest_cluster_check = all_check("cluster_report")(largest_cluster)
dead_clusters_check = all_check("cluster_report")(dead_clusters)
boundary_check = all_check("cluster_report")(boundary)
