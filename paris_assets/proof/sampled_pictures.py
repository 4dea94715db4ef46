"""Latents sampled from noise and decoded beside real ones: what tiny networks have learnt, for the eye."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from paris_assets.models.batches import BatchStats, only, run_padded
from paris_assets.models.protocols import LatentCodec
from paris_assets.proof.measured import noise_of
from paris_assets.proof.networks import Networks
from paris_assets.proof.written import Written
from paris_assets.settings.training_probe import TrainingProbe
from paris_assets.training.tiny_flow import sampled

KINDS = ("real", "routed", "monolith")
"""Held-out latents; those sampled by the two likeliest experts of each step; by the monolith. From the same noise."""


@torch.inference_mode()
def sampled_latents(
    written: Written, rows: np.ndarray, networks: Networks, settings: TrainingProbe, seed: int
) -> dict[str, np.ndarray]:
    """Kind -> (n, channels, side, side) float32 latents as they are stored.

    Args:
        rows: (n,) positions of the held-out images to show, whose captions are taken where networks take text.
    """
    real = written.latents[rows]
    text = None if written.text is None else written.text[rows]
    shape = tuple(real.shape[1:])
    noise = torch.from_numpy(np.stack([noise_of(written.image_ids[row], 0, shape, seed + 1) for row in rows]))

    def routed(noisy: Tensor, t: Tensor) -> Tensor:
        best = networks.router(noisy, t).softmax(1).topk(min(2, len(networks.experts)), 1)
        weights = best.values / best.values.sum(1, keepdim=True)
        found = torch.zeros_like(noisy)
        for number, expert in enumerate(networks.experts):
            for image, place in (best.indices == number).nonzero().tolist():
                part = slice(image, image + 1)
                words = None if text is None else text[part]
                found[part] += weights[image, place] * expert(noisy[part], t[part], words)
        return found

    def alone(noisy: Tensor, t: Tensor) -> Tensor:
        return networks.monolith(noisy, t, text)

    made = {name: sampled(of, noise, settings.sampling_steps) for name, of in (("routed", routed), ("monolith", alone))}
    return {"real": real.numpy(), **{name: networks.scale.undone(latents).numpy() for name, latents in made.items()}}


def decoded(latents: dict[str, np.ndarray], codec: LatentCodec, batch: int) -> dict[str, list[np.ndarray]]:
    """Kind -> (height, width, 3) uint8 of each latent."""
    found = {}
    for name, values in latents.items():
        parts = [values[at : at + batch] for at in range(0, len(values), batch)]
        runs = [run_padded(codec.name, only(codec.decode), batch, BatchStats(), part)[0] for part in parts]
        found[name] = [picture for run in runs for picture in run]
    return found
