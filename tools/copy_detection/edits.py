"""What is done to a photo to make a copy of it: pure functions of pixels, and the twelve edits that are measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

from tools.degradation.damage import compressed
from tools.degradation.drawing import Drawing, Random
from tools.degradation.overlays import distracted, logo_mask, painted

Edit = Callable[[np.ndarray, Random], np.ndarray]


def cropped(pixels: np.ndarray, kept: tuple[float, float], random: Random) -> np.ndarray:
    """A part somewhere in a picture, (H, W, 3), with these shares of its height and its width."""
    sides = [max(1, round(length * share)) for length, share in zip(pixels.shape[:2], kept, strict=True)]
    top, left = (int(random.integers(had - side + 1)) for had, side in zip(pixels.shape[:2], sides, strict=True))
    return pixels[top : top + sides[0], left : left + sides[1]]


def resized(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(H, W, 3) -> (height, width, 3), antialiased."""
    return np.asarray(Image.fromarray(pixels).resize((size[1], size[0]), Image.Resampling.BICUBIC))


def scaled(pixels: np.ndarray, factor: float) -> np.ndarray:
    """By the same factor along both sides."""
    return resized(pixels, (max(8, round(pixels.shape[0] * factor)), max(8, round(pixels.shape[1] * factor))))


def mirrored(pixels: np.ndarray) -> np.ndarray:
    """Left and right exchanged."""
    return np.ascontiguousarray(pixels[:, ::-1])


def coloured(pixels: np.ndarray, brightness: float, contrast: float, saturation: float, hue: float) -> np.ndarray:
    """Factors, 1 for none, and a turn of the hue in degrees."""
    image = Image.fromarray(pixels)
    if hue:
        planes = np.array(image.convert("HSV"))
        planes[..., 0] += np.uint8(round(hue / 360 * 256) % 256)
        image = Image.fromarray(planes, "HSV").convert("RGB")
    for kind, factor in (
        (ImageEnhance.Color, saturation), (ImageEnhance.Contrast, contrast), (ImageEnhance.Brightness, brightness)
    ):  # fmt: skip
        image = kind(image).enhance(factor)
    return np.asarray(image)


def blurred(pixels: np.ndarray, share: float) -> np.ndarray:
    """By a Gaussian whose deviation is a share of the short side."""
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(share * min(pixels.shape[:2]))))


def rotated(pixels: np.ndarray, degrees: float, fill: Sequence[int] | None) -> np.ndarray:
    """Turned about its middle: whole, with corners of a colour, or without any: the part that needs no corners."""
    image = Image.fromarray(pixels)
    if fill is not None:
        colour = tuple(int(value) for value in fill)
        return np.asarray(image.rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=colour))
    turned, angle = np.asarray(image.rotate(degrees, Image.Resampling.BICUBIC)), np.deg2rad(abs(degrees))
    height, width = pixels.shape[:2]
    share = 1 / (np.cos(angle) + np.sin(angle) * max(height / width, width / height))
    margins = [round(length * (1 - share) / 2) for length in (height, width)]
    return turned[margins[0] : height - margins[0], margins[1] : width - margins[1]]


