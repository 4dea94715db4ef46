"""Each check of the experts stage fails for its own defect."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from paris_assets.dag.store import Store
from paris_assets.experts import checks
from paris_assets_tests import worlds
from paris_assets_tests.worlds import SHARD


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = worlds.flat_store(tmp_path)
    worlds.publishable(store)
    worlds.publish(store)
    summary = pl.DataFrame({"cluster": [0, 1], "samples": [12, 12]}, schema_overrides={"cluster": pl.Int32})
    worlds.put(store, "expert_summary", summary)
    index = store.read("expert_shards", SHARD).select("path", "size_bytes", "sha256", "samples")
    worlds.put(store, "pipeline_manifest", index)
    assert failing(store) == []
    return store


def failing(store: Store) -> list[str]:
    judged = {
        "shards_complete": checks.shards_complete(store, SHARD),
        "rows_aligned": checks.rows_aligned(store, SHARD),
        "experts_filled": checks.experts_filled(store, "all"),
        "files_present": checks.files_present(store, "all"),
    }
    return [name for name, found in judged.items() if not found.passed]


def rewrite_array(store: Store, name: str, change: np.ndarray) -> None:
    path = Path(store.root.uri(f"router_arrays/{SHARD}/{name}.npy"))
    path.unlink()
    np.save(path, change, allow_pickle=False)


def array(store: Store, name: str) -> np.ndarray:
    return np.load(store.root.uri(f"router_arrays/{SHARD}/{name}.npy"))


def test_a_sample_that_is_published_though_it_was_not_selected(store: Store) -> None:
    worlds.replace(store, "training_selection", selected=pl.int_range(pl.len()) != 2)
    assert failing(store) == ["shards_complete", "rows_aligned"]


def test_a_sample_in_the_wrong_cluster(store: Store) -> None:
    swapped = pl.when(pl.int_range(pl.len()) == 0).then(1).otherwise("cluster").cast(pl.Int32)
    worlds.replace(store, "cluster_assignments", cluster=swapped)
    judged = checks.shards_complete(store, SHARD)
    assert judged.figures == {"missing": 0, "twice": 0, "misplaced": 1, "incomplete": 0}
    assert checks.rows_aligned(store, SHARD).figures["wrong_labels"] == 1


def test_a_sample_in_two_tars(store: Store, tmp_path: Path) -> None:
    index, copies = store.read("expert_shards", SHARD), {}
    for path in index["path"]:
        copies[path] = tmp_path / path.replace("/", "-")
        copies[path].write_bytes(store.root.read(path))
    worlds.put(store, "expert_shards", pl.concat([index, index[:1]]), files=copies)
    assert checks.shards_complete(store, SHARD).figures["twice"] == 12
    assert not checks.shards_complete(store, SHARD).passed


@pytest.mark.parametrize("name", ["latents", "embeddings", "clip", "labels", "split"])
def test_an_array_shifted_by_one_row(store: Store, name: str) -> None:
    rewrite_array(store, name, np.roll(array(store, name), 1, axis=0))
    assert failing(store) == ["rows_aligned"]


def test_latents_of_unknown_images_publish_nothing(store: Store) -> None:
    strangers = pl.Series("image_id", [f"{number:032x}" for number in range(24)])
    worlds.put(store, "latents", store.read("latents", SHARD).with_columns(strangers))
    worlds.publish(store)
    assert store.read("expert_shards", SHARD).is_empty()
    assert {"shards_complete", "rows_aligned"} <= set(failing(store))


def test_images_whose_latents_were_rejected_are_not_missing(store: Store) -> None:
    worlds.put(store, "latents", store.read("latents", SHARD)[2:], rejects={"smaller_than_latent": 2})
    worlds.publish(store)
    assert not {"shards_complete", "rows_aligned"} & set(failing(store))
    worlds.put(store, "latents", store.read("latents", SHARD), rejects={"smaller_than_latent": 1})
    assert {"shards_complete", "rows_aligned"} <= set(failing(store))


def test_a_lost_latent_is_not_taken_for_a_rejected_one(store: Store) -> None:
    """Two were rejected of images that are not selected; a selected one has no latent and no reason."""
    worlds.replace(store, "training_selection", selected=pl.int_range(pl.len()) > 1)
    worlds.put(store, "latents", store.read("latents", SHARD)[2:], rejects={"smaller_than_latent": 2})
    worlds.publish(store)
    assert not {"shards_complete", "rows_aligned"} & set(failing(store))
    worlds.put(store, "latents", store.read("latents", SHARD)[1:], rejects={"smaller_than_latent": 2})
    worlds.publish(store)
    assert checks.shards_complete(store, SHARD).figures["missing"] == 1


def test_labels_of_another_order(store: Store) -> None:
    rewrite_array(store, "labels", array(store, "labels")[::-1])
    assert failing(store) == ["rows_aligned"]


def test_a_short_array(store: Store) -> None:
    rewrite_array(store, "clip", array(store, "clip")[:-1])
    assert failing(store) == ["rows_aligned"]


def test_an_expert_without_samples(store: Store) -> None:
    worlds.replace(store, "expert_summary", samples=pl.when(pl.col("cluster") == 1).then(0).otherwise("samples"))
    assert failing(store) == ["experts_filled"]


def test_a_published_file_that_is_gone(store: Store) -> None:
    worlds.replace(store, "pipeline_manifest", size_bytes=pl.col("size_bytes") + 1)
    assert failing(store) == ["files_present"]
