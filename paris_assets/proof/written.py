"""What was written, as the networks of the proof take it: nothing but published files is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from paris_assets.errors import UsageError
from paris_assets.training.expert_batches import ExpertBatches
from paris_assets.training.prompt import read_prompt
from paris_assets.training.router_arrays import RouterArrays
from paris_assets.training.router_batches import RouterBatches
from paris_assets.training.samples import ExpertSamples

ROWS = 64
FIELDS = ("group_id", "upscaled")


@dataclass(frozen=True)
class Written:
    """Samples of experts and the router's rows of the same images, sorted by image_id.

    Attributes:
        clusters: of each expert; experts are numbered in this order.
        image_ids, groups: of each image.
        experts: (N,) int64, number of its expert.
        upscaled: (N,) bool.
        latents: (N, channels, side, side) float32, as samples of experts hold them.
        router_latents, router_experts: the same by the router's arrays.
        text: (N, dim) mean of the true token embeddings, and ``no_text`` (dim,) of the empty prompt; None: not read.
        version: of the manifest.
    """

    clusters: list[int]
    image_ids: list[str]
    groups: list[str]
    experts: np.ndarray
    upscaled: np.ndarray
    latents: Tensor
    router_latents: Tensor
    router_experts: np.ndarray
    text: Tensor | None
    no_text: Tensor | None
    version: str | None


def read_written(
    where: str, samples: Mapping[int, int], resolution: int | None, most: int, text: bool, cache: Path
) -> Written:
    """Of each expert the first images by image_id, in number as its share.

    Args:
        where: the root, a path or an fsspec URL.
        samples: cluster -> samples that it has; those without any are no experts.
        resolution: of the latents, the router's; None: the smallest.
        most: images of all experts together.
        text: whether to read captions.
        cache: folder for copies of remote arrays.

    Raises:
        MissingFiles, CorruptSample, BadArrays, UsageError: what was written cannot be read.
    """
    clusters = sorted(cluster for cluster, count in samples.items() if count)
    share = min(1.0, most / max(sum(samples.values()), 1))
    parts, rows, prompt, version = list[Tensor](), list[tuple[str, str, int, bool]](), None, None
    texts = list[Tensor]()
    for expert, cluster in enumerate(clusters):
        found = ExpertSamples(where, cluster, resolution=resolution)
        prompt = _mean_prompt(found) if text and prompt is None else prompt
        version = found.place.place.manifest.get("version")
        order = np.argsort(found.rows["image_id"], kind="stable")[: max(1, round(share * len(found)))]
        batches = ExpertBatches(found, fields=FIELDS, dtype=torch.float32)
        for at in range(0, len(order), ROWS):
            numbers = order[at : at + ROWS]
            batch = batches.batch(numbers, np.zeros(len(numbers), np.int64))
            parts.append(batch["latent"])
            known = zip(batch["image_id"], batch["group_id"], batch["upscaled"].tolist(), strict=True)
            rows += [(image_id, group, expert, bool(enlarged)) for image_id, group, enlarged in known]
            if text:
                mask = batch["mask"][:, :, None]
                texts.append((batch["text"] * mask).sum(1) / mask.sum(1).clamp(min=1))
    order = sorted(range(len(rows)), key=lambda row: rows[row][0])
    image_ids, groups, experts, upscaled = zip(*(rows[row] for row in order), strict=True)
    router_latents, router_labels = _router_rows(where, image_ids, cache)
    numbers = {cluster: number for number, cluster in enumerate(clusters)}
    if stray := [name for name, label in zip(image_ids, router_labels, strict=True) if label not in numbers]:
        raise UsageError(
            f"the router's arrays name experts without samples for {len(stray)} images, {stray[0]} first: "
            "`paris verify` says what else is wrong; `paris run` makes it again"
        )
    return Written(
        clusters,
        list(image_ids),
        list(groups),
        np.array(experts),
        np.array(upscaled),
        torch.cat(parts)[order],
        router_latents,
        np.array([numbers[label] for label in router_labels]),
        torch.cat(texts)[order] if text else None,
        prompt,
        version,
    )


def _router_rows(where: str, image_ids: tuple[str, ...], cache: Path) -> tuple[Tensor, list[int]]:
    """Latents and labels of images, sorted by name, by the router's arrays, which may have millions of others."""
    arrays, wanted = RouterArrays(where, cache=cache), np.array(image_ids, "S")
    at = np.searchsorted(wanted, arrays.image_ids).clip(max=len(wanted) - 1)
    rows = np.flatnonzero(wanted[at] == arrays.image_ids)
    places = dict(zip(at[rows].tolist(), rows.tolist(), strict=True))
    missing = [name for number, name in enumerate(image_ids) if number not in places]
    if missing:
        raise UsageError(
            f"{len(missing)} samples of experts are not in the router's arrays, {missing[0]} first: "
            "`paris verify` says what else is wrong; `paris run` makes it again"
        )
    numbers = np.array([places[number] for number in range(len(image_ids))])
    batches = RouterBatches(arrays, dtype=torch.float32)
    found = [batches.batch(part, part) for part in np.split(numbers, range(ROWS, len(numbers), ROWS))]
    return torch.cat([batch["latent"] for batch in found]), torch.cat([batch["label"] for batch in found]).tolist()


def _mean_prompt(samples: ExpertSamples) -> Tensor:
    prompt = read_prompt(samples)
    return torch.from_numpy(prompt.text[: prompt.tokens].astype(np.float32).mean(0))
