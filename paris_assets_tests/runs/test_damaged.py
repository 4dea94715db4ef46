"""Flipped bytes: whoever reads them says so, nothing is made from them, and deleting the file repairs the root."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from paris_assets.runs.run import Request
from paris_assets.storage.checksum import DamagedFile
from paris_assets_tests.fixtures.direct import bring_up_to_date
from paris_assets_tests.fixtures.small_world import contents, profile


def flip(path: Path, place: Callable[[bytes], int] = lambda data: len(data) // 2) -> None:
    data = bytearray(path.read_bytes())
    data[place(bytes(data))] ^= 1
    path.write_bytes(bytes(data))


@pytest.mark.parametrize(
    ("damaged", "made", "place"),
    [
        ("raw_images/00001.tar", "image_signals", lambda data: 1000),
        ("raw_images/00001.tar", "cluster_report", lambda data: len(data) // 2),
        ("image_signals/00001.parquet", "filtered_images", lambda data: 100),
        ("duplicate_groups/all.parquet", "curated_images", lambda data: 100),
        ("captions/00000.parquet", "text_embeddings", lambda data: 100),
        ("text_embeddings/00002.parquet", "expert_shards", lambda data: 3000),
        ("image_embeddings/00000.parquet", "cluster_assignments", lambda data: 1000),
        ("cluster_model/all.parquet", "cluster_assignments", lambda data: 500),
        ("latents/00001.parquet", "router_arrays", lambda data: 5000),
        ("router_arrays/00002/latents.npy", "pipeline_manifest", lambda data: 500),
        ("expert_shards/00000.parquet", "pipeline_manifest", lambda data: 50),
    ],
)
def test_a_flipped_byte_is_found_by_its_reader_and_repaired(
    damaged: str, made: str, place: Callable[[bytes], int], small_finished: Path, small_source: Path, tmp_path: Path
) -> None:
    root = Path(shutil.copytree(small_finished, tmp_path / "root"))
    before = contents(root)
    flip(root / damaged, place)
    with pytest.raises(DamagedFile, match=damaged):
        bring_up_to_date(profile(small_source), root, Request(select=(made,), force=True))
    after = {name: digest for name, digest in contents(root).items() if name != damaged}
    assert after.items() <= before.items()
    (root / damaged).unlink()
    bring_up_to_date(profile(small_source), root)
    assert contents(root) == before


def test_a_flipped_byte_in_a_footer_makes_the_table_again(
    small_finished: Path, small_source: Path, tmp_path: Path
) -> None:
    root = Path(shutil.copytree(small_finished, tmp_path / "root"))
    before = contents(root)
    for name, back in (("captions/00000", 20), ("latents/00001", 300), ("cluster_values/all", 700)):
        flip(root / f"{name}.parquet", lambda data, back=back: len(data) - back)
    made = bring_up_to_date(profile(small_source), root)
    assert made == {("captions", "00000"), ("latents", "00001"), ("cluster_values", "all")}
    assert contents(root) == before


def test_a_damaged_registry_is_named_and_deleting_it_repairs(
    small_finished: Path, small_source: Path, tmp_path: Path
) -> None:
    root = Path(shutil.copytree(small_finished, tmp_path / "root"))
    before = contents(root)
    flip(root / "shards.parquet")
    with pytest.raises(DamagedFile, match=r"shards\.parquet is damaged"):
        bring_up_to_date(profile(small_source), root)
    (root / "shards.parquet").unlink()
    assert bring_up_to_date(profile(small_source), root) == set()
    assert contents(root) == before
