"""Each check of the experts stage fails for its own defect."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from paris_assets.experts import checks
from paris_assets_tests.fixtures import made_up
from paris_assets_tests.fixtures.made_up import SHARD, MadeUpRoot
from paris_assets_tests.verification.test_published import members, npy, rewrite_tar


@pytest.fixture
def store(tmp_path: Path) -> MadeUpRoot:
    store = made_up.flat_root(tmp_path)
    made_up.publishable(store)
    made_up.publish(store)
    summary = {"cluster": [0, 1], "samples": 12, "groups": 12, "train": 8, "validation": 4, "held_out_groups": 4}
    store.put("expert_summary", pl.DataFrame(summary, schema_overrides={"cluster": pl.Int32}))
    store.put("cluster_values", pl.DataFrame({"cluster": [0, 1], "value": ["high", "high"]}))
    groups = store.read("curated_images", SHARD).select("image_id", "group_id", shard=pl.lit(SHARD))
    store.put("duplicate_groups", groups)
    index = store.read("expert_shards", SHARD).select("path", "size_bytes", "sha256", "samples")
    store.put("pipeline_manifest", index)
    assert failing(store) == []
    return store


def failing(store: MadeUpRoot) -> list[str]:
    judged = {
        "shards_complete": store.check(checks.shards_complete, SHARD),
        "samples_sound": store.check(checks.samples_sound, SHARD),
        "rows_aligned": store.check(checks.rows_aligned, SHARD),
        "experts_filled": store.check(checks.experts_filled, "all"),
        "validation_stratified": store.check(checks.validation_stratified, "all"),
        "copies_on_one_side": store.check(checks.copies_on_one_side, "all"),
        "files_present": store.check(checks.files_present, "all"),
    }
    return [name for name, found in judged.items() if not found.passed]


def rewrite_array(store: MadeUpRoot, name: str, change: np.ndarray) -> None:
    path = Path(store.root.uri(f"router_arrays/{SHARD}/{name}.npy"))
    path.unlink()
    np.save(path, change, allow_pickle=False)


def array(store: MadeUpRoot, name: str) -> np.ndarray:
    return np.load(store.root.uri(f"router_arrays/{SHARD}/{name}.npy"))


def test_true_tokens_without_pooled_vectors(tmp_path: Path) -> None:
    store = made_up.flat_root(tmp_path, **{"text.stored": "true_tokens"})
    made_up.publishable(store)
    made_up.publish(store)
    assert store.check(checks.shards_complete, SHARD).passed
    aligned = store.check(checks.rows_aligned, SHARD)
    assert aligned.passed
    assert "shifted_clip" not in aligned.figures
    rewrite_array(store, "labels", 1 - array(store, "labels"))
    assert not store.check(checks.rows_aligned, SHARD).passed


def test_a_sample_that_is_published_though_it_was_not_selected(store: MadeUpRoot) -> None:
    store.replace("training_selection", selected=pl.int_range(pl.len()) != 2)
    assert failing(store) == ["shards_complete", "rows_aligned"]


def test_a_sample_in_the_wrong_cluster(store: MadeUpRoot) -> None:
    swapped = pl.when(pl.int_range(pl.len()) == 0).then(1).otherwise("cluster").cast(pl.Int32)
    store.replace("cluster_assignments", cluster=swapped)
    judged = store.check(checks.shards_complete, SHARD)
    assert judged.figures == {"missing": 0, "twice": 0, "misplaced": 1, "incomplete": 0}
    assert store.check(checks.rows_aligned, SHARD).figures["wrong_labels"] == 1


@pytest.mark.parametrize(
    ("member", "content", "said"),
    [
        ("latent.npy", npy(np.full((4, 8, 8), np.nan, np.float16)), "values are not finite"),
        ("latent.npy", npy(np.ones((4, 8, 8), np.float32)), "is float32, not float16"),
        ("clip_emb.npy", npy(np.array([None])), "an array of Python objects"),
        ("metadata.json", b"{", "metadata.json is no JSON"),
    ],
)
def test_a_member_that_cannot_be_trained_on(store: MadeUpRoot, member: str, content: bytes, said: str) -> None:
    path = Path(store.root.uri(store.read("expert_shards", SHARD)["path"][0]))
    contents = members(path)
    key = contents[0][0].partition(".")[0]
    rewrite_tar(path, [(name, content if name == f"{key}.{member}" else data) for name, data in contents])
    judged = store.check(checks.samples_sound, SHARD)
    assert not judged.passed
    assert f"{key}: " in judged.said
    assert said in judged.said
    assert store.check(checks.shards_complete, SHARD).passed, "all names are there"


def test_members_of_a_sample_that_lie_apart(store: MadeUpRoot) -> None:
    path = Path(store.root.uri(store.read("expert_shards", SHARD)["path"][0]))
    first, *others = members(path)
    rewrite_tar(path, [*others, first])
    judged = store.check(checks.samples_sound, SHARD)
    assert "its members lie in 2 places of the tar" in judged.said
    assert judged.figures["problems"] == 3, "it is split, and each half lacks members"


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


def test_the_bound_of_the_split_is_named_as_its_setting_is(store: MadeUpRoot) -> None:
    assert store.check(checks.validation_stratified, "all").figures["checks.max_split_error"] == 0.02


def test_an_expert_of_one_group_needs_no_validation(store: MadeUpRoot) -> None:
    store.replace("expert_summary", groups=pl.lit(1), validation=pl.lit(0), train=pl.lit(12), held_out_groups=pl.lit(0))
    assert failing(store) == []


def test_copies_of_one_picture_in_training_of_one_expert_and_validation_of_another(store: MadeUpRoot) -> None:
    """The split knows nothing of it: it holds each of the two for a picture of its own."""
    samples = store.read("router_arrays", SHARD)
    trained = samples.filter(split=0, cluster=0)["image_id"][0]
    held_out = samples.filter(split=1, cluster=1)["image_id"][0]
    joined = pl.when(pl.col("image_id") == held_out).then(pl.lit(trained)).otherwise("group_id")
    groups = store.read("duplicate_groups").with_columns(group_id=joined)
    store.put("duplicate_groups", groups)
    assert failing(store) == ["copies_on_one_side"]
    found = store.check(checks.copies_on_one_side, "all")
    assert found.said == f"1 duplicate groups are on both sides, {trained} first"
    same_side = samples.filter(split=0)["image_id"][:2].to_list()
    together = pl.when(pl.col("image_id").is_in(same_side)).then(pl.lit(trained)).otherwise("image_id")
    store.put("duplicate_groups", groups.with_columns(group_id=together))
    assert failing(store) == []


def test_a_sample_that_is_in_no_duplicate_group(store: MadeUpRoot) -> None:
    store.put("duplicate_groups", store.read("duplicate_groups")[1:])
    assert failing(store) == ["copies_on_one_side"]
    assert store.check(checks.copies_on_one_side, "all").said == "1 samples are in no duplicate group"


def test_a_published_file_that_is_gone(store: MadeUpRoot) -> None:
    store.replace("pipeline_manifest", size_bytes=pl.col("size_bytes") + 1)
    assert failing(store) == ["files_present"]
