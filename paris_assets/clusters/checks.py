"""Judgement on embeddings and clusters."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from paris_assets.clusters.learnt_said import confused_said, copies_said, probed_said
from paris_assets.config import Profile
from paris_assets.dag.checks import CheckOutcome, Figures, all_check, make_again, shard_check
from paris_assets.dag.joins import same_images
from paris_assets.dag.moments import scale
from paris_assets.dag.records import Record, Records
from paris_assets.dag.vectors import vector_figures, vector_problems, vectors_said
from paris_assets.settings.checks import Checks
from paris_assets.storage.shards import Shards

SMALL, SURE = 200, 3
"""Images below which a failure is a warning; standard errors by which the worst of many pairs is beyond a bound."""
UNEVEN = 1.5
"""Times an equal share that the largest cluster may hold in any case."""
DRIFTS = {
    "share": "of later shards the split between clusters is",
    "distance": "their mean distance to the own centroid is",
    "boundary": "their share at a boundary is",
}


def embeddings_sane(
    shard: str, curated_images: pl.LazyFrame, image_embeddings: pl.LazyFrame, bounds: Checks
) -> CheckOutcome:
    """Image embeddings are one per curated image, finite, of sane scale, and differ between images."""
    joined = same_images("image_embeddings", shard, image_embeddings, curated_images)
    found = scale(image_embeddings, "embedding")
    problems = [joined.said] if not joined.passed else []
    problems += vector_problems(found, bounds, found.rows > 1)
    if found.rows > found.not_finite and found.smallest_norm == 0:
        problems.append("a vector is all zeros")
    advice = make_again("image_embeddings", shard) if not joined.passed else "Look at embedder: weights, precision."
    return CheckOutcome.of(problems, vectors_said(found), vector_figures(found, bounds), advice)


def ids_joined(
    shard: str, image_embeddings: pl.LazyFrame, cluster_assignments: pl.LazyFrame, profile: Profile
) -> CheckOutcome:
    """Every embedded image is assigned to exactly one cluster that the model has."""
    joined = same_images("cluster_assignments", shard, cluster_assignments, image_embeddings)
    k = profile.clusters.k
    outside = cluster_assignments.select((~pl.col("cluster").is_between(0, k - 1).fill_null(False)).sum())
    unknown = int(outside.collect().item() or 0)
    problems = [joined.said] if not joined.passed else []
    if unknown:
        problems.append(f"{unknown} images are in clusters outside 0 to {k - 1}")
    return CheckOutcome.of(problems, joined.said, {**joined.figures, "outside": unknown}, joined.advice)


def silhouette(record: Record, profile: Profile) -> CheckOutcome:
    """Mean silhouette (cosine) is above its bound: images are nearer to their own cluster than to the next."""
    found, least = record.facts.get("silhouette"), profile.checks.min_silhouette
    if found is None:
        said = "silhouette is undefined: it needs two clusters that hold images, one of them more than one"
        return CheckOutcome(profile.clusters.k == 1, said, {}, "Lower clusters.k.")
    value = float(found)
    said = f"mean silhouette {value:.3f}, at least {least:g} expected"
    advice = "Images are no nearer to their own cluster than to the next: try another clusters.k or embedder."
    return CheckOutcome(value >= least, said, {"silhouette": value, "checks.min_silhouette": least}, advice)


def smallest_cluster(record: Record, bounds: Checks) -> CheckOutcome:
    """The smallest cluster holds enough of the images to train an expert."""
    sizes, least = _sizes(record), bounds.min_share
    share = min(sizes) / max(sum(sizes), 1)
    said = f"cluster {sizes.index(min(sizes))} holds {min(sizes)} of {sum(sizes)} images ({share:.1%}), "
    said += f"at least {least:.1%} expected"
    advice = f"Fewer experts: `paris run --set clusters.k={max(1, len(sizes) - 1)}`."
    return CheckOutcome(share >= least, said, {"share": share, "checks.min_share": least}, advice)


def largest_cluster(record: Record, bounds: Checks) -> CheckOutcome:
    """The largest cluster does not hold too many of the images; of two, three quarters are not too many."""
    sizes = _sizes(record)
    most = max(bounds.max_share, min(1.0, UNEVEN / len(sizes)))
    share = max(sizes) / max(sum(sizes), 1)
    said = f"cluster {sizes.index(max(sizes))} holds {max(sizes)} of {sum(sizes)} images ({share:.1%}), "
    said += f"at most {most:.1%} expected"
    advice = f"One expert would learn too much: `paris run --set clusters.max_share={most:g}` caps it."
    return CheckOutcome(share <= most, said, {"share": share, "checks.max_share": most}, advice)


def dead_clusters(record: Record) -> CheckOutcome:
    """Every cluster holds images."""
    sizes = _sizes(record)
    dead = [str(number) for number, size in enumerate(sizes) if size == 0]
    problems = [f"{len(dead)} of {len(sizes)} clusters hold no images: {', '.join(dead)}"] if dead else []
    advice = f"Fewer experts: `paris run --set clusters.k={max(1, len(sizes) - len(dead))}`."
    return CheckOutcome.of(problems, f"all {len(sizes)} clusters hold images", {"dead": len(dead)}, advice)


def boundary(record: Record, bounds: Checks) -> CheckOutcome:
    """Not too many images lie between two clusters (d2 / d1 < 1.2, Euclidean distances in the fitted space)."""
    value, most = float(record.facts["boundary_fraction"]), bounds.max_boundary
    said = f"{value:.1%} of images lie at a boundary, at most {most:.0%} expected"
    advice = "The router will find them hard: try a smaller clusters.k or another embedder."
    return CheckOutcome(value <= most, said, {"boundary": value, "checks.max_boundary": most}, advice)


def like_fitted_shards(cluster_assignments: Shards, records: Records, bounds: Checks) -> CheckOutcome:
    """Shards that came after the fit fall into the clusters as those that it was made of do: in the same shares, as
    near to their centroids, and no more of them at a boundary. If not, a new fit is due.
    """
    from paris_assets.clusters.drift import drifts

    model = records.one("cluster_model")
    known = set(model.facts["shards"]) if model else set()
    fitted, later = ([key for key in cluster_assignments.keys if (key in known) == side] for side in (True, False))
    if not fitted or not later:
        return CheckOutcome(True, "the model was fitted on all shards that there are")
    scan = cluster_assignments.scan
    most = {
        "share": bounds.max_share_drift,
        "distance": bounds.max_distance_drift,
        "boundary": bounds.max_boundary_drift,
    }
    found = drifts(scan(fitted), scan(later))
    problems = [
        f"{DRIFTS[one.name]} {one.apart:.1%} from that of the shards fitted on, at most {most[one.name]:.1%} expected, "
        f"and {one.chance:.1%} more by chance"
        for one in found
        if one.apart > most[one.name] + one.chance
    ]
    figures: Figures = {f"{one.name}_drift": one.apart for one in found}
    figures |= {f"checks.max_{name}_drift": bound for name, bound in most.items()} | {"later_shards": len(later)}
    advice = (
        "A new fit is due: `paris run --from cluster_model`; with clusters.keep_numbers experts keep their numbers."
    )
    good = f"{len(later)} shards that came after the fit are like the {len(fitted)} that it was made of"
    return CheckOutcome.of(problems, good, figures, advice)


def embeddings_tell_clusters(record: Record, bounds: Checks) -> CheckOutcome:
    """A linear probe tells clusters by what was clustered, of images that it has not seen, nor near copies of: far
    better than chance."""
    advice = "Labels that do not belong to the vectors look like this: make cluster_assignments again."
    return _told_apart(record, "embeddings", "min_embedding_accuracy", bounds, advice)


def latents_tell_clusters(record: Record, bounds: Checks) -> CheckOutcome:
    """A linear or a small probe tells clusters by latents, which are all that a router sees, better than chance."""
    advice = "The router would not learn these clusters: try another clusters.k or embedder."
    return _told_apart(record, "latents", "min_latent_accuracy", bounds, advice)


def clusters_not_confused(record: Record, bounds: Checks) -> CheckOutcome:
    """No two clusters are taken for each other by a linear probe of what was clustered, as halves of one would be."""
    found, most = record.facts["learnability"]["embeddings"], bounds.max_confusion
    if "refused" in found:
        return _refused(record, found)
    worst = max(found["confused"], key=lambda pair: pair["share"] - SURE * pair["error"], default=None)
    share, error = (worst["share"], worst["error"]) if worst else (0.0, 0.0)
    figures: Figures = {"share": share, "error": error, "checks.max_confusion": most}
    said = f"{confused_said(worst)}, at most {most:.0%} expected and {SURE * error:.1%} more by chance"
    advice = "Where like images are cut into two clusters, two experts learn the same: try a smaller clusters.k."
    return CheckOutcome(share <= most + SURE * error, said, figures, advice, warns=_few(found))


def copies_together(record: Record, bounds: Checks) -> CheckOutcome:
    """Near copies lie in one cluster: else what one expert is held out from, another is trained on."""
    found, most = record.facts["learnability"]["copies"], bounds.max_split_copies
    if not found["images"]:
        return CheckOutcome(True, copies_said(found), {"copies": 0})
    share = found["split_images"] / found["images"]
    chance = 2 * (most * (1 - most) / found["images"]) ** 0.5
    said = f"{copies_said(found)}; {share:.1%}, at most {most:.0%} expected and {chance:.1%} more by chance"
    counts: Figures = {"copies": found["images"], "pairs": found["pairs"]}
    figures: Figures = {"share": share, **counts, "checks.max_split_copies": most}
    advice = "Drop copies before the fit (duplicates.vectors, copy_embedder), or try a smaller clusters.k."
    return CheckOutcome(share <= most + chance, said, figures, advice, warns=found["images"] < SMALL)


def _told_apart(record: Record, what: str, bound: str, bounds: Checks, advice: str) -> CheckOutcome:
    found, least = record.facts["learnability"][what], getattr(bounds, bound)
    if "refused" in found:
        return _refused(record, found)
    best, chance = found["probes"][found["best"]], found["chance"]
    reached = (best["accuracy"] - chance) / (1 - chance)
    said = f"{probed_said(found)}: {reached:.0%} of the way from chance to perfect, at least {least:.0%} expected"
    if _few(found):
        visible = f"no accuracy below {found['visible']:.1%} can be told from chance"
        said += f"; few data ({found['images']} images): {visible}"
    figures: Figures = {"balanced_accuracy": best["accuracy"], "chance": chance, f"checks.{bound}": least}
    sure = best["low"] > chance and best["accuracy"] > found["permuted"]  # which few data cannot show
    return CheckOutcome(reached >= least and (sure or _few(found)), said, figures, advice, warns=_few(found))


def _refused(record: Record, found: Mapping[str, Any]) -> CheckOutcome:
    """Nothing could be judged: no fault of a single cluster, and of more a warning."""
    said = f"no probe could be taught: {found['refused']}"
    return CheckOutcome(record.facts["k"] == 1, said, {}, "Add images, or lower clusters.k.", warns=True)


def _few(found: Mapping[str, Any]) -> bool:
    return found["images"] < SMALL


def _sizes(report: Record) -> list[int]:
    return [int(size) for size in report.facts["sizes"]]


image_embeddings_check = shard_check("image_embeddings")(embeddings_sane)
assignment_ids_check = shard_check("cluster_assignments")(ids_joined)
silhouette_check = all_check("cluster_report")(silhouette)
smallest_cluster_check = all_check("cluster_report")(smallest_cluster)
largest_cluster_check = all_check("cluster_report")(largest_cluster)
dead_clusters_check = all_check("cluster_report")(dead_clusters)
boundary_check = all_check("cluster_report")(boundary)
embeddings_told_check = all_check("cluster_report")(embeddings_tell_clusters)
latents_told_check = all_check("cluster_report")(latents_tell_clusters)
confusion_check = all_check("cluster_report")(clusters_not_confused)
copies_check = all_check("cluster_report")(copies_together)
drift_check = all_check("cluster_report")(like_fitted_shards)
