"""Several sizes and buckets in one pass: the same latents as alone, whatever the company, in bounded batches."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from paris_assets.config import Latents, Model
from paris_assets.latents.crops import crops
from paris_assets.latents.encode import encode, noise
from paris_assets.latents.places import FAR_FROM_BUCKETS, Sizes
from paris_assets.models.registry import build
from paris_assets.settings.latents import Buckets
from paris_assets.storage.ragged import arrays_of
from paris_assets_tests.latents.test_encode import _picture
from paris_assets_tests.models import tiny

SHAPES = [(64, 64), (80, 70), (200, 64), (70, 180), (130, 131), (30, 90), (66, 200), (64, 65), (40, 41), (71, 182)]
PICTURES = [_picture(number, width, height) for number, (height, width) in enumerate(SHAPES)]
BUCKETS = Buckets(resolutions=[64], table="generated", area=64, step=16)
SETTINGS = Latents(resolutions=[32, 64], buckets=BUCKETS, upscale=False)


@pytest.fixture(scope="module")
def codec(tmp_path_factory: pytest.TempPathFactory):
    path = str(tiny.autoencoder(tmp_path_factory.mktemp("vae")))
    return build(Model(implementation="autoencoder-kl", path=path, batch_size=8, precision="fp32"))


def table(images, codec, settings: Latents = SETTINGS) -> pl.DataFrame:
    return pl.concat(encode(images, codec, settings, 0))


def test_the_columns_of_sizes_and_buckets(codec) -> None:
    found = table(PICTURES, codec)
    places = ("upscaled", "crop_top", "crop_left", "resized_height", "resized_width", "target_height", "target_width")
    assert found.columns == [
        "image_id", "latent_32", *places,
        "latent_64", "latent_64_height", "latent_64_width", *(f"{name}_64" for name in places), "bucket", "ratio_error",
    ]  # fmt: skip
    assert found.schema["latent_32"] == pl.Array(pl.Float16, (4, 4, 4))
    assert found.height == len(PICTURES) - 1, "one is smaller than 32"
    sizes = Sizes(SETTINGS)
    for row, latent in zip(found.iter_rows(named=True), arrays_of(found, "latent_64"), strict=True):
        placed = sizes.placed(*SHAPES[int(row["image_id"], 16)])
        assert row["bucket"] == str(placed.bucket)
        assert row["ratio_error"] == placed.ratio_error
        assert (latent is not None) == (64 in placed.places)
        for size, suffix in ((32, ""), (64, "_64")):
            stated = tuple(row[f"{name}{suffix}"] for name in places)
            assert stated == (tuple(placed.places[size]) if size in placed.places else (None,) * 7)
        if latent is not None:
            assert latent.shape == (4, row["target_height_64"] // 8, row["target_width_64"] // 8)
    assert found["latent_64"].null_count() == 1
    assert found["bucket"].n_unique() > 3


@pytest.mark.parametrize("posterior", ["mean", "sample"])
def test_order_subset_and_company_change_no_bit(codec, posterior: str) -> None:
    settings = SETTINGS.model_copy(update={"posterior": posterior})
    whole = table(PICTURES, codec, settings)
    assert table(PICTURES[::-1], codec, settings).sort("image_id").equals(whole)
    for start, stop in ((0, 1), (3, 9)):
        some = table(PICTURES[start:stop], codec, settings)
        assert some.equals(whole.filter(pl.col("image_id").is_in(some["image_id"].implode())))


def test_a_size_is_the_same_in_one_pass_as_alone(codec) -> None:
    both = table(PICTURES, codec)
    alone = table(PICTURES, codec, Latents(resolutions=[32]))
    assert both.select(alone.columns).equals(alone)


def test_a_latent_in_a_bucket_is_that_of_its_pixels_and_noise(codec) -> None:
    settings = SETTINGS.model_copy(update={"posterior": "sample"})
    found = table(PICTURES[3:4], codec, settings)
    (latent,) = arrays_of(found, "latent_64")
    pixels = crops("a", PICTURES[3][1], Sizes(SETTINGS), scaled_decode=False).pixels[64]
    drawn = noise(0, PICTURES[3][0], (4, pixels.shape[0] // 8, pixels.shape[1] // 8), 64)
    padded = [np.concatenate([rows[None], np.zeros_like(rows[None])]) for rows in (pixels, drawn)]
    assert latent is not None
    assert np.array_equal(latent, codec.encode(*padded)[0].astype(np.float16))


def test_batches_have_one_shape_and_no_more_pixels_than_those_of_the_smallest_size(codec, monkeypatch) -> None:
    shapes, encoded = [], codec.encode
    monkeypatch.setattr(codec, "encode", lambda pixels: shapes.append(pixels.shape) or encoded(pixels))
    table(PICTURES, codec)
    assert {shape[0] for shape in shapes if shape[1:3] == (32, 32)} == {8}
    assert {shape[0] for shape in shapes if shape[1:3] != (32, 32)} == {2}
    assert max(np.prod(shape) for shape in shapes) <= 8 * 32 * 32 * 3
    # 70 x 180 and 71 x 182 pixels share a batch, though others lie between them.
    assert len([shape for shape in shapes if shape[1:3] == (48, 80)]) == 1


def test_images_that_no_bucket_fits_are_rejected_where_there_is_no_square(codec) -> None:
    only = Latents(resolutions=[64], buckets=BUCKETS.model_copy(update={"max_ratio_error": 0.1}))
    rejects: dict[str, str] = {}
    found = pl.concat(encode([_picture(1, 300, 64), _picture(2, 64, 64)], codec, only, 0, rejects))
    assert (found.height, list(rejects.values())) == (1, [FAR_FROM_BUCKETS])


def test_buckets_of_uneven_sides_are_refused(codec) -> None:
    with pytest.raises(ValueError, match=r"\[64\] are no multiples of 8"):
        table(PICTURES, codec, Latents(resolutions=[32, 64], buckets=Buckets(resolutions=[64])))
