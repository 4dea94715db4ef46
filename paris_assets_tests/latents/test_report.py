from __future__ import annotations

import io
import json
from hashlib import sha256
from pathlib import Path

import imagehash
import numpy as np
import polars as pl
import pytest
from PIL import Image

from paris_assets.config import Latents, Model
from paris_assets.latents.drawing import draw
from paris_assets.latents.encode import encode
from paris_assets.latents.report import chosen, moments, pairs, psnr
from paris_assets.models.registry import build
from paris_assets_tests.models import tiny
from paris_assets_tests.models.photos import photos

SETTINGS = Latents(resolutions=[64])


@pytest.fixture(scope="module")
def codec(tmp_path_factory: pytest.TempPathFactory):
    path = str(tiny.autoencoder(tmp_path_factory.mktemp("vae")))
    return build(Model(implementation="autoencoder-kl", path=path, batch_size=4))


@pytest.fixture(scope="module")
def latents(codec) -> pl.DataFrame:
    return pl.concat(encode(photos()[:6], codec, SETTINGS, 0))


def test_psnr_known_answers() -> None:
    grey = np.full((8, 8, 3), 100, np.uint8)
    assert psnr(grey, grey + 1) == pytest.approx(48.1308, abs=1e-4)
    one_off = grey.copy()
    one_off[0, 0, 0] += 1
    assert psnr(grey, grey) == psnr(grey, one_off) == pytest.approx(70.9638, abs=1e-4)
    assert psnr(np.zeros_like(grey), np.full_like(grey, 255)) == pytest.approx(0)


def test_images_shown_are_the_first_by_id_whatever_the_order() -> None:
    assert chosen(["c", "a", "b", "a"], 2) == ["a", "b"]


def test_moments_equal_numpy_over_all_latents_however_they_are_split() -> None:
    values = np.random.default_rng(0).normal(0.3, 2, (10, 4, 3, 3)).astype(np.float16)
    frame = pl.DataFrame({"latent_24": pl.Series(values)})
    found = moments([frame[:1], frame[1:1], frame[1:7], frame[7:]], "latent_24")
    exact = values.astype(np.float64)
    np.testing.assert_allclose(found.mean, exact.mean((0, 2, 3)))
    np.testing.assert_allclose(found.std, exact.std((0, 2, 3)))
    assert found.images == 10


def test_the_report_compares_stored_latents_with_the_pixels_encoded(codec, latents: pl.DataFrame) -> None:
    found = pairs(photos()[:6], latents[[5, 0, 3, 1, 4, 2]], codec, SETTINGS, 64)
    assert [pair.image_id for pair in found] == [image_id for image_id, _ in photos()[:6]]
    assert {pair.trained_on for pair in found} == {None}
    picture = Image.open(io.BytesIO(draw(found, 64, codec.name)))
    assert picture.size[0] == 4 * (2 * 64 + 12) + 12
    # The pasted pixels are the crop on the left and its reconstruction on the right: their PSNR is the one reported.
    pixels = np.asarray(picture)[44 : 44 + 64, 12 : 12 + 128]
    assert psnr(pixels[:, :64], pixels[:, 64:]) == pytest.approx(found[0].psnr_db)


def test_another_latent_lowers_the_psnr(codec, latents: pl.DataFrame) -> None:
    right = pairs(photos()[:6], latents, codec, SETTINGS, 64)
    swapped = latents.with_columns(latent_64=pl.Series(latents["latent_64"].to_numpy()[::-1].copy()))
    wrong = pairs(photos()[:6], swapped, codec, SETTINGS, 64)
    assert not np.allclose([pair.psnr_db for pair in wrong], [pair.psnr_db for pair in right])


def test_photos_that_the_codec_was_trained_on_are_marked(codec, latents: pl.DataFrame, tmp_path: Path) -> None:
    def line(index: int, split: str, **values: object) -> dict[str, object]:
        return {"sha256": sha256(photos()[index][1]).hexdigest(), "split": split, "excluded_because": None, **values}

    near = str(imagehash.phash(Image.open(io.BytesIO(photos()[3][1])).convert("RGB")))
    lines = [
        line(0, "train"),
        line(1, "held_out"),
        line(2, "train", excluded_because="near-duplicate of a held-out photo"),
        {"sha256": "00", "split": "train", "phash": near},
    ]
    (tmp_path / "photos.jsonl").write_text("\n".join(map(json.dumps, lines)))
    found = pairs(photos()[:6], latents, codec, SETTINGS, 64, tmp_path / "photos.jsonl")
    assert [pair.trained_on for pair in found] == [True, False, False, True, False, False]


def test_an_image_without_latent_is_an_error_with_its_name(codec, latents: pl.DataFrame) -> None:
    with pytest.raises(ValueError, match=f"1 images .* have no latent_64, first {photos()[6][0]}"):
        pairs(photos()[:7], latents, codec, SETTINGS, 64)
