from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from paris_assets.compute import Compute
from paris_assets.config import Model
from paris_assets.images.decode import Undecodable
from paris_assets.models import together
from paris_assets.models.registry import build
from paris_assets.signals.embeddings import embed_pictures
from paris_assets_tests.models import tiny
from paris_assets_tests.models.fakes import MeanColour
from paris_assets_tests.models.photos import photos

IMAGES = photos()[:9]
BROKEN = 4


def test_every_encoder_fills_its_own_column_and_none_depends_on_another() -> None:
    table = pl.concat(embed_pictures(IMAGES, {"a": MeanColour(4), "b": MeanColour(3, min_side=100)}))
    assert table.columns == ["image_id", "a", "b", "reason"]
    assert table["image_id"].to_list() == [image_id for image_id, _ in IMAGES]
    assert table["reason"].null_count() == len(IMAGES)
    for column, encoder in (("a", MeanColour(4)), ("b", MeanColour(2, min_side=100))):
        alone = pl.concat(embed_pictures(IMAGES, {column: encoder}, Compute(3)))
        assert alone[column].equals(table[column])


def test_one_image_that_cannot_be_decoded_changes_no_bit_of_its_neighbours(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("clip")
    model = Model(implementation="clip-image", path=str(tiny.clip(folder)), precision="fp32", batch_size=4)
    encoders = {"clip": build(model)}
    whole = pl.concat(embed_pictures(IMAGES, encoders))
    broken = [(image_id, data[:200] if row == BROKEN else data) for row, (image_id, data) in enumerate(IMAGES)]
    table = pl.concat(embed_pictures(broken, encoders))
    assert table.row(BROKEN)[:2] == (IMAGES[BROKEN][0], None)
    assert f"image {IMAGES[BROKEN][0]} cannot be decoded here" in table["reason"][BROKEN]
    others = pl.int_range(pl.len()) != BROKEN
    assert table.filter(others).equals(whole.filter(others))


def test_images_none_of_which_can_be_decoded_are_rows_with_reasons() -> None:
    table = pl.concat(embed_pictures([("a" * 32, b"no image"), ("b" * 32, b"")], {"x": MeanColour(1)}))
    assert table.height == 2
    assert table.schema == {"image_id": pl.String, "x": pl.Array(pl.Float16, 3), "reason": pl.String}
    assert (table["x"].null_count(), table["reason"].null_count()) == (2, 0)


def test_a_vector_that_is_none_is_null_with_a_reason_and_the_other_encoders_stays() -> None:
    class Odd(MeanColour):
        def run(self, batch: np.ndarray) -> np.ndarray:
            vectors = np.array(super().run(batch))
            vectors[vectors.argmin(0)[0]] = 0
            vectors[vectors.argmax(0)[0], 1] = 1e6
            return vectors

    table = pl.concat(embed_pictures(IMAGES, {"good": MeanColour(9), "odd": Odd(9)}))
    assert sorted(table["reason"].drop_nulls()) == [
        "odd: a value is not finite in float16",
        "odd: the vector is zero, which has no direction",
    ]
    assert table["odd"].is_null().to_list() == table["reason"].is_not_null().to_list()
    assert table["good"].null_count() == 0
    assert not (table["odd"].drop_nulls().to_numpy() == 0).all(1).any()


def test_vectors_of_length_one_are_scaled_in_float32_and_what_has_no_direction_is_null_with_a_reason() -> None:
    class Huge(MeanColour):
        """Beyond float16, and so small that float16 would make zeros of it."""

        def run(self, batch: np.ndarray) -> np.ndarray:
            vectors = np.array(super().run(batch))
            vectors[::3] *= 1e6
            vectors[1::3] *= 1e-9
            vectors[vectors.argmin(0)[0]] = 0
            return vectors

    (empty, table) = embed_pictures(IMAGES, {"embedding": Huge(9)}, of_length_one=True)
    assert empty.schema == table.schema
    assert table["reason"].drop_nulls().to_list() == ["embedding: the vector is zero, which has no direction"]
    assert table["embedding"].is_null().to_list() == table["reason"].is_not_null().to_list()
    vectors = table["embedding"].drop_nulls().to_numpy().astype(np.float64)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)
    plain = pl.concat(embed_pictures(IMAGES, {"embedding": MeanColour(9)})).filter(table["reason"].is_null())
    expected = plain["embedding"].to_numpy().astype(np.float64)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(vectors, expected, atol=2e-3)


def test_a_network_that_fails_stops_and_names_the_images() -> None:
    class Failing(MeanColour):
        def run(self, batch: np.ndarray) -> np.ndarray:
            raise RuntimeError("no kernel")

    with pytest.raises(RuntimeError, match="no kernel") as error:
        list(embed_pictures(IMAGES[:2], {"x": Failing(2)}))
    assert IMAGES[0][0] in "".join(error.value.__notes__)


def test_no_images_give_the_columns() -> None:
    (empty,) = embed_pictures([], {"x": MeanColour()})
    assert empty.schema == {"image_id": pl.String, "x": pl.Array(pl.Float16, 3), "reason": pl.String}


def test_scores_of_pixels_still_stop_at_what_cannot_be_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> np.ndarray:
        raise Undecodable("why")

    monkeypatch.setattr(together, "decode", fail)
    (found,) = together.run_together(IMAGES[:1], {"x": MeanColour(1)})
    assert found.undecodable == {IMAGES[0][0]: "why"}
    assert (found.ids, found.results) == ([], {})
