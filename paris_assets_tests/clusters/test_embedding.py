from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from paris_assets.clusters.embedding import embed
from paris_assets.compute import Compute
from paris_assets.images.decode import decode_rgb
from paris_assets.models.batches import BatchStats
from paris_assets_tests.models.fakes import MeanColour
from paris_assets_tests.models.photos import photos


def test_vectors_belong_to_their_images_and_are_not_normalised() -> None:
    stats = BatchStats()
    table = pl.concat(embed(photos()[:7], MeanColour(), stats=stats))
    assert table.schema == {"image_id": pl.String, "embedding": pl.Array(pl.Float16, 3)}
    assert table["image_id"].to_list() == [image_id for image_id, _ in photos()[:7]]
    expected = np.stack([decode_rgb(data).mean((0, 1)) for _, data in photos()[:7]])
    np.testing.assert_allclose(table["embedding"].to_numpy(), expected, rtol=1e-3)
    assert (stats.rows, stats.batches) == (7, 2)


def test_batch_size_threads_and_subsets_change_nothing() -> None:
    whole = pl.concat(embed(photos()[:9], MeanColour(4)))
    assert pl.concat(embed(photos()[:9], MeanColour(9), Compute(3))).equals(whole)
    assert pl.concat(embed(photos()[2:5], MeanColour(2))).equals(whole[2:5])


def test_a_vector_that_is_not_finite_names_its_image() -> None:
    class Broken(MeanColour):
        def run(self, batch: np.ndarray) -> np.ndarray:
            return np.where(np.arange(len(batch))[:, None] == 2, np.nan, batch)

    with pytest.raises(ValueError, match=f"not finite in float16, first {photos()[2][0]}"):
        list(embed(photos()[:4], Broken()))


def test_no_images_give_the_columns() -> None:
    assert pl.concat(embed([], MeanColour())).schema == {"image_id": pl.String, "embedding": pl.Array(pl.Float16, 3)}
