"""Expert tars hold every sample once, readable by webdataset and the same bytes each time."""

import json
import tarfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from webdataset.compat import WebDataset

from paris_assets.experts.samples import LostRows
from paris_assets.experts.summary import file_lists
from paris_assets.vectors.true_tokens import padded, unpacked
from paris_assets_tests.fixtures import made_up
from paris_assets_tests.fixtures.made_up import SHARD

KEYS = {
    "image_id", "uid", "url", "caption", "captioner", "source_text", "tokens", "original_width", "original_height",
    "crop_top", "crop_left", "upscaled", "aesthetic", "cluster", "fine_cluster", "distance", "second_distance", "split",
    "caption_kind", "captions", "truncated", "group_id",
}  # fmt: skip


def samples(store_root: Path) -> dict[str, dict]:
    found = {}
    for tar in sorted(store_root.glob("expert_shards/cluster_*/*.tar")):
        for sample in WebDataset(str(tar), shardshuffle=False).decode():  # pyright: ignore[reportGeneralTypeIssues]
            found[sample["__key__"]] = {**sample, "tar": tar.parent.name}
    return found


def test_every_sample_once_with_its_own_data(tmp_path: Path) -> None:
    store = made_up.flat_root(tmp_path)
    names = made_up.publishable(store)
    made_up.publish(store)
    found = samples(tmp_path)
    assert sorted(found) == names
    latents = dict(zip(names, store.read("latents", SHARD)["latent_256"].to_numpy(), strict=True))
    texts = dict(zip(names, store.read("text_embeddings", SHARD)["embedding"].to_numpy(), strict=True))
    for number, name in enumerate(names):
        sample = found[name]
        assert sample["tar"] == f"cluster_{number % 2}"
        assert np.array_equal(sample["latent.npy"], latents[name])
        assert sample["latent.npy"].dtype == np.float16
        assert np.array_equal(sample["clip_emb.npy"], texts[name])
        assert sample["caption.txt"] == f"caption {number}"
        assert set(sample["metadata.json"]) == KEYS
        assert sample["metadata.json"]["caption_kind"] == "source"
        assert sample["metadata.json"]["captions"] == {"source": f"caption {number}"}
        assert sample["metadata.json"]["tokens"] == 2 + number % 3
        assert sample["metadata.json"]["crop_left"] == 22


def test_members_are_adjacent_sorted_and_headers_fixed(tmp_path: Path) -> None:
    store = made_up.flat_root(tmp_path)
    made_up.publishable(store)
    made_up.publish(store)
    with tarfile.open(next(tmp_path.glob("expert_shards/cluster_0/*.tar"))) as tar:
        members = tar.getmembers()
    keys = [member.name.split(".")[0] for member in members]
    assert keys == sorted(keys)
    assert {member.name.partition(".")[2] for member in members} == {
        "caption.txt",
        "clip_emb.npy",
        "latent.npy",
        "metadata.json",
    }
    assert {(member.mtime, member.uid, member.gid, member.uname, member.gname) for member in members} == {
        (0, 0, 0, "", "")
    }


def test_bytes_do_not_depend_on_the_run(tmp_path: Path) -> None:
    for name in ("a", "b"):
        store = made_up.flat_root(tmp_path / name)
        made_up.publishable(store)
        made_up.publish(store)
    first, second = (
        {
            str(path.relative_to(tmp_path / name)): path.read_bytes()
            for path in (tmp_path / name).rglob("*.*")
            if path.is_file()
        }
        for name in ("a", "b")
    )
    assert first == second
    assert sum(name.endswith(".tar") for name in first) == 2


def test_a_full_tar_is_followed_by_the_next(tmp_path: Path) -> None:
    store = made_up.flat_root(tmp_path, **{"experts.max_samples": 5})
    made_up.publishable(store)
    made_up.publish(store)
    index = store.read("expert_shards", SHARD)
    assert index.filter(cluster=0)["samples"].to_list() == [5, 5, 2]
    assert index["path"][1] == "expert_shards/cluster_0/00000-00001.tar"
    assert len(samples(tmp_path)) == 24


def test_images_that_are_not_selected_or_have_no_latent_or_caption_are_left_out_and_counted(tmp_path: Path) -> None:
    store = made_up.flat_root(tmp_path)
    names = made_up.publishable(store)
    store.replace("training_selection", selected=pl.col("image_id") != names[3])
    store.put("latents", store.read("latents", SHARD).filter(pl.col("image_id") != names[4]))
    silent = pl.col("image_id") == names[5]
    store.replace("captions", caption=pl.when(silent).then(pl.lit("")).otherwise("caption"))
    made_up.publish(store)
    assert sorted(samples(tmp_path)) == [name for name in names if name not in names[3:6]]
    record = store.record("expert_shards", SHARD)
    assert record is not None
    assert record.rejects == {"not_selected": 1, "no_latent": 1, "no_valid_caption": 1}
    assert record.counts["rows_in"] == len(names)


