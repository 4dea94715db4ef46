from __future__ import annotations

import io

import numpy as np
import polars as pl
import pytest
from PIL import Image

from paris_assets.images.decode import Undecodable
from paris_assets.signals.scores import score
from paris_assets_tests.models.fakes import MeanColour
from paris_assets_tests.models.photos import photos


def test_every_scorer_fills_its_own_column() -> None:
    models = {"red": MeanColour(3, column=0), "blue": MeanColour(5, column=2)}
    table = pl.concat(score(photos()[:8], models))
    assert table.schema == {"image_id": pl.String, "red": pl.Float32, "blue": pl.Float32}
    assert table["image_id"].to_list() == [image_id for image_id, _ in photos()[:8]]
    for column, model in models.items():
        assert set(model.sizes) == {model.batch_size}
        alone = pl.concat(score(photos()[:8], {column: MeanColour(2, column=model.column)}))
        assert alone[column].equals(table[column])


def test_another_scorer_does_not_change_what_one_sees() -> None:
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (640, 800, 3), np.uint8)
    Image.fromarray(noise).save(file, "JPEG", quality=95)
    images = [("a" * 32, file.getvalue())]
    small, full = MeanColour(1, 0, min_side=100), MeanColour(1, 0)
    table = pl.concat(score(images, {"small": small, "full": full}))
    assert (small.sides, full.sides) == ([160], [640])
    alone = pl.concat(score(images, {"small": MeanColour(1, 0, min_side=100)}))
    assert alone["small"].equals(table["small"])


def test_a_score_that_is_not_finite_names_column_and_image() -> None:
    class Broken(MeanColour):
        def run(self, batch: np.ndarray) -> np.ndarray:
            return np.full(len(batch), np.nan, np.float32)

    with pytest.raises(ValueError, match=f"gives nsfw = nan for image {photos()[0][0]}"):
        list(score(photos()[:2], {"nsfw": Broken()}))


class Parts(MeanColour):
    """Red and blue; red is unknown of dark pictures."""

    parts = ("red", "blue")

    def run(self, batch: np.ndarray) -> np.ndarray:
        return np.stack([np.where(batch[:, 0] < 120, np.nan, batch[:, 0]), batch[:, 2]], 1)


class Unsure(Parts):
    tells_unknown = True


def test_a_scorer_of_parts_fills_a_column_for_each() -> None:
    images = photos()[:12]
    table = pl.concat(score(images, {"mean": Unsure(5), "red": MeanColour(3, column=0)}))
    assert table.columns == ["image_id", "mean_red", "mean_blue", "red"]
    dark = table["red"] < 120
    assert 0 < dark.sum() < 12
    assert (table["mean_red"].is_null() == dark).all()
    assert table.filter(~dark)["mean_red"].equals(table.filter(~dark)["red"])
    assert table["mean_blue"].equals(pl.concat(score(images, {"b": MeanColour(4, column=2)}))["b"])
    assert pl.concat(score([], {"mean": Unsure()})).columns == ["image_id", "mean_red", "mean_blue"]


def test_unknown_is_an_error_where_a_scorer_does_not_say_that_it_may_be() -> None:
    with pytest.raises(ValueError, match="gives mean_red = nan for image "):
        list(score(photos()[:12], {"mean": Parts(5)}))


def test_an_undecodable_image_is_named_and_no_images_give_the_columns() -> None:
    with pytest.raises(Undecodable, match="image abc "):
        list(score([("abc", b"no image")], {"nsfw": MeanColour(1, 0)}))
    assert pl.concat(score([], {"nsfw": MeanColour(1, 0)})).schema == {"image_id": pl.String, "nsfw": pl.Float32}
