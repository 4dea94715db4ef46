"""Preprocessing as a checkpoint's ``preprocessor_config.json`` says, for networks whose checkpoints differ in it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from paris_assets.models.carried import WeightsError
from paris_assets.models.normalise import Normalisation
from paris_assets.models.resize import square, stretch

PREPROCESSOR = "preprocessor_config.json"
_STEPS = ("resize", "rescale", "normalize")


class Preprocessing(NamedTuple):
    """What happens to pixels before a network sees them.

    Attributes:
        pixels: (H, W, 3) uint8 -> (side, side, 3) uint8: stretched to a square, or resized and cropped.
        resize: the side of the resized picture, its short side where it is cropped.
        values: mean and deviation of the pixel values.
    """

    pixels: Callable[[np.ndarray], np.ndarray]
    resize: int
    values: Normalisation


def read_preprocessing(folder: Path, side: int, defaults: Mapping[str, Any]) -> Preprocessing:
    """The preprocessing of a checkpoint.

    Args:
        folder: holds ``preprocessor_config.json``.
        side: pixels that the network takes.
        defaults: of its image processor's class, in the file's terms. One number as ``size`` is a short side where
            these have a ``shortest_edge``, else both sides.

    Raises:
        WeightsError: it does something that is not done here; the message says what.
    """
    given = {**defaults, **json.loads((folder / PREPROCESSOR).read_text())}
    given |= {name: value for name, value in defaults.items() if given[name] is None}
    size = given["size"]
    if isinstance(size, int):
        size = {"shortest_edge": size} if "shortest_edge" in defaults["size"] else _both(size)
    problem = _problem(given, size, side)
    if problem:
        raise WeightsError(f"{PREPROCESSOR} in {folder.name} {problem}")
    resample, values = Image.Resampling(given["resample"]), Normalisation(given["image_mean"], given["image_std"])
    short = size.get("shortest_edge")
    if short:
        return Preprocessing(partial(square, resize=short, crop=side), short, values)
    return Preprocessing(partial(stretch, side=side, resample=resample), side, values)


def _both(side: int) -> dict[str, int]:
    return {"height": side, "width": side}


def _problem(given: Mapping[str, Any], size: Mapping[str, int], side: int) -> str | None:
    left_out = [step for step in _STEPS if not given.get(f"do_{step}", True)]
    if left_out:
        return f"leaves out: {', '.join(left_out)}. That is not done here"
    if abs(given.get("rescale_factor", 1 / 255) * 255 - 1) > 1e-6:
        return f"multiplies pixel values by {given['rescale_factor']}; only 1/255 is done here"
    crop = given.get("crop_size", side) if given.get("do_center_crop") else None
    crop = _both(crop) if isinstance(crop, int) else crop
    if "shortest_edge" not in size:
        whole = size == _both(side) and crop in (None, _both(side))
        return None if whole else f"resizes to {dict(size)}; the network takes {side} x {side} pixels"
    if crop != _both(side) or size["shortest_edge"] < side:
        return f"resizes the short side to {size['shortest_edge']} and keeps {crop}; the network takes {side} x {side}"
    if given["resample"] != Image.Resampling.BICUBIC:
        return f"resizes by filter {given['resample']} before it crops; only bicubic (3) is done here"
    return None
