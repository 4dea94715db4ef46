"""The experiments: experts of clusters, experts of a random partition, and one network on less of the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import polars as pl
import torch

from paris_assets.clusters.selection import select
from paris_assets.clusters.values import valued
from paris_assets.config import Clusters
from paris_assets.errors import UsageError
from paris_assets.models.threads import each_on_its_own
from paris_assets.proof.findings import Measured, figures_of
from paris_assets.proof.measured import measured
from paris_assets.proof.networks import AT_WIDTH, RATE, Networks, Scale
from paris_assets.proof.proved import trained_and_measured
from paris_assets.proof.statistics import Bootstrap
from paris_assets.settings.training_probe import TrainingProbe
from paris_assets.training.tiny_dit import TinyDitConfig
from paris_assets.training.tiny_flow import Known, Steps, train_flow, untrained
from tools.proof.base import Base, with_experts

FRACTIONS = (0.5, 0.2)
KEPT = ("near", "far", "random")


def probed(base: Base, labels: np.ndarray, settings: TrainingProbe, seed: int) -> tuple[pl.DataFrame, dict[str, Any]]:
    """The table and figures of `training_probe` for experts of these labels (N,).

    Pieces of a photo are alike, and the permutation test takes images for independent: ``one_per_photo`` has it, and
    own against other experts, of one piece of each held-out photo.

    Raises:
        UsageError: an expert has pieces of held-out photos alone.
    """
    if untaught := sorted(set(labels.tolist()) - set(labels[base.train].tolist())):
        raise UsageError(
            f"of {len(np.unique(labels))} experts {', '.join(map(str, untaught))} have pieces of held-out photos alone "
            "and nothing to train on: give more photos, or smaller numbers of --k"
        )
    written = with_experts(base.written, labels)
    table, known, _ = trained_and_measured(written, base.folds, settings, seed)
    first = table.filter(pl.col("image_id") == pl.col("image_id").min().over("group_id"))
    all_pieces, one = (figures_of(rows, known, settings.confidence, seed) for rows in (table, first))
    alone = {name: one[name] for name in ("held_out", "diagonal", "own_below_others")}
    return table, {**known, **all_pieces, "one_per_photo": alone, "sizes": np.bincount(labels).tolist()}


def at_random(labels: np.ndarray, seed: int) -> np.ndarray:
    """A random partition with parts of the same sizes."""
    return np.random.default_rng([seed, 9]).permutation(labels)


def against_random(
    clusters: tuple[pl.DataFrame, Mapping[str, Any]], random: tuple[pl.DataFrame, Mapping[str, Any]], seed: int
) -> dict[str, Any]:
    """How far losses with clusters lie below those with the random partition, as shares of the latter, on the same
    images at the same noise: ``own`` experts and ``top_1``, ``top_2``, ``full`` mixtures."""
    found, other = (Measured.of(table, figures["clusters"]) for table, figures in (clusters, random))
    drawn = Bootstrap(found.groups, found.own, clusters[1]["confidence"], seed)
    losses = {
        name: (found.losses[name].mean(1), other.losses[name].mean(1)) for name in ("own", "top_1", "top_2", "full")
    }
    return {name: vars(drawn.ratio(there - here, there)) for name, (here, there) in losses.items()}


def kept_rows(base: Base, assignments: pl.DataFrame, fraction: float, keep: str, seed: int) -> np.ndarray:
    """Positions of what pruning leaves of each cluster's training images: those nearest to its centroid, farthest from
    it (`clusters.keep_fraction`, `clusters.prefer`), or as many at random."""
    rows = assignments[base.train]
    settings = Clusters(
        k=int(assignments["cluster"].n_unique()),
        keep_fraction=fraction,
        prefer="far" if keep == "far" else "near",
        min_images=1,
        min_caption_diversity=0,
    )
    no_captions = pl.DataFrame(schema={"image_id": pl.String, "caption": pl.String})
    kept = select(rows, valued(rows, no_captions, settings), settings)["selected"].to_numpy()
    if keep == "random":
        drawn = np.random.default_rng([seed, 10])
        labels, chosen = rows["cluster"].to_numpy(), np.zeros(len(rows), bool)
        for cluster in np.unique(labels):
            own = np.flatnonzero(labels == cluster)
            chosen[drawn.choice(own, int(kept[own].sum()), replace=False)] = True
        kept = chosen
    return base.train[kept]


def pruned(base: Base, assignments: pl.DataFrame, settings: TrainingProbe, steps: int, seed: int) -> dict[str, Any]:
    """One network for all training images and one for each way of pruning them, of one start and equal steps.

    They are measured as if they were experts, for the same noise.

    Args:
        assignments: of `clustered`, whose distances say what is near.
        steps: of each network.
    """
    chosen = {"all": base.train} | {
        f"{keep} {fraction:.0%}": kept_rows(base, assignments, fraction, keep, seed)
        for fraction in FRACTIONS
        for keep in KEPT
    }
    scale = Scale.of(base.written.latents[base.train])
    latents = scale.applied(base.written.latents)
    _, channels, side, _ = latents.shape
    form = {"patches": settings.patches, "width": settings.width, "depth": settings.depth}
    start = untrained(TinyDitConfig(channels, side, **form), seed)
    router = untrained(TinyDitConfig(channels, side, **form, classes=len(chosen)), seed)
    taken = Steps(steps, settings.batch, RATE * AT_WIDTH / settings.width)
    known = [Known(latents[torch.from_numpy(rows)]) for rows in chosen.values()]
    trained = each_on_its_own(partial(train_flow, start, each, taken, seed + 1) for each in known)
    experts = [each.network for each in trained]
    networks = Networks(scale, start, experts[0], experts[0], experts, router, router, {})
    as_one = replace(with_experts(base.written, np.zeros(len(latents))), clusters=list(range(len(chosen))))
    table = measured(as_one, base.held_out, networks, 0, settings.draws, seed)
    losses = table.select("image_id", pl.col("experts").list.to_struct(fields=list(chosen))).unnest("experts")
    means = losses.group_by("image_id").mean().sort("image_id")
    groups = np.array(base.written.groups)[base.held_out]
    drawn = Bootstrap(groups, assignments["cluster"].to_numpy()[base.held_out], settings.confidence, seed)
    return {
        "steps": steps,
        "weights": sum(weight.numel() for weight in start.parameters()),
        "networks": {
            name: {
                "images": len(rows),
                "loss": vars(drawn.of(means[name].to_numpy())),
                "below_all": _below(drawn, means, name, "all"),
                "below_random": _below(drawn, means, name, f"random {name.partition(' ')[2]}"),
            }
            for name, rows in chosen.items()
        },
    }


def _below(drawn: Bootstrap, means: pl.DataFrame, name: str, other: str) -> dict[str, float] | None:
    """How far losses lie below others, as a share of these."""
    if other not in means.columns or other == name:
        return None
    values, others = (means[each].to_numpy() for each in (name, other))
    return vars(drawn.ratio(others - values, others))
