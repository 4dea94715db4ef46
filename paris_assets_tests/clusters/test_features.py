from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from paris_assets.clusters import features
from paris_assets.clusters.features import NoVectors, choose, collect, join, vectors
from paris_assets.config import Clusters
from paris_assets.errors import BrokenInvariant
from paris_assets.storage.shards import Shards

IDS = [f"{number:032x}" for number in range(1000)]


def test_choose_depends_on_the_set_alone_and_smaller_samples_are_subsets() -> None:
    chosen = choose(IDS, 100, 7)
    assert chosen == choose(reversed(IDS), 100, 7) == sorted(chosen)
    assert set(choose(IDS, 40, 7)) < set(chosen)
    assert choose(IDS, 100, 8) != chosen
    assert choose(IDS[:5], 100, 7) == IDS[:5]


def test_choose_is_uniform() -> None:
    picks = np.zeros(1000)
    for seed in range(200):
        picks[[int(name, 16) for name in choose(IDS, 100, seed)]] += 1
    # 200 draws at 0.1: mean 20, deviation 4.2; halves of the ids must be drawn alike.
    assert abs(picks[:500].mean() - 20) < 0.5
    assert picks.max() < 20 + 6 * 4.3


def test_join_normalises_each_part() -> None:
    image = np.array([[3, 4], [0, 2]], dtype=np.float16)
    text = np.array([[0, 0, 5], [1, 2, 2]], dtype=np.float16)
    joined = join(["a", "b"], image, text, Clusters(features=["image", "text"]))
    assert joined.dtype == np.float32
    np.testing.assert_allclose(joined, [[0.6, 0.8, 0, 0, 1], [0, 1, 1 / 3, 2 / 3, 2 / 3]], rtol=1e-6)
    raw = join(["a", "b"], image, text, Clusters(features=["text"], normalize=False))
    np.testing.assert_array_equal(raw, text.astype(np.float32))


@pytest.mark.parametrize(
    ("value", "said"), [(np.nan, "vector of image b is not finite"), (0.0, "vector of image b is zero")]
)
def test_join_names_the_image_that_cannot_be_used(value: float, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        join(["a", "b"], np.array([[1.0, 2.0], [value, value]], np.float16), None, Clusters())


def test_join_asks_for_missing_parts() -> None:
    with pytest.raises(ValueError, match="names 'text', but no text vectors"):
        join(["a"], np.ones((1, 2)), None, Clusters(features=["image", "text"]))


def test_collect_gives_rows_in_the_order_asked_for_whatever_the_chunks() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(30, 4)).astype(np.float16)
    wanted = choose(IDS[:30], 11, 0)
    order = rng.permutation(30)
    cuts = [order[:7], order[7:8], order[8:]]
    chunks = [([IDS[row] for row in rows], vectors[rows], None) for rows in cuts]
    found = collect(chunks, wanted, Clusters())
    expected = join(wanted, vectors[[int(name, 16) for name in wanted]], None, Clusters())
    np.testing.assert_array_equal(found, expected)


def test_collect_refuses_missing_and_repeated_images() -> None:
    ones = np.ones((2, 3), np.float16)
    with pytest.raises(ValueError, match=r"1 of 3 images have no vector, first: \['c'\]"):
        collect([(["a", "b"], ones, None)], ["a", "b", "c"], Clusters())
    with pytest.raises(ValueError, match="image_id b has more than one vector"):
        collect([(["a", "b"], ones, None), (["b", "c"], ones, None)], ["a", "b", "c"], Clusters())
    with pytest.raises(ValueError, match="image_id a has more than one vector"):
        collect([(["a", "a"], ones, None)], ["a"], Clusters())
    with pytest.raises(ValueError, match="vectors of 4 and of 3 dimensions"):
        collect([(["a"], ones[:1], None), (["b"], np.ones((1, 4)), None)], ["a", "b"], Clusters())


def test_no_image_left_says_where_to_look() -> None:
    with pytest.raises(
        BrokenInvariant,
        match=r"no image is left to cluster: the rejects of raw_images, filtered_images.*duplicate_groups",
    ):
        collect([], [], Clusters())


def test_captions_without_a_vector_are_refused_with_what_to_set() -> None:
    images = pl.DataFrame({"image_id": ["a"], "embedding": pl.Series([[1.0, 2.0]], dtype=pl.Array(pl.Float16, 2))})
    texts = pl.DataFrame({"image_id": ["a"], "tokens": [3]})
    with pytest.raises(NoVectors, match=r"gives no vector per caption: --set text\.pooled=masked_mean"):
        list(vectors(Shards.of({"0": images}), Shards.of({"0": texts})))


def test_a_matrix_that_lies_in_a_file_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [f"{number:032x}" for number in range(50)]
    halves = np.random.default_rng(0).normal(size=(50, 6)).astype(np.float16)
    chunks = [(ids[start : start + 20], halves[start : start + 20], None) for start in (40, 0, 20)]
    in_memory = collect(chunks, ids[5:], Clusters(), tmp_path)
    monkeypatch.setattr(features, "IN_MEMORY", 0)
    in_file = collect(chunks, ids[5:], Clusters(), tmp_path)
    assert not isinstance(in_memory, np.memmap)
    assert isinstance(in_file, np.memmap)
    assert np.array_equal(in_memory, in_file)
    assert not list(tmp_path.iterdir()), "the file has no name"
