"""The card of a data set: what it tells of hosts and captions, and that of a table of pictures."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import polars as pl
import pytest
import yaml
from PIL import Image

from paris_assets.errors import UsageError
from paris_assets.export.command import export_command
from paris_assets.export.provenance import hosts_of, most
from paris_assets.storage.location import Location
from paris_assets_tests.export import world

datasets = pytest.importorskip("datasets", reason="it is in the extra dev: install requirements.lock again")
croissant = pytest.importorskip("mlcroissant", reason="it is in the extra dev: install requirements.lock again")
HOSTS = {
    "http://a.example/1.jpg": "a.example",
    "https://A.Example:8080/2.jpg?x=http://b.example/": "a.example",
    "https://user:word@b.example": "b.example",
    "http://[::1]:80/x": "[::1]",
    "s3://bucket/key": "bucket",
    "no address": "(no address)",
    None: "(no address)",
}


def test_hosts_of_addresses() -> None:
    assert hosts_of(pl.Series(list(HOSTS))).to_list() == list(HOSTS.values())
    assert hosts_of(pl.Series([None])).to_list() == ["(no address)"]
    assert most({"a": 3, "b": 2, "c": 1}, 1) == [("a", 3), ("2 others", 3)]
    assert most({"a": 3}, 1) == [("a", 3)]


def test_a_table_of_pictures_with_its_card(tmp_path: Path) -> None:
    store, out = world.finished(tmp_path / "root"), tmp_path / "out"
    export_command(store.catalog, Location(out), "all", images=True, license="cc-by-4.0")
    loaded = datasets.load_dataset(str(out), split="train", cache_dir=str(tmp_path / "cache"))
    assert loaded.num_rows == len(world.SHARDS) * world.COUNT
    assert loaded[0]["image"].size == (48, 32)
    head = yaml.safe_load((out / "README.md").read_text().split("---\n")[1])
    assert (head["license"], head["size_categories"]) == ("cc-by-4.0", ["n<1K"])
    assert datasets.Features._from_yaml_list(head["dataset_info"][0]["features"]) == loaded.features
    described = croissant.Dataset(out / "croissant.json")
    assert not described.metadata.issues.errors
    pictures = {record["image_profiles/image_id"].decode(): record for record in described.records("image_profiles")}
    files = {hashlib.sha256(data).hexdigest()[:32]: data for shard in world.SHARDS for data in world.files(shard)}
    assert pictures.keys() == files.keys()
    for name, record in pictures.items():
        assert record["image_profiles/image"].tobytes() == Image.open(io.BytesIO(files[name])).tobytes()
    told = json.loads((out / "provenance.json").read_text())
    assert (told["hosts"], told["license"]) == ({"photos.example": 16}, "cc-by-4.0")
    assert told["captioners"] == {"(no caption)": 4, "source_text": 12}


def test_a_table_that_was_changed_gets_no_card(tmp_path: Path) -> None:
    store, out = world.finished(tmp_path / "root"), tmp_path / "out"
    export_command(store.catalog, Location(out), "kept", images=False, license="other")
    file = out / "image_profiles/00000.parquet"
    data = file.read_bytes()
    file.write_bytes(data[:100] + bytes([data[100] ^ 1]) + data[101:])
    with pytest.raises(UsageError, match=r"00000.parquet was changed since it was exported: delete it, and export"):
        export_command(store.catalog, Location(out), "kept", images=False, license="other")
    file.unlink()
    export_command(store.catalog, Location(out), "kept", images=False, license="other")
    assert file.read_bytes() == data
    with pytest.raises(UsageError, match="holds an export of card True, not of card False"):
        export_command(store.catalog, Location(out), "kept", images=False)