def bordered(pixels: np.ndarray, shares: Sequence[float], colour: np.ndarray | None) -> np.ndarray:
    """With borders above, below, left and right, shares of the short side, of a colour (3,) or of its blurred self."""
    top, bottom, left, right = (round(share * min(pixels.shape[:2])) for share in shares)
    size = pixels.shape[0] + top + bottom, pixels.shape[1] + left + right
    ground = blurred(resized(pixels, size), 0.06) if colour is None else np.broadcast_to(colour, (*size, 3))
    framed = np.array(ground, np.uint8)
    framed[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
    return framed


def lettered(pixels: np.ndarray, drawing: Drawing, random: Random) -> np.ndarray:
    """With a caption or a subtitle on it."""
    kind = ("caption", "subtitle")[int(random.integers(2))]
    return _levels(distracted(pixels.astype(np.float32), drawing, random, kind))


def stamped(pixels: np.ndarray, drawing: Drawing, share: float, random: Random) -> np.ndarray:
    """With an opaque logo somewhere that is as high as a share of the short side."""
    mark = logo_mask(drawing, share * min(pixels.shape[:2]), random)
    canvas = Image.new("L", (pixels.shape[1], pixels.shape[0]))
    left, top = (int(random.integers(max(1, had - side + 1))) for had, side in zip(canvas.size, mark.size, strict=True))
    canvas.paste(mark, (left, top))
    return _levels(painted(pixels.astype(np.float32), np.asarray(canvas, np.float32) / 255, random.uniform(0, 255, 3)))


def covered(pixels: np.ndarray, other: np.ndarray, area: float, random: Random) -> np.ndarray:
    """With another picture laid over a share of its area."""
    sides = [max(1, round(length * area**0.5)) for length in pixels.shape[:2]]
    top, left = (int(random.integers(had - side + 1)) for had, side in zip(pixels.shape[:2], sides, strict=True))
    found = pixels.copy()
    found[top : top + sides[0], left : left + sides[1]] = resized(other, (sides[0], sides[1]))
    return found


def beside(pixels: np.ndarray, others: Sequence[np.ndarray], random: Random) -> np.ndarray:
    """In a collage with one other picture, beside or below each other, or with three, two by two; no seams."""
    height, width = pixels.shape[:2]
    parts = [pixels, *(resized(other, (height, width)) for other in others)]
    parts = [parts[int(index)] for index in random.permutation(len(parts))]
    if len(parts) == 2:
        return np.concatenate(parts, 0 if width > height else 1)
    return np.concatenate([np.concatenate(parts[:2], 1), np.concatenate(parts[2:], 1)])


def _levels(values: np.ndarray) -> np.ndarray:
    return values.round().clip(0, 255).astype(np.uint8)


def measured_edits(drawing: Drawing, others: Sequence[np.ndarray]) -> dict[str, Edit]:
    """The twelve edits by name, each a function of (H, W, 3) pixels and a generator.

    `others`: pictures for overlays and collages, none of those that are looked for.
    """

    def other(random: Random) -> np.ndarray:
        return others[int(random.integers(len(others)))]

    def shifted_colour(pixels: np.ndarray, random: Random) -> np.ndarray:
        signs = random.choice([-1.0, 1.0], 4)
        return coloured(pixels, *np.exp(signs[:3] * (0.25, 0.25, 0.5)), hue=15 * signs[3])

    def turned(pixels: np.ndarray, random: Random) -> np.ndarray:
        return rotated(pixels, float(random.choice([-1, 1]) * random.uniform(10, 20)), (0, 0, 0))

    def framed(pixels: np.ndarray, random: Random) -> np.ndarray:
        return bordered(pixels, [0.15] * 4, random.integers(0, 256, 3))

    def stickered(pixels: np.ndarray, random: Random) -> np.ndarray:
        return stamped(covered(pixels, other(random), 0.2, random), drawing, 0.25, random)

    return {
        "re-encoded, quality 20": lambda pixels, _: compressed(pixels, 20),
        "reduced to a quarter": lambda pixels, _: scaled(pixels, 0.25),
        "mirrored": lambda pixels, _: mirrored(pixels),
        "cropped by 10 %": lambda pixels, random: cropped(pixels, (0.9, 0.9), random),
        "cropped by 30 %": lambda pixels, random: cropped(pixels, (0.7, 0.7), random),
        "colour": shifted_colour,
        "text": partial(_with_text, drawing),
        "overlay": stickered,
        "rotated": turned,
        "blurred": lambda pixels, _: blurred(pixels, 0.02),
        "border": framed,
        "collage": lambda pixels, random: beside(pixels, [other(random)], random),
    }


def _with_text(drawing: Drawing, pixels: np.ndarray, random: Random) -> np.ndarray:
    return lettered(pixels, drawing, random)
