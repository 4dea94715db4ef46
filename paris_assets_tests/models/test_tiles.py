"""Layers in tiles make what whole layers make; tiles of the picture itself would not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from paris_assets.config import Model
from paris_assets.images.decode import decode_rgb
from paris_assets.models import tiles
from paris_assets.models.registry import build
from paris_assets.models.resize import square
from paris_assets_tests.models import tiny
from paris_assets_tests.models.photos import photos

PIXELS = np.random.default_rng(0).integers(0, 256, (2, 64, 48, 3), np.uint8)


def codec(path: str, **options: object) -> Any:
    model = Model(implementation="autoencoder-kl", path=path, device="cpu", precision="fp32", batch_size=2)
    return build(model.model_copy(update={"options": options}))


@pytest.mark.parametrize("rows", [1, 3, 8, 100])
@pytest.mark.parametrize("attention", [False, True])
def test_latents_and_pictures_are_the_same_whatever_the_tile(tmp_path: Path, rows: int, attention: bool) -> None:
    path = str(tiny.autoencoder(tmp_path, mid_block_add_attention=attention))
    whole, tiled = codec(path), codec(path, tile_rows=rows)
    noise = np.random.default_rng(1).standard_normal((2, 4, 8, 6), np.float32)
    latents = whole.encode(PIXELS, noise)
    np.testing.assert_allclose(tiled.encode(PIXELS, noise), latents, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(tiled.decode(latents).astype(int), whole.decode(latents), atol=1)


def test_photos_through_the_shipped_codec() -> None:
    """fp32: 1e-5 of a deviation. Tiles of the picture, as diffusers has them, are off by a third of one and more."""
    pixels = np.stack([square(decode_rgb(data), 192, 192) for _, data in photos()[:2]])
    whole, tiled = codec("small-vae"), codec("small-vae", tile_rows=16)
    latents = whole.encode(pixels)
    assert np.abs(tiled.encode(pixels) - latents).max() < 1e-4 * latents.std()
    assert np.abs(tiled.decode(latents).astype(int) - whole.decode(latents)).max() <= 1
    network = whole._network
    network.enable_tiling()
    network.tile_sample_min_size, network.tile_latent_min_size = 96, 12
    usual = whole.encode(pixels)
    assert np.sqrt(((usual - latents) ** 2).mean()) > 0.1 * latents.std()


def test_a_layer_makes_no_more_than_a_tile_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heights = []
    convolve = functional.conv2d

    def conv2d(given: torch.Tensor, *rest: Any, **options: Any) -> torch.Tensor:
        heights.append(given.shape[2])
        return convolve(given, *rest, **options)

    network = codec(str(tiny.autoencoder(tmp_path)), tile_rows=4)
    monkeypatch.setattr(tiles.functional, "conv2d", conv2d)
    latents = network.encode(np.zeros((2, 64, 64, 3), np.uint8))
    network.decode(latents)
    # Four rows, one on either side, twice as many where they are halved or doubled; the first layer has three channels.
    assert [height for height in heights if height > 2 * 4 + 2] == [64]


def test_less_than_a_row_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="option tile_rows: 0 is less than 1"):
        codec(str(tiny.autoencoder(tmp_path)), tile_rows=0)
