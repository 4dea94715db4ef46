"""A root belongs to one source, wherever a run is started; the registry is written when it has changed."""

from __future__ import annotations

import io
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console

from paris_assets.config import Profile, Source
from paris_assets.definitions import open_catalog
from paris_assets.ingest.sources import register
from paris_assets.planning.profile_file import stored_profile
from paris_assets.planning.registration import SourceChanged, bind, check_binding
from paris_assets.storage.location import Location


def _profile(path: str, rows_per_shard: int = 2) -> Profile:
    return Profile(source=Source(path=path, rows_per_shard=rows_per_shard))


def _bind(root: Location, profile: Profile) -> str:
    """Register and bind; what is said to the user."""
    said, catalog = io.StringIO(), open_catalog(root, profile)
    bind(catalog, register(profile.source, catalog.registry(), root), Console(file=said, width=500))
    return said.getvalue()


@pytest.fixture
def root(tmp_path: Path) -> Location:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "l.csv").write_text(f"url\n{folder}\n{folder}\n{folder}\n")
    return Location(tmp_path / "root")


def test_the_same_relative_path_in_another_folder_is_another_source(
    root: Location, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = _profile("l.csv")
    monkeypatch.chdir(tmp_path / "one")
    check_binding(root, profile)
    assert _bind(root, profile) == f"registered 2 shards, 3 rows in all, from {tmp_path}/one/l.csv\n"
    stored = stored_profile(root)
    assert stored
    assert stored.source.path == f"{tmp_path}/one/l.csv"
    check_binding(root, profile)
    monkeypatch.chdir(tmp_path / "two")
    with pytest.raises(SourceChanged, match=rf"holds results of {tmp_path}/one/l\.csv, not of {tmp_path}/two/l\.csv: "):
        check_binding(root, profile)
    check_binding(root, stored)
    check_binding(root, _profile("../one/l.csv"))
    with pytest.raises(SourceChanged, match="registered with 2 rows per shard, not 3"):
        check_binding(root, _profile("../one/l.csv", 3))


def test_the_registry_is_written_when_it_has_changed_and_only_then(root: Location, tmp_path: Path) -> None:
    profile = _profile(f"{tmp_path}/*/l.csv")
    assert "registered 4 shards, 6 rows in all" in _bind(root, profile)
    before, known = root.stamp("shards.parquet"), open_catalog(root, profile).registry()
    assert known is not None
    assert _bind(root, profile) == ""
    assert root.stamp("shards.parquet") == before
    (tmp_path / "two" / "l.csv").write_text("url\nTWO\nTWO\nTWO\n")  # as many bytes and rows
    assert _bind(root, profile) == ""
    again = open_catalog(root, profile).registry()
    assert again is not None
    follow = ("identity", "list")
    assert again.drop(follow).equals(known.drop(follow))
    assert again.head(2).equals(known.head(2))
    assert not again.tail(2).equals(known.tail(2))


def test_lists_that_no_shard_needs_any_more_are_removed(root: Location, tmp_path: Path) -> None:
    profile = _profile(f"{tmp_path}/one/l.csv")
    _bind(root, profile)
    (first,) = root.glob("source_lists/*")
    (tmp_path / "one" / "l.csv").write_text("url\nONE\nONE\nONE\n")
    _bind(root, profile)
    (second,) = root.glob("source_lists/*")
    assert first != second
    registry = pl.read_parquet(io.BytesIO(root.read("shards.parquet")))
    assert set(registry["list"]) == {second}
