"""Training samples, each from a seed of its own: a photo at some size, damaged or marked, and what to say of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy import ndimage

from paris_assets.models.degradation_views import VIEW, mirrored, reduced_view, tiles
from tools.degradation.damage import blur, compressed, damaged, levels, noise, random_cast
from tools.degradation.drawing import Drawing, Random
from tools.degradation.overlays import distracted, painted, watermark_mask
from tools.degradation.photos import reduced
from tools.degradation.scenes import LUMA, Scenes, flipped, ground, part_of, relit

REGION = 192, 256
VISIBLE = 4.0
"""Mean change of the luma, grey levels, from which a watermark counts as visible."""
CELL = 8
COVERED = 0.08
"""Share of a cell from which it belongs to the watermark."""


class Marked(NamedTuple):
    """(H, W, 3) uint8 with or without a watermark; `cells`, (H / 8, W / 8) float32: 1 where it is visible, 0 where
    there is none, NaN where that is no question. Opacity, share of the area and mean change of luma: 0 without one."""

    pixels: np.ndarray
    cells: np.ndarray
    opacity: float = 0.0
    area: float = 0.0
    strength: float = 0.0

    @property
    def visible(self) -> bool:
        """The label of the picture."""
        return self.strength >= VISIBLE


def quality_sample(photos: Sequence[np.ndarray], random: Random, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(count, 128, 128, 3) uint8 native tiles of a damaged photo and (3,) labels; see `damage.Damaged`."""
    found = damaged(relit(_reduced_region(photos, random), random), random)
    return tiles(found.pixels)[random.permutation(6)[:count]], found.labels()


def cast_sample(seen: Sequence[np.ndarray], random: Random, side: int) -> tuple[np.ndarray, np.ndarray]:
    """(side, side, 3) uint8 of a photo, as `photos.seen_whole` gives it, in another light and the (2,) shift of its log
    ratios."""
    pixels = part_of(flipped(seen[int(random.integers(len(seen)))], random), random, (side, side))
    pixels, shift = random_cast(pixels, random)
    if random.random() < 0.3:
        pixels = compressed(pixels, int(random.integers(15, 95)))
    return mirrored(pixels, side), shift.astype(np.float32)


