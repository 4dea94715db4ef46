"""Exports to S3: the files of a local export, and the root stays as it is."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from paris_assets.dag.s3 import open_location
from paris_assets.export.energon import energon_command
from paris_assets.export.huggingface import hf_command
from paris_assets.export.wids import wids_command
from paris_assets.storage.location import Location
from paris_assets_tests.fixtures.small_world import contents


def hashes(place: Location) -> dict[str, str]:
    """Path -> sha256 of all that lies in a bucket's folder."""
    paths = place.glob("**/*") + place.glob("**/.nv-meta/*")
    return {path: hashlib.sha256(place.read(path)).hexdigest() for path in paths}


@pytest.mark.slow
def test_what_is_put_into_a_bucket_is_what_a_folder_gets(roots: Any, s3_url: str, tmp_path: Path) -> None:
    store = roots("mixed")
    before = contents(Path(store.root.url))
    commands = {
        "wids": lambda out: wids_command(store.catalog, out, "s3://bucket/mine"),
        "energon": lambda out: energon_command(store.catalog, out),
        "hf": lambda out: hf_command(store.catalog, out, "other"),
    }
    for name, command in commands.items():
        place, local = open_location(f"{s3_url}/exports/{name}"), tmp_path / name
        command(place)
        first = {path: place.stamp(path) for path in hashes(place)}
        command(place)
        assert {path: place.stamp(path) for path in first} == first
        command(Location(local))
        assert hashes(place) == contents(local)
    assert contents(Path(store.root.url)) == before
