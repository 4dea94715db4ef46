"""Image-text scores of the pool: small contrastive pairs of linear maps, each asked only about photos it never saw."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn.functional import cross_entropy, normalize

FOLDS, STEPS, BATCH, DIM = 5, 60, 128, 64  # more steps learn the photos by heart
TEMPERATURE, LEARNING_RATE, DECAY = 0.1, 2e-3, 0.02


def held_out_scores(images: np.ndarray, texts: np.ndarray, photos: np.ndarray, clean: np.ndarray) -> np.ndarray:
    """Cosine of image and text for each row, by maps that were trained without any row of its photo.

    Args:
        images: (N, D) float32 vectors of the rows' images.
        texts: (N, E) float32 vectors of their captions.
        photos: (N,) number of the photo that each row's image is made of.
        clean: (N,) whether the row may be trained on.

    Returns:
        (N,) float32 in -1..1.
    """
    scores = np.empty(len(images), np.float32)
    for fold in range(FOLDS):
        asked = photos % FOLDS == fold
        chosen = clean & ~asked
        image_map, text_map = _trained(images[chosen], texts[chosen], fold)
        scores[asked] = _cosines(image_map, text_map, images[asked], texts[asked])
    return scores


Map = tuple[torch.Tensor, torch.Tensor]  # mean that is taken off, and matrix


def _trained(images: np.ndarray, texts: np.ndarray, seed: int) -> tuple[Map, Map]:
    """Maps into one space by the symmetric InfoNCE of CLIP (Radford et al. 2021), a fixed number of steps."""
    generator = torch.Generator().manual_seed(seed)
    sides = [torch.from_numpy(side) for side in (images, texts)]
    means = [side.mean(0) for side in sides]
    maps = [torch.randn(side.shape[1], DIM, generator=generator) / side.shape[1] ** 0.5 for side in sides]
    optimiser = torch.optim.AdamW([one.requires_grad_() for one in maps], LEARNING_RATE, weight_decay=DECAY)
    for _ in range(STEPS):
        rows = torch.randperm(len(images), generator=generator)[:BATCH]
        shown = [normalize((side[rows] - mean) @ one) for side, mean, one in zip(sides, means, maps, strict=True)]
        logits, target = shown[0] @ shown[1].T / TEMPERATURE, torch.arange(len(rows))
        optimiser.zero_grad()
        (cross_entropy(logits, target) + cross_entropy(logits.T, target)).backward()
        optimiser.step()
    image_map, text_map = ((mean, one.detach()) for mean, one in zip(means, maps, strict=True))
    return image_map, text_map


def _cosines(image_map: Map, text_map: Map, images: np.ndarray, texts: np.ndarray) -> np.ndarray:
    seen, read = (
        normalize((torch.from_numpy(side) - mean) @ one)
        for side, (mean, one) in ((images, image_map), (texts, text_map))
    )
    return (seen * read).sum(1).numpy()
