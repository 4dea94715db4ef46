"""How images spread over sizes and buckets, by known answers."""

import numpy as np
import polars as pl
import pytest

from paris_assets.config import Latents
from paris_assets.latents.drawing import Pair
from paris_assets.latents.page import page
from paris_assets.latents.places import Place, Sizes
from paris_assets.latents.report import moments, shown_at
from paris_assets.latents.spread import spread
from paris_assets.settings.latents import Buckets
from paris_assets.storage.ragged import ragged

SETTINGS = Latents(resolutions=[256, 512], buckets=Buckets(resolutions=[512]), report_batch=3)
SHAPES = [(600, 900)] * 3 + [(512, 512)] * 2 + [(300, 1200)]


def table() -> pl.DataFrame:
    placed = [Sizes(SETTINGS).placed(*shape) for shape in SHAPES]
    columns = {
        SETTINGS.column(name, size): [
            None if (place := one.places.get(size)) is None else getattr(place, name) for one in placed
        ]
        for size in SETTINGS.resolutions
        for name in Place._fields
    }
    buckets = {"bucket": [str(one.bucket) for one in placed], "ratio_error": [one.ratio_error for one in placed]}
    return pl.DataFrame(columns | buckets)


def test_figures_of_each_size() -> None:
    found = spread(table().lazy(), SETTINGS)
    # 3:2 to a square keeps 2/3, the square all, 4:1 a quarter.
    assert found[256] == {"images": 6, "upscaled": 0, "cropped_share": pytest.approx(1 - (2 + 2 + 0.25) / 6, abs=1e-4)}
    # 600 x 900 becomes 416 x 624, of which 416 x 608 is kept; 300 x 1200 covers 256 x 1024.
    assert found[512]["buckets"] == {"1024x1024": 2, "512x2048": 1, "832x1216": 3}
    assert found[512]["images"] == 6
    assert found[512]["in_small_buckets"] == 3
    assert found[512]["cropped_share"] == pytest.approx(3 * (1 - 608 / 624) / 6, abs=1e-4)
    assert found[512]["ratio_error"] == pytest.approx(3 * np.log(1.5 / (1216 / 832)) / 6, abs=1e-4)


def test_a_size_that_no_image_has() -> None:
    none = table().with_columns(pl.lit(None, pl.Int64).alias("target_width_512"))
    found = spread(none.lazy(), SETTINGS)[512]
    assert found == {
        "images": 0, "upscaled": 0, "cropped_share": 0.0, "ratio_error": 0.0, "buckets": {}, "in_small_buckets": 0,
    }  # fmt: skip


def test_fewer_of_larger_pictures_are_shown() -> None:
    assert [shown_at(Latents(resolutions=[256, 512, 1024]), size) for size in (256, 512, 1024)] == [16, 4, 4]
    assert shown_at(Latents(resolutions=[256, 1024], report_images=2), 1024) == 2
    assert shown_at(Latents(resolutions=[1024]), 1024) == 16


def test_moments_of_arrays_of_several_shapes() -> None:
    generator = np.random.default_rng(0)
    arrays = [generator.normal(1, 2, (4, height, 3)).astype(np.float16) for height in (2, 5, 3)]
    frame = pl.DataFrame(ragged("latent_8", [*arrays, None]))
    found = moments([frame[:2], frame[2:]], "latent_8")
    exact = np.concatenate([array.reshape(4, -1) for array in arrays], 1).astype(np.float64)
    np.testing.assert_allclose(found.mean, exact.mean(1))
    np.testing.assert_allclose(found.std, exact.std(1))
    assert found.images == 3


def test_the_page_has_a_bar_for_every_bucket_and_loads_nothing() -> None:
    figures = {
        str(size): {**held, "psnr_db": 24.0} for size, held in spread(table().lazy(), SETTINGS).items()
    }  # fmt: skip
    wide = np.zeros((416, 608, 3), np.uint8)
    pairs = {256: [], 512: [Pair("ab" * 16, wide, wide, 31.5, False, None)]}
    found = page(figures, pairs, SETTINGS)
    assert found.count("<figure title=") == 33
    assert 'title="416 x 608: 3 images"' in found
    assert found.count('class="few"') == 32, "3 images fill a batch of 3"
    assert "abababab, 31.50 dB" in found
    assert "http" not in found
    assert "<script" not in found