def test_a_lost_caption_stops_the_shard(tmp_path: Path) -> None:
    store = made_up.flat_root(tmp_path)
    made_up.publishable(store)
    store.put("captions", store.read("captions", SHARD)[1:])
    with pytest.raises(LostRows, match="24 selected images with latents, but 23"):
        made_up.publish(store)


def test_the_split_keeps_duplicate_groups_together(tmp_path: Path) -> None:
    store = made_up.flat_root(tmp_path)
    names = made_up.publishable(store, 200)
    groups = [names[number // 10 * 10] for number in range(200)]
    store.replace("curated_images", group_id=pl.lit(pl.Series(groups)))
    made_up.publish(store)
    found = samples(tmp_path)
    sides = {(group, found[name]["metadata.json"]["split"]) for name, group in zip(names, groups, strict=True)}
    assert len(sides) == 20
    assert {side for _, side in sides} == {0, 1}


def test_the_split_has_about_the_share_asked_for(tmp_path: Path) -> None:
    store = made_up.flat_root(tmp_path)
    made_up.publishable(store, 300)
    made_up.publish(store)
    held_out = store.read("router_arrays", SHARD).group_by("cluster").agg(pl.sum("split").cast(pl.Int64))
    assert held_out.sort("cluster").rows() == [(0, 45), (1, 45)]


def test_sides_are_in_tars_of_their_own_where_that_is_asked_for(tmp_path: Path) -> None:
    store = made_up.flat_root(tmp_path, **{"experts.split_tars": True, "experts.max_samples": 5})
    names = made_up.publishable(store)
    made_up.publish(store)
    index = store.read("expert_shards", SHARD)
    assert index.filter(cluster=0).sort("path").select("split", "samples").rows() == [(0, 5), (1, 4), (0, 3)]
    lists = {path: text.decode().split() for path, text in file_lists(index).items()}
    assert sorted(lists) == [
        f"expert_shards/cluster_{k}/{side}.txt" for k in (0, 1) for side in ("train", "validation")
    ]
    found = dict[str, int]()
    for path, tars in lists.items():
        for tar in (str(tmp_path / path.rpartition("/")[0] / name) for name in tars):
            for sample in WebDataset(tar, shardshuffle=False).decode():  # pyright: ignore[reportGeneralTypeIssues]
                found[sample["__key__"]] = sample["metadata.json"]["split"]
                assert found[sample["__key__"]] == path.endswith("validation.txt")
    assert sorted(found) == names


def test_there_are_no_lists_of_tars_that_hold_both_sides(tmp_path: Path) -> None:
    store = made_up.flat_root(tmp_path)
    made_up.publishable(store)
    made_up.publish(store)
    assert file_lists(store.read("expert_shards", SHARD)) == {}


def test_metadata_is_plain_json(tmp_path: Path) -> None:
    store = made_up.flat_root(tmp_path)
    made_up.publishable(store)
    made_up.publish(store)
    with tarfile.open(next(tmp_path.glob("expert_shards/cluster_1/*.tar"))) as tar:
        member = next(member for member in tar if member.name.endswith("metadata.json"))
        file = tar.extractfile(member)
        assert file is not None
        assert json.loads(file.read())["cluster"] == 1


def test_true_tokens_alone_are_published_as_they_are(tmp_path: Path) -> None:
    store = made_up.flat_root(tmp_path, **{"text.stored": "true_tokens"})
    names = made_up.publishable(store)
    made_up.publish(store)
    found, table = samples(tmp_path), store.read("text_embeddings", SHARD)
    states = dict(zip(names, unpacked(table["embedding"], table["tokens"]), strict=True))
    assert {len(row) for row in states.values()} == {2, 3, 4}
    for name in names:
        member, metadata = found[name]["clip_emb.npy"], found[name]["metadata.json"]
        assert np.array_equal(member, states[name])
        assert (member.dtype, len(member), metadata["truncated"]) == (np.float16, metadata["tokens"], 0)
    values, mask = padded([found[name]["clip_emb.npy"] for name in names], made_up.TOKENS)
    assert mask.sum(1).tolist() == [found[name]["metadata.json"]["tokens"] for name in names]
    assert not values[~mask].any()
    assert not (tmp_path / "router_arrays" / SHARD / "clip.npy").exists(), "there is no pooled vector"
    assert len(np.load(tmp_path / "router_arrays" / SHARD / "labels.npy")) == len(names)
