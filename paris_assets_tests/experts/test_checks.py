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
    summary = {"cluster": [0, 1], "samples": 12, "groups": 12, "train": 8, "validation": 4, "held_out_groups": 4}
    store.put("expert_summary", pl.DataFrame(summary, schema_overrides={"cluster": pl.Int32}))
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
        "validation_stratified": store.check(checks.validation_stratified, "all"),
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


@pytest.mark.parametrize(
    ("held_out", "said"),
    [
        (0, "experts 1 have no validation samples; experts 1 have a held-out share far from 0.3"),
        (12, "experts 1 have no samples to train on; experts 1 have a held-out share far from 0.3"),
        (6, "experts 1 have a held-out share far from 0.3"),
        (2, "experts 1 have a held-out share far from 0.3"),
    ],
)
def test_an_expert_whose_split_is_not_the_one_asked_for(store: MadeUpRoot, held_out: int, said: str) -> None:
    second = pl.col("cluster") == 1
    counts = {"train": 12 - held_out, "validation": held_out, "held_out_groups": held_out}
    changed = {name: pl.when(second).then(pl.lit(count)).otherwise(name) for name, count in counts.items()}
    store.replace("expert_summary", **changed)
    assert failing(store) == ["validation_stratified"]
    assert store.check(checks.validation_stratified, "all").said == said


def test_an_expert_of_one_group_needs_no_validation(store: MadeUpRoot) -> None:
    store.replace("expert_summary", groups=pl.lit(1), validation=pl.lit(0), train=pl.lit(12), held_out_groups=pl.lit(0))
    assert failing(store) == []


def test_a_duplicate_group_on_both_sides(store: MadeUpRoot) -> None:
    rows = store.read("training_split")
    one_of_each = [rows.filter(split=side)["group_id"][0] for side in (0, 1)]
    joined = pl.when(pl.col("group_id").is_in(one_of_each)).then(pl.lit(one_of_each[0])).otherwise("group_id")
    store.put("training_split", rows.with_columns(group_id=joined), facts={"shards": [SHARD]})
    assert failing(store) == ["validation_stratified"]
    assert store.check(checks.validation_stratified, "all").said == "duplicate groups on both sides: 1"


def test_a_published_file_that_is_gone(store: MadeUpRoot) -> None:
    store.replace("pipeline_manifest", size_bytes=pl.col("size_bytes") + 1)
    assert failing(store) == ["files_present"]
