"""Watermarks, and what is none: texts, logos and captions drawn on photos."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from tools.degradation.drawing import Drawing, Random, font

DISTRACTIONS = ("caption", "subtitle", "sign", "logo")


def text_mask(drawing: Drawing, height: float, random: Random, lines: int = 1, outline: bool = False) -> Image.Image:
    """(L) coverage 0 to 255 of a text whose letters are about so many pixels high; of its outline alone if asked."""
    letters = font(drawing.fonts[random.integers(len(drawing.fonts))], max(6, round(height * 1.35)))
    text = "\n".join(" ".join(drawing.word(random) for _ in range(random.integers(1, 3))) for _ in range(lines))
    stroke = max(1, round(height / 16)) if outline else 0
    canvas = ImageDraw.Draw(Image.new("L", (1, 1)))
    left, top, right, bottom = canvas.textbbox((0, 0), text, font=letters, stroke_width=stroke)
    image = Image.new("L", (max(1, math.ceil(right - left)), max(1, math.ceil(bottom - top))))
    draw = ImageDraw.Draw(image)
    draw.text((-left, -top), text, 255, letters, stroke_width=stroke, stroke_fill=255)
    if outline:
        draw.text((-left, -top), text, 0, letters)
    return image


def logo_mask(drawing: Drawing, side: float, random: Random) -> Image.Image:
    """(L) coverage of a logo in a square of so many pixels."""
    fine = 4 * max(12, round(side))
    image = Image.new("L", (fine, fine))
    drawing.logos[random.integers(len(drawing.logos))](ImageDraw.Draw(image), fine, partial(font, drawing.fonts[0]))
    return image.resize((fine // 4, fine // 4), Image.Resampling.BOX)


def watermark_mask(size: tuple[int, int], drawing: Drawing, random: Random) -> np.ndarray:
    """(H, W) float32 coverage 0 to 1 of a watermark on a picture of (W, H) pixels: in the middle or a corner, along the
    diagonal, or repeated all over."""
    short = min(size)
    layout = random.choice(["middle", "corner", "diagonal", "tiled"], p=[0.25, 0.3, 0.2, 0.25])
    share = {"middle": (0.06, 0.2), "corner": (0.03, 0.09), "diagonal": (0.06, 0.18), "tiled": (0.03, 0.09)}[layout]
    height = max(7.0, short * random.uniform(*share))
    mark = _mark(drawing, height, random)
    angle = {"middle": 0.0, "corner": 0.0, "diagonal": random.uniform(15, 60), "tiled": random.uniform(-45, 45)}[layout]
    if angle:
        mark = mark.rotate(angle * (1 if random.random() < 0.7 else -1), Image.Resampling.BICUBIC, expand=True)
    mark.thumbnail((max(8, round(size[0] * 0.95)), max(8, round(size[1] * 0.95))), Image.Resampling.LANCZOS)
    canvas = Image.new("L", size)
    for place in _places(str(layout), size, mark.size, random):
        canvas.paste(mark, place, mark)
    return np.asarray(canvas, np.float32) / 255


def _mark(drawing: Drawing, height: float, random: Random) -> Image.Image:
    kind = random.random()
    if kind < drawing.texts:
        return text_mask(drawing, height, random, 1 if random.random() < 0.85 else 2, random.random() < 0.2)
    if kind < drawing.texts + drawing.signets:
        return logo_mask(drawing, height * random.uniform(1.5, 3), random)
    logo, text = logo_mask(drawing, height * 1.4, random), text_mask(drawing, height, random)
    image = Image.new("L", (logo.width + text.width + round(height / 2), max(logo.height, text.height)))
    image.paste(logo, (0, (image.height - logo.height) // 2))
    image.paste(text, (image.width - text.width, (image.height - text.height) // 2))
    return image


def _places(layout: str, size: tuple[int, int], mark: tuple[int, int], random: Random) -> list[tuple[int, int]]:
    free = [length - part for length, part in zip(size, mark, strict=True)]
    if layout == "tiled":
        gaps = [max(4, round(part * random.uniform(0.3, 1.5))) for part in mark]
        steps = [part + gap for part, gap in zip(mark, gaps, strict=True)]
        begin = [-int(random.integers(step)) for step in steps]
        return [
            (x + (index % 2) * steps[0] // 2, y)
            for index, y in enumerate(range(begin[1], size[1], steps[1]))
            for x in range(begin[0] - steps[0] // 2, size[0], steps[0])
        ]
    if layout == "corner":
        margin = random.uniform(0.01, 0.06) * min(size)
        x, y = (round(min(margin, max(0, room) / 2)) for room in free)
        return [(x if random.random() < 0.4 else free[0] - x, y if random.random() < 0.3 else free[1] - y)]
    return [(round(free[0] * random.uniform(0.35, 0.65)), round(free[1] * random.uniform(0.35, 0.65)))]


def painted(pixels: np.ndarray, mask: np.ndarray, colour: np.ndarray, opacity: float = 1.0) -> np.ndarray:
    """(H, W, 3) float32: pixels with a colour (3,) laid over them where the mask, (H, W), covers them."""
    cover = (mask * opacity)[..., None]
    return pixels * (1 - cover) + colour.astype(np.float32) * cover


def distracted(pixels: np.ndarray, drawing: Drawing, random: Random, kind: str | None = None) -> np.ndarray:
    """Pixels with something that is no watermark: an opaque caption, a subtitle, a sign, or a logo on an object."""
    kind = kind or str(random.choice(DISTRACTIONS))
    height, width = pixels.shape[:2]
    letters = max(7.0, min(height, width) * random.uniform(0.035, 0.12))
    if kind in ("caption", "subtitle"):
        mark = text_mask(drawing, letters, random, int(random.integers(1, 3)))
        mark.thumbnail((round(width * 0.95), round(height * 0.6)), Image.Resampling.LANCZOS)
        free = width - mark.width, height - mark.height
        place = (free[0] // 2, round(free[1] * 0.95)) if kind == "subtitle" else _anywhere(free, random)
        return _lettered(pixels, mark, place, random, plate=kind == "caption" and random.random() < 0.5)
    if kind == "sign":
        return _on_plate(pixels, text_mask(drawing, letters, random), random)
    return _on_plate(pixels, logo_mask(drawing, letters * random.uniform(1.5, 3), random), random)


def _anywhere(free: tuple[int, int], random: Random) -> tuple[int, int]:
    return int(random.integers(free[0] + 1)), int(random.integers(free[1] + 1))


def _lettered(pixels: np.ndarray, mark: Image.Image, place: tuple[int, int], random: Random, plate: bool) -> np.ndarray:
    canvas = Image.new("L", (pixels.shape[1], pixels.shape[0]))
    canvas.paste(mark, place)
    colour = _strong_colour(random)
    around = np.where(colour.mean() > 128, 20.0, 235.0) + np.zeros(3)
    if plate:
        box = Image.new("L", canvas.size)
        edge = max(2, mark.height // 5)
        corner = place[0] + mark.width + edge, place[1] + mark.height + edge
        ImageDraw.Draw(box).rectangle((place[0] - edge, place[1] - edge, *corner), 255)
        pixels = painted(pixels, np.asarray(box, np.float32) / 255, around)
    elif random.random() < 0.6:
        wide = np.asarray(canvas.filter(ImageFilter.MaxFilter(3)), np.float32) / 255
        pixels = painted(pixels, wide, around)
    return painted(pixels, np.asarray(canvas, np.float32) / 255, colour)


def _on_plate(pixels: np.ndarray, mark: Image.Image, random: Random) -> np.ndarray:
    """A mark on a board of one colour with light falling across it, turned in space."""
    edge = max(3, round(mark.height * random.uniform(0.2, 0.8)))
    size = mark.width + 2 * edge, mark.height + 2 * edge
    letters = Image.new("L", size)
    letters.paste(mark, (edge, edge))
    board = np.broadcast_to(random.uniform(20, 235, 3), (size[1], size[0], 3))
    board = painted(board, np.asarray(letters, np.float32) / 255, _strong_colour(random))
    shade = np.linspace(random.uniform(0.6, 1), random.uniform(0.6, 1), size[0])[:, None]
    cut = random.uniform(0, 0.2, 8) * np.tile(size, 4) * np.array([-1, -1, -1, 1, 1, 1, 1, -1])
    corners = np.array([0, 0, 0, size[1], size[0], size[1], size[0], 0]) + cut
    rgba = Image.fromarray(np.dstack([board * shade, np.full(size[::-1], 255.0)]).clip(0, 255).astype(np.uint8), "RGBA")
    turned = rgba.transform(size, Image.Transform.QUAD, corners.tolist(), Image.Resampling.BICUBIC)
    turned.thumbnail((pixels.shape[1] // 2, pixels.shape[0] // 2), Image.Resampling.LANCZOS)
    canvas = Image.new("RGBA", (pixels.shape[1], pixels.shape[0]))
    canvas.paste(turned, _anywhere((canvas.width - turned.width, canvas.height - turned.height), random))
    layer = np.asarray(canvas, np.float32)
    cover = layer[..., 3:] / 255
    return pixels * (1 - cover) + layer[..., :3] * cover


def _strong_colour(random: Random) -> np.ndarray:
    colours = ((255, 255, 255), (0, 0, 0), (255, 230, 0), (220, 20, 30), (20, 60, 200), (20, 140, 60))
    return np.array(colours[random.choice(6, p=(0.4, 0.2, 0.2, 0.08, 0.06, 0.06))], np.float32)
