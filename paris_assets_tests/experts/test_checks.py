"""Each check of the experts stage fails for its own defect."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from paris_assets.experts import checks
from paris_assets_tests.fixtures import made_up
from paris_assets_tests.fixtures.made_up import SHARD, MadeUpRoot


@pytest.fixture
def store(tmp_path: Path) -> MadeUpRoot:
    store = made_up.flat_root(tmp_path)
    made_up.publishable(store)
    made_up.publish(store)
    summary = pl.DataFrame({"cluster": [0, 1], "samples": [12, 12]}, schema_overrides={"cluster": pl.Int32})
    store.put("expert_summary", summary)
    store.put("cluster_values", pl.DataFrame({"cluster": [0, 1], "value": ["high", "high"]}))
    index = store.read("expert_shards", SHARD).select("path", "size_bytes", "sha256", "samples")
    store.put("pipeline_manifest", index)
    assert failing(store) == []
    return store


def failing(store: MadeUpRoot) -> list[str]:
    judged = {
        "shards_complete": store.check(checks.shards_complete, SHARD),
        "rows_aligned": store.check(checks.rows_aligned, SHARD),
        "experts_filled": store.check(checks.experts_filled, "all"),
        "files_present": store.check(checks.files_present, "all"),
    }
    return [name for name, found in judged.items() if not found.passed]


def rewrite_array(store: MadeUpRoot, name: str, change: np.ndarray) -> None:
    path = Path(store.root.uri(f"router_arrays/{SHARD}/{name}.npy"))
    path.unlink()
    np.save(path, change, allow_pickle=False)


def array(store: MadeUpRoot, name: str) -> np.ndarray:
    return np.load(store.root.uri(f"router_arrays/{SHARD}/{name}.npy"))


def test_a_sample_that_is_published_though_it_was_not_selected(store: MadeUpRoot) -> None:
    store.replace("training_selection", selected=pl.int_range(pl.len()) != 2)
    assert failing(store) == ["shards_complete", "rows_aligned"]


def test_a_sample_in_the_wrong_cluster(store: MadeUpRoot) -> None:
    swapped = pl.when(pl.int_range(pl.len()) == 0).then(1).otherwise("cluster").cast(pl.Int32)
    store.replace("cluster_assignments", cluster=swapped)
    judged = store.check(checks.shards_complete, SHARD)
    assert judged.figures == {"missing": 0, "twice": 0, "misplaced": 1, "incomplete": 0}
    assert store.check(checks.rows_aligned, SHARD).figures["wrong_labels"] == 1


def test_a_sample_in_two_tars(store: MadeUpRoot, tmp_path: Path) -> None:
    index, copies = store.read("expert_shards", SHARD), {}
    for path in index["path"]:
        copies[path] = tmp_path / path.replace("/", "-")
        copies[path].write_bytes(store.root.read(path))
    store.put("expert_shards", pl.concat([index, index[:1]]), files=copies)
    assert store.check(checks.shards_complete, SHARD).figures["twice"] == 12
    assert not store.check(checks.shards_complete, SHARD).passed


@pytest.mark.parametrize("name", ["latents", "embeddings", "clip", "labels", "split"])
def test_an_array_shifted_by_one_row(store: MadeUpRoot, name: str) -> None:
    rewrite_array(store, name, np.roll(array(store, name), 1, axis=0))
    assert failing(store) == ["rows_aligned"]


def test_latents_of_unknown_images_publish_nothing(store: MadeUpRoot) -> None:
    strangers = pl.Series("image_id", [f"{number:032x}" for number in range(24)])
    store.put("latents", store.read("latents", SHARD).with_columns(strangers))
    made_up.publish(store)
    assert store.read("expert_shards", SHARD).is_empty()
    assert {"shards_complete", "rows_aligned"} <= set(failing(store))


def test_images_whose_latents_were_rejected_are_not_missing(store: MadeUpRoot) -> None:
    store.put("latents", store.read("latents", SHARD)[2:], rejects={"smaller_than_latent": 2})
    made_up.publish(store)
    assert not {"shards_complete", "rows_aligned"} & set(failing(store))
    store.put("latents", store.read("latents", SHARD), rejects={"smaller_than_latent": 1})
    assert {"shards_complete", "rows_aligned"} <= set(failing(store))


def test_a_lost_latent_is_not_taken_for_a_rejected_one(store: MadeUpRoot) -> None:
    """Two were rejected of images that are not selected; a selected one has no latent and no reason."""
    store.replace("training_selection", selected=pl.int_range(pl.len()) > 1)
    store.put("latents", store.read("latents", SHARD)[2:], rejects={"smaller_than_latent": 2})
    made_up.publish(store)
    assert not {"shards_complete", "rows_aligned"} & set(failing(store))
    store.put("latents", store.read("latents", SHARD)[1:], rejects={"smaller_than_latent": 2})
    made_up.publish(store)
    assert store.check(checks.shards_complete, SHARD).figures["missing"] == 1


def test_labels_of_another_order(store: MadeUpRoot) -> None:
    rewrite_array(store, "labels", array(store, "labels")[::-1])
    assert failing(store) == ["rows_aligned"]


def test_a_short_array(store: MadeUpRoot) -> None:
    rewrite_array(store, "clip", array(store, "clip")[:-1])
    assert failing(store) == ["rows_aligned"]


def test_an_expert_without_samples(store: MadeUpRoot) -> None:
    store.replace("expert_summary", samples=pl.when(pl.col("cluster") == 1).then(0).otherwise("samples"))
    assert failing(store) == ["experts_filled"]


def test_a_published_file_that_is_gone(store: MadeUpRoot) -> None:
    store.replace("pipeline_manifest", size_bytes=pl.col("size_bytes") + 1)
    assert failing(store) == ["files_present"]
