from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from paris_assets.config import Latents, Model
from paris_assets.latents.encode import encode, noise
from paris_assets.latents.places import TOO_SMALL
from paris_assets.models.registry import build
from paris_assets_tests.models import tiny


@pytest.fixture(scope="module")
def codec(tmp_path_factory: pytest.TempPathFactory):
    path = str(tiny.autoencoder(tmp_path_factory.mktemp("vae")))
    return build(Model(implementation="autoencoder-kl", path=path, batch_size=3))


def _picture(seed: int, width: int, height: int) -> tuple[str, bytes]:
    pixels = np.random.default_rng(seed).integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC).save(file, "PNG")
    return f"{seed:032x}", file.getvalue()


PICTURES = [_picture(0, 96, 64), _picture(1, 64, 128), _picture(2, 48, 80), _picture(3, 64, 64), _picture(4, 200, 160)]


def _encode(images, codec, seed: int = 0, **values) -> tuple[pl.DataFrame, dict[str, str]]:
    rejects: dict[str, str] = {}
    return pl.concat(encode(images, codec, Latents(**{"resolutions": [64], **values}), seed, rejects)), rejects


def test_rows_in_are_rows_out_and_rejects_by_reason(codec) -> None:
    table, rejects = _encode(PICTURES, codec)
    assert rejects == {PICTURES[2][0]: TOO_SMALL}
    assert table["image_id"].to_list() == [PICTURES[index][0] for index in (0, 1, 3, 4)]
    assert table.schema == {
        "image_id": pl.String,
        "latent_64": pl.Array(pl.Float16, (4, 8, 8)),
        "upscaled": pl.Boolean,
        "crop_top": pl.Int64,
        "crop_left": pl.Int64,
    }
    assert not table["upscaled"].any()
    assert table["crop_top"].to_list() == [0, 32, 0, 0]
    assert table["crop_left"].to_list() == [16, 0, 0, 8]


def test_small_images_are_upscaled_by_setting_and_say_so(codec) -> None:
    table, rejects = _encode(PICTURES, codec, upscale=True)
    assert rejects == {}
    assert table["upscaled"].to_list() == [False, False, True, False, False]


def test_latents_are_those_of_the_cropped_pixels(codec) -> None:
    table, _ = _encode(PICTURES[:1], codec)
    pixels = np.asarray(Image.open(io.BytesIO(PICTURES[0][1])))[:, 16:80]
    padded = np.concatenate([pixels[None], np.zeros((2, 64, 64, 3), np.uint8)])
    assert np.array_equal(table["latent_64"].to_numpy(), codec.encode(padded)[:1].astype(np.float16))


@pytest.mark.parametrize("posterior", ["mean", "sample"])
def test_order_subset_and_company_change_no_bit(codec, posterior: str) -> None:
    whole, _ = _encode(PICTURES, codec, upscale=True, posterior=posterior)
    backwards, _ = _encode(PICTURES[::-1], codec, upscale=True, posterior=posterior)
    assert backwards.sort("image_id").equals(whole)
    some, _ = _encode(PICTURES[2:4], codec, upscale=True, posterior=posterior)
    assert some.equals(whole[2:4])


def test_a_sample_depends_on_the_seed_and_the_mean_does_not(codec) -> None:
    mean, sample, other = (
        _encode(PICTURES[:2], codec, seed=seed, posterior=posterior)[0]["latent_64"].to_numpy()
        for seed, posterior in ((0, "mean"), (0, "sample"), (1, "sample"))
    )
    assert np.array_equal(mean, _encode(PICTURES[:2], codec, seed=9)[0]["latent_64"].to_numpy())
    assert not np.array_equal(sample, mean)
    assert not np.array_equal(sample, other)


def test_noise_is_standard_normal_and_differs_between_images() -> None:
    first, second = (noise(0, image_id, (4, 64, 64), 512) for image_id in ("a", "b"))
    assert np.array_equal(first, noise(0, "a", (4, 64, 64), 512))
    assert abs(float(first.mean())) < 0.03
    assert abs(float(first.std()) - 1) < 0.03
    assert abs(float(np.corrcoef(first.ravel(), second.ravel())[0, 1])) < 0.03


def test_further_resolutions_are_null_where_the_image_is_too_small(codec) -> None:
    table, rejects = _encode(PICTURES, codec, resolutions=[128, 64])
    assert list(rejects) == [PICTURES[2][0]]
    assert table["latent_128"].is_null().to_list() == [True, True, True, False]
    assert table["latent_64"].null_count() == 0
    last = table.row(3, named=True)
    assert (last["upscaled_128"], last["crop_top_128"], last["crop_left_128"]) == (False, 0, 16)
    alone, _ = _encode(PICTURES, codec, resolutions=[128])  # in batches of three: rounded otherwise on some CPUs
    found, wanted = table["latent_128"].drop_nulls().to_numpy(), alone["latent_128"].to_numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-2, atol=1e-3)


def test_a_resolution_that_the_codec_cannot_halve_is_refused(codec) -> None:
    with pytest.raises(ValueError, match=r"\[100\] are no multiples of 8"):
        _encode(PICTURES, codec, resolutions=[100])


def test_no_images_give_the_columns(codec) -> None:
    assert _encode([], codec)[0].schema == _encode(PICTURES, codec)[0].schema


def test_the_shipped_codec_is_named_without_a_path() -> None:
    folder = Path(__file__).parents[2] / "paris_assets/models/weights/small_vae"
    if not (folder / "config.json").is_file():
        pytest.skip("the small VAE is not trained yet")
    identity = build(Model(implementation="autoencoder-kl", path="small-vae")).identity()
    assert identity["source"] == "small-vae"
    assert len(identity["sha256"]) == 64