def watermark_sample(scenes: Scenes, drawing: Drawing, random: Random, side: int) -> Marked:
    """A part of a photo with or without a watermark, captions and damage, seen as the
    networks do; of that a part of (side, side) pixels, or all of it, continued by its mirror images, where side is that
    of the view."""
    made = seen_by_networks(overlaid(ground(scenes, random), drawing, random))
    return _part(made, _corner(made.cells, side // CELL, random), side)


def watermark_pair(scenes: Scenes, drawing: Drawing, random: Random, side: int) -> tuple[Marked, Marked]:
    """Like `watermark_sample`, the same part of the same photo with and without a watermark."""
    made = overlaid(ground(scenes, random), drawing, random, 1.0)
    bare = Overlaid(worn(made.ground, random), made.ground, made.ground, np.zeros_like(made.mask), 0.0)
    first, second = seen_by_networks(made), seen_by_networks(bare)
    corner = _corner(first.cells, side // CELL, random)
    return _part(first, corner, side), _part(second, corner, side)


def _part(made: Marked, corner: tuple[int, int], side: int) -> Marked:
    top, left = corner
    cells = made.cells[top : top + side // CELL, left : left + side // CELL]
    part = made.pixels[top * CELL : top * CELL + side, left * CELL : left * CELL + side]
    return made._replace(pixels=mirrored(part, side), cells=_beyond(cells, side))


def marked(pixels: np.ndarray, drawing: Drawing, random: Random, chance: float = 0.55) -> Marked:
    """A photo, (H, W, 3) uint8, perhaps with captions, then perhaps with a watermark, then perhaps damaged a little."""
    return measured_mark(*overlaid(pixels, drawing, random, chance))


class Overlaid(NamedTuple):
    """(H, W, 3) of the picture at last, uint8, and before and after a watermark, float32; its mask, (H, W), and
    opacity."""

    final: np.ndarray
    ground: np.ndarray
    after: np.ndarray
    mask: np.ndarray
    opacity: float


def overlaid(pixels: np.ndarray, drawing: Drawing, random: Random, chance: float = 0.55) -> Overlaid:
    """See `marked`."""
    with_mark = random.random() < chance
    ground = pixels.astype(np.float32)
    if random.random() < (0.25 if with_mark else 0.55):
        ground = distracted(ground, drawing, random)
    mask = np.zeros(pixels.shape[:2], np.float32)
    opacity, after = 0.0, ground
    if with_mark:
        mask = watermark_mask((pixels.shape[1], pixels.shape[0]), drawing, random)
        opacity = float(random.uniform(0.08, 0.75))
        colour = mark_colour(random)
        if random.random() < 0.2:  # a shadow beside it
            after = painted(after, np.roll(mask, (1, 1), (0, 1)), 255 - colour, opacity * 0.6)
        after = painted(after, mask, colour, opacity)
    return Overlaid(worn(after, random), ground, after, mask, opacity)


def seen_by_networks(made: Overlaid) -> Marked:
    """What a watermark has changed, and the picture and its cells as `degradation_views.reduced_view` shows them."""
    whole = measured_mark(*made)
    if max(made.mask.shape) <= VIEW:
        return whole
    changed = np.abs((made.after - made.ground) @ LUMA) * made.mask
    final = reduced_view(made.final)
    mask, changed = (_reduced_plane(plane, final.shape) for plane in (made.mask, changed))
    return whole._replace(pixels=final, cells=_cells(mask, changed / np.maximum(mask, 1e-3)))


def _reduced_plane(plane: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return np.asarray(Image.fromarray(plane).resize((shape[1], shape[0]), Image.Resampling.BOX))


def measured_mark(final: np.ndarray, ground: np.ndarray, after: np.ndarray, mask: np.ndarray, opacity: float) -> Marked:
    """What a watermark, laid over the ground by a mask of (H, W), has changed."""
    inside = mask > 0.5
    if not inside.any():
        return Marked(final, _cells(mask, np.zeros_like(mask)))
    changed = np.abs((after - ground) @ LUMA)
    return Marked(final, _cells(mask, changed), opacity, float(inside.mean()), float(changed[inside].mean()))


def mark_colour(random: Random) -> np.ndarray:
    """Of a watermark: mostly white, black or grey."""
    kind = random.random()
    if kind < 0.75:
        return np.full(3, (255.0, 0.0, 128.0)[random.choice(3, p=(0.6, 0.27, 0.13))])
    return random.uniform(0, 255, 3)


def _cells(mask: np.ndarray, changed: np.ndarray) -> np.ndarray:
    covered, visible = _means(mask), _means(mask * changed)
    strength = visible / np.maximum(covered, 1e-6)
    cells = np.where((covered >= COVERED) & (strength >= VISIBLE), 1.0, np.nan)
    return np.where(ndimage.maximum_filter(covered, 3) < 0.005, 0.0, cells).astype(np.float32)


def _means(plane: np.ndarray) -> np.ndarray:
    height, width = (-(-length // CELL) for length in plane.shape)
    whole = np.pad(plane, ((0, height * CELL - plane.shape[0]), (0, width * CELL - plane.shape[1])))
    return whole.reshape(height, CELL, width, CELL).mean((1, 3))


def _beyond(cells: np.ndarray, side: int) -> np.ndarray:
    """Cells of the mirror images: no question where the picture has a watermark."""
    whole = np.full((side // CELL, side // CELL), np.nan if (cells != 0).any() else 0.0, np.float32)
    whole[: cells.shape[0], : cells.shape[1]] = cells
    return whole


def _corner(cells: np.ndarray, side: int, random: Random) -> tuple[int, int]:
    """Of a part of so many cells: mostly about a cell of the watermark."""
    free = [max(0, length - side) for length in cells.shape]
    there = np.argwhere(cells > 0)
    if len(there) and random.random() < 0.75:
        cell = there[random.integers(len(there))] - random.integers(side, size=2)
        top, left = (int(np.clip(at, 0, room)) for at, room in zip(cell, free, strict=True))
        return top, left
    return int(random.integers(free[0] + 1)), int(random.integers(free[1] + 1))


def worn(pixels: np.ndarray, random: Random) -> np.ndarray:
    """As pictures from the web are: sometimes soft or noisy, mostly compressed."""
    if random.random() < 0.15:
        pixels = blur(pixels, "gaussian", random.uniform(0.3, 1.2))[0]
    if random.random() < 0.15:
        pixels = pixels + noise(pixels, "grey", random.uniform(1, 12), random)
    quality = int(random.integers(40, 96)) if random.random() < 0.7 else 100
    return compressed(levels(pixels), quality, int(random.integers(0, 3)))


def _reduced_region(photos: Sequence[np.ndarray], random: Random) -> np.ndarray:
    """A part of `REGION` of a photo, large ones likelier, that is mostly reduced by a random factor, so that its own
    softness and compression go."""
    areas = np.array([min(6.0, photo.shape[0] * photo.shape[1] / 160_000) for photo in photos])
    photo = photos[random.choice(len(photos), p=areas / areas.sum())]
    factor = 1.0 if random.random() < 0.2 else min(random.uniform(1.2, 2.5), max(1.0, min(photo.shape[:2]) / 160))
    source = part_of(photo, random, (round(REGION[0] * factor), round(REGION[1] * factor)))
    return np.asarray(reduced(Image.fromarray(source), round(min(source.shape[:2]) / factor)))
