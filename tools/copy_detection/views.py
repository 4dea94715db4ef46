"""Training views: a picture, edited at random, as the network sees it; and the fine maps of many, kept in files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from paris_assets.models.copy_detector_network import CopyDetectorNetwork
from paris_assets.models.resize import stretch
from tools.copy_detection.edits import (
    beside,
    blurred,
    bordered,
    coloured,
    covered,
    cropped,
    lettered,
    mirrored,
    rotated,
    scaled,
    stamped,
)  # fmt: skip
from tools.degradation.damage import compressed
from tools.degradation.drawing import Drawing, Random
from tools.degradation.overlays import painted, watermark_mask

SIDE = 192
LIGHT = 4
"""Every so many-th view of a picture is nearly the picture itself."""
BATCH = 32


class Picture(NamedTuple):
    """(H, W, 3) uint8, and the number of its group: pictures of one group are not told apart."""

    pixels: np.ndarray
    group: int


class View(NamedTuple):
    """(192, 192, 3) uint8, and the groups of other pictures that can be seen in it, (3,) int64, -1 for none."""

    pixels: np.ndarray
    guests: np.ndarray


class Views(NamedTuple):
    """Of one picture: (V, 80, 12, 12) bfloat16 fine maps and (V, 3) int64 guests."""

    maps: Tensor
    guests: Tensor


def view_of(pictures: Sequence[Picture], index: int, drawing: Drawing, random: Random, light: bool) -> View:
    """A random copy of a picture; a light one is at most mirrored, smaller and compressed."""
    pixels, guests = pictures[index].pixels, [-1, -1, -1]

    def some(chance: float) -> bool:
        return not light and random.random() < chance

    def guest(place: int) -> np.ndarray:
        chosen = pictures[int(random.integers(len(pictures)))]
        guests[place] = chosen.group
        return chosen.pixels

    if some(0.55):
        share, shape = random.uniform(0.3, 0.95) ** 0.5, np.exp(random.normal(0, 0.12))
        pixels = cropped(pixels, (min(1.0, share * shape), min(1.0, share / shape)), random)
    if random.random() < (0.2 if light else 0.4):
        pixels = mirrored(pixels)
    if some(0.2):
        pixels = rotated(pixels, random.uniform(-30, 30), _corners(random))
    if some(0.5):
        pixels = coloured(pixels, *np.exp(random.normal(0, (0.25, 0.3, 0.5))), hue=random.normal(0, 12))
    if some(0.12):
        pixels = blurred(pixels, random.uniform(0.004, 0.03))
    if some(0.15):
        pixels = covered(pixels, guest(0), random.uniform(0.05, 0.35), random)
    if some(0.25):
        pixels = _marked(pixels, drawing, random)
    if some(0.2):
        pixels = bordered(pixels, (random.uniform(0, 0.25, 4) * (random.random(4) < 0.8)).tolist(), _border(random))
    if some(0.15):
        pixels = beside(pixels, [guest(place) for place in range(1 if random.random() < 0.8 else 3)], random)
    if random.random() < 0.4:
        pixels = scaled(pixels, random.uniform(0.25, 0.9))
    if random.random() < 0.5:
        pixels = compressed(pixels, int(random.integers(15, 95)))
    return View(stretch(pixels, SIDE), np.array(guests, np.int64))


def _corners(random: Random) -> list[int] | None:
    kind = random.random()
    if kind < 0.4:
        return None
    return (
        [0] * 3 if kind < 0.6 else [255] * 3 if kind < 0.8 else [int(value) for value in random.integers(256, size=3)]
    )


def _border(random: Random) -> np.ndarray | None:
    corners = _corners(random)
    return None if corners is None else np.array(corners)


def _marked(pixels: np.ndarray, drawing: Drawing, random: Random) -> np.ndarray:
    kind = random.random()
    if kind < 0.5:
        return lettered(pixels, drawing, random)
    if kind < 0.75:
        return stamped(pixels, drawing, random.uniform(0.1, 0.4), random)
    mask = watermark_mask((pixels.shape[1], pixels.shape[0]), drawing, random)
    marked = painted(
        pixels.astype(np.float32), mask, random.choice([0.0, 255.0]) * np.ones(3), random.uniform(0.2, 0.8)
    )
    return marked.round().clip(0, 255).astype(np.uint8)


def made_views(
    network: CopyDetectorNetwork, pictures: Sequence[Picture], drawing: Drawing, count: int, folder: Path
) -> list[Views]:
    """So many views of each picture, kept in `folder` as they are made: what lies there already is read."""
    folder.mkdir(parents=True, exist_ok=True)
    found = list[Views]()
    for index in range(len(pictures)):
        file = folder / f"{index:04}.pt"
        if not file.is_file():
            torch.save(tuple(_made(network, pictures, index, drawing, count)), file)
        found.append(Views(*torch.load(file, weights_only=True)))
        if index % 20 == 0:
            print(f"views of {index} of {len(pictures)} pictures", flush=True)
    return found


@torch.inference_mode()
def _made(network: CopyDetectorNetwork, pictures: Sequence[Picture], index: int, drawing: Drawing, count: int) -> Views:
    views = [
        view_of(pictures, index, drawing, np.random.default_rng((index, view)), view % LIGHT == 0)
        for view in range(count)
    ]
    pixels = torch.from_numpy(np.stack([view.pixels for view in views])).permute(0, 3, 1, 2)
    maps = [network.fine_maps(batch.float()).bfloat16() for batch in pixels.split(BATCH)]
    return Views(torch.cat(maps), torch.from_numpy(np.stack([view.guests for view in views])))
